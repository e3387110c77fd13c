// Forest attention, the end of the backward pass for keys and values of the
// blocks of rows that had several work items (or none): adds their partial sums
// in the order of the slots and turns the keys'
// gradient back by the rotary angle (the transpose of the rotation):
//
//   y1 = x1 cos + x2 sin,   y2 = x2 cos - x1 sin
//
// for the pairs (i, i + HEAD_DIM / 2).
//
//   partial_keys, partial_values  f32 [slots, kv_heads, BLOCK_KEYS, HEAD_DIM]
//   cos, sin  f32 [rows of d_kv, HEAD_DIM / 2]
//   blocks    {row of d_kv (and of cos, sin), rows, first slot, slots}
//   d_kv      bf16, `row_stride` elements from row to row; key gradients
//             [kv_heads, HEAD_DIM] at 0, value gradients at `values_offset`
//
// Grid (blocks, kv_heads), REDUCE_THREADS threads. Bound by memory: a thread
// takes four pairs, so that it reads 16 bytes at a time.

inline constexpr int REDUCE_THREADS = 256;
inline constexpr int HALF = HEAD_DIM / 2;

__device__ __forceinline__ void add(float (&sum)[4], const float* x) {
    const float4 y = *(const float4*)x;
    sum[0] += y.x;
    sum[1] += y.y;
    sum[2] += y.z;
    sum[3] += y.w;
}

__device__ __forceinline__ void write(bf16* to, const float (&x)[4]) {
    *(uint2*)to = make_uint2(bf16_pair(x[0], x[1]), bf16_pair(x[2], x[3]));
}

extern "C" __global__ void __launch_bounds__(REDUCE_THREADS)
attention_backward_reduce(bf16* __restrict__ d_kv, const float* __restrict__ partial_keys,
                          const float* __restrict__ partial_values, const float* __restrict__ cos,
                          const float* __restrict__ sin, const int4* __restrict__ blocks,
                          int kv_heads, int row_stride, int values_offset) {
    const int4 block = blocks[blockIdx.x];
    const int kv_head = blockIdx.y;
    for (int i = threadIdx.x; i < block.y * (HEAD_DIM / 8); i += REDUCE_THREADS) {
        const int row = i / (HEAD_DIM / 8), column = i % (HEAD_DIM / 8) * 4;
        float k1[4] = {}, k2[4] = {}, v1[4] = {}, v2[4] = {};
        for (int slot = block.z; slot < block.z + block.w; slot++) {
            const size_t at =
                (((size_t)slot * kv_heads + kv_head) * BLOCK_KEYS + row) * HEAD_DIM + column;
            add(k1, partial_keys + at);
            add(k2, partial_keys + at + HALF);
            add(v1, partial_values + at);
            add(v2, partial_values + at + HALF);
        }
        const size_t angle = (size_t)(block.x + row) * HALF + column;
        float y1[4], y2[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float c = cos[angle + j], s = sin[angle + j];
            y1[j] = k1[j] * c + k2[j] * s;
            y2[j] = k2[j] * c - k1[j] * s;
        }
        bf16* to = d_kv + (size_t)(block.x + row) * row_stride + kv_head * HEAD_DIM + column;
        write(to, y1);
        write(to + HALF, y2);
        write(to + values_offset, v1);
        write(to + values_offset + HALF, v2);
    }
}
