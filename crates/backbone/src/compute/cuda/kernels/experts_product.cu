// The grouped products of a mixture of experts: rows that were sorted by expert,
// each with the weights of its expert.
//
//   x        bf16, rows of `depth` values
//   y        bf16 [places, columns], or null
//   tiles    expert of each tile of TILE_ROWS places, or -1: nothing to do
//   entries  [places], what stands at a place: number (row, k) of a row's k-th
//            expert, row * active + k, or -1 for nobody
//   blocks, scales   the experts' weights (see Weights); the rows of an expert's
//            matrix are the columns of the product going forward, and its depth
//            going backward
//   active   experts of each row of x, or 0: x has one row for each place
//
// Forward: y = x W^T + bias, and where `activated` [places, columns / 2] is given,
// also the gate's values (experts_gate.cuh) of y as it was rounded, whose even
// columns are gates and odd ones ups. Backward: y = x W.
//
// Grid (ceil(columns / COLUMNS), tiles), THREADS threads, PRODUCT_BYTES of
// shared memory: the blocks of an expert run next to each other, and find each
// other's rows and weights in the L2 cache. depth and columns are multiples of
// 32, columns of 64 where there is a gate.

#ifdef HOST_PRODUCT_BYTES  // what the host computed
static_assert(PRODUCT_BYTES == HOST_PRODUCT_BYTES && COLUMNS == HOST_TILE_COLUMNS);
#endif

#if PACKED
typedef uint4 stored;
#else
typedef bf16 stored;
#endif

using Results = float[WARP_ROWS / 16][WARP_COLUMNS / 8][4];

// Adds the products of part `k` of a depth to a warp's results.
template <Direction D>
__device__ __forceinline__ void add_products(Results& results, unsigned rows, unsigned weights,
                                             int k) {
    unsigned a[WARP_ROWS / 16][4];
#pragma unroll
    for (int m = 0; m < WARP_ROWS / 16; m++) {
        load_matrices(a[m], rows + 2 * (m * 16 * STRIDE + k * 16));
    }
#pragma unroll
    for (int n = 0; n < WARP_COLUMNS / 16; n++) {
        unsigned b[4];
        if (D == FORWARD) {
            load_matrices(b, weights + 2 * (n * 16 * STRIDE + k * 16));
        } else {
            load_matrices_transposed(b, weights + 2 * (k * 16 * ACROSS_STRIDE + n * 16));
        }
#pragma unroll
        for (int m = 0; m < WARP_ROWS / 16; m++) {
            multiply(results[m][2 * n], a[m], b[0], b[1]);
            multiply(results[m][2 * n + 1], a[m], b[2], b[3]);
        }
    }
}

// Rows of a warp's results, in its own part of shared memory.
template <int WIDTH> struct Staging {
    static constexpr int STAGING_STRIDE = WIDTH + 8;
    bf16* own;

    // Writes those of valid places to y, whole units in order. `place` and
    // `column` are the warp's first ones.
    __device__ __forceinline__ void write(bf16* y, const int* entries, int place, int column,
                                          int columns) const {
        __syncwarp();
        for (int i = threadIdx.x % 32; i < WARP_ROWS * (WIDTH / 8); i += 32) {
            const int row = i / (WIDTH / 8), unit = i % (WIDTH / 8) * 8;
            if (entries[place + row] >= 0 && column + unit < columns) {
                *(bf16x8*)(y + (size_t)(place + row) * columns + column + unit) =
                    *(const bf16x8*)(own + row * STAGING_STRIDE + unit);
            }
        }
        __syncwarp();
    }
};

template <Direction D>
__device__ __forceinline__ void product(bf16* x_tiles, bf16* y, bf16* activated, const bf16* x,
                                        const stored* values, const unsigned char* scales,
                                        const float* bias, const int* tiles, const int* entries,
                                        int active, Sizes sizes, Gate gate) {
    const int expert = tiles[blockIdx.y];
    if (expert < 0) return;
    bf16* weight_tiles = x_tiles + STAGES * ROW_VALUES;
    const int first_place = blockIdx.y * ROWS, first_column = blockIdx.x * COLUMNS;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int warp_row = warp / WARPS_ACROSS * WARP_ROWS;
    const int warp_column = warp % WARPS_ACROSS * WARP_COLUMNS;
    const int depths = (sizes.depth + DEPTH - 1) / DEPTH;

    const Weights weights(values, scales, expert, sizes);
    const RowCopies rows(sizes.depth, [&](int row) {
        const int place = first_place + row, entry = entries[place];
        return entry < 0 ? -1 : active > 0 ? entry / active : place;
    });
    const auto copy_depth = [&](int slot, int stage) {
        if (stage < depths) {
            rows.start(x_tiles + slot * ROW_VALUES, x, stage, sizes.depth);
#if !PACKED
            copy_weights<D>(weight_tiles + slot * WEIGHT_VALUES, weights, stage, sizes,
                            first_column);
#endif
        }
        close_copy_group();
    };
#pragma unroll
    for (int stage = 0; stage < STAGES - 1; stage++) copy_depth(stage, stage);
#if PACKED
    const PackedCopies<D> packed(sizes, first_column);
    typename PackedCopies<D>::Depth ahead[AHEAD];
#pragma unroll
    for (int stage = 0; stage < AHEAD; stage++) packed.load(ahead[stage], weights, stage);
#pragma unroll
    for (int part = 0; part < 4; part++) packed.store(weight_tiles, ahead[0], part);
    packed.load(ahead[0], weights, AHEAD);
    constexpr int UNROLL = AHEAD;
#else
    constexpr int UNROLL = 1;
#endif

    // Where this lane points ldmatrix in the first 16 x 16 piece.
    const unsigned x_address =
        shared_address(x_tiles + (warp_row + lane % 16) * STRIDE + lane / 16 * 8);
    const unsigned weight_address = shared_address(
        weight_tiles +
        (D == FORWARD ? (warp_column + lane / 16 * 8 + lane % 8) * STRIDE + lane / 8 % 2 * 8
                      : lane % 16 * ACROSS_STRIDE + warp_column + lane / 16 * 8));

    Results results = {};
    int slot = 0;
    for (int group = 0; group < depths; group += UNROLL) {
#pragma unroll
        for (int j = 0; j < UNROLL; j++) {
            const int stage = group + j;
            if (stage >= depths) break;
            wait_for_copy_groups<STAGES - 2>();
            // This depth is here, and nobody reads the one before any more.
            __syncthreads();
            copy_depth(slot == 0 ? STAGES - 1 : slot - 1, stage + STAGES - 1);
            const int buffer = PACKED ? stage % 2 : slot;
            const unsigned of_rows = x_address + slot * (2 * ROW_VALUES);
            const unsigned of_weights = weight_address + buffer * (2 * WEIGHT_VALUES);
#pragma unroll
            for (int k = 0; k < DEPTH / 16; k++) {
                add_products<D>(results, of_rows, of_weights, k);
#if PACKED
                packed.store(weight_tiles + (buffer ^ 1) * WEIGHT_VALUES, ahead[(j + 1) % AHEAD],
                             k);
#endif
            }
#if PACKED
            packed.load(ahead[(j + 1) % AHEAD], weights, stage + 1 + AHEAD);
#endif
            slot = slot + 1 == STAGES ? 0 : slot + 1;
        }
    }

    __syncthreads();  // the rows' memory is free
    const int place = first_place + warp_row, column = first_column + warp_column;
    bf16* own = x_tiles + warp * WARP_ROWS * (WARP_COLUMNS + 8);
    const Staging<WARP_COLUMNS> staging = {own};
    const Staging<WARP_COLUMNS / 2> half_staging = {own};
    unsigned pairs[WARP_ROWS / 16][WARP_COLUMNS / 8][2];
#pragma unroll
    for (int n = 0; n < WARP_COLUMNS / 8; n++) {
        const int at = n * 8 + lane % 4 * 2;
        float2 b = make_float2(0.0f, 0.0f);
        if (D == FORWARD && column + at < sizes.columns) {
            b = *(const float2*)(bias + (size_t)expert * sizes.columns + column + at);
        }
#pragma unroll
        for (int m = 0; m < WARP_ROWS / 16; m++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                pairs[m][n][half] = bf16_pair(results[m][n][2 * half] + b.x,
                                              results[m][n][2 * half + 1] + b.y);
            }
        }
    }
    const auto for_pairs = [&](auto write) {
#pragma unroll
        for (int m = 0; m < WARP_ROWS / 16; m++) {
#pragma unroll
            for (int n = 0; n < WARP_COLUMNS / 8; n++) {
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    write(m * 16 + half * 8 + lane / 4, n * 4 + lane % 4, pairs[m][n][half]);
                }
            }
        }
    };
    if (y) {
        for_pairs([&](int row, int pair, unsigned values) {
            *(unsigned*)(own + row * staging.STAGING_STRIDE + 2 * pair) = values;
        });
        staging.write(y, entries, place, column, sizes.columns);
    }
    if (D == FORWARD && activated) {
        for_pairs([&](int row, int pair, unsigned values) {
            float v[2];
            unpack_pair(v, values);
            own[row * half_staging.STAGING_STRIDE + pair] = to_bf16_bits(gate.value(v[0], v[1]));
        });
        half_staging.write(activated, entries, place, column / 2, sizes.columns / 2);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
experts_forward(bf16* __restrict__ y, bf16* __restrict__ activated, const bf16* __restrict__ x,
                const stored* __restrict__ blocks, const unsigned char* __restrict__ scales,
                const float* __restrict__ bias, const int* __restrict__ tiles,
                const int* __restrict__ entries, int active, int depth, int columns, float alpha,
                float limit) {
    extern __shared__ __align__(16) unsigned char shared[];
    product<FORWARD>((bf16*)shared, y, activated, x, blocks, scales, bias, tiles, entries, active,
                     {depth, columns}, {alpha, limit});
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
experts_backward(bf16* __restrict__ y, const bf16* __restrict__ x,
                 const stored* __restrict__ blocks, const unsigned char* __restrict__ scales,
                 const int* __restrict__ tiles, const int* __restrict__ entries, int active,
                 int depth, int columns) {
    extern __shared__ __align__(16) unsigned char shared[];
    product<BACKWARD>((bf16*)shared, y, nullptr, x, blocks, scales, nullptr, tiles, entries, active,
                      {depth, columns}, {0.0f, 0.0f});
}
