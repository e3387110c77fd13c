"""Are the forest attention kernels right, and how fast are they beside FlashAttention?

    python tools/compare_attention_cuda.py          # both
    python tools/compare_attention_cuda.py check    # against a float64 reference
    python tools/compare_attention_cuda.py time     # against torch's flash attention

Needs torch, cupy (`pip install cupy-cuda12x` or cupy-cuda13x, to match torch's
CUDA) and a GPU; takes under a minute. The kernels are compiled from this repository's
sources, so the program needn't be built.

`check` prints each output's root mean square error relative to the values and its
worst error, and whether a second run gave the same bits; the exit status is 1 if
anything is wrong. `time` prints medians. The forest holds a shared prefix once;
flash attention gets all sequences whole, with keys and values either expanded to
all heads or shared by groups of them (`enable_gqa`). Rates count two products over
all visible pairs forward and five backward on both sides; the forest's kernels for
queries and keys compute three and four, which is what their own rates count.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from forest_attention import Kernels, Plan, items_at_once
from forest_attention_case import Case

# Each output with the most that its relative error may be; the worst may be 8 times that.
LIMITS = {"out": 6e-3, "log_sums": 1e-5, "deltas": 2e-2, "dq": 2e-2, "d_kv": 2e-2}
# Size of a head, query heads per key/value head, key/value heads.
CHECKED_SHAPES = [(128, 4, 2), (64, 3, 2), (128, 1, 2), (16, 16, 1), (24, 2, 2), (256, 2, 1)]


def error(got, want):
    """Root mean square error relative to the values, and the worst one."""
    if got.numel() == 0:
        return 0.0, 0.0
    difference = (got.double() - want).abs().nan_to_num(nan=1e30)
    rms = want.square().mean().sqrt() + 1e-4
    worst = (difference / (rms + want.abs())).max()
    return (difference.square().mean().sqrt() / rms).item(), worst.item()


def everything(node, length):
    return list(range(length))


def last_below_root(node, length):
    return [length - 1] if node > 0 else []


def checked_forests():
    """Forests as (parent, length) of each node, and which offsets are queries."""
    rng = np.random.default_rng(3)

    def some(node, length):
        return [i for i in range(length) if node > 0 and rng.random() < 0.3]

    return {
        "prefix": ([(-1, 100), (0, 30), (1, 65), (1, 64), (1, 63), (0, 1), (0, 331)], everything),
        "chain": (
            [(-1, 1), (0, 1), (1, 7), (2, 63), (3, 1), (4, 3), (5, 64), (6, 2), (7, 33)],
            everything,
        ),
        "selected": ([(-1, 17), (0, 9), (0, 150), (2, 5), (2, 370)], some),
    }


def run_training(case):
    case.forward()
    case.backward()
    torch.cuda.synchronize()


def check_training(label, case):
    """Checks a forward and a backward pass; returns the number of failures."""
    run_training(case)
    got = [x.clone() for x in case.outputs()]
    plan, failures = case.plan, 0
    line = [f"{plan.block_count - plan.reduced_count}/{plan.block_count} direct"]
    for (name, limit), x, want in zip(LIMITS.items(), got, case.reference()):
        if name == "d_kv":
            x = x[case.token_rows]
        rms, worst = error(x, want)
        bad = not (rms < limit and worst < 8 * limit)
        failures += bad
        line.append(f"{name} {rms:.1e}/{worst:.1e}{' WRONG' if bad else ''}")
    case.poison()
    run_training(case)
    repeats = all(
        torch.equal(a.view(torch.uint8), b.view(torch.uint8)) for a, b in zip(got, case.outputs())
    )
    line.append("repeats" if repeats else "DOES NOT REPEAT")
    print(f"{label}: {', '.join(line)}", flush=True)
    return failures + (not repeats)


def check_decode(label, case):
    """Checks single queries; returns the number of failures."""
    case.decode()
    rms, worst = error(case.decoded, case.reference()[0])
    bad = not (rms < 6e-3 and worst < 5e-2)
    print(f"{label} decode: {rms:.1e}/{worst:.1e}{' WRONG' if bad else ''}")
    return int(bad)


def check():
    """Checks all shapes on all forests; returns the number of failures."""
    failures = 0
    forests = checked_forests()
    for head_dim, group, kv_heads in CHECKED_SHAPES:
        kernels = Kernels(head_dim, group)
        shape = f"d {head_dim} group {group}"
        for title, (nodes, select) in forests.items():
            limit = 2 if group > 4 else 5
            plan = Plan(kernels.sizes, nodes, select, limit=limit, shuffle=True)
            case = Case(kernels, plan, kv_heads, int(time.time()))
            failures += check_training(f"{shape} {title}", case)
        nodes = [(-1, 100), (0, 30), (1, 65), (1, 1), (0, 5), (-1, 1), (5, 3), (1, 900)]
        plan = Plan(kernels.sizes, nodes, last_below_root, limit=3, shuffle=True, single=True)
        failures += check_decode(shape, Case(kernels, plan, kv_heads, 1))
    print("FAILED" if failures else "all right")
    return failures


def median_time(function, repeats=20, rounds=7):
    """Seconds per call: the median over rounds of back-to-back calls."""
    for _ in range(3):
        function()
    results = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeats):
            function()
        end.record()
        end.synchronize()
        results.append(start.elapsed_time(end) / 1e3 / repeats)
    return statistics.median(results)


def rate(products, work, seconds):
    """Time and rate of products of `work` multiply-adds each."""
    return f"{seconds * 1e6:.1f} us {2 * products * work / seconds / 1e12:.1f} TFLOP/s"


def time_forest(kernels, batch, length, prefix, kv_heads):
    """Forward and backward seconds, and the multiply-adds of one product."""
    heads, d = kv_heads * kernels.sizes.group, kernels.sizes.head_dim
    nodes = [(-1, prefix)] + [(0, length - prefix)] * batch
    plan = Plan(kernels.sizes, nodes, everything, at_once=items_at_once(kv_heads))
    case = Case(kernels, plan, kv_heads, 1)
    work = heads * d * plan.pairs
    forward = median_time(case.forward)
    steps = (case.backward_queries, case.backward_keys, case.backward_reduce)
    queries, keys, reduce = (median_time(step, 10, 5) for step in steps)
    backward = median_time(case.backward, 10, 5)
    print(
        f"\n{batch} x {length}, {prefix} shared, {heads}/{kv_heads} heads, d {d}: "
        f"{plan.queries} queries, {plan.tile_count} tiles, {plan.item_count} items of up to "
        f"{plan.limit} entries, {plan.slot_count} slots\n"
        f"  forest: forward {rate(2, work, forward)}, backward {rate(5, work, backward)} "
        f"(queries {rate(3, work, queries)}, keys {rate(4, work, keys)}, "
        f"reduce {reduce * 1e6:.1f} us)",
        flush=True,
    )
    return forward, backward, work


def time_flash(batch, length, heads, kv_heads, d, gqa):
    """Forward and backward seconds of torch's flash attention."""

    def leaf(h):
        x = torch.randn(batch, length, h, d, device="cuda", dtype=torch.bfloat16)
        return x.transpose(1, 2).requires_grad_()

    some_heads = kv_heads if gqa else heads
    q, k, v = leaf(heads), leaf(some_heads), leaf(some_heads)
    extra = {"enable_gqa": True} if gqa else {}

    def attend():
        return scaled_dot_product_attention(q, k, v, is_causal=True, **extra)

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        with torch.no_grad():
            forward = median_time(attend)
        out = attend()
        d_out = torch.randn_like(out)
        backward = median_time(
            lambda: torch.autograd.grad(out, (q, k, v), d_out, retain_graph=True)
        )
    return forward, backward


def compare_with_flash(kernels, batch, length, prefix, kv_heads):
    """Times both sides on one batch and prints how they compare."""
    heads, d = kv_heads * kernels.sizes.group, kernels.sizes.head_dim
    forward, backward, work = time_forest(kernels, batch, length, prefix, kv_heads)
    full = heads * d * batch * length * (length + 1) // 2
    for kind in ["expanded", "enable_gqa"]:
        try:
            theirs, theirs_back = time_flash(
                batch, length, heads, kv_heads, d, kind == "enable_gqa"
            )
        except RuntimeError as problem:
            print(f"  flash {kind}: {problem}")
            continue
        print(
            f"  flash {kind}: forward {rate(2, full, theirs)}, "
            f"backward {rate(5, full, theirs_back)}\n"
            f"    forest over flash, rate: forward {work / forward / (full / theirs):.2f}, "
            f"backward {work / backward / (full / theirs_back):.2f}; time saved: forward "
            f"{theirs / forward:.2f}x, backward {theirs_back / backward:.2f}x"
        )


def time_decode(kernels, sequences, length, kv_heads):
    """Times a token of each sequence behind a shared prefix of 100."""
    nodes = [(-1, 100)] + [(0, length)] * sequences
    plan = Plan(kernels.sizes, nodes, last_below_root, limit=16, single=True)
    seconds = median_time(Case(kernels, plan, kv_heads, 1).decode)
    size = (100 + sequences * length) * kv_heads * kernels.sizes.head_dim * 4
    print(
        f"decode {sequences} x {length} (+100 shared): {seconds * 1e6:.1f} us, "
        f"{size / seconds / 1e9:.0f} GB/s"
    )


def timings():
    """Times the forest on several shapes, beside flash attention on those of an 8B LLaMA."""
    kv_heads = 8
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    for head_dim, group in [(64, 4), (128, 3)]:
        time_forest(Kernels(head_dim, group), 16, 356, 100, kv_heads)
    kernels = Kernels(128, 4)
    for batch, length, prefix in [(16, 356, 100), (16, 512, 128), (4, 2048, 512)]:
        compare_with_flash(kernels, batch, length, prefix, kv_heads)
    for sequences, length in [(16, 300), (64, 500), (4, 4000)]:
        time_decode(kernels, sequences, length, kv_heads)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["check", "time"], help="default both")
    what = parser.parse_args().what
    if not torch.cuda.is_available():
        sys.exit("compare_attention_cuda.py: torch finds no CUDA GPU")
    began = time.time()
    failures = check() if what != "time" else 0
    if what != "check":
        timings()
    print(f"{time.time() - began:.0f} s")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
