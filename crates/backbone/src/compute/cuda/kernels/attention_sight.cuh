// What attention has beyond seeing everything above a query: sliding windows, a
// pinned prefix that stays visible, and sinks. Given by the loader: SIGHT, 1 with
// these and 0 without. Full attention is compiled without any of it, so that it
// neither reads their arrays nor spends registers on them.
//
//   hidden   [N], or null if no query has a window: of the keys of its tile, a
//            query sees key k only if k < pinned or k >= hidden (and k is before
//            its end, see attention_forward). Like `visible`, counted from the
//            first key of the tile's own node, so keys above are below zero;
//            ascending in a tile
//   pinned   keys of every tile, from its very first
//   sinks    f32 [heads], or null: one more score of a head's softmax, which has
//            no value

#if SIGHT
#define WITH_SIGHT(...) __VA_ARGS__
#else
#define WITH_SIGHT(...)
#endif

// Keys of a tile, numbered from its very first, that its packed rows don't see
// because they lie behind a window.
struct HiddenKeys {
#if SIGHT
    const int* hidden;
    int pinned;
    int* rows;  // [BLOCK_M] in shared memory

    __device__ __forceinline__ void note(const PackedRows& packed, int row, bool valid,
                                         int context) const {
        if (hidden != nullptr) {
            rows[row] = valid ? context + hidden[packed.query(row)] : 0;
        }
    }
    // Whether the warp's rows see nothing of a block of keys.
    template <int KEYS> __device__ __forceinline__ bool cover(int first) const {
        return hidden != nullptr && first >= pinned &&
               first + KEYS <= rows[threadIdx.x / 32 * WARP_ROWS];
    }
    // Takes the keys out of the scores of the thread's row `row`, which are the
    // elements 2 (row % 2) and 2 (row % 2) + 1.
    template <int PIECES>
    __device__ __forceinline__ void hide(float (&score)[PIECES][4], int row, int first) const {
        const int own = threadIdx.x / 32 * WARP_ROWS + row * 8 + threadIdx.x % 32 / 4;
        const int end = hidden == nullptr ? 0 : rows[own] - first;
        if (end <= 0) {
            return;
        }
#pragma unroll
        for (int n = 0; n < PIECES; n++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int key = n * 8 + threadIdx.x % 4 * 2 + i;
                if (key >= pinned - first && key < end) {
                    score[n][row % 2 * 2 + i] = MINUS_INFINITY;
                }
            }
        }
    }
#else
    __device__ __forceinline__ void note(const PackedRows&, int, bool, int) const {}
    template <int KEYS> __device__ __forceinline__ bool cover(int) const { return false; }
    template <int PIECES>
    __device__ __forceinline__ void hide(float (&)[PIECES][4], int, int) const {}
#endif
};

// A head's sink, as the start of its softmax.
struct Sinks {
#if SIGHT
    const float* sinks;

    // For the thread's row `row`, the largest score so far, in units of the
    // products of queries and keys, and the sum of powers, which a row's four
    // lanes share. The largest is finite, since a row's first keys may all be
    // hidden.
    __device__ __forceinline__ void begin(float& top, float& total, const PackedRows& rows,
                                          int row) const {
        constexpr float BELOW_SCORES = -1e30f;
        top = BELOW_SCORES;
        total = 0.0f;
        if (sinks != nullptr) {
            const int own = threadIdx.x / 32 * WARP_ROWS + row * 8 + threadIdx.x % 32 / 4;
            top = fmaxf(sinks[rows.head(own)] * sqrtf((float)HEAD_DIM), BELOW_SCORES);
            total = threadIdx.x % 4 == 0 ? 1.0f : 0.0f;
        }
    }
    // In powers of two.
    __device__ __forceinline__ float score(const PackedRows& rows, int row) const {
        return sinks == nullptr ? MINUS_INFINITY : sinks[rows.head(row)] * LOG2_E;
    }
    __device__ __forceinline__ float share(float score, float maximum) const {
        return power_of_two(score - maximum);
    }
#else
    // Every row sees key 0, so from the first block on `top` is finite.
    __device__ __forceinline__ void begin(float& top, float& total, const PackedRows&, int) const {
        top = MINUS_INFINITY;
        total = 0.0f;
    }
    __device__ __forceinline__ float score(const PackedRows&, int) const { return MINUS_INFINITY; }
    __device__ __forceinline__ float share(float, float) const { return 0.0f; }
#endif
};
