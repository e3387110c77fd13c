#!/usr/bin/env python3
"""Which kernels compile to the same PTX as those of another revision.

    tools/cuda_emulator/same_kernels.py REV [HEAD_DIM/GROUP ...]

Compiles every kernel of the working tree and of the git revision REV for sm_80
and sm_90 and prints "same", "differs", "new" or "gone" per kernel, and ends with
an error if any kernel of REV is not the same. Needs NVIDIA's NVRTC 13 (where
.ci/run puts it, or on LD_LIBRARY_PATH), no GPU.

Attention is compiled for full attention (SIGHT 0), the experts' products for
128 rows of packed weights.
"""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CUDA = "crates/backbone/src/compute/cuda"
HEADS = ["128/4", "64/3", "64/8", "128/1", "16/4", "256/2"]
ARCHITECTURES = ["compute_80", "compute_90"]


def nvrtc():
    folder = ROOT / "target/nvrtc/nvidia/cu13/lib"
    for name in ["libnvrtc.so.13", folder / "libnvrtc.so.13"]:
        try:
            return ctypes.CDLL(str(name))
        except OSError:
            continue
    sys.exit(f"same_kernels.py: no libnvrtc.so.13 on LD_LIBRARY_PATH or in {folder}; see .ci/run")


def compile_to_ptx(library, source, architecture, macros):
    program = ctypes.c_void_p()
    text = source.encode()
    library.nvrtcCreateProgram(ctypes.byref(program), text, None, 0, None, None)
    options = [f"--gpu-architecture={architecture}", "--std=c++17", "-default-device"]
    options += [f"-D{name}={value}" for name, value in macros.items()]
    array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), array)
    kind = "ProgramLog" if failed else "PTX"
    size = ctypes.c_size_t()
    getattr(library, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{kind}")(program, buffer)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    result = buffer.value.decode()
    if failed:
        sys.exit(f"same_kernels.py: {macros} does not compile:\n{result}")
    return result


def kernels_of(ptx):
    """The text of each kernel: its parameters and body. Labels carry the number of
    the function in its file, which another kernel before it changes."""
    texts = {}
    for part in re.split(r"(?=^(?:\.visible )?\.entry )", ptx, flags=re.MULTILINE)[1:]:
        name = re.search(r"\.entry (\w+)", part)[1]
        lines = [line.split("//")[0].rstrip() for line in part.splitlines()]
        text = "\n".join(line for line in lines if line)
        texts[name] = re.sub(r"\$L__BB\d+_", "$L__BB_", text)
    return texts


class WorkingTree:
    def read(self, path):
        return (ROOT / path).read_text()

    def names(self, folder):
        return sorted(path.name for path in (ROOT / folder).iterdir() if path.is_file())


class Revision:
    def __init__(self, revision):
        self.revision = self.git("rev-parse", "--verify", revision + "^{commit}").strip()

    def git(self, *arguments):
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"same_kernels.py: git: {done.stderr.strip()}")
        return done.stdout

    def read(self, path):
        return self.git("show", f"{self.revision}:{path}")

    def names(self, folder):
        listed = self.git("ls-tree", "--name-only", f"{self.revision}:{folder}")
        return sorted(listed.splitlines())


def sources(tree):
    """Each .cu file's text behind the headers that the Rust sources put before it."""
    found = {}
    common = tree.read(f"{CUDA}/kernels/common.cuh")
    for name in tree.names(CUDA):
        if not name.endswith(".rs"):
            continue
        headers = []
        for path in re.findall(r'"kernels/(\w+\.cuh?|\w+_)"', tree.read(f"{CUDA}/{name}")):
            if path.endswith(".cuh"):
                headers += [path] if path != "common.cuh" else []
                continue
            files = [f for f in tree.names(f"{CUDA}/kernels") if f.endswith(".cu")]
            for file in files:
                if file == path or (path.endswith("_") and file.startswith(path)):
                    texts = [tree.read(f"{CUDA}/kernels/{part}") for part in [*headers, file]]
                    found[file] = "\n".join([common, *texts])
            headers = []
    return found


def variants(file, heads):
    """The macros that a file is compiled with."""
    if file.startswith("attention_"):
        pairs = (pair.split("/") for pair in heads)
        return [{"HEAD_DIM": h, "GROUP": group, "SIGHT": 0} for h, group in pairs]
    if file.startswith("experts_product"):
        return [{"TILE_ROWS": 128, "PACKED": 1}]
    return [{}]


def compiled(library, tree, heads):
    kernels = {}
    for file, source in sources(tree).items():
        for macros in variants(file, heads):
            label = " ".join([file, *(str(value) for value in macros.values())])
            for architecture in ARCHITECTURES:
                ptx = compile_to_ptx(library, source, architecture, macros)
                for name, text in kernels_of(ptx).items():
                    kernels[f"{name} ({label}, {architecture})"] = text
    return kernels


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    heads = sys.argv[2:] or HEADS
    library = nvrtc()
    before = compiled(library, Revision(sys.argv[1]), heads)
    now = compiled(library, WorkingTree(), heads)
    changed = 0
    for name in sorted({*before, *now}):
        if name not in before:
            verdict = "new"
        elif name not in now:
            verdict = "gone"
        else:
            verdict = "same" if before[name] == now[name] else "differs"
        changed += verdict in ("gone", "differs")
        print(f"{verdict:8} {name}")
    print(f"{changed} of {len(before)} kernels are not the same")
    sys.exit(changed > 0)


if __name__ == "__main__":
    main()
