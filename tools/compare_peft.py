"""How fast, and in how much memory, does Hugging Face PEFT train on this machine?

    python tools/compare_peft.py --model model.gguf --device cpu --threads 2
    python tools/compare_peft.py --shape llama-3.1-8b --all --ceilings
    python tools/compare_peft.py --shape tiny --device cpu --all

The other side of metaprompt's comparison (compare-peft.sh runs the two in turn):
the training step of somebody who uses PEFT as its documentation shows. A frozen
decoder, from files (`--model`) or with random weights (`--shape`: normal, deviation
0.02; norms one), bf16 on a GPU and f32 on the CPU, SDPA attention (gpt-oss: eager),
PromptTuningConfig or LoraConfig (rank 16, all linear layers), `model(input_ids,
attention_mask, labels)`, backward, clip_grad_norm_(1.0), torch.optim.AdamW,
zero_grad. Every step trains on the same batch, padded on the right only if
lengths differ.

Examples come from `--tokens FILE`, `{"examples": [{"context": [ids], "target":
[ids]}]}`, or are drawn (drawn_examples.py). `--length` counts an
example's context and target. The loss is the mean over the targets. A prompt
starts as the embeddings of drawn tokens.

Standard output gets one JSON line for the machine, for the ceilings and for each
configuration, then tables. On a GPU times are CUDA events around whole steps, and
peaks of memory torch's: "warmup" since the base model was built (the first steps
allocate AdamW's state and the matrix library's workspace), "step" since the
warm-up. PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in the environment
keeps fragmentation low near the card's limit. On the CPU the peak is the
process's (VmHWM), so that only its first configuration's is its own.

With `--rounds` there is one configuration, whose steps are run when standard
input asks for them: each line is a number of steps, and is answered by a JSON
line with their times and losses and the peak of memory.
"""

import argparse
import itertools
import json
import os
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"  # transformers' bar of the GGUF's tensors

import peft
import torch
import transformers
from transformers.utils.logging import disable_progress_bar

from device_ceilings import free_memory, measure_ceilings, peak_memory, print_ceilings
from drawn_examples import LARGE, SHAPES, draw_examples, load_examples
from frozen_model import build_model, make_batch, open_model
from peft_training import LEARNING_RATES, METHODS, Training, answer, is_out_of_memory, set_checkpointing, unwrap, wrap


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--shape", choices=SHAPES, default="llama-3.1-8b", help="random weights of this shape")
    weights.add_argument("--model", type=Path, metavar="PATH", help="a Hugging Face directory or a GGUF file")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU; default torch's own")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"],
                        help="of the frozen weights; default bfloat16 on a GPU, float32 on the CPU")
    parser.add_argument("--method", choices=METHODS, help="default prompt-tuning, unless --ceilings stands alone")
    parser.add_argument("--checkpointing", action="store_true", help="recompute layers in the backward pass")
    parser.add_argument("--all", action="store_true", help="both methods, each without and with checkpointing")
    parser.add_argument("--batch", type=int, default=16, help="examples in a step (default 16)")
    parser.add_argument("--length", type=int, default=256, help="tokens of a drawn example (default 256)")
    parser.add_argument("--targets", type=int, default=8, help="how many of its last are targets (default 8)")
    parser.add_argument("--shared-prefix", type=int, default=0, metavar="N", help="first tokens equal in all examples")
    parser.add_argument("--tokens", type=Path, metavar="FILE", help="examples from a JSON file instead of drawn ones")
    parser.add_argument("--virtual-tokens", type=int, default=100, help="of the soft prompt (default 100)")
    parser.add_argument("--warmup", type=int, default=3, help="steps before those measured (default 3)")
    parser.add_argument("--steps", type=int, default=10, help="measured steps (default 10)")
    parser.add_argument("--rounds", action="store_true", help="run steps when standard input asks for them")
    parser.add_argument("--weight-decay", type=float, default=1e-5, help="of AdamW (default 1e-5, as metaprompt's)")
    parser.add_argument("--learning-rate", type=float, help="default 0.01 for prompt-tuning, 2e-4 for lora")
    parser.add_argument("--autocast", action="store_true",
                        help="forward under torch.autocast(bfloat16), as transformers' Trainer(bf16=True) does")
    parser.add_argument("--lora-in-base-dtype", action="store_true",
                        help="LoRA weights in --dtype; PEFT's default keeps them, and computes with them, in f32")
    parser.add_argument("--save-start", type=Path, metavar="DIR",
                        help="write what the first steps start from: DIR/prompt (the initial prompt, a PEFT adapter) "
                        "and, unless --model names files, DIR/model; not for the large shapes")
    parser.add_argument("--ceilings", action="store_true", help="first measure what the card itself allows")
    parser.add_argument("--rows", type=int, help="of the ceilings' products (default batch * length + virtual tokens)")
    arguments = parser.parse_args()
    arguments.dtype = arguments.dtype or ("bfloat16" if arguments.device == "cuda" else "float32")
    if min(arguments.batch, arguments.steps, arguments.virtual_tokens, arguments.targets) < 1:
        parser.error("--batch, --steps, --virtual-tokens and --targets must be positive")
    if arguments.warmup < 0 or not 0 <= arguments.shared_prefix <= arguments.length - arguments.targets:
        parser.error("--warmup can't be negative; --shared-prefix is 0 to --length minus --targets")
    if arguments.length <= arguments.targets:
        parser.error("--length counts context and target: more than --targets")
    if arguments.save_start and not arguments.model and arguments.shape in LARGE:
        parser.error("--save-start is for small shapes and --model")
    if arguments.model and arguments.ceilings:
        parser.error("--ceilings are of a --shape")
    if arguments.rounds and (arguments.all or arguments.ceilings):
        parser.error("--rounds is for one configuration: no --all, no --ceilings")
    if arguments.rows is not None and arguments.rows < 1:
        parser.error("--rows must be positive")
    if arguments.all and (arguments.method or arguments.checkpointing):
        parser.error("--all chooses --method and --checkpointing itself")
    return arguments


def run_configuration(base, batch, method, checkpointing, arguments, device):
    """One configuration on the shared base model, which is left as it was."""
    rate = arguments.learning_rate if arguments.learning_rate is not None else LEARNING_RATES[method]
    virtual = arguments.virtual_tokens if method == "prompt-tuning" else 0
    examples, longest = batch["input_ids"].shape
    result = {
        "shape": None if arguments.model else arguments.shape, "model": arguments.model and arguments.model.name,
        "method": method, "checkpointing": checkpointing, "batch": examples,
        "length": longest, "virtual_tokens": virtual, "rows": examples * (virtual + longest),
        "padding": int((batch["attention_mask"] == 0).sum()), "learning_rate": rate,
        "memory_base": torch.cuda.memory_allocated(device) if device.type == "cuda" else 0,
    }
    model = None
    try:
        model = wrap(base, method, arguments)
        set_checkpointing(base, checkpointing)
        training = Training(model, batch, rate, arguments, device)
        if arguments.rounds:
            training.run_rounds()
            return result
        result |= training.measure()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        result |= {"out_of_memory": str(error).splitlines()[0], "memory_at_failure": peak_memory(device)}
    unwrap(base, model)
    del model
    free_memory(device)
    return result


def save_start(base, arguments):
    """All but the examples that another program needs to repeat the first steps."""
    folder = arguments.save_start
    if not arguments.model:
        base.save_pretrained(folder / "model")
    model = wrap(base, "prompt-tuning", arguments)
    model.save_pretrained(folder / "prompt", save_embedding_layers=False)
    (folder / "prompt" / "README.md").unlink()  # a form with nothing filled in
    unwrap(base, model)


def print_configurations(results):
    print("\nmethod         checkpoint  median ms  least - most       step GB  warm-up GB  first losses")
    for r in results:
        line = f"{r['method']:14} {'yes' if r['checkpointing'] else 'no':10} "
        if "out_of_memory" in r:
            print(f"{line} out of memory: {r['out_of_memory']}")
            continue
        step, warmup = (gigabytes(r[f"memory_{when}"]) for when in ("step", "warmup"))
        losses = " ".join(f"{loss:.5f}" for loss in r["first_losses"])
        print(
            f"{line} {r['median_ms']:9.2f}  {r['least_ms']:7.2f} - {r['most_ms']:<9.2f}"
            f" {step:>7}  {warmup:>10}  {losses}"
        )


def gigabytes(memory):
    """Of a peak: what torch allocated on a GPU, what the process held on the CPU."""
    held = memory.get("allocated", memory.get("process"))
    return "?" if held is None else f"{held / 1e9:.2f}"


def main():
    arguments = parse_arguments()
    disable_progress_bar()
    # PEFT still asks transformers for the old name of activation checkpointing.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
    device = torch.device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    dtype = getattr(torch, arguments.dtype)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
    machine = {"device": name, "threads": torch.get_num_threads(), **versions}
    print(json.dumps(machine | {"arguments": vars(arguments)}, default=str), flush=True)
    ceilings = None
    if arguments.ceilings:
        rows = arguments.rows or arguments.batch * arguments.length + arguments.virtual_tokens
        ceilings = measure_ceilings(SHAPES[arguments.shape], rows, dtype, device)
        answer({"ceilings": arguments.shape, **ceilings})
    configurations = [(arguments.method or "prompt-tuning", arguments.checkpointing)]
    if arguments.all:
        configurations = list(itertools.product(METHODS, (False, True)))
    elif arguments.ceilings and not (arguments.method or arguments.checkpointing):
        configurations = []
    results = []
    if configurations or arguments.save_start:
        if arguments.model:
            base = open_model(arguments.model, dtype, device)
        else:
            base = build_model(arguments.shape, dtype, device)
        vocabulary = base.config.vocab_size
        if arguments.tokens:
            examples = load_examples(arguments.tokens, vocabulary)
        else:
            lengths = [arguments.length] * arguments.batch
            examples = draw_examples(lengths, arguments.targets, arguments.shared_prefix, vocabulary)
        free_memory(device)
        if arguments.save_start:
            save_start(base, arguments)
        batch = make_batch(examples, device)
    for method, checkpointing in configurations:
        results.append(run_configuration(base, batch, method, checkpointing, arguments, device))
        answer(results[-1])
    if arguments.rounds:
        return
    if ceilings:
        print_ceilings(ceilings)
    if results:
        print_configurations(results)


if __name__ == "__main__":
    main()
