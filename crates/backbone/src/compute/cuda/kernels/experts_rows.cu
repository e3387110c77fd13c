// What a mixture of experts does outside of its products: which experts a row
// goes to, where its values stand there, and how they come together again.
//
// Entry row * active + k is a row's k-th expert. Entries are sorted by expert
// and, within one, by number; each expert's begin at a multiple of the product's
// tile, so that a tile has one expert. Where an entry stands is its place.
//
// Experts: at most MOST_EXPERTS, active ones at most 32.

inline constexpr int MOST_EXPERTS = 256;
inline constexpr int ROUTE_THREADS = 128;  // a warp for each row
inline constexpr int GROUP_THREADS = 1024;

// The experts with the `active` largest of logits [rows][experts], the largest
// first and the first of equals, and the softmax of their logits as weights;
// both [rows][active].
//
// Launch: grid = ceil(rows / 4), block = ROUTE_THREADS.
extern "C" __global__ void __launch_bounds__(ROUTE_THREADS)
experts_route(int* __restrict__ chosen, float* __restrict__ weights,
              const float* __restrict__ logits, int rows, int experts, int active) {
    const int row = blockIdx.x * (ROUTE_THREADS / 32) + threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    if (row >= rows) return;
    const float* own = logits + (size_t)row * experts;
    const float lowest = Max::neutral();
    float value[MOST_EXPERTS / 32];
    unsigned taken = 0;  // a bit for each of this lane's values
#pragma unroll
    for (int i = 0; i < MOST_EXPERTS / 32; i++) {
        const int expert = lane + 32 * i;
        value[i] = expert < experts ? own[expert] : lowest;
        if (expert >= experts) taken |= 1u << i;
        // NaNs come last, and go on into the weights.
        if (!(value[i] > lowest)) value[i] = lowest;
    }
    int mine = 0;
    for (int k = 0; k < active; k++) {
        float best = lowest;
        int at = MOST_EXPERTS;
#pragma unroll
        for (int i = 0; i < MOST_EXPERTS / 32; i++) {
            if (!(taken >> i & 1) && (at == MOST_EXPERTS || value[i] > best)) {
                best = value[i];
                at = lane + 32 * i;
            }
        }
#pragma unroll
        for (int bit = 16; bit > 0; bit /= 2) {
            const float other = __shfl_xor_sync(0xffffffffu, best, bit);
            const int other_at = __shfl_xor_sync(0xffffffffu, at, bit);
            if (other > best || (other == best && other_at < at)) {
                best = other;
                at = other_at;
            }
        }
        if (at % 32 == lane) taken |= 1u << at / 32;
        if (k == lane) mine = at;
    }
    const float logit = lane < active ? own[mine] : lowest;
    const float top = __shfl_sync(0xffffffffu, logit, 0);
    const float power = lane < active ? expf(logit - top) : 0.0f;
    const float sum = warp_reduce<Sum>(power);
    if (lane < active) {
        chosen[row * active + lane] = mine;
        weights[row * active + lane] = power / sum;
    }
}

// Sorts entries: tiles[i] is the expert of tile i or -1, entries[p] what stands
// at place p or -1, places[i] where entry i stands.
//
// Launch: grid = experts, block = GROUP_THREADS. tile_count is an upper bound,
// and entries has room for tile_count * tile_rows places.
extern "C" __global__ void __launch_bounds__(GROUP_THREADS)
experts_group(int* __restrict__ tiles, int* __restrict__ entries, int* __restrict__ places,
              const int* __restrict__ chosen, int entry_count, int experts, int tile_rows,
              int tile_count) {
    __shared__ int counts[MOST_EXPERTS];
    __shared__ int in_warp[GROUP_THREADS / 32];
    const int expert = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int e = threadIdx.x; e < experts; e += GROUP_THREADS) counts[e] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < entry_count; i += GROUP_THREADS) atomicAdd(&counts[chosen[i]], 1);
    __syncthreads();
    int first = 0, used = 0;  // tiles before this expert, and all that are in use
    for (int e = 0; e < experts; e++) {
        const int own = (counts[e] + tile_rows - 1) / tile_rows;
        if (e < expert) first += own;
        used += own;
    }
    const int own = (counts[expert] + tile_rows - 1) / tile_rows;

    int place = first * tile_rows;
    for (int begin = 0; begin < entry_count; begin += GROUP_THREADS) {
        const int i = begin + threadIdx.x;
        const bool here = i < entry_count && chosen[i] == expert;
        const unsigned lanes = __ballot_sync(0xffffffffu, here);
        if (lane == 0) in_warp[warp] = __popc(lanes);
        __syncthreads();
        int before = __popc(lanes & ((1u << lane) - 1)), all = 0;
        for (int w = 0; w < GROUP_THREADS / 32; w++) {
            if (w < warp) before += in_warp[w];
            all += in_warp[w];
        }
        if (here) {
            entries[place + before] = i;
            places[i] = place + before;
        }
        place += all;
        __syncthreads();  // in_warp has been read
    }
    const int end = (first + own) * tile_rows;
    for (int p = place + threadIdx.x; p < end; p += GROUP_THREADS) entries[p] = -1;
    for (int i = threadIdx.x; i < own; i += GROUP_THREADS) tiles[first + i] = expert;
    // What is in nobody's use is shared among the blocks.
    const int step = experts * GROUP_THREADS, mine = expert * GROUP_THREADS + threadIdx.x;
    for (int i = used + mine; i < tile_count; i += step) tiles[i] = -1;
    for (int p = used * tile_rows + mine; p < tile_count * tile_rows; p += step) entries[p] = -1;
}

// next[r] = x[r] + sum over k of weights[r][k] y[places[r][k]], in order; rows of
// d values.
//
// Launch: grid = rows, block = min(256, round_up(d / 8, 32)), as below.
extern "C" __global__ void experts_combine(float* __restrict__ next, const float* __restrict__ x,
                                           const bf16* __restrict__ y,
                                           const float* __restrict__ weights,
                                           const int* __restrict__ places, int rows, int active,
                                           int d) {
    if (blockIdx.x >= rows) return;
    const size_t row = (size_t)blockIdx.x * d;
    const float* weight = weights + blockIdx.x * active;
    const int* place = places + blockIdx.x * active;
    for (int i = threadIdx.x; i < d / 8; i += blockDim.x) {
        float sum[8];
        load8(sum, x + row + 8 * i);
        for (int k = 0; k < active; k++) {
            float v[8];
            unpack(v, reinterpret_cast<const bf16x8*>(y + (size_t)place[k] * d)[i]);
#pragma unroll
            for (int j = 0; j < 8; j++) sum[j] += weight[k] * v[j];
        }
        float4* to = reinterpret_cast<float4*>(next + row + 8 * i);
        to[0] = make_float4(sum[0], sum[1], sum[2], sum[3]);
        to[1] = make_float4(sum[4], sum[5], sum[6], sum[7]);
    }
}

// dx[r] = sum over k of d_places[places[r][k]], in order: the gates' gradients
// already have the weights.
extern "C" __global__ void experts_combine_backward(bf16* __restrict__ dx,
                                                    const bf16* __restrict__ d_places,
                                                    const int* __restrict__ places, int rows,
                                                    int active, int d) {
    if (blockIdx.x >= rows) return;
    const int* place = places + blockIdx.x * active;
    for (int i = threadIdx.x; i < d / 8; i += blockDim.x) {
        float sum[8] = {};
        for (int k = 0; k < active; k++) {
            float v[8];
            unpack(v, reinterpret_cast<const bf16x8*>(d_places + (size_t)place[k] * d)[i]);
#pragma unroll
            for (int j = 0; j < 8; j++) sum[j] += v[j];
        }
        reinterpret_cast<bf16x8*>(dx + (size_t)blockIdx.x * d)[i] = pack(sum);
    }
}

// From da [places][f], the gradient of the activations for a weight of one, to
// that of gate_up [places][2 f] (in its place), and to d_weights [rows][active]:
// an expert's result is act Wd^T + b, so its product with dy is
// <act, da> + <b, dy>; bias_products [rows][experts] has the latter.
//
// Launch: grid = places, block = 128.
extern "C" __global__ void __launch_bounds__(128)
experts_gate_backward(bf16* __restrict__ gate_up, float* __restrict__ d_weights,
                      const bf16* __restrict__ da, const int* __restrict__ entries,
                      const int* __restrict__ chosen, const float* __restrict__ weights,
                      const float* __restrict__ bias_products, int active, int experts, int f,
                      float alpha, float limit) {
    const int entry = entries[blockIdx.x];
    if (entry < 0) return;
    const Gate gate = {alpha, limit};
    const float weight = weights[entry];
    bf16x8* own = reinterpret_cast<bf16x8*>(gate_up + (size_t)blockIdx.x * 2 * f);
    const bf16x8* d_own = reinterpret_cast<const bf16x8*>(da + (size_t)blockIdx.x * f);
    float product[1] = {0.0f};
    for (int i = threadIdx.x; i < f / 8; i += blockDim.x) {
        float v[2][8], d[8];
        unpack(v[0], own[2 * i]);
        unpack(v[1], own[2 * i + 1]);
        unpack(d, d_own[i]);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            float* pair = &v[j / 4][j % 4 * 2];
            product[0] += d[j] * gate.differentiate(pair[0], pair[1], weight * d[j]);
        }
        own[2 * i] = pack(v[0]);
        own[2 * i + 1] = pack(v[1]);
    }
    block_reduce<Sum>(product);
    if (threadIdx.x == 0) {
        d_weights[entry] =
            product[0] + bias_products[(size_t)(entry / active) * experts + chosen[entry]];
    }
}

// Gradient of the logits [rows][experts] through the softmax over the chosen
// ones; zero for the others.
//
// Launch: as experts_route.
extern "C" __global__ void __launch_bounds__(ROUTE_THREADS)
experts_route_backward(bf16* __restrict__ d_logits, const float* __restrict__ d_weights,
                       const float* __restrict__ weights, const int* __restrict__ chosen, int rows,
                       int experts, int active) {
    const int row = blockIdx.x * (ROUTE_THREADS / 32) + threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    if (row >= rows) return;
    const int first = row * active;
    float mean = 0.0f;
    for (int k = 0; k < active; k++) mean += weights[first + k] * d_weights[first + k];
    for (int expert = lane; expert < experts; expert += 32) {
        float d = 0.0f;
        for (int k = 0; k < active; k++) {
            if (chosen[first + k] == expert) d = weights[first + k] * (d_weights[first + k] - mean);
        }
        d_logits[(size_t)row * experts + expert] = to_bf16_bits(d);
    }
}
