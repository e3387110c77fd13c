// Forest attention, backward for keys and values, over one block of store rows
// and some of the query tiles that see it:
//
//   dv = p^T d_out,   dk = R^T (ds^T q) / sqrt(HEAD_DIM)
//
// with p and ds as in attention_backward_queries, which has to run first since
// it writes the deltas; R^T turns a key's gradient back by its rotary angle.
//
//   items    {first store row, rows <= BLOCK_KEYS, first entry,
//             entries <= MAX_ENTRIES} per work item; the rows are of one node
//   entries  see attention_sight_keys.cuh
//   slots    per item: -1 if it is the only one of its rows, and so writes d_kv;
//            otherwise where its rows of the partial sums go, keys not turned back
//   d_kv     bf16, `row_stride` elements per store row; key gradients
//            [kv_heads, HEAD_DIM] at 0, value gradients at `values_offset`
//   partial_keys, partial_values  f32 [slots, kv_heads, BLOCK_KEYS, HEAD_DIM]
//   cos, sin f32 [store rows, HEAD_DIM / 2]
//
// Grid (items, kv_heads), THREADS threads, BACKWARD_KEYS_BYTES of shared
// memory. Shared prefixes are seen by very many queries: the host cuts their
// lists into several items, whose partial sums attention_backward_reduce adds
// in a fixed order.
//
// The scores are computed transposed, keys by queries, so that p and ds are left
// operands of the second products without leaving registers. Reading shared
// memory is what limits these products, and a fragment of queries serves as many
// of them as a warp has keys. So a pair of warps splits the work not by keys but
// by gradient: both have the same 16 KEY_TILES keys, and the first computes
//
//   p from q k^T, then p^T d_out,   the second   d_out v^T, ds, then ds^T q.
//
// Each holds its keys or values and one gradient in registers, and twice as
// many keys fit as if it had both. The second warp takes p, as the rounded left
// operand, from the first; it works one step of QUERY_ROWS rows behind, so that
// the barrier of the loop is all the two need.

inline constexpr int MAX_ENTRIES = 64;
inline constexpr int QUERY_ROWS = DEPTH <= 128 ? 32 : 16;
inline constexpr unsigned TILE_STEPS = BLOCK_M / QUERY_ROWS;  // at most, in a tile
inline constexpr int QUERY_TILES = QUERY_ROWS / 16;
inline constexpr int FRAGMENTS = KEY_TILES * QUERY_TILES;
// Steps in shared memory: the second warps', the first warps', and two on their
// way. The item's keys and values pass through the place of the last two.
inline constexpr int STAGES = 4;
inline constexpr int STAGE_ROWS = 2 * QUERY_ROWS;  // of q, then of d_out
static_assert(2 * BLOCK_KEYS <= 2 * STAGE_ROWS, "keys and values fit into two stages");
inline constexpr int BACKWARD_KEYS_BYTES = STAGES * STAGE_ROWS * STRIDE * 2 +
                                           2 * 2 * FRAGMENTS * 32 * 16 + MAX_ENTRIES * 16 +
                                           STAGES * ((3 + SIGHT) * QUERY_ROWS * 4 + (int)sizeof(Step));
// A place that is behind all keys, also when a key's place is added.
inline constexpr int BEHIND_ALL = 1 << 30;
inline constexpr int BACKWARD_KEYS_BLOCKS = DEPTH <= 64 ? 3 : 2;  // per multiprocessor

#ifdef HOST_BLOCK_KEYS  // what the host computed
static_assert(BACKWARD_KEYS_BYTES == HOST_BACKWARD_KEYS_BYTES && BLOCK_KEYS == HOST_BLOCK_KEYS);
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BACKWARD_KEYS_BLOCKS)
attention_backward_keys(bf16* __restrict__ d_kv, float* __restrict__ partial_keys,
                        float* __restrict__ partial_values, const bf16* __restrict__ q,
                        const bf16* __restrict__ keys, const bf16* __restrict__ values,
                        const bf16* __restrict__ d_out, const float* __restrict__ log_sums,
                        const float* __restrict__ deltas, const int4* __restrict__ tiles,
                        const int* __restrict__ visible, const int4* __restrict__ items,
                        const Entry* __restrict__ entries, const int* __restrict__ slots,
                        const float* __restrict__ cos, const float* __restrict__ sin, int queries,
                        int kv_heads, int row_stride,
                        int values_offset WITH_SIGHT(, const int* __restrict__ hidden)) {
    extern __shared__ __align__(16) unsigned char shared[];
    bf16* stages = (bf16*)shared;  // [STAGES][q, d_out][QUERY_ROWS]
    uint4* exchange = (uint4*)(stages + STAGES * STAGE_ROWS * STRIDE);  // [2][pair][FRAGMENTS][32]
    int4* work = (int4*)(exchange + 2 * 2 * FRAGMENTS * 32);
    Step* stage_steps = (Step*)(work + MAX_ENTRIES);              // [STAGES]
    float* row_log_sums = (float*)(stage_steps + STAGES);         // [STAGES][QUERY_ROWS]
    float* row_deltas = row_log_sums + STAGES * QUERY_ROWS;       // [STAGES][QUERY_ROWS]
    int* row_visible = (int*)(row_deltas + STAGES * QUERY_ROWS);  // [STAGES][QUERY_ROWS]
    const StepHides behind = {WITH_SIGHT(hidden, row_visible + STAGES * QUERY_ROWS)};

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int pair = warp % 2, second = warp / 2;
    const Work block = find_work(kv_heads);
    const int kv_head = block.kv_head;
    const int4 item = items[block.piece];
    const int first_key = pair * 16 * KEY_TILES;

    bf16* held_rows = stages + 2 * STAGE_ROWS * STRIDE;  // keys, then values
    copy_store_rows(held_rows, keys, item.x, item.y, kv_head, kv_heads);
    copy_store_rows(held_rows + BLOCK_KEYS * STRIDE, values, item.x, item.y, kv_head, kv_heads);
    // {first query, rows, the item's place in the tile's node, rows of the entry}
    // of every tile of the list.
    for (int i = threadIdx.x; i < item.w; i += THREADS) {
        const Entry entry = entries[item.z + i];
        const int4 tile = tiles[entry.x];
        work[i] = make_work(entry, tile, item.x);
    }
    __syncthreads();

    // What is to be copied next, in one register: entry * TILE_STEPS + step.
    unsigned copy_place = 0;
    auto copy_step = [&](int stage, bool more) {
        if (more) {
            const int4 tile = work[copy_place / TILE_STEPS];
            const int copy_row = (int)(copy_place % TILE_STEPS) * QUERY_ROWS;
            const PackedRows rows = {tile.x, kv_head, kv_heads * GROUP};
            bf16* stage_rows = stages + stage * STAGE_ROWS * STRIDE;
            for_units<QUERY_ROWS>([&](int unit_row, int column) {
                const bool valid = copy_row + unit_row < tile.y && column < HEAD_DIM;
                const int from = valid ? rows.offset(copy_row + unit_row) + column : 0;
                bf16* to = stage_rows + unit_row * STRIDE + column;
                copy_16(to, q + from, valid);
                copy_16(to + QUERY_ROWS * STRIDE, d_out + from, valid);
            });
            if (threadIdx.x < QUERY_ROWS) {
                const int packed = copy_row + threadIdx.x;
                const bool valid = packed < tile.y;
                const int at = valid ? rows.statistic(packed, queries) : 0;
                const int to = stage * QUERY_ROWS + threadIdx.x;
                copy_4(row_log_sums + to, log_sums + at, valid);
                copy_4(row_deltas + to, deltas + at, valid);
                copy_4(row_visible + to, visible + (valid ? rows.query(packed) : 0), valid);
                behind.copy(to, valid ? rows.query(packed) : 0, valid);
            }
            if (threadIdx.x == 0) {
                stage_steps[stage] = make_step(tile, min(QUERY_ROWS, tile.y - copy_row));
            }
            const bool tile_ends = copy_row + QUERY_ROWS >= tile.y;
            copy_place = (tile_ends ? copy_place | (TILE_STEPS - 1) : copy_place) + 1;
        }
        close_copy_group();
    };
    copy_step(0, item.w > 0);
    copy_step(1, copy_place < item.w * TILE_STEPS);
    int steps = 0;
    for (int i = 0; i < item.w; i++) {
        steps += (work[i].y + QUERY_ROWS - 1) / QUERY_ROWS;
    }
    wait_for_copy_groups<1>();
    __syncthreads();
    // This warp's keys or values.
    unsigned held[DEPTH / 16][KEY_TILES][4];
    const unsigned held_address =
        left_address(held_rows + (second * BLOCK_KEYS + first_key) * STRIDE);
#pragma unroll
    for (int k = 0; k < DEPTH / 16; k++) {
#pragma unroll
        for (int m = 0; m < KEY_TILES; m++) {
            load_matrices(held[k][m], held_address + piece(m * 16, k * 16));
        }
    }

    // Where the warp's keys lie in the item; behind all keys if it has none.
    const int warp_place = first_key < item.y ? first_key : BEHIND_ALL;
    const float scale = rsqrtf((float)HEAD_DIM);
    const float factor = LOG2_E * scale;
    float sum[KEY_TILES][DEPTH / 8][4] = {};
    // First warps read q by rows and d_out transposed, second warps the reverse.
    const unsigned by_rows = right_address(stages + second * QUERY_ROWS * STRIDE);
    const unsigned transposed = left_address(stages + (1 - second) * QUERY_ROWS * STRIDE);
    uint4* own_exchange = exchange + pair * FRAGMENTS * 32 + lane;

    for (int i = 0; i <= steps; i++) {
        wait_for_copy_groups<1>();
        __syncthreads();
        copy_step((i + 2) % STAGES, i + 2 < steps);
        const int step = i - second;
        if (step < 0 || step >= steps) {
            continue;
        }
        const int stage = step % STAGES;
        const int own_key = stage_steps[stage].x + warp_place;
        const int row_count = stage_steps[stage].y;
        const int* seen = row_visible + stage * QUERY_ROWS;
        if (seen[row_count - 1] <= own_key ||
            behind.cover(stage_steps[stage], stage * QUERY_ROWS, first_key, own_key)) {
            continue;
        }

        const unsigned stage_address = stage * piece(STAGE_ROWS, 0);
        float score[KEY_TILES][QUERY_ROWS / 8][4] = {};
#pragma unroll
        for (int k = 0; k < DEPTH / 16; k++) {
#pragma unroll
            for (int n = 0; n < QUERY_TILES; n++) {
                unsigned b[4];
                load_matrices(b, by_rows + stage_address + piece(n * 16, k * 16));
#pragma unroll
                for (int m = 0; m < KEY_TILES; m++) {
                    multiply(score[m][2 * n], held[k][m], b[0], b[1]);
                    multiply(score[m][2 * n + 1], held[k][m], b[2], b[3]);
                }
            }
        }

        unsigned a[QUERY_TILES][KEY_TILES][4];
        uint4* fragments = own_exchange + step % 2 * 2 * FRAGMENTS * 32;
        if (second == 0) {
            if (seen[0] < own_key + 16 * KEY_TILES) {
#pragma unroll
                for (int n = 0; n < QUERY_ROWS / 8; n++) {
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        const int limit = seen[n * 8 + lane % 4 * 2 + j % 2] - own_key;
#pragma unroll
                        for (int m = 0; m < KEY_TILES; m++) {
                            if (m * 16 + lane / 4 + j / 2 * 8 >= limit) {
                                score[m][n][j] = MINUS_INFINITY;
                            }
                        }
                    }
                }
            }
            behind.hide(score, stage_steps[stage], stage * QUERY_ROWS, first_key, own_key);
#pragma unroll
            for (int n = 0; n < QUERY_ROWS / 8; n++) {
                const int column = stage * QUERY_ROWS + n * 8 + lane % 4 * 2;
                const float2 log_sum = *(float2*)(row_log_sums + column);
                const float shift[2] = {log_sum.x * LOG2_E, log_sum.y * LOG2_E};
#pragma unroll
                for (int m = 0; m < KEY_TILES; m++) {
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        score[m][n][j] = power_of_two(score[m][n][j] * factor - shift[j % 2]);
                    }
                }
            }
#pragma unroll
            for (int k = 0; k < QUERY_TILES; k++) {
#pragma unroll
                for (int m = 0; m < KEY_TILES; m++) {
                    as_left(a[k][m], score[m][2 * k], score[m][2 * k + 1]);
                    fragments[(k * KEY_TILES + m) * 32] =
                        make_uint4(a[k][m][0], a[k][m][1], a[k][m][2], a[k][m][3]);
                }
            }
        } else {
#pragma unroll
            for (int k = 0; k < QUERY_TILES; k++) {
                const int column = stage * QUERY_ROWS + k * 16 + lane % 4 * 2;
                const float2 low = *(float2*)(row_deltas + column);
                const float2 high = *(float2*)(row_deltas + column + 8);
#pragma unroll
                for (int m = 0; m < KEY_TILES; m++) {
                    const uint4 p = fragments[(k * KEY_TILES + m) * 32];
                    float(&x)[4] = score[m][2 * k];
                    float(&y)[4] = score[m][2 * k + 1];
                    x[0] = low_half(p.x) * (x[0] - low.x);
                    x[1] = high_half(p.x) * (x[1] - low.y);
                    x[2] = low_half(p.y) * (x[2] - low.x);
                    x[3] = high_half(p.y) * (x[3] - low.y);
                    y[0] = low_half(p.z) * (y[0] - high.x);
                    y[1] = high_half(p.z) * (y[1] - high.y);
                    y[2] = low_half(p.w) * (y[2] - high.x);
                    y[3] = high_half(p.w) * (y[3] - high.y);
                    as_left(a[k][m], x, y);
                }
            }
        }
#pragma unroll
        for (int k = 0; k < QUERY_TILES; k++) {
#pragma unroll
            for (int n = 0; n < DEPTH / 16; n++) {
                unsigned b[4];
                load_matrices_transposed(b, transposed + stage_address + piece(k * 16, n * 16));
#pragma unroll
                for (int m = 0; m < KEY_TILES; m++) {
                    multiply(sum[m][2 * n], a[k][m], b[0], b[1]);
                    multiply(sum[m][2 * n + 1], a[k][m], b[2], b[3]);
                }
            }
        }
    }

    // First warps have the values' gradient, second warps the keys'.
    const int end = item.y - first_key;
    const float last_factor = second ? scale : 1.0f;
    const int slot = slots[block.piece];
    if (slot >= 0) {
        const size_t first = ((size_t)slot * kv_heads + kv_head) * BLOCK_KEYS + first_key;
        write_partial((second ? partial_keys : partial_values) + first * HEAD_DIM, end, sum,
                      last_factor);
        return;
    }
    __syncthreads();
    bf16* own = stages + warp * 16 * KEY_TILES * STRIDE;
    const int first_row = item.x + first_key;
    if (second) {
        turn_back<KEY_TILES>(
            sum, [&](int key) { return first_row + key; }, end, cos, sin, (float*)own);
    }
    float factors[2 * KEY_TILES];
#pragma unroll
    for (int j = 0; j < 2 * KEY_TILES; j++) {
        factors[j] = last_factor;
    }
    bf16* to = d_kv + (size_t)kv_head * HEAD_DIM + (second ? 0 : values_offset);
    write_rows<KEY_TILES>([&](int key) { return to + (size_t)(first_row + key) * row_stride; },
                          end, own, sum, factors);
}
