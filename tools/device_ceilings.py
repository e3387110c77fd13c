"""What a device allows: clock, memory peaks, copy bandwidth and matrix products."""

import gc
import itertools
import statistics
import time
from pathlib import Path

import torch
from torch.nn.functional import linear

REPEATS = 30


def mark(device):
    """A moment on the device's own clock; see `milliseconds`."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def milliseconds(marks, device):
    """Times between consecutive marks. Waits for the device."""
    if device.type != "cuda":
        return [1e3 * (later - earlier) for earlier, later in itertools.pairwise(marks)]
    torch.cuda.synchronize(device)
    return [earlier.elapsed_time(later) for earlier, later in itertools.pairwise(marks)]


def free_memory(device):
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device):
    """Bytes since the last reset, which this does anew; on the CPU the process's peak so far."""
    if device.type != "cuda":
        return {"process": process_peak()}
    peaks = {
        "allocated": torch.cuda.max_memory_allocated(device),
        "reserved": torch.cuda.max_memory_reserved(device),
    }
    torch.cuda.reset_peak_memory_stats(device)
    return peaks


def process_peak():
    """Most memory that this process has held, in bytes (VmHWM); None where the system doesn't say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), None)


def time_operations(operations, device):
    """Median milliseconds of each operation, all run in turn, again and again.

    In turn, so that each finds the cache as it does in a training step. The
    device sleeps before each round, so that the queue is full when the clock
    starts and the time to launch a small kernel doesn't count.
    """
    rounds = []
    for _ in range(REPEATS + 2):
        if device.type == "cuda":
            torch.cuda._sleep(3_000_000)
        marks = [mark(device)]
        for operation in operations:
            operation()
            marks.append(mark(device))
        rounds.append(milliseconds(marks, device))
    return [statistics.median(times) for times in zip(*rounds[2:])]


def time_with_libraries(operations, device):
    """Default times, and the best of cuBLAS's two interfaces for each operation."""
    default = time_operations(operations, device)
    if device.type != "cuda":
        return default, default
    tried = [default]
    usual = torch.backends.cuda.preferred_blas_library()
    for library in ("cublas", "cublaslt"):
        torch.backends.cuda.preferred_blas_library(library)
        tried.append(time_operations(operations, device))
    torch.backends.cuda.preferred_blas_library(usual)
    return default, [min(times) for times in zip(*tried)]


def measure_ceilings(shape, rows, dtype, device):
    """Copy bandwidth, one layer's matrix products forward (x Wᵀ) and back (dy W), a large product."""
    width, inner = shape["hidden_size"], shape["intermediate_size"]
    head = width // shape["num_attention_heads"]
    sizes = {
        "q": (width, width),
        "kv": (width, 2 * head * shape["num_key_value_heads"]),
        "o": (width, width),
        "gate_up": (width, 2 * inner),
        "down": (inner, width),
    }
    # Without CUDA this is only a trial run of the script.
    copied, side = (4 * 10**9, 8192) if device.type == "cuda" else (10**7, 256)

    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    destination = torch.empty_like(source)
    (copy_time,) = time_operations([lambda: destination.copy_(source)], device)
    del source, destination

    def normal(*size):
        return torch.randn(size, dtype=dtype, device=device)

    products, forward, backward = [], [], []
    for name, (inputs, outputs) in sizes.items():
        x, weight, dy = normal(rows, inputs), normal(outputs, inputs), normal(rows, outputs)
        forward.append(lambda x=x, weight=weight: linear(x, weight))
        backward.append(lambda dy=dy, weight=weight: dy @ weight)
        products.append({"product": name, "inputs": inputs, "outputs": outputs})
    products = [p | {"pass": "forward"} for p in products] + [p | {"pass": "backward"} for p in products[::-1]]
    for product, time_, best in zip(products, *time_with_libraries(forward + backward[::-1], device)):
        flops = 2e-9 * rows * product["inputs"] * product["outputs"]
        product |= {"ms": time_, "tflops": flops / time_, "best_ms": best, "best_tflops": flops / best}
    del forward, backward, x, weight, dy

    left, right = normal(side, side), normal(side, side)
    square = [times[0] for times in time_with_libraries([lambda: linear(left, right)], device)]
    del left, right
    free_memory(device)
    layers = shape["num_hidden_layers"]
    total, best = (layers * sum(product[key] for product in products) for key in ("ms", "best_ms"))
    flops = layers * sum(2e-9 * rows * p["inputs"] * p["outputs"] for p in products)
    return {
        "rows": rows, "layers": layers, "products": products,
        "all_products_ms": total, "all_products_tflops": flops / total,
        "all_products_best_ms": best, "all_products_best_tflops": flops / best,
        "copy_bytes_read_and_written": 2 * copied, "copy_ms": copy_time, "copy_gb_per_s": 2e-6 * copied / copy_time,
        "square_side": side, "square_ms": square[0], "square_best_ms": square[1],
        "square_tflops": 2e-9 * side**3 / square[1],
    }


def print_ceilings(result):
    print(f"\nCopy: {result['copy_gb_per_s']:.0f} GB/s (read and written)")
    print(f"Product of two {result['square_side']}² matrices: {result['square_tflops']:.1f} TFLOP/s")
    title = f"One layer's products, {result['rows']} rows"
    print(f"{title:32} {'ms':>8} {'TFLOP/s':>8}  {'best ms':>8} {'TFLOP/s':>8}")
    for p in result["products"]:
        name = f"{p['product']} {p['inputs']} -> {p['outputs']} {p['pass']}"
        print(f"  {name:30} {p['ms']:8.4f} {p['tflops']:8.1f}  {p['best_ms']:8.4f} {p['best_tflops']:8.1f}")
    total = [result[f"all_products_{key}"] for key in ("ms", "tflops", "best_ms", "best_tflops")]
    name = f"all {result['layers']} layers"
    print(f"  {name:30} {total[0]:8.2f} {total[1]:8.1f}  {total[2]:8.2f} {total[3]:8.1f}")
