"""Is the time of a training step a straight line in tokens, plus attention's square?

    python tools/measure_scaling.py --markdown scaling.md --svg scaling.svg

Times `metaprompt bench step` on random examples against the batch size (1 to 64
examples of one length) and against the length (32 to 2,048 tokens, a few examples),
each case in a process of its own, and fits

    seconds = a + b · packed tokens + c · pairs

by least squares of the relative errors, where pairs counts the query-key pairs that
attention looks at: a token with itself and all before it, the prompt's included.
What everything but attention costs lies in b, what attention costs in c, and a is
what a step costs before its first token.

Nothing but a built program is needed (METAPROMPT, default target/release/metaprompt).
Arguments after `--` go to `metaprompt bench step`.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from scaling_plot import plot

BATCHES = [1, 2, 4, 8, 16, 32, 64]
LENGTHS = [32, 64, 128, 256, 512, 1024, 2048]


def numbers(text):
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise ValueError("positive numbers")
    return values


def parse_arguments():
    own, program = sys.argv[1:], []
    if "--" in own:
        own, program = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=numbers, default=BATCHES, help="examples, of --length tokens (default 1,2,4…64)")
    parser.add_argument("--length", type=int, default=147, help="tokens of those examples (default 147)")
    parser.add_argument("--lengths", type=numbers, default=LENGTHS, help="tokens of --batch examples (default 32,64…2048)")
    parser.add_argument("--batch", type=int, default=4, help="how many those are (default 4)")
    parser.add_argument("--virtual-tokens", type=int, default=100, help="of the soft prompt (default 100)")
    parser.add_argument("--steps", type=int, default=5, help="timed for each case (default 5)")
    parser.add_argument("--threads", type=int, help="default all cores")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the plot")
    parser.add_argument("--png", type=Path, metavar="FILE", help="the plot again, as a picture; needs the package cairosvg")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    arguments = parser.parse_args(own)
    if arguments.png and not importlib.util.find_spec("cairosvg"):
        parser.error("--png needs the package cairosvg (pip install cairosvg); --svg needs nothing")
    arguments.program = program
    if len(arguments.batches) + len(arguments.lengths) < 3:
        parser.error("three coefficients can't be fitted to fewer than three cases")
    return arguments


def attended_pairs(batch, length, virtual_tokens):
    """Query-key pairs of one head: causal among prompt and example, whose last token is only predicted."""
    run = length - 1
    return triangle(virtual_tokens) + batch * (run * virtual_tokens + triangle(run))


def triangle(tokens):
    return tokens * (tokens + 1) // 2


def measure(batch, length, arguments):
    program = os.environ.get("METAPROMPT", "target/release/metaprompt")
    command = [program, "bench", "step", "--json", "--quiet", "--device", arguments.device, "--batch", batch,
               "--length", length, "--virtual-tokens", arguments.virtual_tokens, "--steps", arguments.steps]
    command += ["--threads", arguments.threads] if arguments.threads else []
    done = subprocess.run([str(part) for part in command + arguments.program], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}")
    result = json.loads(done.stdout)
    print(f"{batch} × {length}: {result['seconds']:.3f} s", file=sys.stderr, flush=True)
    return {
        "batch": batch, "length": length, "tokens": result["packed_tokens"],
        "pairs": attended_pairs(batch, length, arguments.virtual_tokens), "seconds": result["seconds"],
        "all_seconds": result["all_seconds"], "device": result["device"],
        "memory": result.get("device_peak_memory_bytes") or result["peak_memory_bytes"],
    }


def fit(cases):
    """The a, b and c with the least sum of squared relative errors."""
    # Dividing by the time makes every error relative: else the longest step alone would decide.
    rows = [[1 / case["seconds"], case["tokens"] / case["seconds"], case["pairs"] / case["seconds"]] for case in cases]
    normal = [[sum(row[i] * row[j] for row in rows) for j in range(3)] + [sum(row[i] for row in rows)] for i in range(3)]
    return solve(normal)


def solve(system):
    """Gauss's elimination of three rows with their right side, scaled: pairs are a million times tokens."""
    scale = [row[i] ** 0.5 for i, row in enumerate(system)]
    rows = [[value / scale[i] / (scale[j] if j < 3 else 1) for j, value in enumerate(row)] for i, row in enumerate(system)]
    for i in range(3):
        pivot = max(range(i, 3), key=lambda at: abs(rows[at][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-12:
            sys.exit("the cases don't tell tokens, pairs and the constant apart: vary --batches and --lengths")
        for below in range(i + 1, 3):
            factor = rows[below][i] / rows[i][i]
            rows[below] = [value - factor * above for value, above in zip(rows[below], rows[i])]
    result = [0.0] * 3
    for i in (2, 1, 0):
        result[i] = (rows[i][3] - sum(rows[i][j] * result[j] for j in range(i + 1, 3))) / rows[i][i]
    return [value / of for value, of in zip(result, scale)]


def table(cases, coefficients):
    a, b, c = coefficients
    lines = ["| examples | tokens each | packed tokens | pairs | seconds | tokens a second | fit | error | peak memory |",
             "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for case in cases:
        fitted = a + b * case["tokens"] + c * case["pairs"]
        memory = f"{case['memory'] / 1e9:.2f} GB" if case["memory"] else ""
        lines.append(
            f"| {case['batch']} | {case['length']:,} | {case['tokens']:,} | {case['pairs']:,} | {case['seconds']:.3f} "
            f"| {case['tokens'] / case['seconds']:,.0f} | {fitted:.3f} | {100 * (fitted / case['seconds'] - 1):+.0f}% "
            f"| {memory} |"
        )
    worst = max(abs(1 - (a + b * case["tokens"] + c * case["pairs"]) / case["seconds"]) for case in cases)
    lines += ["", f"seconds = {a:.4f} + {1e3 * b:.4f}e-3 · tokens + {1e9 * c:.3f}e-9 · pairs; largest error {100 * worst:.0f}%. "
              f"{cases[0]['device']}."]
    return "\n".join(lines) + "\n"


def main():
    arguments = parse_arguments()
    by_batch = [measure(batch, arguments.length, arguments) for batch in arguments.batches]
    by_length = [measure(arguments.batch, length, arguments) for length in arguments.lengths]
    cases = by_batch + by_length
    coefficients = fit(cases)
    text = table(cases, coefficients)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    if arguments.svg or arguments.png:
        named = [(f"{arguments.batches[0]} to {arguments.batches[-1]} examples of {arguments.length} tokens", by_batch),
                 (f"{arguments.batch} examples of {arguments.lengths[0]} to {arguments.lengths[-1]} tokens", by_length)]
        drawing = plot(named, coefficients)
        if arguments.svg:
            arguments.svg.write_text(drawing)
        if arguments.png:
            import cairosvg

            cairosvg.svg2png(bytestring=drawing.encode(), write_to=str(arguments.png), scale=2)
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": cases, "coefficients": coefficients}) + "\n")


if __name__ == "__main__":
    main()
