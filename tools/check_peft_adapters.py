"""Do adapters that metaprompt wrote mean the same to Hugging Face PEFT?

    metaprompt backbone probe HF_DIR --tokens ids.json --labels 6 \\
        --prompt prompt.safetensors --out probe.safetensors
    python tools/check_peft_adapters.py ADAPTER_DIR --backbone HF_DIR \\
        --tokens ids.json --labels 6 --compare probe.safetensors

Loads each adapter with `PeftModel.from_pretrained`, runs the token ids (a JSON
list) behind it and prints the largest logits at the positions that predict the
last `--labels` ids (default: at every position). `--compare FILE`, once for each
adapter in the same order, holds them against the tensor `logits` of FILE. For a
multitask prompt `--task` chooses the task whose prompt is used (default 0).
`--backbone` may also be a GGUF file. Everything runs in f32.

`--store FOLDER` also copies each adapter there with PEFT's logits of all its tasks as
`expected.safetensors`: `tokens` i64 [T], `logits` f32 [tasks, T, vocab]. The fixtures
`trained-prompts` were made so from what `--example trained_prompts` wrote for
`llama-gqa`.

Exit status: 0 when all compared logits agree to `--tolerance` (largest absolute
difference over largest absolute logit), 1 when some don't, 2 when an argument
or a file is wrong.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from reference import relative_error, save


class Wrong(Exception):
    """An argument or a file that can't be used."""


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapters", nargs="+", type=Path, metavar="ADAPTER_DIR")
    parser.add_argument("--backbone", required=True, type=Path, help="Hugging Face directory or GGUF")
    parser.add_argument("--tokens", required=True, type=Path, help="JSON list of token ids")
    parser.add_argument("--labels", type=int, help="how many of the last ids are targets")
    parser.add_argument("--task", type=int, default=0, help="task of a multitask prompt")
    parser.add_argument("--compare", action="append", default=[], type=Path, metavar="FILE")
    parser.add_argument("--store", type=Path, metavar="FOLDER")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    if arguments.compare and len(arguments.compare) != len(arguments.adapters):
        parser.error("give --compare once for each adapter, or not at all")
    return arguments


def load_backbone(path):
    """A fresh backbone for each adapter: PEFT changes the model that it wraps."""
    if not path.exists():
        raise Wrong(f"{path}: no such backbone")
    where = dict(pretrained_model_name_or_path=path)
    if path.is_file():
        where = dict(pretrained_model_name_or_path=path.parent, gguf_file=path.name)
    return AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.float32, attn_implementation="eager"
    )


def read_tokens(path, labels):
    tokens = json.loads(path.read_text())
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise Wrong(f"{path}: expected a JSON list of integers")
    if labels is not None and not 0 < labels < len(tokens):
        raise Wrong(f"--labels {labels}: must be from 1 to {len(tokens) - 1} for these tokens")
    return torch.tensor(tokens)


def adapter_logits(backbone, folder, tokens):
    """Logits [tasks, T, vocab] at the tokens' positions, the prompt's own left out."""
    # A folder without this file would be taken for a name on the hub.
    if not (folder / "adapter_config.json").is_file():
        raise Wrong(f"{folder}: no adapter_config.json in it")
    config = PeftConfig.from_pretrained(folder)
    tasks = getattr(config, "num_tasks", None)
    extras = [{}] if tasks is None else [{"task_ids": torch.tensor([k])} for k in range(tasks)]
    model = PeftModel.from_pretrained(load_backbone(backbone), folder).eval()
    print(f"{folder}: {config.peft_type.value}, for {config.base_model_name_or_path}")
    with torch.no_grad():
        runs = [model(input_ids=tokens[None], **extra) for extra in extras]
    return torch.stack([run.logits[0, -len(tokens) :] for run in runs])


def store(folder, adapter, tokens, logits):
    """The adapter as it is, with what PEFT makes of it."""
    to = folder / adapter.name
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(adapter, to)
    save({"tokens": tokens, "logits": logits}, to / "expected.safetensors")


def print_largest(logits):
    for row, (values, ids) in enumerate(zip(*logits.topk(5), strict=True)):
        pairs = zip(ids.tolist(), values.tolist(), strict=True)
        print(f"  row {row}: " + "  ".join(f"{token}={value:.5f}" for token, value in pairs))


def agrees(logits, path, tolerance):
    """Whether `logits` of the file are these; says by how much they differ."""
    tensors = load_file(path)
    if "logits" not in tensors:
        raise Wrong(f"{path}: holds {sorted(tensors)}, and no `logits`")
    other = tensors["logits"]
    if other.shape != logits.shape:
        raise Wrong(f"{path}: logits are {tuple(other.shape)}, PEFT's {tuple(logits.shape)}")
    difference = relative_error(other, logits)
    # Written so that a NaN fails.
    good = difference <= tolerance
    print(f"  {path}: relative error {difference:.1e}, {'agrees' if good else 'DIFFERS'}")
    return good


def main():
    arguments = parse_arguments()
    torch.set_num_threads(1)
    disable_progress_bar()
    good = True
    try:
        tokens = read_tokens(arguments.tokens, arguments.labels)
        for index, folder in enumerate(arguments.adapters):
            of_tasks = adapter_logits(arguments.backbone, folder, tokens)
            if arguments.store:
                store(arguments.store, folder, tokens, of_tasks)
            if len(of_tasks) > 1 and not 0 <= arguments.task < len(of_tasks):
                raise Wrong(
                    f"{folder}: --task {arguments.task} is not one of its {len(of_tasks)} tasks"
                )
            # --task is for multitask prompts only.
            logits = of_tasks[arguments.task if len(of_tasks) > 1 else 0]
            if arguments.labels is not None:
                logits = logits[-arguments.labels - 1 : -1]
            print_largest(logits)
            if arguments.compare:
                good &= agrees(logits, arguments.compare[index], arguments.tolerance)
    except (Wrong, OSError, ValueError, SafetensorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
