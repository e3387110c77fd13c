"""What ids SmolLM2's tokenizer gives on 1,000 lines of the real corpora, without the lines.

    python tools/make_tokenization_digests.py GGUF DATA_DIR crates/backbone/tests/fixtures/smollm2-corpus-lines.tsv

From each of eight corpus files, 125 lines spread evenly over those that are
valid UTF-8 and 1 to 2,000 bytes long. One row per line, tab-separated:

    path under DATA_DIR, line number from 1, number of ids, digest

A line is what lies between two "\\n" bytes (a "\\r" before the second belongs to
it). The digest is FNV-1a, 64 bits, sixteen hexadecimal digits, over the ids as
little-endian 32-bit integers: offset basis 0xcbf29ce484222325, then for each
byte: xor, multiply by 0x100000001b3. Special tokens in the text are parsed,
none are added. No corpus text enters the repository.
"""

import struct
import sys
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from smollm2 import load_tokenizer

FILES = [
    "ddi2013/Test/Test for DDI Extraction task/MedLine/*.xml",
    "gad/test.tsv",
    "healthver/healthver_test.csv",
    "jnlpba/test.tsv",
    "maccrobat/*.txt",
    "mediqa-rqe/MEDIQA2019-Task2-RQE-TrainingSet-AMIA2016.xml",
    "mts-dialog/MTS-Dialog-TrainingSet.csv",
    "pubmedqa/ori_pqal.json",
]
LINES = 125
LONGEST = 2000


def usable_lines(data, pattern):
    """(path, line number, text) of every usable line, files in the order of their names."""
    paths = sorted(data.glob(pattern))
    if not paths:
        sys.exit(f"{data / pattern}: no such corpus file")
    for path in paths:
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not 0 < len(line) <= LONGEST:
                continue
            try:
                yield path.relative_to(data).as_posix(), number, line.decode("utf-8")
            except UnicodeDecodeError:
                continue


def fnv1a(ids):
    digest = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return f"{digest:016x}"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    source, data, target = (Path(argument) for argument in sys.argv[1:])
    disable_progress_bar()
    tokenizer = load_tokenizer(source.resolve())
    rows = []
    for pattern in FILES:
        lines = list(usable_lines(data, pattern))
        for index in range(LINES):
            path, number, text = lines[index * len(lines) // LINES]
            ids = tokenizer(text, add_special_tokens=False).input_ids
            rows.append(f"{path}\t{number}\t{len(ids)}\t{fnv1a(ids)}\n")
    target.write_text("".join(rows))
    print(f"{len(rows)} lines, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
