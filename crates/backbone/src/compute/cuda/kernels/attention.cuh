// Building blocks of the forest attention kernels, first part: sizes and the
// products' fragments. The loader puts common.cuh, ptx.cuh, this text and the
// other attention_*.cuh in front of every attention_*.cu.
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
