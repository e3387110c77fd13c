// Building blocks of the forest attention kernels: sizes, tensor-core
// products, asynchronous copies, and the order in which a tile reads its keys.
// The loader puts common.cuh and this text in front of every attention_*.cu.
//
// Given by the loader: HEAD_DIM (a multiple of 8, at most 256) and GROUP
// (query heads per key/value head, at most 16).
//
// Query rows are packed: row r of a tile is query `start + r / GROUP` of head
// `kv_head * GROUP + r % GROUP`, so that all heads of a group share the keys
// that a block has loaded, and a tile of few queries still fills the products.

// Depth of a head as the products see it; the columns from HEAD_DIM are zero.
inline constexpr int DEPTH = (HEAD_DIM + 15) / 16 * 16;
// Elements from one row in shared memory to the next: an odd number of 16-byte
// units, so that eight rows read by one ldmatrix fall into different banks.
inline constexpr int STRIDE = DEPTH + 8;
inline constexpr int UNITS = DEPTH / 8;

inline constexpr int WARPS = 4;
inline constexpr int THREADS = 32 * WARPS;
// Rows of queries per warp: 32 halve the reads of shared memory per product,
// as long as their [rows, DEPTH] accumulator fits into registers.
inline constexpr int WARP_ROWS = DEPTH <= 128 ? 32 : 16;
inline constexpr int BLOCK_M = WARPS * WARP_ROWS;
// Blocks of 16 rows in a warp, and query rows that one thread owns parts of.
inline constexpr int ROW_TILES = WARP_ROWS / 16;
inline constexpr int THREAD_ROWS = 2 * ROW_TILES;

// Store rows per work item of the backward pass for keys: two pairs of warps
// with 16 KEY_TILES rows each.
inline constexpr int KEY_TILES = DEPTH <= 128 ? 2 : 1;
inline constexpr int BLOCK_KEYS = 2 * 16 * KEY_TILES;

inline constexpr float LOG2_E = 1.4426950408889634f;

// --- PTX ------------------------------------------------------------------

#ifndef EMULATE

__device__ __forceinline__ unsigned shared_address(const void* pointer) {
    return (unsigned)__cvta_generic_to_shared(pointer);
}

// Copies 16 bytes to shared memory in the background, or writes zeros.
__device__ __forceinline__ void copy_16(void* to, const void* from, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(__cvta_generic_to_global(from)), "r"(valid ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy_4(void* to, const void* from, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)),
                 "l"(__cvta_generic_to_global(from)), "r"(valid ? 4 : 0)
                 : "memory");
}

__device__ __forceinline__ void close_copy_group() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits for all copy groups that this thread has closed but the last `N`.
template <int N>
__device__ __forceinline__ void wait_for_copy_groups() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Waits for all copies that this thread has started.
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_all;" ::: "memory");
}

// Four 8x8 matrices of bf16; lanes 8i..8i+7 give the rows of matrix i.
__device__ __forceinline__ void load_matrices(unsigned (&x)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(address));
}

__device__ __forceinline__ void load_matrices_transposed(unsigned (&x)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(address));
}

// c[16, 8] += a[16, 16] b[16, 8]
__device__ __forceinline__ void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                         unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

#endif

#define MINUS_INFINITY __int_as_float(0xff800000)

__device__ __forceinline__ float low_half(unsigned x) { return __uint_as_float(x << 16); }
__device__ __forceinline__ float high_half(unsigned x) { return __uint_as_float(x & 0xffff0000u); }

// --- Fragments --------------------------------------------------------------
//
// In a product's result, lane l holds columns 2 (l % 4) and 2 (l % 4) + 1 of
// rows l / 4 (elements 0, 1) and l / 4 + 8 (elements 2, 3).

// Where a lane points ldmatrix in a [16, 16] piece of rows at `rows`: for a
// left operand [m, k], and transposed for a right operand stored [k, n].
__device__ __forceinline__ unsigned left_address(const bf16* rows) {
    const int lane = threadIdx.x % 32;
    return shared_address(rows + lane % 16 * STRIDE + lane / 16 * 8);
}

// The same for a right operand stored [n, k].
__device__ __forceinline__ unsigned right_address(const bf16* rows) {
    const int lane = threadIdx.x % 32;
    return shared_address(rows + (lane / 16 * 8 + lane % 8) * STRIDE + lane / 8 % 2 * 8);
}

// Byte offset of the piece at (row, column) from the first one.
__device__ __forceinline__ constexpr unsigned piece(int row, int column) {
    return (unsigned)(row * STRIDE + column) * 2;
}

// Two neighbouring results [16, 8] as the left operand of the next product.
__device__ __forceinline__ void as_left(unsigned (&a)[4], const float (&x)[4],
                                        const float (&y)[4]) {
    a[0] = bf16_pair(x[0], x[1]);
    a[1] = bf16_pair(x[2], x[3]);
    a[2] = bf16_pair(y[0], y[1]);
    a[3] = bf16_pair(y[2], y[3]);
}

// Maximum and sum over the four lanes that share a row.
__device__ __forceinline__ float row_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ __forceinline__ float row_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// --- Rows of queries and keys -------------------------------------------------

// Packed rows of a tile in a [N, heads, HEAD_DIM] matrix.
struct PackedRows {
    int first_query;
    int kv_head;
    int heads;

    __device__ __forceinline__ int query(int row) const { return first_query + row / GROUP; }
    __device__ __forceinline__ int head(int row) const { return kv_head * GROUP + row % GROUP; }
    __device__ __forceinline__ size_t offset(int row) const {
        return ((size_t)query(row) * heads + head(row)) * HEAD_DIM;
    }
    // Index into a [heads, N] matrix.
    __device__ __forceinline__ size_t statistic(int row, int queries) const {
        return (size_t)head(row) * queries + query(row);
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

// Starts copying the store rows listed at `rows`; those below 0 are zero.
template <int ROWS>
__device__ __forceinline__ void copy_listed_rows(bf16* to, const bf16* store, const int* rows,
                                                 int kv_head, int kv_heads) {
    for_units<ROWS>([&](int row, int column) {
        const int source = rows[row];
        const bool valid = source >= 0 && column < HEAD_DIM;
        const size_t offset = ((size_t)source * kv_heads + kv_head) * HEAD_DIM + column;
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

// Keys in all ranges but the last: those that every query of a tile sees.
__device__ __forceinline__ int context_length(const int2* ranges, int count) {
    int length = 0;
    for (int i = 0; i + 1 < count; i++) {
        length += ranges[i].y - ranges[i].x;
    }
    return length;
}
