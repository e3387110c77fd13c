// Forest attention, forward: out = softmax(q k^T / sqrt(HEAD_DIM)) v.
//
//   q, out        bf16 [N, heads, HEAD_DIM]
//   keys, values  bf16 [rows, kv_heads, HEAD_DIM]
//   log_sums      f32 [heads, N], log-sum-exp of the scaled scores (and the sink)
//   tiles         {first query, queries, first range, ranges} per tile
//   ranges        {start, end} store rows; a tile's last range is its own node
//   visible       [N], keys of the last range that a query sees, ascending; of the
//                 others it sees all (with a window, see attention_sight.cuh)
//
// Grid (tiles, kv_heads), THREADS threads, FORWARD_BYTES of shared memory. A
// block keeps one tile of packed queries and walks over the tile's keys with a
// running softmax (Milakov and Gimelshein 2018; Dao et al. 2022), so scores
// never leave registers. Values have one buffer and arrive during the product
// with the keys; the next keys have a second buffer and the whole iteration.
// Two blocks share a multiprocessor and fill each other's gaps.

inline constexpr int FORWARD_KEYS = DEPTH <= 128 ? 64 : 32;
inline constexpr int FORWARD_BYTES = (BLOCK_M + 3 * FORWARD_KEYS) * STRIDE * 2 +
                                     (2 * FORWARD_KEYS + (1 + SIGHT) * BLOCK_M) * 4;

#ifdef HOST_BLOCK_KEYS  // what the host computed
static_assert(FORWARD_BYTES == HOST_FORWARD_BYTES && BLOCK_M / GROUP == HOST_TILE_QUERIES);
#endif

extern "C" __global__ void __launch_bounds__(THREADS, 2)
attention_forward(bf16* __restrict__ out, float* __restrict__ log_sums,
                  const bf16* __restrict__ q, const bf16* __restrict__ keys,
                  const bf16* __restrict__ values, const int4* __restrict__ tiles,
                  const int2* __restrict__ ranges, const int* __restrict__ visible, int queries,
                  int kv_heads WITH_SIGHT(, const int* __restrict__ hidden, int pinned,
                                          const float* __restrict__ sinks)) {
    constexpr int KEYS = FORWARD_KEYS;
    extern __shared__ __align__(16) unsigned char shared[];
    bf16* q_rows = (bf16*)shared;
    bf16* key_rows = q_rows + BLOCK_M * STRIDE;  // [2][KEYS]
    bf16* value_rows = key_rows + 2 * KEYS * STRIDE;
    int* starts = (int*)(value_rows + KEYS * STRIDE);  // [2][KEYS], see find_start
    int* row_seen = starts + 2 * KEYS;                 // [BLOCK_M]
    const HiddenKeys behind = {WITH_SIGHT(hidden, pinned, row_seen + BLOCK_M)};

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const Work block = find_work(kv_heads);
    const int kv_head = block.kv_head;
    const int4 tile = tiles[block.piece];
    const int row_count = tile.y * GROUP;
    const int2* own_ranges = ranges + tile.z;
    const PackedRows rows = {tile.x, kv_head, kv_heads * GROUP};
    const int context = context_length(own_ranges, tile.w);
    const int2 own = own_ranges[tile.w - 1];
    const int key_count = context + own.y - own.x;

    if (threadIdx.x < 2 * KEYS) {
        starts[threadIdx.x] = find_start(own_ranges, tile.w, threadIdx.x, kv_head, kv_heads);
    }
    // Keys that each row sees; rows beyond the tile are computed and not stored.
    for (int row = threadIdx.x; row < BLOCK_M; row += THREADS) {
        row_seen[row] = row < row_count ? context + visible[rows.query(row)] : key_count;
        behind.note(rows, row, row < row_count, context);
    }
    __syncthreads();
    copy_packed_rows<BLOCK_M>(q_rows, q, rows, row_count);
    copy_listed_rows<KEYS>(key_rows, keys, starts);

    const int last_row = min((warp + 1) * WARP_ROWS, row_count) - 1;
    const int seen_by_warp = last_row >= warp * WARP_ROWS ? row_seen[last_row] : 0;
    const int seen_by_all = row_seen[0];

    const float factor = LOG2_E * rsqrtf((float)HEAD_DIM);
    float result[ROW_TILES][DEPTH / 8][4] = {};
    float top[THREAD_ROWS], total[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
        Sinks{WITH_SIGHT(sinks)}.begin(top[i], total[i], rows, i);
    }
    const unsigned q_address = left_address(q_rows + warp * WARP_ROWS * STRIDE);
    const unsigned value_address = left_address(value_rows);

    for (int first = 0; first < key_count; first += KEYS) {
        const int buffer = (unsigned)first / KEYS % 2, next = buffer ^ 1;
        wait_for_copies();
        __syncthreads();
        copy_listed_rows<KEYS>(value_rows, values, starts + buffer * KEYS);
        close_copy_group();
        if (first + KEYS < key_count) {
            copy_listed_rows<KEYS>(key_rows + next * KEYS * STRIDE, keys, starts + next * KEYS);
        }
        close_copy_group();
        const bool active = first < seen_by_warp && !behind.cover<KEYS>(first);
        float score[ROW_TILES][KEYS / 8][4] = {};
        if (active) {
            const unsigned key_address = right_address(key_rows + buffer * KEYS * STRIDE);
#pragma unroll
            for (int k = 0; k < DEPTH; k += 16) {
                unsigned a[ROW_TILES][4];
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    load_matrices(a[m], q_address + piece(m * 16, k));
                }
#pragma unroll
                for (int n = 0; n < KEYS / 16; n++) {
                    unsigned b[4];
                    load_matrices(b, key_address + piece(n * 16, k));
#pragma unroll
                    for (int m = 0; m < ROW_TILES; m++) {
                        multiply(score[m][2 * n], a[m], b[0], b[1]);
                        multiply(score[m][2 * n + 1], a[m], b[2], b[3]);
                    }
                }
            }
        }
        wait_for_copy_groups<1>();
        __syncthreads();
        // The values' list has been read; the one after the next takes its place.
        if (threadIdx.x < KEYS) {
            const int key = first + 2 * KEYS + threadIdx.x;
            starts[buffer * KEYS + threadIdx.x] =
                find_start(own_ranges, tile.w, key, kv_head, kv_heads);
        }
        if (!active) {
            continue;
        }

        const bool masked = first + KEYS > seen_by_all;
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = 2 * m + half;
                if (masked) {
                    const int seen = row_seen[warp * WARP_ROWS + row * 8 + lane / 4] - first;
#pragma unroll
                    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                        for (int i = 0; i < 2; i++) {
                            if (n * 8 + lane % 4 * 2 + i >= seen) {
                                score[m][n][2 * half + i] = MINUS_INFINITY;
                            }
                        }
                    }
                }
                behind.hide(score[m], row, first);
                float maximum = top[row];
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++) {
                    maximum = fmaxf(maximum, score[m][n][2 * half]);
                    maximum = fmaxf(maximum, score[m][n][2 * half + 1]);
                }
                maximum = row_max(maximum);
                const float shrink = power_of_two((top[row] - maximum) * factor);
                const float shift = maximum * factor;
                top[row] = maximum;
                float sum = 0.0f;
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                    for (int i = 2 * half; i < 2 * half + 2; i++) {
                        score[m][n][i] = power_of_two(score[m][n][i] * factor - shift);
                        sum += score[m][n][i];
                    }
                }
                total[row] = total[row] * shrink + sum;
#pragma unroll
                for (int n = 0; n < DEPTH / 8; n++) {
                    result[m][n][2 * half] *= shrink;
                    result[m][n][2 * half + 1] *= shrink;
                }
            }
        }
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            unsigned a[ROW_TILES][4];
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) {
                as_left(a[m], score[m][2 * k], score[m][2 * k + 1]);
            }
#pragma unroll
            for (int n = 0; n < DEPTH / 16; n++) {
                unsigned b[4];
                load_matrices_transposed(b, value_address + piece(k * 16, n * 16));
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    multiply(result[m][2 * n], a[m], b[0], b[1]);
                    multiply(result[m][2 * n + 1], a[m], b[2], b[3]);
                }
            }
        }
    }

    float inverse[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
        const float sum = row_sum(total[i]);
        inverse[i] = 1.0f / sum;
        const int row = warp * WARP_ROWS + i * 8 + lane / 4;
        if (row < row_count && lane % 4 == 0) {
            log_sums[rows.statistic(row, queries)] =
                top[i] * rsqrtf((float)HEAD_DIM) + logf(sum);
        }
    }
    write_results(out, rows, row_count, q_rows, result, inverse);
}
