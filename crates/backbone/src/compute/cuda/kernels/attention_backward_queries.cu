// Forest attention, backward for the queries. With p the probabilities and
// delta = sum_i d_out_i out_i per row:
//
//   ds = p * (d_out v^T - delta),   dq = ds k / sqrt(HEAD_DIM)
//
//   q, out, d_out, dq  bf16 [N, heads, HEAD_DIM]
//   log_sums, deltas   f32 [heads, N]; deltas are written here
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
    (2 * BLOCK_M + 3 * BACKWARD_KEYS) * STRIDE * 2 + 2 * BACKWARD_KEYS * 4;

extern "C" __global__ void __launch_bounds__(THREADS, 2)
attention_backward_queries(bf16* __restrict__ dq, float* __restrict__ deltas,
                           const bf16* __restrict__ q, const bf16* __restrict__ keys,
                           const bf16* __restrict__ values, const bf16* __restrict__ out,
                           const bf16* __restrict__ d_out, const float* __restrict__ log_sums,
                           const int4* __restrict__ tiles, const int2* __restrict__ ranges,
                           const int* __restrict__ visible, int queries, int kv_heads) {
    constexpr int KEYS = BACKWARD_KEYS;
    extern __shared__ __align__(16) unsigned char shared[];
    bf16* q_rows = (bf16*)shared;
    bf16* d_out_rows = q_rows + BLOCK_M * STRIDE;
    bf16* key_rows = d_out_rows + BLOCK_M * STRIDE;  // [2][KEYS]
    bf16* value_rows = key_rows + 2 * KEYS * STRIDE;
    int* store_rows = (int*)(value_rows + KEYS * STRIDE);  // [2][KEYS]

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int kv_head = blockIdx.y;
    const int4 tile = tiles[blockIdx.x];
    const int row_count = tile.y * GROUP;
    const int2* own_ranges = ranges + tile.z;
    const PackedRows rows = {tile.x, kv_head, kv_heads * GROUP};
    const int context = context_length(own_ranges, tile.w);
    const int2 own = own_ranges[tile.w - 1];
    const int key_count = context + own.y - own.x;

    if (threadIdx.x < 2 * KEYS) {
        store_rows[threadIdx.x] = find_store_row(own_ranges, tile.w, threadIdx.x);
    }
    __syncthreads();
    copy_packed_rows<BLOCK_M>(q_rows, q, rows, row_count);
    copy_packed_rows<BLOCK_M>(d_out_rows, d_out, rows, row_count);
    copy_listed_rows<KEYS>(key_rows, keys, store_rows, kv_head, kv_heads);
    copy_listed_rows<KEYS>(value_rows, values, store_rows, kv_head, kv_heads);

    int seen[THREAD_ROWS];
    float log_sum[THREAD_ROWS], delta[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
        const int row = warp * WARP_ROWS + i * 8 + lane / 4;
        const bool valid = row < row_count;
        seen[i] = valid ? context + visible[rows.query(row)] : key_count;
        log_sum[i] = valid ? log_sums[rows.statistic(row, queries)] * LOG2_E : 0.0f;
        // The four lanes of a row sum its delta from the matrices in memory.
        float sum = 0.0f;
        if (valid) {
            for (int column = lane % 4 * 8; column < HEAD_DIM; column += 32) {
                const uint4 x = *(const uint4*)(out + rows.offset(row) + column);
                const uint4 y = *(const uint4*)(d_out + rows.offset(row) + column);
                sum += low_half(x.x) * low_half(y.x) + high_half(x.x) * high_half(y.x);
                sum += low_half(x.y) * low_half(y.y) + high_half(x.y) * high_half(y.y);
                sum += low_half(x.z) * low_half(y.z) + high_half(x.z) * high_half(y.z);
                sum += low_half(x.w) * low_half(y.w) + high_half(x.w) * high_half(y.w);
            }
        }
        delta[i] = row_sum(sum);
        if (valid && lane % 4 == 0) {
            deltas[rows.statistic(row, queries)] = delta[i];
        }
    }
    const int last_row = min((warp + 1) * WARP_ROWS, row_count) - 1;
    const int seen_by_warp =
        last_row >= warp * WARP_ROWS ? context + visible[rows.query(last_row)] : 0;
    const int seen_by_all = context + visible[tile.x];

    const float scale = rsqrtf((float)HEAD_DIM);
    const float factor = LOG2_E * scale;
    float result[ROW_TILES][DEPTH / 8][4] = {};
    const unsigned q_address = left_address(q_rows + warp * WARP_ROWS * STRIDE);
    const unsigned d_out_address = left_address(d_out_rows + warp * WARP_ROWS * STRIDE);
    const unsigned value_address = right_address(value_rows);

    int buffer = 0;
    for (int first = 0; first < key_count; first += KEYS) {
        wait_for_copies();
        __syncthreads();
        const bool more = first + KEYS < key_count;
        const int* next = store_rows + (buffer ^ 1) * KEYS;
        if (more) {
            copy_listed_rows<KEYS>(key_rows + (buffer ^ 1) * KEYS * STRIDE, keys, next, kv_head,
                                   kv_heads);
        }
        // The list of this block has been read to the end; the one after the
        // next takes its place.
        if (threadIdx.x < KEYS) {
            const int key = first + 2 * KEYS + threadIdx.x;
            store_rows[buffer * KEYS + threadIdx.x] = find_store_row(own_ranges, tile.w, key);
        }
        const bf16* current_keys = key_rows + buffer * KEYS * STRIDE;
        const bool active = first < seen_by_warp;
        float score[ROW_TILES][KEYS / 8][4] = {};
        float d_score[ROW_TILES][KEYS / 8][4] = {};
        if (active) {
            const unsigned key_address = right_address(current_keys);
#pragma unroll
            for (int k = 0; k < DEPTH; k += 16) {
                unsigned a[ROW_TILES][4], b[4];
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    load_matrices(a[m], q_address + piece(m * 16, k));
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
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    load_matrices(a[m], d_out_address + piece(m * 16, k));
                }
#pragma unroll
                for (int n = 0; n < KEYS / 16; n++) {
                    load_matrices(b, value_address + piece(n * 16, k));
#pragma unroll
                    for (int m = 0; m < ROW_TILES; m++) {
                        multiply(d_score[m][2 * n], a[m], b[0], b[1]);
                        multiply(d_score[m][2 * n + 1], a[m], b[2], b[3]);
                    }
                }
            }
        }
        __syncthreads();
        if (more) {
            copy_listed_rows<KEYS>(value_rows, values, next, kv_head, kv_heads);
        }
        buffer ^= 1;
        if (!active) {
            continue;
        }

        const bool masked = first + KEYS > seen_by_all;
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++) {
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int row = 2 * m + i / 2;
                    const int key = first + n * 8 + lane % 4 * 2 + i % 2;
                    float p = power_of_two(score[m][n][i] * factor - log_sum[row]);
                    if (masked && key >= seen[row]) {
                        p = 0.0f;
                    }
                    d_score[m][n][i] = p * (d_score[m][n][i] - delta[row]);
                }
            }
        }
        const unsigned key_address = left_address(current_keys);
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            unsigned a[ROW_TILES][4];
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) {
                as_left(a[m], d_score[m][2 * k], d_score[m][2 * k + 1]);
            }
#pragma unroll
            for (int n = 0; n < DEPTH / 16; n++) {
                unsigned b[4];
                load_matrices_transposed(b, key_address + piece(k * 16, n * 16));
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    multiply(result[m][2 * n], a[m], b[0], b[1]);
                    multiply(result[m][2 * n + 1], a[m], b[2], b[3]);
                }
            }
        }
    }

    float factors[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
        factors[i] = scale;
    }
    write_results(dq, rows, row_count, q_rows, result, factors);
}
