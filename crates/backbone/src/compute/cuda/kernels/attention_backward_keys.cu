// Forest attention, backward for keys and values, over one block of store rows
// and some of the query tiles that see it:
//
//   dv = p^T d_out,   dk = ds^T q / sqrt(HEAD_DIM)
//
// with p and ds as in attention_backward_queries, which has to run first since
// it writes the deltas.
//
//   items    {first store row, rows <= BLOCK_KEYS, first entry,
//             entries <= MAX_ENTRIES} per work item; the rows are of one node
//   entries  {tile, first store row of the tile's node, or -1 if the tile's
//             node is a descendant and so sees every row of the item}
//   partial_keys, partial_values  f32 [items, kv_heads, BLOCK_KEYS, HEAD_DIM],
//             written for the rows that an item has
//
// Grid (items, kv_heads), THREADS threads, BACKWARD_KEYS_BYTES of shared
// memory. Shared prefixes are seen by very many queries: the host cuts their
// lists into several items, whose partial sums attention_backward_reduce adds
// in a fixed order.
//
// The scores are computed transposed, keys by queries. Then p and ds are left
// operands of the second products without leaving registers, every warp owns
// 16 keys and no warp waits for another's scores. Keys and values stay in
// registers too, as long as there is room.

inline constexpr int MAX_ENTRIES = 64;
// In deep heads each of the two warps that share keys sums half of the columns.
inline constexpr int PART_TILES = (DEPTH / 16 + COLUMN_PARTS - 1) / COLUMN_PARTS;
inline constexpr int KEY_WARPS = WARPS / COLUMN_PARTS;
inline constexpr int QUERY_ROWS = DEPTH <= 128 ? 32 : 16;
inline constexpr int BACKWARD_KEYS_BYTES = (2 * BLOCK_KEYS + 4 * QUERY_ROWS) * STRIDE * 2 +
                                    2 * 3 * QUERY_ROWS * 4 + MAX_ENTRIES * 16;

// Left operands of a warp's 16 rows: held in registers, or read when needed.
template <bool HELD>
struct LeftRows;

template <>
struct LeftRows<true> {
    unsigned x[DEPTH / 16][4];
    __device__ __forceinline__ explicit LeftRows(const bf16* rows) {
        const unsigned address = left_address(rows);
#pragma unroll
        for (int k = 0; k < DEPTH / 16; k++) {
            load_matrices(x[k], address + piece(0, k * 16));
        }
    }
    __device__ __forceinline__ void get(unsigned (&a)[4], int k) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a[i] = x[k][i];
        }
    }
};

template <>
struct LeftRows<false> {
    unsigned address;
    __device__ __forceinline__ explicit LeftRows(const bf16* rows) : address(left_address(rows)) {}
    __device__ __forceinline__ void get(unsigned (&a)[4], int k) const {
        load_matrices(a, address + piece(0, k * 16));
    }
};

inline constexpr bool HOLD = DEPTH <= 128;

// Starts copying `count` consecutive store rows.
__device__ __forceinline__ void copy_store_rows(bf16* to, const bf16* store, int first, int count,
                                                int kv_head, int kv_heads) {
    for_units<BLOCK_KEYS>([&](int row, int column) {
        const bool valid = row < count && column < HEAD_DIM;
        const size_t offset = ((size_t)(first + row) * kv_heads + kv_head) * HEAD_DIM + column;
        copy_16(to + row * STRIDE + column, store + (valid ? offset : 0), valid);
    });
}

__device__ __forceinline__ void write_partial(float* to, int row_count, int row, int first_column,
                                              const float (&x)[2 * PART_TILES][4], float factor) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < 2 * PART_TILES; n++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int column = first_column + n * 8 + lane % 4 * 2;
            if (row + half * 8 < row_count && column < HEAD_DIM) {
                *(float2*)(to + (size_t)(row + half * 8) * HEAD_DIM + column) =
                    make_float2(x[n][2 * half] * factor, x[n][2 * half + 1] * factor);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
attention_backward_keys(float* __restrict__ partial_keys, float* __restrict__ partial_values,
                        const bf16* __restrict__ q, const bf16* __restrict__ keys,
                        const bf16* __restrict__ values, const bf16* __restrict__ d_out,
                        const float* __restrict__ log_sums, const float* __restrict__ deltas,
                        const int4* __restrict__ tiles, const int* __restrict__ visible,
                        const int4* __restrict__ items, const int2* __restrict__ entries,
                        int queries, int kv_heads) {
    extern __shared__ __align__(16) unsigned char shared[];
    bf16* key_rows = (bf16*)shared;
    bf16* value_rows = key_rows + BLOCK_KEYS * STRIDE;
    bf16* q_rows = value_rows + BLOCK_KEYS * STRIDE;        // [2][QUERY_ROWS]
    bf16* d_out_rows = q_rows + 2 * QUERY_ROWS * STRIDE;    // [2][QUERY_ROWS]
    int4* work = (int4*)(d_out_rows + 2 * QUERY_ROWS * STRIDE);
    float* row_log_sums = (float*)(work + MAX_ENTRIES);     // [2][QUERY_ROWS]
    float* row_deltas = row_log_sums + 2 * QUERY_ROWS;      // [2][QUERY_ROWS]
    int* row_visible = (int*)(row_deltas + 2 * QUERY_ROWS); // [2][QUERY_ROWS]

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int kv_head = blockIdx.y;
    const int4 item = items[blockIdx.x];
    const int first_key = warp % KEY_WARPS * 16;
    const int first_tile = COLUMN_PARTS == 1 ? 0 : warp / KEY_WARPS * PART_TILES;

    copy_store_rows(key_rows, keys, item.x, item.y, kv_head, kv_heads);
    copy_store_rows(value_rows, values, item.x, item.y, kv_head, kv_heads);
    // {first query, rows, own_start} of every tile of the list.
    for (int i = threadIdx.x; i < item.w; i += THREADS) {
        const int2 entry = entries[item.z + i];
        const int4 tile = tiles[entry.x];
        work[i] = make_int4(tile.x, tile.y * GROUP, entry.y, 0);
    }
    __syncthreads();

    // What is to be loaded next: rows from `row` of tile `entry` of the list.
    int entry = 0, row = 0;
    auto copy_query_rows = [&](int buffer) {
        const int4 tile = work[entry];
        const PackedRows rows = {tile.x, kv_head, kv_heads * GROUP};
        for_units<QUERY_ROWS>([&](int unit_row, int column) {
            const bool valid = row + unit_row < tile.y && column < HEAD_DIM;
            const size_t from = valid ? rows.offset(row + unit_row) + column : 0;
            const int to = (buffer * QUERY_ROWS + unit_row) * STRIDE + column;
            copy_16(q_rows + to, q + from, valid);
            copy_16(d_out_rows + to, d_out + from, valid);
        });
        if (threadIdx.x < QUERY_ROWS) {
            const int packed = row + threadIdx.x;
            const bool valid = packed < tile.y;
            const size_t at = valid ? rows.statistic(packed, queries) : 0;
            const int to = buffer * QUERY_ROWS + threadIdx.x;
            copy_4(row_log_sums + to, log_sums + at, valid);
            copy_4(row_deltas + to, deltas + at, valid);
            copy_4(row_visible + to, visible + (valid ? rows.query(packed) : 0), valid);
        }
    };
    if (item.w > 0) {
        copy_query_rows(0);
    }
    wait_for_copies();
    __syncthreads();
    const LeftRows<HOLD> held_keys(key_rows + first_key * STRIDE);
    const LeftRows<HOLD> held_values(value_rows + first_key * STRIDE);

    const float scale = rsqrtf((float)HEAD_DIM);
    const float factor = LOG2_E * scale;
    float dk[2 * PART_TILES][4] = {};
    float dv[2 * PART_TILES][4] = {};
    // Right operands: rows as columns of the scores, then as rows of d_out, q.
    const unsigned q_right = right_address(q_rows);
    const unsigned d_out_right = right_address(d_out_rows);
    const unsigned q_left = left_address(q_rows) + piece(0, first_tile * 16);
    const unsigned d_out_left = left_address(d_out_rows) + piece(0, first_tile * 16);

    for (int buffer = 0; entry < item.w; buffer ^= 1) {
        wait_for_copies();
        __syncthreads();
        const int own_start = work[entry].z;
        const int row_count = min(QUERY_ROWS, work[entry].y - row);
        row += QUERY_ROWS;
        if (row >= work[entry].y) {
            entry++;
            row = 0;
        }
        if (entry < item.w) {
            copy_query_rows(buffer ^ 1);
        }

        const int* seen = row_visible + buffer * QUERY_ROWS;
        // The warp's first key by its place in its own node.
        const int own_key = item.x + first_key - own_start;
        if (own_start >= 0 && seen[row_count - 1] <= own_key) {
            continue;
        }
        const unsigned offset = buffer * piece(QUERY_ROWS, 0);
        float score[QUERY_ROWS / 8][4] = {};
        float d_score[QUERY_ROWS / 8][4] = {};
#pragma unroll
        for (int k = 0; k < DEPTH / 16; k++) {
            unsigned a[4], b[4];
            held_keys.get(a, k);
#pragma unroll
            for (int n = 0; n < QUERY_ROWS / 16; n++) {
                load_matrices(b, q_right + offset + piece(n * 16, k * 16));
                multiply(score[2 * n], a, b[0], b[1]);
                multiply(score[2 * n + 1], a, b[2], b[3]);
            }
            held_values.get(a, k);
#pragma unroll
            for (int n = 0; n < QUERY_ROWS / 16; n++) {
                load_matrices(b, d_out_right + offset + piece(n * 16, k * 16));
                multiply(d_score[2 * n], a, b[0], b[1]);
                multiply(d_score[2 * n + 1], a, b[2], b[3]);
            }
        }

        const bool masked = own_start >= 0 && seen[0] < own_key + 16;
#pragma unroll
        for (int n = 0; n < QUERY_ROWS / 8; n++) {
            const int column = n * 8 + lane % 4 * 2;
            const float2 log_sum = *(float2*)(row_log_sums + buffer * QUERY_ROWS + column);
            const float2 delta = *(float2*)(row_deltas + buffer * QUERY_ROWS + column);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float shift = (i % 2 ? log_sum.y : log_sum.x) * LOG2_E;
                float p = power_of_two(score[n][i] * factor - shift);
                if (masked && seen[column + i % 2] <= own_key + lane / 4 + i / 2 * 8) {
                    p = 0.0f;
                }
                score[n][i] = p;
                d_score[n][i] = p * (d_score[n][i] - (i % 2 ? delta.y : delta.x));
            }
        }
#pragma unroll
        for (int k = 0; k < QUERY_ROWS / 16; k++) {
            unsigned a[4], b[4];
            as_left(a, score[2 * k], score[2 * k + 1]);
#pragma unroll
            for (int n = 0; n < PART_TILES; n++) {
                if (first_tile + n < DEPTH / 16) {
                    load_matrices_transposed(b, d_out_left + offset + piece(k * 16, n * 16));
                    multiply(dv[2 * n], a, b[0], b[1]);
                    multiply(dv[2 * n + 1], a, b[2], b[3]);
                }
            }
            as_left(a, d_score[2 * k], d_score[2 * k + 1]);
#pragma unroll
            for (int n = 0; n < PART_TILES; n++) {
                if (first_tile + n < DEPTH / 16) {
                    load_matrices_transposed(b, q_left + offset + piece(k * 16, n * 16));
                    multiply(dk[2 * n], a, b[0], b[1]);
                    multiply(dk[2 * n + 1], a, b[2], b[3]);
                }
            }
        }
    }

    const size_t to = ((size_t)blockIdx.x * kv_heads + kv_head) * BLOCK_KEYS * HEAD_DIM;
    const int own_row = first_key + lane / 4;
    write_partial(partial_keys + to, item.y, own_row, first_tile * 16, dk, scale);
    write_partial(partial_values + to, item.y, own_row, first_tile * 16, dv, 1.0f);
}
