// Forest attention for generation: tiles of exactly one query, which sees all
// keys of its tile's ranges (a window has cut the ranges).
//
//   q, out        bf16 [N, heads, HEAD_DIM]
//   keys, values  bf16 [rows, kv_heads, HEAD_DIM]
//   tiles, ranges as in attention_forward
//
// Grid (tiles, kv_heads), DECODE_THREADS threads, DECODE_BYTES of shared
// memory. Bound by reading keys and values once, so nothing passes through
// shared memory on the way in: each warp takes every DECODE_WARPS-th chunk of
// 16 keys with a running softmax of its own, and starts all loads of a chunk,
// 16 bytes a lane, before it computes. The heads of the group are the rows of
// the tensor-core products.
//
// Loading straight into operands works because a product may number its inner
// dimension as it likes. Scores: lane l loads columns 8 (l % 4)..+8 of a
// piece of 32 columns and these serve as its columns of two products, for
// queries and keys alike. Values: lane l loads columns 8 (l / 4)..+8 of the
// four keys whose probabilities its quarter holds; output column n of the
// i-th product of a piece of 64 columns is column 8 n + i.

inline constexpr int DECODE_WARPS = GROUP * HEAD_DIM <= 2048 ? 8 : 4;
inline constexpr int DECODE_THREADS = 32 * DECODE_WARPS;
inline constexpr int DECODE_BYTES = DECODE_WARPS * GROUP * (HEAD_DIM + 2) * 4;
inline constexpr int KEY_PIECES = (HEAD_DIM + 31) / 32;
inline constexpr int VALUE_PIECES = (HEAD_DIM + 63) / 64;
inline constexpr int HALVES = GROUP > 8 ? 2 : 1;  // of the product's 16 rows

__device__ __forceinline__ uint4 load_16(const bf16* from, bool valid) {
    return valid ? *(const uint4*)from : make_uint4(0, 0, 0, 0);
}

__device__ __forceinline__ unsigned word(const uint4& x, int i) {
    return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
}

// Element i of two rows, side by side.
__device__ __forceinline__ unsigned pair(const uint4& first, const uint4& second, int i) {
    return __byte_perm(word(first, i / 2), word(second, i / 2), i % 2 ? 0x7632 : 0x5410);
}

#ifdef HOST_BLOCK_KEYS  // what the host computed
static_assert(DECODE_BYTES == HOST_DECODE_BYTES && DECODE_THREADS == HOST_DECODE_THREADS);
#endif

extern "C" __global__ void __launch_bounds__(DECODE_THREADS)
attention_decode(bf16* __restrict__ out, const bf16* __restrict__ q,
                 const bf16* __restrict__ keys, const bf16* __restrict__ values,
                 const int4* __restrict__ tiles, const int2* __restrict__ ranges,
                 int kv_heads WITH_SIGHT(, const float* __restrict__ sinks)) {
    extern __shared__ __align__(16) float partial[];  // [DECODE_WARPS][GROUP][HEAD_DIM]
    float* tops = partial + DECODE_WARPS * GROUP * HEAD_DIM;  // [DECODE_WARPS][GROUP]
    float* totals = tops + DECODE_WARPS * GROUP;              // [DECODE_WARPS][GROUP]

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int group = lane / 4, quarter = lane % 4;
    const int kv_head = blockIdx.y;
    const int4 tile = tiles[blockIdx.x];
    const int2* own_ranges = ranges + tile.z;
    const PackedRows rows = {tile.x, kv_head, kv_heads * GROUP};
    const int2 own = own_ranges[tile.w - 1];
    const int key_count = context_length(own_ranges, tile.w) + own.y - own.x;

    uint4 query[KEY_PIECES][HALVES];
#pragma unroll
    for (int p = 0; p < KEY_PIECES; p++) {
#pragma unroll
        for (int half = 0; half < HALVES; half++) {
            const int row = group + 8 * half, column = p * 32 + quarter * 8;
            const bool valid = row < GROUP && column < HEAD_DIM;
            query[p][half] = load_16(q + (valid ? rows.offset(row) + column : 0), valid);
        }
    }

    const float factor = LOG2_E * rsqrtf((float)HEAD_DIM);
    float result[VALUE_PIECES][8][4] = {};
    float top[HALVES], total[HALVES];
#pragma unroll
    for (int half = 0; half < HALVES; half++) {
        top[half] = MINUS_INFINITY;
        total[half] = 0.0f;
    }

    for (int first = warp * 16; first < key_count; first += DECODE_WARPS * 16) {
        const int store_row = find_store_row(own_ranges, tile.w, first + lane % 16);
        uint4 key[2][KEY_PIECES], value[4][VALUE_PIECES];
#pragma unroll
        for (int n = 0; n < 2; n++) {
            const int row = __shfl_sync(0xffffffffu, store_row, n * 8 + group);
            const bf16* from = keys + ((size_t)max(row, 0) * kv_heads + kv_head) * HEAD_DIM;
#pragma unroll
            for (int p = 0; p < KEY_PIECES; p++) {
                const int column = p * 32 + quarter * 8;
                key[n][p] = load_16(from + column, row >= 0 && column < HEAD_DIM);
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = __shfl_sync(0xffffffffu, store_row, i / 2 * 8 + quarter * 2 + i % 2);
            const bf16* from = values + ((size_t)max(row, 0) * kv_heads + kv_head) * HEAD_DIM;
#pragma unroll
            for (int p = 0; p < VALUE_PIECES; p++) {
                const int column = p * 64 + group * 8;
                value[i][p] = load_16(from + column, row >= 0 && column < HEAD_DIM);
            }
        }

        float score[2][4] = {};
#pragma unroll
        for (int p = 0; p < KEY_PIECES; p++) {
            const uint4 low = query[p][0];
            const uint4 high = HALVES == 2 ? query[p][HALVES - 1] : make_uint4(0, 0, 0, 0);
            const unsigned a[2][4] = {{low.x, high.x, low.y, high.y},
                                      {low.z, high.z, low.w, high.w}};
#pragma unroll
            for (int n = 0; n < 2; n++) {
                multiply(score[n], a[0], key[n][p].x, key[n][p].y);
                multiply(score[n], a[1], key[n][p].z, key[n][p].w);
            }
        }
        // The chunk's first key exists, so `maximum` is finite.
#pragma unroll
        for (int half = 0; half < HALVES; half++) {
            float maximum = top[half];
#pragma unroll
            for (int n = 0; n < 2; n++) {
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    if (first + n * 8 + quarter * 2 + i % 2 >= key_count) {
                        score[n][i] = MINUS_INFINITY;
                    }
                    maximum = fmaxf(maximum, score[n][i]);
                }
            }
            maximum = row_max(maximum);
            const float shrink = power_of_two((top[half] - maximum) * factor);
            top[half] = maximum;
            total[half] *= shrink;
#pragma unroll
            for (int n = 0; n < 2; n++) {
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    score[n][i] = power_of_two((score[n][i] - maximum) * factor);
                    total[half] += score[n][i];
                }
            }
#pragma unroll
            for (int p = 0; p < VALUE_PIECES; p++) {
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    result[p][i][2 * half] *= shrink;
                    result[p][i][2 * half + 1] *= shrink;
                }
            }
        }
        unsigned a[4];
        as_left(a, score[0], score[1]);
#pragma unroll
        for (int p = 0; p < VALUE_PIECES; p++) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                multiply(result[p][i], a, pair(value[0][p], value[1][p], i),
                         pair(value[2][p], value[3][p], i));
            }
        }
    }

#pragma unroll
    for (int half = 0; half < HALVES; half++) {
        const int row = group + 8 * half;
        const float sum = row_sum(total[half]);
        if (row < GROUP) {
            const int at = warp * GROUP + row;
            if (quarter == 0) {
                tops[at] = top[half] * factor;
                totals[at] = sum;
            }
#pragma unroll
            for (int p = 0; p < VALUE_PIECES; p++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const int column = p * 64 + quarter * 16 + e * 8;
                    if (column < HEAD_DIM) {
#pragma unroll
                        for (int i = 0; i < 8; i++) {
                            partial[at * HEAD_DIM + column + i] = result[p][i][2 * half + e];
                        }
                    }
                }
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < GROUP * HEAD_DIM / 2; i += DECODE_THREADS) {
        const int row = i / (HEAD_DIM / 2), column = i % (HEAD_DIM / 2) * 2;
        const Sinks sink = {WITH_SIGHT(sinks)};
        const float start = sink.score(rows, row);
        float maximum = start;
        for (int w = 0; w < DECODE_WARPS; w++) {
            maximum = fmaxf(maximum, tops[w * GROUP + row]);
        }
        float sum = sink.share(start, maximum), x = 0.0f, y = 0.0f;
        for (int w = 0; w < DECODE_WARPS; w++) {
            const int at = w * GROUP + row;
            // Zero for warps that had no keys: their maximum is -infinity.
            const float weight = power_of_two(tops[at] - maximum);
            sum += totals[at] * weight;
            x += partial[at * HEAD_DIM + column] * weight;
            y += partial[at * HEAD_DIM + column + 1] * weight;
        }
        *(unsigned*)(out + rows.offset(row) + column) = bf16_pair(x / sum, y / sum);
    }
}
