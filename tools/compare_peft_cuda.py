"""How fast, and in how much memory, does Hugging Face PEFT train on this GPU?

    python tools/compare_peft_cuda.py --shape llama-3.1-8b --all --ceilings
    python tools/compare_peft_cuda.py --shape smollm2-135m --save-weights DIR
    python tools/compare_peft_cuda.py --shape tiny --device cpu --all

The other side of metaprompt's comparison: the training step of somebody who uses
PEFT as its documentation shows. A frozen LLaMA with random weights in bf16
(normal, deviation 0.02; norms one), SDPA attention, PromptTuningConfig or
LoraConfig (rank 16, all linear layers), `model(input_ids, attention_mask,
labels)`, backward, clip_grad_norm_(1.0), torch.optim.AdamW, zero_grad. Every step
trains on the same batch, padded on the right only if lengths differ.

Examples come from `--tokens FILE`, `{"examples": [{"context": [ids], "target":
[ids]}]}`, of which the first `--batch` are used, or are drawn (`draw_examples` in
random_llama.py). `--length` counts an example's context and target. The loss is
the mean over the targets. A prompt starts as the embeddings of drawn tokens.

Standard output gets one JSON line for the machine, for the ceilings and for each
configuration, then tables. Times are CUDA events around whole steps. Peaks of
memory are torch's: "warmup" since the base model was built (the first steps
allocate AdamW's state and the matrix library's workspace), "step" since the
warm-up. PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in the environment
keeps fragmentation low near the card's limit.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers
from transformers.utils.logging import disable_progress_bar

from device_ceilings import free_memory, mark, measure_ceilings, milliseconds, peak_memory, print_ceilings
from random_llama import SHAPES, build_model, draw_examples, load_examples, make_batch

METHODS = ("prompt-tuning", "lora")
LEARNING_RATES = {"prompt-tuning": 0.01, "lora": 2e-4}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="llama-3.1-8b")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu only tries the script out")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16", help="of the frozen weights")
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
    parser.add_argument("--learning-rate", type=float, help="default 0.01 for prompt-tuning, 2e-4 for lora")
    parser.add_argument("--autocast", action="store_true",
                        help="forward under torch.autocast(bfloat16), as transformers' Trainer(bf16=True) does")
    parser.add_argument("--lora-in-base-dtype", action="store_true",
                        help="LoRA weights in --dtype; PEFT's default keeps them, and computes with them, in f32")
    parser.add_argument("--save-weights", type=Path, metavar="DIR",
                        help="write what the first steps start from: the model as a Hugging Face directory, DIR/prompt "
                        "(the initial prompt, a PEFT adapter), DIR/examples.json; not for llama-3.1-8b")
    parser.add_argument("--ceilings", action="store_true", help="first measure what the card itself allows")
    parser.add_argument("--rows", type=int, help="of the ceilings' products (default batch * length + virtual tokens)")
    arguments = parser.parse_args()
    if min(arguments.batch, arguments.steps, arguments.virtual_tokens, arguments.targets) < 1:
        parser.error("--batch, --steps, --virtual-tokens and --targets must be positive")
    if arguments.warmup < 0 or not 0 <= arguments.shared_prefix <= arguments.length - arguments.targets:
        parser.error("--warmup can't be negative; --shared-prefix is 0 to --length minus --targets")
    if arguments.length <= arguments.targets:
        parser.error("--length counts context and target: more than --targets")
    if arguments.save_weights and arguments.shape == "llama-3.1-8b":
        parser.error("--save-weights is for the small shapes")
    if arguments.rows is not None and arguments.rows < 1:
        parser.error("--rows must be positive")
    if arguments.all and (arguments.method or arguments.checkpointing):
        parser.error("--all chooses --method and --checkpointing itself")
    return arguments


def set_checkpointing(base, enable):
    """After `wrap`, as Trainer does it: before, PEFT would set a second hook that stays in the base model.

    Newer versions of transformers call it activation checkpointing.
    """
    prefix = "activation" if hasattr(base, "activation_checkpointing_enable") else "gradient"
    if enable:
        getattr(base, f"{prefix}_checkpointing_enable")({"use_reentrant": False})
    else:
        getattr(base, f"{prefix}_checkpointing_disable")()


def wrap(base, method, arguments):
    """The base model with a fresh adapter, the same one each time."""
    torch.manual_seed(0)
    task = peft.TaskType.CAUSAL_LM
    if method == "lora":
        config = peft.LoraConfig(task_type=task, r=16, lora_alpha=32, target_modules="all-linear")
        return peft.get_peft_model(base, config, autocast_adapter_dtype=not arguments.lora_in_base_dtype)
    config = peft.PromptTuningConfig(task_type=task, num_virtual_tokens=arguments.virtual_tokens)
    model = peft.get_peft_model(base, config)
    embeddings = base.get_input_embeddings().weight
    tokens = torch.randint(len(embeddings), (arguments.virtual_tokens,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(embeddings[tokens.to(embeddings.device)])
    return model


def unwrap(base, model):
    """Takes back all that `wrap` and `set_checkpointing` changed in the base model."""
    if model is not None and not model.active_peft_config.is_prompt_learning:
        model.unload()
    if hasattr(base, "peft_config"):
        del base.peft_config
    set_checkpointing(base, False)
    if hasattr(base, "_require_grads_hook"):
        base.disable_input_require_grads()
    base.requires_grad_(False)


def train(model, batch, learning_rate, arguments, device):
    """Warm-up and measured steps; returns what was measured."""
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate)
    precision = torch.autocast(device.type, torch.bfloat16) if arguments.autocast else contextlib.nullcontext()
    losses = []

    def step():
        with precision:
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())

    for _ in range(arguments.warmup):
        step()
    warmup_memory = peak_memory(device)
    marks = [mark(device)]
    for _ in range(arguments.steps):
        step()
        marks.append(mark(device))
    times = milliseconds(marks, device)
    return {
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "median_ms": statistics.median(times),
        "least_ms": min(times),
        "most_ms": max(times),
        "memory_warmup": warmup_memory,
        "memory_step": peak_memory(device),
        "first_losses": [loss.item() for loss in losses[:3]],
    }


def is_out_of_memory(error):
    """torch raises several kinds; cuBLAS's own failing allocation is another."""
    text = str(error)
    return any(sign in text for sign in ("out of memory", "ALLOC_FAILED", "can't allocate memory"))


def run_configuration(base, batch, method, checkpointing, arguments, device):
    """One configuration on the shared base model, which is left as it was."""
    rate = arguments.learning_rate if arguments.learning_rate is not None else LEARNING_RATES[method]
    virtual = arguments.virtual_tokens if method == "prompt-tuning" else 0
    examples, longest = batch["input_ids"].shape
    result = {
        "shape": arguments.shape, "method": method, "checkpointing": checkpointing, "batch": examples,
        "length": longest, "virtual_tokens": virtual, "rows": examples * (virtual + longest),
        "padding": int((batch["attention_mask"] == 0).sum()), "learning_rate": rate,
        "memory_base": torch.cuda.memory_allocated(device) if device.type == "cuda" else 0,
    }
    model = None
    try:
        model = wrap(base, method, arguments)
        set_checkpointing(base, checkpointing)
        result |= train(model, batch, rate, arguments, device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        result |= {"out_of_memory": str(error).splitlines()[0], "memory_at_failure": peak_memory(device)}
    unwrap(base, model)
    del model
    free_memory(device)
    return result


def save_start(base, examples, arguments):
    """All that another program needs to repeat the first steps."""
    folder = arguments.save_weights
    base.save_pretrained(folder)
    model = wrap(base, "prompt-tuning", arguments)
    model.save_pretrained(folder / "prompt")
    (folder / "prompt" / "README.md").unlink()  # a form with nothing filled in
    unwrap(base, model)
    (folder / "examples.json").write_text(json.dumps({"examples": examples}) + "\n")


def print_configurations(results):
    print("\nmethod         checkpoint  median ms  least - most       step GiB  reserved  warm-up GiB  first losses")
    for r in results:
        line = f"{r['method']:14} {'yes' if r['checkpointing'] else 'no':10} "
        if "out_of_memory" in r:
            print(f"{line} out of memory: {r['out_of_memory']}")
            continue
        step, warmup = r["memory_step"], r["memory_warmup"]
        losses = " ".join(f"{loss:.5f}" for loss in r["first_losses"])
        print(
            f"{line} {r['median_ms']:9.2f}  {r['least_ms']:7.2f} - {r['most_ms']:<9.2f} {step['allocated'] / 2**30:7.2f}"
            f"  {step['reserved'] / 2**30:8.2f}  {warmup['allocated'] / 2**30:11.2f}  {losses}"
        )


def main():
    arguments = parse_arguments()
    disable_progress_bar()
    device = torch.device(arguments.device)
    dtype = getattr(torch, arguments.dtype)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
    print(json.dumps({"device": name, **versions, "arguments": vars(arguments)}, default=str), flush=True)
    ceilings = None
    if arguments.ceilings:
        rows = arguments.rows or arguments.batch * arguments.length + arguments.virtual_tokens
        ceilings = measure_ceilings(SHAPES[arguments.shape], rows, dtype, device)
        print(json.dumps({"ceilings": arguments.shape, **ceilings}), flush=True)
    configurations = [(arguments.method or "prompt-tuning", arguments.checkpointing)]
    if arguments.all:
        configurations = list(itertools.product(METHODS, (False, True)))
    elif arguments.ceilings and not (arguments.method or arguments.checkpointing):
        configurations = []
    results = []
    if configurations or arguments.save_weights:
        vocabulary = SHAPES[arguments.shape]["vocab_size"]
        if arguments.tokens:
            examples = load_examples(arguments.tokens, arguments.batch, vocabulary)
        else:
            examples = draw_examples(
                arguments.batch, arguments.length, arguments.targets, arguments.shared_prefix, vocabulary
            )
        base = build_model(arguments.shape, dtype, device)
        free_memory(device)
        if arguments.save_weights:
            save_start(base, examples, arguments)
        batch = make_batch(examples, device)
    for method, checkpointing in configurations:
        results.append(run_configuration(base, batch, method, checkpointing, arguments, device))
        print(json.dumps(results[-1]), flush=True)
    if ceilings:
        print_ceilings(ceilings)
    if results:
        print_configurations(results)


if __name__ == "__main__":
    main()
