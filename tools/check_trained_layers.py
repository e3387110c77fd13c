"""Do a LoRA and a model that metaprompt trained compute the same in PEFT and transformers?

    cargo run --release -p metaprompt-tuning --example trained_layers BACKBONE_DIR OUT
    python tools/check_trained_layers.py BACKBONE_DIR OUT [--store FOLDER]

Loads OUT/lora with `PeftModel.from_pretrained` on the backbone, and OUT/full with
transformers, runs OUT/tokens.json through both and holds their logits against
those that metaprompt wrote. Exit status 1 when they differ by more than 1e-4 of
the largest logit. `--store` also copies the LoRA to FOLDER with PEFT's logits as
`expected.safetensors`: the fixture `trained-lora` was made so from `llama-gqa`.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from reference import relative_error, save

TOLERANCE = 1e-4


def load(path):
    return AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--store", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    tokens = torch.tensor(json.loads((arguments.out / "tokens.json").read_text()))
    frozen = load(arguments.backbone).eval()
    with torch.no_grad():
        before = frozen(input_ids=tokens[None]).logits[0]
    lora = PeftModel.from_pretrained(load(arguments.backbone), arguments.out / "lora").eval()
    good = True
    for name, model in [("lora", lora), ("full", load(arguments.out / "full").eval())]:
        with torch.no_grad():
            logits = model(input_ids=tokens[None]).logits[0]
        other = load_file(arguments.out / f"{name}.safetensors")["logits"]
        labels = len(other)
        difference = relative_error(other, logits[-labels - 1 : -1])
        change = relative_error(before, logits)
        print(f"{name}: relative error {difference:.1e}, training changed the logits by {change:.1e}")
        # Written so that a NaN fails.
        good &= difference <= TOLERANCE and change > 100 * TOLERANCE
        if name == "lora" and arguments.store:
            shutil.rmtree(arguments.store, ignore_errors=True)
            shutil.copytree(arguments.out / "lora", arguments.store)
            save({"tokens": tokens, "logits": logits}, arguments.store / "expected.safetensors")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
