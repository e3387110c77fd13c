// Building blocks of the grouped products of a mixture of experts: sizes, and
// how tiles of rows and of weights come to shared memory. The loader puts
// common.cuh, ptx.cuh, mxfp4.cuh and this text in front of experts_product.cu.
//
// Given by the loader: TILE_ROWS (16, 64 or 128), the rows of a tile, which all
// belong to one expert; and PACKED, whether the weights are MXFP4 or bf16.

inline constexpr int ROWS = TILE_ROWS;
inline constexpr int COLUMNS = ROWS == 16 ? 64 : 128;
inline constexpr int DEPTH = 64;
// Four warps side by side or in a square. Two blocks share a multiprocessor:
// while one unpacks or waits, the other multiplies.
inline constexpr int THREADS = 128;
inline constexpr int WARP_ROWS = ROWS == 16 ? 16 : ROWS / 2;
inline constexpr int WARP_COLUMNS = ROWS == 16 ? 16 : 64;
inline constexpr int WARPS_ACROSS = COLUMNS / WARP_COLUMNS;

// Depths of rows (and of weights that aren't packed) in shared memory, of which
// the smallest cards have 99 KB. With few rows a block only waits for weights, so
// it asks for more of them.
inline constexpr int STAGES = ROWS == 128 ? 2 + PACKED : ROWS == 64 ? 3 + PACKED : 8;
// Depths of packed weights on their way, in registers.
inline constexpr int AHEAD = ROWS == 128 ? 2 : ROWS == 64 ? 3 : 8;

// Elements from one row in shared memory to the next: an odd number of 16-byte
// units, so that eight rows read by one ldmatrix fall into different banks.
inline constexpr int STRIDE = DEPTH + 8;
inline constexpr int ACROSS_STRIDE = COLUMNS + 8;
inline constexpr int ROW_VALUES = ROWS * STRIDE;
// [COLUMNS][DEPTH] going forward and [DEPTH][COLUMNS] going backward.
inline constexpr int WEIGHT_VALUES =
    COLUMNS * STRIDE > DEPTH * ACROSS_STRIDE ? COLUMNS * STRIDE : DEPTH * ACROSS_STRIDE;
inline constexpr int WEIGHT_BUFFERS = PACKED ? 2 : STAGES;
inline constexpr int PRODUCT_BYTES = 2 * (STAGES * ROW_VALUES + WEIGHT_BUFFERS * WEIGHT_VALUES);

enum Direction { FORWARD, BACKWARD };

// A product's sizes: [., depth] x [depth, columns].
struct Sizes {
    int depth, columns;
};

// --- Rows -----------------------------------------------------------------

// The 16-byte units of a tile of rows that a thread copies: unit threadIdx % 8
// of every 16th row.
struct RowCopies {
    static constexpr int COUNT = ROWS * (DEPTH / 8) / THREADS;
    int starts[COUNT];  // element where a row begins, or below 0: a row of zeros

    // `sources` gives the row of a tile's row, or -1.
    template <class Sources>
    __device__ __forceinline__ RowCopies(int depth, Sources sources) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const int row = sources(threadIdx.x / 8 + i * (THREADS / 8));
            starts[i] = row < 0 ? -8 : row * depth;
        }
    }

    __device__ __forceinline__ void start(bf16* to, const bf16* rows, int stage, int depth) const {
        const int unit = threadIdx.x % 8 * 8, column = stage * DEPTH + unit;
        const bool inside = column < depth;
        const bf16* from = rows + column;
        bf16* own = to + threadIdx.x / 8 * STRIDE + unit;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            // Nothing is read where it isn't valid.
            copy_16(own + i * (THREADS / 8) * STRIDE, from + starts[i], inside && starts[i] >= 0);
        }
    }
};

// --- Weights ----------------------------------------------------------------

#if PACKED

struct Weights {
    const uint4* blocks;
    const unsigned char* scales;

    // Those of an expert.
    __device__ __forceinline__ Weights(const uint4* all, const unsigned char* scales, int expert,
                                       Sizes sizes)
        : blocks(all + first(expert, sizes)), scales(scales + first(expert, sizes)) {}

    static __device__ __forceinline__ size_t first(int expert, Sizes sizes) {
        return (size_t)expert * sizes.depth * (sizes.columns / 32);
    }
};

// The blocks of a tile of weights that a thread brings: from memory to
// registers, and later in bf16 to shared memory. Going forward, two threads side
// by side take a row's 64 values; going backward, a quarter of a warp takes two
// neighbouring blocks of four rows. Either way it reads whole sectors and
// writes to different banks.
template <Direction D> struct PackedCopies {
    static constexpr int COUNT = COLUMNS * DEPTH / 32 / THREADS;
    static constexpr bool WIDE = D == BACKWARD && COLUMNS == 128;
    // Rows of the tile from one block of this thread to the next.
    static constexpr int ROW_STEP = WIDE ? THREADS / 4 : THREADS / 2;
    static constexpr int TO_STRIDE = D == FORWARD ? STRIDE : ACROSS_STRIDE;

    struct Block {
        uint4 values;
        unsigned scale;
    };
    using Depth = Block[COUNT];

    int row, block;            // of the tile
    int first, row_blocks;     // the first one's number, and those of a whole row
    int rows_left, blocks_left;  // valid ones from here on

    // Of the columns from `column` on.
    __device__ __forceinline__ PackedCopies(Sizes sizes, int column) {
        const int t = threadIdx.x;
        row = WIDE ? t / 32 * 8 + t % 32 / 16 * 4 + t / 2 % 4 : t / 2;
        block = WIDE ? t / 8 % 2 * 2 + t % 2 : t % 2;
        const int from_row = D == FORWARD ? column : 0;
        const int from_block = D == FORWARD ? 0 : column / 32;
        row_blocks = (D == FORWARD ? sizes.depth : sizes.columns) / 32;
        first = (from_row + row) * row_blocks + from_block + block;
        rows_left = (D == FORWARD ? sizes.columns : sizes.depth) - from_row - row;
        blocks_left = row_blocks - from_block - block;
    }

    __device__ __forceinline__ void load(Depth& to, const Weights& weights, int stage) const {
        const int rows = D == FORWARD ? 0 : stage * DEPTH;
        const int blocks = D == FORWARD ? stage * (DEPTH / 32) : 0;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const bool valid = rows + i * ROW_STEP < rows_left && blocks < blocks_left;
            const int at = first + (rows + i * ROW_STEP) * row_blocks + blocks;
            to[i].values = valid ? weights.blocks[at] : make_uint4(0, 0, 0, 0);
            to[i].scale = valid ? weights.scales[at] : 0;
        }
    }

    // Unpacks part `part` of four of what was loaded.
    __device__ __forceinline__ void store(bf16* to, const Depth& from, int part) const {
#pragma unroll
        for (int j = 0; j < COUNT; j++) {
            const int i = (part * COUNT + j) / 4, word = (part * COUNT + j) % 4;
            const uint4& v = from[i].values;
            const unsigned values = word == 0 ? v.x : word == 1 ? v.y : word == 2 ? v.z : v.w;
            bf16* at = to + (row + i * ROW_STEP) * TO_STRIDE + block * 32 + word * 8;
            *(bf16x8*)at = unpack_mxfp4(values, scaled_magnitudes(from[i].scale));
        }
    }
};

#else

struct Weights {
    const bf16* values;

    // Those of an expert.
    __device__ __forceinline__ Weights(const bf16* all, const unsigned char*, int expert,
                                       Sizes sizes)
        : values(all + (size_t)expert * sizes.depth * sizes.columns) {}
};

// Starts copying a tile of weights of the columns from `column` on.
template <Direction D>
__device__ __forceinline__ void copy_weights(bf16* to, const Weights& weights, int stage,
                                             Sizes sizes, int column) {
    constexpr int UNITS = (D == FORWARD ? DEPTH : COLUMNS) / 8, STEP = THREADS / UNITS;
    constexpr int TILE = D == FORWARD ? COLUMNS : DEPTH;
    constexpr int TO_STRIDE = D == FORWARD ? STRIDE : ACROSS_STRIDE;
    const int from_row = D == FORWARD ? column : stage * DEPTH;
    const int unit = threadIdx.x % UNITS * 8, row = threadIdx.x / UNITS;
    const int from_column = (D == FORWARD ? stage * DEPTH : column) + unit;
    const int rows = D == FORWARD ? sizes.columns : sizes.depth;
    const int width = D == FORWARD ? sizes.depth : sizes.columns;
#pragma unroll
    for (int i = 0; i < TILE; i += STEP) {
        const bool valid = from_row + row + i < rows && from_column < width;
        const bf16* from = weights.values;
        if (valid) from += (size_t)(from_row + row + i) * width + from_column;
        copy_16(to + (row + i) * TO_STRIDE + unit, from, valid);
    }
}

#endif
