"""The forest attention kernels, compiled from the repository's CUDA sources, and
the arrays that tell them who attends to whom, for full attention. Needs torch,
cupy and a GPU.

`Sizes` repeats attention_kernels.rs and `Plan` makes the arrays of plan.rs, so that the
kernels can be tried without the program. (It cuts a block's entries into items of
about the same length, where plan.rs fills all items but the last.)
"""

from pathlib import Path

import cupy
import numpy as np
import torch

SOURCES = Path(__file__).resolve().parents[1] / "crates/backbone/src/compute/cuda/kernels"
HEADERS = [
    "common.cuh", "ptx.cuh", "attention.cuh", "attention_rows.cuh", "attention_sight.cuh",
    "attention_sight_keys.cuh",
]
NAMES = ["forward", "backward_queries", "backward_keys", "backward_reduce", "decode"]
THREADS, REDUCE_THREADS = 128, 256
MIN_ENTRIES, MAX_ENTRIES = 4, 64


class Sizes:
    """The constants of attention.cuh and the kernels, by the same formulas."""

    def __init__(self, head_dim, group):
        self.head_dim, self.group = head_dim, group
        depth = (head_dim + 15) // 16 * 16
        stride = (depth + 8) * 2  # bytes
        small = depth <= 128
        self.block_m = 128 if small else 64
        self.block_keys = 64 if small else 32
        self.tile_queries = self.block_m // group
        self.query_rows = 32 if small else 16
        self.decode_warps = 8 if group * head_dim <= 2048 else 4
        n = 64 if small else 32
        forward = (self.block_m + 3 * n) * stride + (2 * n + self.block_m) * 4
        n = self.query_rows
        fragments = self.block_keys // 32 * (n // 16)
        self.shared_bytes = {
            "forward": forward,
            "backward_queries": (2 * self.block_m + 3 * n) * stride + (2 * n + 3 * self.block_m) * 4,
            "backward_keys": 8 * n * stride + 4 * fragments * 512 + MAX_ENTRIES * 16 + 16 * (3 * n + 2),
            "backward_reduce": 0,
            "decode": self.decode_warps * group * (head_dim + 2) * 4,
        }


class Kernels:
    """The compiled kernels for one shape of heads."""

    def __init__(self, head_dim, group):
        self.sizes = Sizes(head_dim, group)
        head = "".join((SOURCES / name).read_text() for name in HEADERS)
        options = (f"-DHEAD_DIM={head_dim}", f"-DGROUP={group}", "-DSIGHT=0", "-std=c++17")
        self.functions = {}
        for name in NAMES:
            code = head + (SOURCES / f"attention_{name}.cu").read_text()
            module = cupy.RawModule(code=code, options=options, backend="nvrtc")
            function = module.get_function(f"attention_{name}")
            shared = self.sizes.shared_bytes[name]
            if shared > 48 * 1024:
                function.max_dynamic_shared_size_bytes = shared
            if function.local_size_bytes:
                print(f"  note: attention_{name} uses {function.local_size_bytes} local bytes")
            self.functions[name] = function

    def __call__(self, name, grid, threads, *arguments):
        arguments = [
            a.data_ptr() if isinstance(a, torch.Tensor) else np.int32(a) for a in arguments
        ]
        shared = self.sizes.shared_bytes[name]
        self.functions[name](grid, (threads,), tuple(arguments), shared_mem=shared)


def ints(rows):
    return torch.tensor(np.array(rows, dtype=np.int32), device="cuda").contiguous()


def items_at_once(kv_heads):
    """Items of a head that run at the same time: two blocks share a multiprocessor."""
    multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count
    return max(2 * multiprocessors // kv_heads, 1)


def entry_limit(entries, at_once):
    """The most entries of an item, as plan.rs chooses it."""
    return min(max(-(-entries // at_once), MIN_ENTRIES), MAX_ENTRIES)


class Plan:
    """Tiles, ranges, items, entries and blocks of a forest.

    `nodes` is a list of (parent, length); `select(node, length)` gives the
    offsets of the node's queries. Items have at most `limit` entries, or what
    `entry_limit` allows where `at_once` of them run at the same time. With
    `shuffle`, nodes lie in a random order with gaps between them; with `single`,
    each query is a tile. Tiles and items that take the longest come first.
    """

    def __init__(self, sizes, nodes, select, limit=None, at_once=None, shuffle=False, single=False):
        self.sizes, self.nodes = sizes, nodes
        self.ancestors = []
        for parent, _ in nodes:
            self.ancestors.append(self.ancestors[parent] + [parent] if parent >= 0 else [])
        self._place_nodes(shuffle)
        tiles, visible = self._make_tiles(select, 1 if single else sizes.tile_queries)
        blocks = self._make_blocks(tiles, visible)
        self.limit = limit or entry_limit(sum(len(b[2]) for b in blocks), at_once)
        self._make_items(tiles, blocks)

    def _place_nodes(self, shuffle):
        """Finds each node's first row in the store and among the packed tokens."""
        order = list(range(len(self.nodes)))
        rng = np.random.default_rng(5)
        if shuffle:
            rng.shuffle(order)
        self.store, self.packed = [0] * len(self.nodes), []
        self.rows = self.tokens = 0
        for _, length in self.nodes:
            self.packed.append(self.tokens)
            self.tokens += length
        for n in order:
            self.store[n] = self.rows
            self.rows += self.nodes[n][1] + (int(rng.integers(3)) if shuffle else 0)

    def _make_tiles(self, select, per_tile):
        """Tiles as (node, (first query, queries, first range, ranges)), and the
        rows of its own node that each query sees."""
        tiles, ranges, visible = [], [], []
        self.seen_by = []  # node and offset of each query
        for n, (_, length) in enumerate(self.nodes):
            offsets = select(n, length)
            for i in range(0, len(offsets), per_tile):
                chunk = offsets[i : i + per_tile]
                first = len(ranges)
                for a in self.ancestors[n]:
                    ranges.append((self.store[a], self.store[a] + self.nodes[a][1]))
                ranges.append((self.store[n], self.store[n] + chunk[-1] + 1))
                keys = sum(end - start for start, end in ranges[first:])
                tiles.append((keys, n, (len(visible), len(chunk), first, len(ranges) - first)))
                visible += [offset + 1 for offset in chunk]
                self.seen_by += [(n, offset) for offset in chunk]
        tiles.sort(key=lambda tile: -tile[0])
        self.queries, self.tile_count = len(visible), len(tiles)
        self.pairs = sum(
            sum(self.nodes[a][1] for a in self.ancestors[n]) + offset + 1
            for n, offset in self.seen_by
        )
        self.tiles = ints([tile for _, _, tile in tiles])
        self.ranges, self.visible = ints(ranges), ints(visible)
        return [(n, tile) for _, n, tile in tiles], visible

    def _make_blocks(self, tiles, visible):
        """Key blocks as (first row, rows, entries), those with most entries first."""
        blocks = []
        size = self.sizes.block_keys
        for n, (_, length) in enumerate(self.nodes):
            for key in range(0, length, size):
                entries = []
                for t, (node, (first, count, _, _)) in enumerate(tiles):
                    if n in self.ancestors[node]:
                        entries.append((t, -1))
                    elif node == n and visible[first + count - 1] > key:
                        entries.append((t, self.store[n]))
                blocks.append((self.store[n] + key, min(size, length - key), entries))
        blocks.sort(key=lambda block: -len(block[2]))
        return blocks

    def _make_items(self, tiles, blocks):
        """Cuts the blocks' entries into items. Only blocks with several items, or
        none, have slots for partial sums, which are added afterwards."""

        def steps(entries):
            rows = (tiles[t][1][1] * self.sizes.group for t, _ in entries)
            return sum(-(-r // self.sizes.query_rows) for r in rows)

        items, all_entries, reduced, slots = [], [], [], 0
        for store, count, entries in blocks:
            parts = -(-len(entries) // self.limit)
            alone = parts == 1
            if not alone:
                reduced.append((store, count, slots, parts))
            for p in range(parts):
                a, b = len(entries) * p // parts, len(entries) * (p + 1) // parts
                item = (store, count, len(all_entries), b - a)
                items.append((steps(entries[a:b]), item, -1 if alone else slots))
                slots += not alone
                all_entries += entries[a:b]
        items.sort(key=lambda item: -item[0])
        self.item_count, self.slot_count = len(items), slots
        self.block_count, self.reduced_count = len(blocks), len(reduced)
        self.items, self.entries = ints([item for _, item, _ in items]), ints(all_entries)
        self.slots, self.reduced = ints([slot for _, _, slot in items]), ints(reduced)
