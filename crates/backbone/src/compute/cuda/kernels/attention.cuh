// Building blocks of the forest attention kernels, first part: sizes,
// asynchronous copies and tensor-core products. The loader puts common.cuh, this
// text and attention_rows.cuh in front of every attention_*.cu.
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
