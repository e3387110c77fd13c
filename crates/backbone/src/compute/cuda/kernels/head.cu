// The output head's work on rows: losses and their gradients from logits, the
// most likely token, and the way back to hidden states. logits are float
// [labels][V], d_logits bf16 [labels][V].
//
// One block per label. A row of logits (up to 0.8 MB) is read twice: once for
// its maximum together with the sums of exponentials, which each thread
// rescales when its maximum grows, and once for the gradient.
//
// Launch: cross_entropy, distillation, argmax: grid = labels, block = 512.
// collect_label_gradients: grid = hidden rows, block = min(256, round_up(d / 8, 32)).
// All matrices start at 16-byte boundaries; V is any number, so their rows need
// not (see Row).

constexpr int THREADS = 512;

// Below every logit, but finite: exp(LOWEST - maximum) is 0, never NaN.
constexpr float LOWEST = -1e30f;

// A row of a [..][V] matrix: `head` values, `vectors` vectors of eight that
// start at a multiple of eight within the matrix, `tail` values.
struct Row {
    size_t start;
    int head, vectors, tail;

    __device__ Row(int row, int V) {
        start = (size_t)row * V;
        head = min((int)((8 - start % 8) % 8), V);
        vectors = (V - head) / 8;
        tail = V - head - 8 * vectors;
    }

    // Column of this thread's value outside the vectors (there are at most
    // 14), or -1.
    __device__ int loose() const {
        const int i = threadIdx.x;
        return i >= head + tail ? -1 : i < head ? i : 8 * vectors + i;
    }
};

// Calls f(v, column) with this thread's parts of row x: v holds eight values or
// one. Two vectors are loaded before the first is used.
template <class F> __device__ inline void visit(const Row& row, const float* x, F f) {
    for (int i = threadIdx.x; i < row.vectors; i += 2 * THREADS) {
        const int column = row.head + 8 * i, next = column + 8 * THREADS;
        const bool two = i + THREADS < row.vectors;
        float v[8], w[8];
        load8(v, x + column);
        if (two) load8(w, x + next);
        f(v, column);
        if (two) f(w, next);
    }
    const int column = row.loose();
    if (column >= 0) {
        float v[1] = {x[column]};
        f(v, column);
    }
}

// The same for two rows: f(v, w, column).
template <class F> __device__ inline void visit(const Row& row, const float* x, const float* y, F f) {
    for (int i = threadIdx.x; i < row.vectors; i += THREADS) {
        const int column = row.head + 8 * i;
        float v[8], w[8];
        load8(v, x + column);
        load8(w, y + column);
        f(v, w, column);
    }
    const int column = row.loose();
    if (column >= 0) {
        float v[1] = {x[column]}, w[1] = {y[column]};
        f(v, w, column);
    }
}

__device__ inline void store(bf16* to, const float (&v)[8]) {
    *reinterpret_cast<bf16x8*>(to) = pack(v);
}

__device__ inline void store(bf16* to, const float (&v)[1]) { *to = to_bf16_bits(v[0]); }

template <int N> __device__ inline float largest(float start, const float (&v)[N]) {
#pragma unroll
    for (int j = 0; j < N; j++) start = fmaxf(start, v[j]);
    return start;
}

// nll[i] = logsumexp(logits_i) - logits_i[token], and unless d_logits is null
// d_logits_i = weights[i] (softmax(logits_i) - onehot(token)).
extern "C" __global__ void __launch_bounds__(THREADS)
cross_entropy(float* __restrict__ nll, bf16* __restrict__ d_logits,
              const float* __restrict__ logits, const int* __restrict__ tokens,
              const float* __restrict__ weights, int V) {
    const int label = blockIdx.x, token = tokens[label];
    const Row row(label, V);
    const float* x = logits + row.start;

    float own_top = LOWEST, own_sum = 0.0f;
    visit(row, x, [&](const auto& v, int) {
        const float higher = largest(own_top, v);
        if (higher > own_top) own_sum *= __expf(own_top - higher);
        own_top = higher;
#pragma unroll
        for (int j = 0; j < sizeof(v) / sizeof(float); j++) own_sum += __expf(v[j] - own_top);
    });
    float top[1] = {own_top};
    block_reduce<Max>(top);
    float sum[1] = {own_sum * __expf(own_top - top[0])};
    block_reduce<Sum>(sum);
    if (threadIdx.x == 0) nll[label] = top[0] - x[token] + logf(sum[0]);
    if (!d_logits) return;

    const float weight = weights[label], scale = weight / sum[0];
    bf16* d = d_logits + row.start;
    visit(row, x, [&](auto& v, int column) {
#pragma unroll
        for (int j = 0; j < sizeof(v) / sizeof(float); j++) v[j] = scale * __expf(v[j] - top[0]);
        store(d + column, v);
    });
    __syncthreads();  // the target's value replaces what another thread wrote
    if (threadIdx.x == 0) d[token] = to_bf16_bits(scale * __expf(x[token] - top[0]) - weight);
}

// With student logits s, teacher logits t and temperature tau:
//     nll[i]        = logsumexp(s) - s[token],
//     divergence[i] = tau^2 KL(softmax(t / tau) || softmax(s / tau)),
//     d_logits_i    = weights[i] (softmax(s) - onehot(token)
//                       + factor tau (softmax(s / tau) - softmax(t / tau))),
// the last unless d_logits is null. The divergence comes from the first reading:
//     KL = sum_j e_j (t_j - s_j) / (tau sum_j e_j)
//          + logsumexp(s / tau) - logsumexp(t / tau),   e_j = exp((t_j - max t) / tau).
extern "C" __global__ void __launch_bounds__(THREADS)
distillation(float* __restrict__ nll, float* __restrict__ divergence, bf16* __restrict__ d_logits,
             const float* __restrict__ logits, const float* __restrict__ teacher_logits,
             const int* __restrict__ tokens, const float* __restrict__ weights, float temperature,
             float factor, int V) {
    const int label = blockIdx.x, token = tokens[label];
    const Row row(label, V);
    const float *s = logits + row.start, *t = teacher_logits + row.start;
    const float inverse = 1.0f / temperature;

    float top_s = LOWEST, top_t = LOWEST;
    float plain = 0.0f, soft_s = 0.0f, soft_t = 0.0f;  // sums of exponentials
    float difference = 0.0f;                           // sum of e_j (t_j - s_j)
    visit(row, s, t, [&](const auto& v, const auto& w, int) {
        const float higher_s = largest(top_s, v), higher_t = largest(top_t, w);
        if (higher_s > top_s) {
            plain *= __expf(top_s - higher_s);
            soft_s *= __expf((top_s - higher_s) * inverse);
            top_s = higher_s;
        }
        if (higher_t > top_t) {
            const float shrink = __expf((top_t - higher_t) * inverse);
            soft_t *= shrink;
            difference *= shrink;
            top_t = higher_t;
        }
#pragma unroll
        for (int j = 0; j < sizeof(v) / sizeof(float); j++) {
            plain += __expf(v[j] - top_s);
            soft_s += __expf((v[j] - top_s) * inverse);
            const float e = __expf((w[j] - top_t) * inverse);
            soft_t += e;
            difference += e * (w[j] - v[j]);
        }
    });
    float top[2] = {top_s, top_t};
    block_reduce<Max>(top);
    const float shrink_s = __expf((top_s - top[0]) * inverse);
    const float shrink_t = __expf((top_t - top[1]) * inverse);
    float sums[4] = {plain * __expf(top_s - top[0]), soft_s * shrink_s, soft_t * shrink_t,
                     difference * shrink_t};
    block_reduce<Sum>(sums);
    if (threadIdx.x == 0) {
        nll[label] = top[0] - s[token] + logf(sums[0]);
        const float kl = (sums[3] / sums[2] + (top[0] - top[1])) * inverse
                         + logf(sums[1]) - logf(sums[2]);
        divergence[label] = temperature * temperature * kl;
    }
    if (!d_logits) return;

    const float weight = weights[label], soft = weight * factor * temperature;
    const float scale = weight / sums[0], scale_s = soft / sums[1], scale_t = soft / sums[2];
    const auto gradient = [&](float v, float w) {
        return scale * __expf(v - top[0]) + (scale_s * __expf((v - top[0]) * inverse)
                                             - scale_t * __expf((w - top[1]) * inverse));
    };
    bf16* d = d_logits + row.start;
    visit(row, s, t, [&](auto& v, const auto& w, int column) {
#pragma unroll
        for (int j = 0; j < sizeof(v) / sizeof(float); j++) v[j] = gradient(v[j], w[j]);
        store(d + column, v);
    });
    __syncthreads();  // the target's value replaces what another thread wrote
    if (threadIdx.x == 0) d[token] = to_bf16_bits(gradient(s[token], t[token]) - weight);
}

struct Best {
    float value;
    int column;

    __device__ void consider(float v, int c) {
        if (v > value || (v == value && c < column)) value = v, column = c;
    }
};

// out[i] = the smallest column of the largest of logits_i.
extern "C" __global__ void __launch_bounds__(THREADS)
argmax(int* __restrict__ out, const float* __restrict__ logits, int V) {
    __shared__ Best of_warp[THREADS / 32];
    const Row row(blockIdx.x, V);
    Best best = {Max::neutral(), V};
    visit(row, logits + row.start, [&](const auto& v, int column) {
#pragma unroll
        for (int j = 0; j < sizeof(v) / sizeof(float); j++) best.consider(v[j], column + j);
    });
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) {
        const float value = __shfl_xor_sync(0xffffffffu, best.value, bit);
        best.consider(value, __shfl_xor_sync(0xffffffffu, best.column, bit));
    }
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < THREADS / 32; i++) best.consider(of_warp[i].value, of_warp[i].column);
        out[blockIdx.x] = best.column < V ? best.column : 0;  // only NaN: any valid token
    }
}

// The gradient of the hidden rows from that of their labels. Row r predicts the
// labels l = labels[begin[r]], .., labels[begin[r + 1] - 1] (several where a shared
// segment has several continuations, none for most rows):
//     d_hidden[r] = sum_l d_rows[l] + 2 hidden_factor weights[l] / d (hidden[r] - teacher[l]),
//     squares[l]  = |hidden[r] - teacher[l]|^2,
// the terms with the teacher only where it is not null. d_rows and teacher are
// [labels][d], hidden and d_hidden [rows][d].
extern "C" __global__ void collect_label_gradients(
    bf16* __restrict__ d_hidden, float* __restrict__ squares, const float* __restrict__ d_rows,
    const bf16* __restrict__ hidden, const float* __restrict__ teacher,
    const int* __restrict__ begin, const int* __restrict__ labels,
    const float* __restrict__ weights, float hidden_factor, int d) {
    const size_t row = (size_t)blockIdx.x * d;
    const int first = begin[blockIdx.x], last = begin[blockIdx.x + 1];
    for (int at = 8 * threadIdx.x; at < d; at += 8 * blockDim.x) {
        float sum[8] = {}, own[8] = {};
        if (teacher) unpack(own, *reinterpret_cast<const bf16x8*>(hidden + row + at));
        for (int i = first; i < last; i++) {
            const int label = labels[i];
            float v[8];
            load8(v, d_rows + (size_t)label * d + at);
#pragma unroll
            for (int j = 0; j < 8; j++) sum[j] += v[j];
            if (teacher) {
                const float slope = 2.0f * hidden_factor * weights[label] / d;
                load8(v, teacher + (size_t)label * d + at);
#pragma unroll
                for (int j = 0; j < 8; j++) sum[j] += slope * (own[j] - v[j]);
            }
        }
        store(d_hidden + row + at, sum);
    }
    if (!teacher) return;
    // A second reading, from cache, keeps the sums of any number of labels
    // out of registers.
    for (int i = first; i < last; i++) {
        const int label = labels[i];
        float total[1] = {0.0f};
        for (int at = 8 * threadIdx.x; at < d; at += 8 * blockDim.x) {
            float own[8], v[8];
            unpack(own, *reinterpret_cast<const bf16x8*>(hidden + row + at));
            load8(v, teacher + (size_t)label * d + at);
#pragma unroll
            for (int j = 0; j < 8; j++) total[0] += (own[j] - v[j]) * (own[j] - v[j]);
        }
        block_reduce<Sum>(total);
        if (threadIdx.x == 0) squares[label] = total[0];
    }
}
