// Forest attention, backward for the queries. With p the probabilities and
// delta = sum_i d_out_i out_i per row:
//
//   ds = p * (d_out v^T - delta),   dq = R^T (ds k) / sqrt(HEAD_DIM)
//
// where R^T turns a query's gradient back by its rotary angle. A sink needs
// nothing more: log_sums have it in p, and without a value it adds nothing to
// delta, which is the sum of p (d_out v^T) too.
//
//   q, out, d_out, dq  bf16 [N, heads, HEAD_DIM]
//   log_sums, deltas   f32 [heads, N]; deltas are written here
//   cos, sin           f32 [N, HEAD_DIM / 2]
//   the rest           as in attention_forward
//
// Grid (tiles, kv_heads), THREADS threads, BACKWARD_QUERIES_BYTES of shared
// memory. Cut like the forward pass: a block keeps a tile of queries and walks
// over its keys, and p is computed again from the scores. The gradients of the
// keys have a kernel of their own, because summing them from here would need
// atomics and so an order that changes from run to run; the price is that the
// scores and d_out v^T are computed twice.
//
// Keys have two buffers since they are needed to the end of an iteration;
// values, needed only for its first half, have one.

inline constexpr int BACKWARD_KEYS = DEPTH <= 128 ? 32 : 16;
inline constexpr int BACKWARD_QUERIES_BYTES =
    (2 * BLOCK_M + 3 * BACKWARD_KEYS) * STRIDE * 2 +
    (2 * BACKWARD_KEYS + (3 + SIGHT) * BLOCK_M) * 4;

// score[rows, KEYS] += rows of queries times rows of keys.
template <int KEYS>
__device__ __forceinline__ void add_products(float (&score)[ROW_TILES][KEYS / 8][4],
                                             unsigned query_address, unsigned key_address) {
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        unsigned a[ROW_TILES][4], b[4];
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++) {
            load_matrices(a[m], query_address + piece(m * 16, k));
        }
#pragma unroll
        for (int n = 0; n < KEYS / 16; n++) {
            load_matrices(b, key_address + piece(n * 16, k));
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) {
                multiply(score[m][2 * n], a[m], b[0], b[1]);
                multiply(score[m][2 * n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

#ifdef HOST_BLOCK_KEYS  // what the host computed
static_assert(BACKWARD_QUERIES_BYTES == HOST_BACKWARD_QUERIES_BYTES);
#endif

extern "C" __global__ void __launch_bounds__(THREADS, 2)
attention_backward_queries(bf16* __restrict__ dq, float* __restrict__ deltas,
                           const bf16* __restrict__ q, const bf16* __restrict__ keys,
                           const bf16* __restrict__ values, const bf16* __restrict__ out,
                           const bf16* __restrict__ d_out, const float* __restrict__ log_sums,
                           const int4* __restrict__ tiles, const int2* __restrict__ ranges,
                           const int* __restrict__ visible, const float* __restrict__ cos,
                           const float* __restrict__ sin, int queries,
                           int kv_heads WITH_SIGHT(, const int* __restrict__ hidden, int pinned)) {
    constexpr int KEYS = BACKWARD_KEYS;
    extern __shared__ __align__(16) unsigned char shared[];
    bf16* q_rows = (bf16*)shared;
    bf16* d_out_rows = q_rows + BLOCK_M * STRIDE;
    bf16* key_rows = d_out_rows + BLOCK_M * STRIDE;  // [2][KEYS]
    bf16* value_rows = key_rows + 2 * KEYS * STRIDE;
    int* starts = (int*)(value_rows + KEYS * STRIDE);  // [2][KEYS], see find_start
    int* row_seen = starts + 2 * KEYS;                 // [BLOCK_M]
    float* row_log_sums = (float*)(row_seen + BLOCK_M);    // [BLOCK_M], of powers of two
    float* row_deltas = row_log_sums + BLOCK_M;            // [BLOCK_M]
    const HiddenKeys behind = {WITH_SIGHT(hidden, pinned, (int*)(row_deltas + BLOCK_M))};

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
        const bool valid = row < row_count;
        row_seen[row] = valid ? context + visible[rows.query(row)] : key_count;
        behind.note(rows, row, valid, context);
        row_log_sums[row] = valid ? log_sums[rows.statistic(row, queries)] * LOG2_E : 0.0f;
    }
    __syncthreads();
    copy_packed_rows<BLOCK_M>(q_rows, q, rows, row_count);
    copy_packed_rows<BLOCK_M>(d_out_rows, d_out, rows, row_count);
    copy_listed_rows<KEYS>(key_rows, keys, starts);
    copy_listed_rows<KEYS>(value_rows, values, starts);

    // Rows beyond the tile read the last one, so that no load hides behind a
    // branch and all are in flight at once.
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
        const int row = warp * WARP_ROWS + i * 8 + lane / 4;
        const int at = rows.offset(min(row, row_count - 1));
        // The four lanes of a row sum its delta from the matrices in memory.
        float sum = 0.0f;
#pragma unroll
        for (int column = lane % 4 * 8; column < HEAD_DIM; column += 32) {
            const uint4 x = *(const uint4*)(out + at + column);
            const uint4 y = *(const uint4*)(d_out + at + column);
            sum += low_half(x.x) * low_half(y.x) + high_half(x.x) * high_half(y.x);
            sum += low_half(x.y) * low_half(y.y) + high_half(x.y) * high_half(y.y);
            sum += low_half(x.z) * low_half(y.z) + high_half(x.z) * high_half(y.z);
            sum += low_half(x.w) * low_half(y.w) + high_half(x.w) * high_half(y.w);
        }
        sum = row_sum(sum);
        if (lane % 4 == 0) {
            row_deltas[row] = sum;
            if (row < row_count) {
                deltas[rows.statistic(row, queries)] = sum;
            }
        }
    }
    const int last_row = min((warp + 1) * WARP_ROWS, row_count) - 1;
    const int seen_by_all = row_seen[0];
    const int seen_by_warp = last_row >= warp * WARP_ROWS ? row_seen[last_row] : 0;

    const float scale = rsqrtf((float)HEAD_DIM);
    const float factor = LOG2_E * scale;
    float result[ROW_TILES][DEPTH / 8][4] = {};
    const unsigned q_address = left_address(q_rows + warp * WARP_ROWS * STRIDE);
    const unsigned d_out_address = left_address(d_out_rows + warp * WARP_ROWS * STRIDE);
    const unsigned value_address = right_address(value_rows);

    for (int first = 0; first < key_count; first += KEYS) {
        wait_for_copies();
        __syncthreads();
        const int buffer = (unsigned)first / KEYS % 2;
        const bool more = first + KEYS < key_count;
        const int* next = starts + (buffer ^ 1) * KEYS;
        if (more) {
            copy_listed_rows<KEYS>(key_rows + (buffer ^ 1) * KEYS * STRIDE, keys, next);
        }
        // The list of this block has been read to the end; the one after the
        // next takes its place.
        if (threadIdx.x < KEYS) {
            const int key = first + 2 * KEYS + threadIdx.x;
            starts[buffer * KEYS + threadIdx.x] =
                find_start(own_ranges, tile.w, key, kv_head, kv_heads);
        }
        const bf16* current_keys = key_rows + buffer * KEYS * STRIDE;
        const bool active = first < seen_by_warp && !behind.cover<KEYS>(first);
        unsigned a[KEYS / 16][ROW_TILES][4] = {};  // ds
        if (active) {
            float score[ROW_TILES][KEYS / 8][4] = {};
            float d_score[ROW_TILES][KEYS / 8][4];
            const unsigned key_address = right_address(current_keys);
            add_products<KEYS>(score, q_address, key_address);
            if (first + KEYS > seen_by_all) {
#pragma unroll
                for (int row = 0; row < THREAD_ROWS; row++) {
                    const int limit = row_seen[warp * WARP_ROWS + row * 8 + lane / 4] - first;
#pragma unroll
                    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                        for (int i = 0; i < 2; i++) {
                            if (n * 8 + lane % 4 * 2 + i >= limit) {
                                score[row / 2][n][row % 2 * 2 + i] = MINUS_INFINITY;
                            }
                        }
                    }
                }
            }
#pragma unroll
            for (int row = 0; row < THREAD_ROWS; row++) {
                behind.hide(score[row / 2], row, first);
            }
            // Independent of the products that follow, and so done beside them;
            // those start from -delta.
            const int own_row = warp * WARP_ROWS + lane / 4;
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int row = own_row + m * 16 + i / 2 * 8;
                    const float log_sum = row_log_sums[row];
                    const float start = -row_deltas[row];
#pragma unroll
                    for (int n = 0; n < KEYS / 8; n++) {
                        score[m][n][i] = power_of_two(score[m][n][i] * factor - log_sum);
                        d_score[m][n][i] = start;
                    }
                }
            }
            add_products<KEYS>(d_score, d_out_address, value_address);
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) {
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        d_score[m][n][i] *= score[m][n][i];
                    }
                }
#pragma unroll
                for (int k = 0; k < KEYS / 16; k++) {
                    as_left(a[k][m], d_score[m][2 * k], d_score[m][2 * k + 1]);
                }
            }
        }
        __syncthreads();
        if (more) {
            copy_listed_rows<KEYS>(value_rows, values, next);
        }
        if (!active) {
            continue;
        }

        const unsigned key_address = left_address(current_keys);
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
#pragma unroll
            for (int n = 0; n < DEPTH / 16; n++) {
                unsigned b[4];
                load_matrices_transposed(b, key_address + piece(k * 16, n * 16));
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    multiply(result[m][2 * n], a[k][m], b[0], b[1]);
                    multiply(result[m][2 * n + 1], a[k][m], b[2], b[3]);
                }
            }
        }
    }

    const int first_row = warp * WARP_ROWS;
    float* staging = (float*)(q_rows + first_row * STRIDE);
    turn_back<ROW_TILES>(
        result, [&](int row) { return rows.query(first_row + row); }, row_count - first_row, cos,
        sin, staging);
    float factors[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
        factors[i] = scale;
    }
    write_results(dq, rows, row_count, q_rows, result, factors);
}
