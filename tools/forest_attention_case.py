"""Random inputs for the forest attention kernels, and what they should compute."""

import torch

from forest_attention import REDUCE_THREADS, THREADS


class Case:
    """Random inputs and poisoned outputs of one plan."""

    def __init__(self, kernels, plan, kv_heads, seed):
        self.kernels, self.plan, self.kv_heads = kernels, plan, kv_heads
        s = kernels.sizes
        self.heads = kv_heads * s.group
        generator = torch.Generator(device="cuda").manual_seed(seed)

        def random(*shape):
            x = torch.randn(*shape, device="cuda", generator=generator)
            return x.to(torch.bfloat16)

        def random_angles(rows):
            angle = 3 * torch.randn(rows, s.head_dim // 2, device="cuda", generator=generator)
            return angle.cos().contiguous(), angle.sin().contiguous()

        d, n = s.head_dim, plan.queries
        self.q, self.d_out = random(n, self.heads, d), random(n, self.heads, d)
        self.keys, self.values = random(plan.rows, kv_heads, d), random(plan.rows, kv_heads, d)
        self.cos, self.sin = random_angles(plan.rows)
        self.query_cos, self.query_sin = random_angles(n)
        self.out, self.dq = torch.empty_like(self.q), torch.empty_like(self.q)
        self.decoded = torch.empty_like(self.q)
        self.log_sums = torch.empty(self.heads, n, device="cuda")
        self.deltas = torch.empty_like(self.log_sums)
        shape = (plan.slot_count, kv_heads, s.block_keys, d)
        self.partial_keys = torch.empty(shape, device="cuda")
        self.partial_values = torch.empty(shape, device="cuda")
        self.d_kv = torch.empty(plan.rows, 2 * kv_heads * d, device="cuda", dtype=torch.bfloat16)
        self.token_rows = torch.cat(
            [torch.arange(length) + plan.store[n] for n, (_, length) in enumerate(plan.nodes)]
        ).cuda()
        self.poison()

    def outputs(self):
        return [self.out, self.log_sums, self.deltas, self.dq, self.d_kv]

    def poison(self):
        """Fills everything that the kernels write with NaNs."""
        for x in [*self.outputs(), self.decoded, self.partial_keys, self.partial_values]:
            x.fill_(float("nan"))

    def forward(self):
        p = self.plan
        self.kernels(
            "forward", (p.tile_count, self.kv_heads), THREADS, self.out, self.log_sums, self.q,
            self.keys, self.values, p.tiles, p.ranges, p.visible, p.queries, self.kv_heads,
        )

    def backward_queries(self):
        p = self.plan
        self.kernels(
            "backward_queries", (p.tile_count, self.kv_heads), THREADS, self.dq, self.deltas,
            self.q, self.keys, self.values, self.out, self.d_out, self.log_sums, p.tiles,
            p.ranges, p.visible, self.query_cos, self.query_sin, p.queries, self.kv_heads,
        )

    def backward_keys(self):
        p, width = self.plan, self.kv_heads * self.kernels.sizes.head_dim
        self.kernels(
            "backward_keys", (p.item_count, self.kv_heads), THREADS, self.d_kv,
            self.partial_keys, self.partial_values, self.q, self.keys, self.values, self.d_out,
            self.log_sums, self.deltas, p.tiles, p.visible, p.items, p.entries, p.slots, self.cos,
            self.sin, p.queries, self.kv_heads, 2 * width, width,
        )

    def backward_reduce(self):
        p, width = self.plan, self.kv_heads * self.kernels.sizes.head_dim
        if p.reduced_count > 0:
            self.kernels(
                "backward_reduce", (p.reduced_count, self.kv_heads), REDUCE_THREADS, self.d_kv,
                self.partial_keys, self.partial_values, self.cos, self.sin, p.reduced,
                self.kv_heads, 2 * width, width,
            )

    def backward(self):
        self.backward_queries()
        self.backward_keys()
        self.backward_reduce()

    def decode(self):
        p, s = self.plan, self.kernels.sizes
        self.kernels(
            "decode", (p.tile_count, self.kv_heads), 32 * s.decode_warps, self.decoded, self.q,
            self.keys, self.values, p.tiles, p.ranges, self.kv_heads,
        )

    def mask(self):
        """Which packed tokens each query sees."""
        p = self.plan
        mask = torch.zeros(p.queries, p.tokens, dtype=torch.bool)
        for i, (n, offset) in enumerate(p.seen_by):
            for a in p.ancestors[n]:
                mask[i, p.packed[a] : p.packed[a] + p.nodes[a][1]] = True
            mask[i, p.packed[n] : p.packed[n] + offset + 1] = True
        return mask.cuda()

    def reference(self):
        """out, log_sums, deltas, dq, d_kv in float64 from a dense mask."""
        d, group = self.kernels.sizes.head_dim, self.kernels.sizes.group
        q, d_out = (x.double().permute(1, 0, 2) for x in (self.q, self.d_out))
        k, v = (
            x[self.token_rows].double().permute(1, 0, 2).repeat_interleave(group, 0)
            for x in (self.keys, self.values)
        )
        scores = (q @ k.transpose(1, 2)) / d**0.5
        scores = scores.masked_fill(~self.mask(), float("-inf"))
        log_sums = scores.logsumexp(-1)
        probabilities = (scores - log_sums[..., None]).exp()
        out = probabilities @ v
        deltas = (out * d_out).sum(-1)
        ds = probabilities * (d_out @ v.transpose(1, 2) - deltas[..., None]) / d**0.5
        dq = turn_back(ds @ k, self.query_cos, self.query_sin)
        dk = (ds.transpose(1, 2) @ q).view(self.kv_heads, group, -1, d).sum(1)
        dv = (probabilities.transpose(1, 2) @ d_out).view(self.kv_heads, group, -1, d).sum(1)
        dk = turn_back(dk, self.cos[self.token_rows], self.sin[self.token_rows])
        d_kv = torch.cat([x.permute(1, 0, 2).flatten(1) for x in (dk, dv)], 1)
        return [out.permute(1, 0, 2), log_sums, deltas, dq.permute(1, 0, 2), d_kv]


def turn_back(x, cos, sin):
    """Rotates rows back by their angles: the rotary embedding's gradient."""
    x1, x2 = x.chunk(2, -1)
    c, s = cos.double(), sin.double()
    return torch.cat([x1 * c + x2 * s, x2 * c - x1 * s], -1)
