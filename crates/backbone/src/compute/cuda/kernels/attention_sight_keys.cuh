// The entries of attention_backward_keys: a tile and the rows of an item that it
// sees. Without windows these are all rows up to the query's own; with them
// (SIGHT 1), a tile sees some rows from a pinned prefix and some from its window.

#if SIGHT

// {tile, place of the item's first row, rows}: the place counts from the first
// key of the tile's own node, so it is below zero for what lies above; rows is
// three numbers of a byte each, the first and the end of the item's rows that are
// the entry's, and the end of those that are pinned. A tile may have two entries
// in an item.
using Entry = int3;
// {place, query rows, rows as in the entry}.
using Step = int3;

__device__ __forceinline__ int4 make_work(Entry entry, int4 tile, int) {
    return make_int4(tile.x, tile.y * GROUP, entry.y, entry.z);
}
__device__ __forceinline__ Step make_step(int4 work, int rows) {
    return make_int3(work.z, rows, work.w);
}

#else

// {tile, first store row of the tile's node, or -1 if the tile's node is a
// descendant and so sees every row of the item}.
using Entry = int2;
// {place, query rows}.
using Step = int2;

// A place that is before all keys.
inline constexpr int BEFORE_ALL = -(1 << 29);

__device__ __forceinline__ int4 make_work(Entry entry, int4 tile, int first_row) {
    const int place = entry.y < 0 ? BEFORE_ALL : first_row - entry.y;
    return make_int4(tile.x, tile.y * GROUP, place, 0);
}
__device__ __forceinline__ Step make_step(int4 work, int rows) {
    return make_int2(work.z, rows);
}

#endif

// Keys that a step's query rows don't see because they lie behind a window, or
// are not the entry's. `first_key` is the warp's first row in the item, `own_key`
// its place.
struct StepHides {
#if SIGHT
    const int* hidden;
    int* rows;  // [STAGES][QUERY_ROWS] in shared memory

    __device__ __forceinline__ void copy(int to, int query, bool valid) const {
        if (hidden != nullptr) {
            copy_4(rows + to, hidden + query, valid);
        }
    }
    // Whether no row sees any of the warp's keys; `at` is the first row.
    __device__ __forceinline__ bool cover(Step step, int at, int first_key, int own_key) const {
        constexpr int KEYS = 16 * KEY_TILES;
        return hidden != nullptr &&
               (first_key >= end(step) || first_key + KEYS <= first(step) ||
                (first_key >= pinned(step) && own_key + KEYS <= rows[at]));
    }
    template <int PIECES>
    __device__ __forceinline__ void hide(float (&score)[KEY_TILES][PIECES][4], Step step, int at,
                                         int first_key, int own_key) const {
        if (hidden == nullptr) {
            return;
        }
        const int lane = threadIdx.x % 32;
        const int from = first(step) - first_key, to = end(step) - first_key;
#pragma unroll
        for (int n = 0; n < PIECES; n++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int behind = rows[at + n * 8 + lane % 4 * 2 + j % 2] - own_key;
#pragma unroll
                for (int m = 0; m < KEY_TILES; m++) {
                    const int key = m * 16 + lane / 4 + j / 2 * 8;
                    if (key < from || key >= to ||
                        (key < behind && key >= pinned(step) - first_key)) {
                        score[m][n][j] = MINUS_INFINITY;
                    }
                }
            }
        }
    }

  private:
    __device__ __forceinline__ static int first(Step step) { return step.z & 0xff; }
    __device__ __forceinline__ static int end(Step step) { return step.z >> 8 & 0xff; }
    __device__ __forceinline__ static int pinned(Step step) { return step.z >> 16; }
#else
    __device__ __forceinline__ void copy(int, int, bool) const {}
    __device__ __forceinline__ bool cover(Step, int, int, int) const { return false; }
    template <int PIECES>
    __device__ __forceinline__ void hide(float (&)[KEY_TILES][PIECES][4], Step, int, int,
                                         int) const {}
#endif
};
static_assert(BLOCK_KEYS < 256, "an entry's rows are bytes");
