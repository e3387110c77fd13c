// Building blocks of the forest attention kernels, second part: which rows of
// queries and keys a block works on, and how they come and go.

// Packed rows of a tile in a [N, heads, HEAD_DIM] matrix. (No matrix has 2^31
// elements, and 32-bit offsets take half the registers.)
struct PackedRows {
    int first_query;
    int kv_head;
    int heads;

    __device__ __forceinline__ int query(int row) const { return first_query + row / GROUP; }
    __device__ __forceinline__ int head(int row) const { return kv_head * GROUP + row % GROUP; }
    __device__ __forceinline__ int offset(int row) const {
        return (query(row) * heads + head(row)) * HEAD_DIM;
    }
    // Index into a [heads, N] matrix.
    __device__ __forceinline__ int statistic(int row, int queries) const {
        return head(row) * queries + query(row);
    }
};

// What a block of a grid (pieces, kv_heads) works on. Blocks start in the order
// of their linear index; with the heads side by side, the order of the pieces
// (the host puts long ones first) is that of the whole grid and not of one head.
struct Work {
    int piece;
    int kv_head;
};

__device__ __forceinline__ Work find_work(int kv_heads) {
    const unsigned index = blockIdx.y * gridDim.x + blockIdx.x;
    return {(int)(index / kv_heads), (int)(index % kv_heads)};
}

// How a block copies rows: COPY_LANES threads side by side take one row, each
// of them every COPY_LANES-th 16-byte unit, so that all addresses of a thread
// differ by constants.
inline constexpr int COPY_LANES = UNITS & -UNITS;
inline constexpr int COPY_ROWS = THREADS / COPY_LANES;

// Calls copy(row, column) for the units of ROWS rows that are this thread's.
template <int ROWS, class Copy>
__device__ __forceinline__ void for_units(Copy copy) {
    const int thread_row = threadIdx.x / COPY_LANES;
    const int thread_column = threadIdx.x % COPY_LANES * 8;
#pragma unroll
    for (int row = 0; row < ROWS; row += COPY_ROWS) {
        if (ROWS % COPY_ROWS == 0 || row + thread_row < ROWS) {
#pragma unroll
            for (int column = 0; column < DEPTH; column += COPY_LANES * 8) {
                copy(row + thread_row, column + thread_column);
            }
        }
    }
}

// Starts copying a tile's first ROWS rows; those from `end` on are zero.
template <int ROWS>
__device__ __forceinline__ void copy_packed_rows(bf16* to, const bf16* from, PackedRows rows,
                                                 int end) {
    for_units<ROWS>([&](int row, int column) {
        const bool valid = row < end && column < HEAD_DIM;
        copy_16(to + row * STRIDE + column, from + (valid ? rows.offset(row) + column : 0), valid);
    });
}

// Starts copying the rows that begin at the listed elements of the store; those
// below 0 are zero.
template <int ROWS>
__device__ __forceinline__ void copy_listed_rows(bf16* to, const bf16* store, const int* starts) {
    for_units<ROWS>([&](int row, int column) {
        const int start = starts[row];
        const bool valid = start >= 0 && column < HEAD_DIM;
        copy_16(to + row * STRIDE + column, store + (valid ? start + column : 0), valid);
    });
}

// Starts copying `count` consecutive store rows.
__device__ __forceinline__ void copy_store_rows(bf16* to, const bf16* store, int first, int count,
                                                int kv_head, int kv_heads) {
    for_units<BLOCK_KEYS>([&](int row, int column) {
        const bool valid = row < count && column < HEAD_DIM;
        const int offset = ((first + row) * kv_heads + kv_head) * HEAD_DIM + column;
        copy_16(to + row * STRIDE + column, store + (valid ? offset : 0), valid);
    });
}

// Writes the first `end` rows of a warp's results, times `factor` per row, to
// to(row), by way of the warp's own rows of shared memory at `own`: whole
// 16-byte units in order instead of scattered pairs.
template <int TILES, class Target>
__device__ __forceinline__ void write_rows(Target to, int end, bf16* own,
                                           const float (&x)[TILES][DEPTH / 8][4],
                                           const float (&factor)[2 * TILES]) {
    const int lane = threadIdx.x % 32;
    __syncwarp();
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int n = 0; n < DEPTH / 8; n++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = m * 16 + half * 8 + lane / 4;
                const float f = factor[2 * m + half];
                *(unsigned*)(own + row * STRIDE + n * 8 + lane % 4 * 2) =
                    bf16_pair(x[m][n][2 * half] * f, x[m][n][2 * half + 1] * f);
            }
        }
    }
    __syncwarp();
    for (int i = lane; i < 16 * TILES * (HEAD_DIM / 8); i += 32) {
        const int row = i / (HEAD_DIM / 8), column = i % (HEAD_DIM / 8) * 8;
        if (row < end) {
            *(uint4*)(to(row) + column) = *(const uint4*)(own + row * STRIDE + column);
        }
    }
}

// The same for the packed rows of a tile, of which `end` are in use.
__device__ __forceinline__ void write_results(bf16* to, PackedRows rows, int end, bf16* staging,
                                              const float (&x)[ROW_TILES][DEPTH / 8][4],
                                              const float (&factor)[THREAD_ROWS]) {
    const int first = threadIdx.x / 32 * WARP_ROWS;
    write_rows<ROW_TILES>([&](int row) { return to + rows.offset(first + row); }, end - first,
                          staging + first * STRIDE, x, factor);
}

// Writes the first `end` of a warp's rows of partial sums.
__device__ __forceinline__ void write_partial(float* to, int end,
                                              const float (&x)[KEY_TILES][DEPTH / 8][4],
                                              float factor) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < KEY_TILES; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = m * 16 + half * 8 + lane / 4;
            if (row < end) {
#pragma unroll
                for (int n = 0; n < HEAD_DIM / 8; n++) {
                    *(float2*)(to + (size_t)row * HEAD_DIM + n * 8 + lane % 4 * 2) =
                        make_float2(x[m][n][2 * half] * factor, x[m][n][2 * half + 1] * factor);
                }
            }
        }
    }
}

// Turns a warp's results back by the rotary angle, the transpose of the rotation:
//
//   y1 = x1 cos + x2 sin,   y2 = x2 cos - x1 sin
//
// for the pairs (i, i + HEAD_DIM / 2). `angle(row)` is the row of cos and sin
// [.., HEAD_DIM / 2] for a row below `end`. A thread holds both halves of its
// pairs if they are whole results apart; else they meet in shared memory, eight
// rows at a time, at `own` (8 * STRIDE floats for each warp).
template <int TILES, class Angle>
__device__ __forceinline__ void turn_back(float (&x)[TILES][DEPTH / 8][4], Angle angle, int end,
                                          const float* cos, const float* sin, float* own) {
    constexpr int HALF = HEAD_DIM / 2;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = m * 16 + half * 8 + lane / 4;
            const size_t at = row < end ? (size_t)angle(row) * HALF : 0;
            if constexpr (HALF % 8 == 0) {
                if (row >= end) {
                    continue;
                }
#pragma unroll
                for (int n = 0; n < HALF / 8; n++) {
                    const int column = n * 8 + lane % 4 * 2;
                    const float2 c = *(const float2*)(cos + at + column);
                    const float2 s = *(const float2*)(sin + at + column);
                    float(&low)[4] = x[m][n];
                    float(&high)[4] = x[m][n + HALF / 8];
                    const float x1 = low[2 * half], x2 = high[2 * half];
                    low[2 * half] = x1 * c.x + x2 * s.x;
                    high[2 * half] = x2 * c.x - x1 * s.x;
                    const float z1 = low[2 * half + 1], z2 = high[2 * half + 1];
                    low[2 * half + 1] = z1 * c.y + z2 * s.y;
                    high[2 * half + 1] = z2 * c.y - z1 * s.y;
                }
            } else {
                float* shared_row = own + lane / 4 * STRIDE;
                __syncwarp();
#pragma unroll
                for (int n = 0; n < DEPTH / 8; n++) {
                    const int column = n * 8 + lane % 4 * 2;
                    shared_row[column] = x[m][n][2 * half];
                    shared_row[column + 1] = x[m][n][2 * half + 1];
                }
                __syncwarp();
#pragma unroll
                for (int n = 0; n < HEAD_DIM / 8; n++) {
#pragma unroll
                    for (int i = 0; i < 2; i++) {
                        const int column = n * 8 + lane % 4 * 2 + i;
                        const bool first = column < HALF;
                        const size_t pair = at + column - (first ? 0 : HALF);
                        const float other = shared_row[first ? column + HALF : column - HALF];
                        const float s = row < end ? sin[pair] : 0.0f;
                        const float c = row < end ? cos[pair] : 0.0f;
                        float& own_half = x[m][n][2 * half + i];
                        own_half = own_half * c + (first ? other * s : -(other * s));
                    }
                }
            }
        }
    }
}

// Store row of a tile's key, or -1 after the last one. Keys are numbered through
// all of the tile's ranges, so a block of keys may span several short ranges
// and no product is spent on the gaps between them. (Walking from the first
// range each time costs less than registers that remember the last place.)
__device__ __forceinline__ int find_store_row(const int2* ranges, int count, int key) {
    for (int i = 0; i < count; i++) {
        const int2 range = ranges[i];
        const int length = range.y - range.x;
        if (key < length) {
            return range.x + key;
        }
        key -= length;
    }
    return -1;
}

// The element of the store where that key's row of a head begins, or -1: as a
// list in shared memory, it saves the copies of the rows the multiplications.
__device__ __forceinline__ int find_start(const int2* ranges, int count, int key, int kv_head,
                                          int kv_heads) {
    const int row = find_store_row(ranges, count, key);
    return row < 0 ? -1 : (row * kv_heads + kv_head) * HEAD_DIM;
}

// Keys in all ranges but the last: those that every query of a tile sees.
__device__ __forceinline__ int context_length(const int2* ranges, int count) {
    int length = 0;
    for (int i = 0; i + 1 < count; i++) {
        length += ranges[i].y - ranges[i].x;
    }
    return length;
}
