"""The result of compare_steps.py for people: the machine, the batch, a Markdown table."""

import json
import platform
import sys
from pathlib import Path


def machine_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_table(results, arguments, tokens):
    """What was compared, and a Markdown table of it."""
    examples = json.loads(tokens.read_text())["examples"]
    lengths = [len(example["context"]) + len(example["target"]) for example in examples]
    done = next((result for result in results if "seconds" in result), None)
    if done is None:
        sys.exit("PEFT ran out of memory in every configuration: nothing to compare")
    machine, ours = done["machine"], done["metaprompt"]
    device = machine_name() if arguments.device == "cpu" else machine["device"]
    targets = sum(len(example["target"]) for example in examples)
    print(
        f"\n{device}, {ours['threads']} threads; torch {machine['torch']}, transformers {machine['transformers']}, "
        f"PEFT {machine['peft']}\n{len(lengths)} examples of {min(lengths)} to {max(lengths)} tokens "
        f"({sum(lengths)} in all, {targets} of them targets), {arguments.virtual_tokens} virtual tokens, "
        + weights(arguments)
        + (f", {arguments.task}" if arguments.task else "")
        + f"\nmetaprompt packs them into {ours['packed_tokens']} rows, PEFT pads them to "
        f"{len(lengths) * (max(lengths) + arguments.virtual_tokens)} (prompt tuning)\n"
    )
    rounds = arguments.rounds
    turns = f"{rounds} rounds in turn" if rounds > 1 else "one after the other"
    print(f"Medians of {len(ours['all_seconds'])} steps, {turns}; seconds (least to most):\n")
    print("| PEFT | its step | metaprompt's step | times | its memory | metaprompt's memory | share |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for result in results:
        name = {"prompt-tuning": "prompt tuning", "lora": "LoRA, rank 16, all linear layers"}[result["method"]]
        name += ", gradient checkpointing" if result["checkpointing"] else ""
        if "seconds" not in result:
            print(f"| {name} | out of memory | | | | | |")
            continue
        ours = result["metaprompt"]
        share = f"{100 * ours['memory'] / result['memory']:.0f}%" if ours["memory"] and result["memory"] else ""
        print(f"| {name} | {spread(result)} | {spread(ours)} | {result['seconds'] / ours['seconds']:.2f} × "
              f"| {gigabytes(result)} | {gigabytes(ours)} | {share} |")


def weights(arguments):
    if arguments.shape:
        return f"random weights of {arguments.shape}"
    return "SmolLM2-135M-Instruct" if arguments.weights == "embedded" else arguments.weights


def spread(side):
    times = side["all_seconds"]
    return f"{side['seconds']:.3f} ({min(times):.3f} – {max(times):.3f})"


def gigabytes(side):
    return f"{side['memory'] / 1e9:.2f} GB" if side["memory"] else "not known"
