// Moving rows about, and the conversions at the engine's border.
//
// Launch, row kernels: grid = the number of rows (or count, or total),
//     block = min(256, round_up(d / 8, 32)); d (cols) is a multiple of 8.
// Launch, to_bf16 and from_bf16: block = 256,
//     grid = max(1, min(ceil(n / 8 / 256), a few thousand)).

// Calls f(i) with this thread's vectors i of a row of d values.
template <class F> __device__ inline void for_vectors(int d, F f) {
    for (int i = threadIdx.x; i < d / 8; i += blockDim.x) f(i);
}

__device__ inline bf16x8* vectors(bf16* x, size_t row, int d) {
    return reinterpret_cast<bf16x8*>(x + row * d);
}

__device__ inline const bf16x8* vectors(const bf16* x, size_t row, int d) {
    return reinterpret_cast<const bf16x8*>(x + row * d);
}

// Input embeddings x [rows][d]: inputs[r] >= 0 is a token, a row of
// table [vocabulary][d]; otherwise row -(inputs[r] + 1) of prompts [..][d].
extern "C" __global__ void embed(float* __restrict__ x, const int* __restrict__ inputs,
                                 const bf16* __restrict__ table,
                                 const float* __restrict__ prompts, int rows, int d) {
    if (blockIdx.x >= rows) return;
    const int input = inputs[blockIdx.x];
    float4* to = reinterpret_cast<float4*>(x + (size_t)blockIdx.x * d);
    const bf16x8* token = vectors(table, max(input, 0), d);
    const float* soft = prompts + (size_t)max(-(input + 1), 0) * d;
    for_vectors(d, [=](int i) {
        float v[8];
        if (input >= 0) {
            unpack(v, token[i]);
        } else {
            load8(v, soft + 8 * i);
        }
        to[2 * i] = make_float4(v[0], v[1], v[2], v[3]);
        to[2 * i + 1] = make_float4(v[4], v[5], v[6], v[7]);
    });
}

// y[i] = x[rows[i]], i < count.
extern "C" __global__ void gather_rows(bf16* __restrict__ y, const bf16* __restrict__ x,
                                       const int* __restrict__ rows, int count, int d) {
    if (blockIdx.x >= count) return;
    const bf16x8* from = vectors(x, rows[blockIdx.x], d);
    bf16x8* to = vectors(y, blockIdx.x, d);
    for_vectors(d, [=](int i) { to[i] = from[i]; });
}

// y[r] = x[source[r]], or zero where source[r] < 0, r < total.
extern "C" __global__ void scatter_rows(bf16* __restrict__ y, const bf16* __restrict__ x,
                                        const int* __restrict__ source, int total, int d) {
    if (blockIdx.x >= total) return;
    const int row = source[blockIdx.x];
    bf16x8* to = vectors(y, blockIdx.x, d);
    if (row >= 0) {
        const bf16x8* from = vectors(x, row, d);
        for_vectors(d, [=](int i) { to[i] = from[i]; });
    } else {
        for_vectors(d, [=](int i) { to[i] = make_uint4(0, 0, 0, 0); });
    }
}

// y[rows[i]] += x[i], i < count; the rows are distinct.
extern "C" __global__ void add_rows(bf16* __restrict__ y, const bf16* __restrict__ x,
                                    const int* __restrict__ rows, int count, int d) {
    if (blockIdx.x >= count) return;
    const bf16x8* from = vectors(x, blockIdx.x, d);
    bf16x8* to = vectors(y, rows[blockIdx.x], d);
    for_vectors(d, [=](int i) {
        float a[8], b[8];
        unpack(a, to[i]);
        unpack(b, from[i]);
#pragma unroll
        for (int j = 0; j < 8; j++) a[j] += b[j];
        to[i] = pack(a);
    });
}

// y[r] += bias for each of the rows of y [rows][cols].
extern "C" __global__ void add_bias(bf16* __restrict__ y, const float* __restrict__ bias, int rows,
                                    int cols) {
    if (blockIdx.x >= rows) return;
    bf16x8* to = vectors(y, blockIdx.x, cols);
    for_vectors(cols, [=](int i) {
        float a[8], b[8];
        unpack(a, to[i]);
        load8(b, bias + 8 * i);
#pragma unroll
        for (int j = 0; j < 8; j++) a[j] += b[j];
        to[i] = pack(a);
    });
}

// The same for rows of the residual stream.
extern "C" __global__ void add_bias_to_stream(float* __restrict__ y, const float* __restrict__ bias,
                                              int rows, int cols) {
    if (blockIdx.x >= rows) return;
    float4* to = reinterpret_cast<float4*>(y + (size_t)blockIdx.x * cols);
    const float4* from = reinterpret_cast<const float4*>(bias);
    for (int i = threadIdx.x; i < cols / 4; i += blockDim.x) {
        const float4 a = to[i], b = from[i];
        to[i] = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
    }
}

// A stream from the copy that was kept of it; n is a multiple of 8.
extern "C" __global__ void from_bf16(float* __restrict__ y, const bf16* __restrict__ x, int n) {
    const int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n / 8; i += step) {
        float v[8];
        unpack(v, reinterpret_cast<const bf16x8*>(x)[i]);
        float4* to = reinterpret_cast<float4*>(y) + 2 * (size_t)i;
        to[0] = make_float4(v[0], v[1], v[2], v[3]);
        to[1] = make_float4(v[4], v[5], v[6], v[7]);
    }
}

// Any n; the last n % 8 values go one by one.
extern "C" __global__ void to_bf16(bf16* __restrict__ y, const float* __restrict__ x, int n) {
    const int first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    for (int i = first; i < n / 8; i += step) {
        float v[8];
        load8(v, x + 8 * (size_t)i);
        reinterpret_cast<bf16x8*>(y)[i] = pack(v);
    }
    if (first < n % 8) {
        const size_t last = (size_t)(n / 8) * 8 + first;
        y[last] = to_bf16_bits(x[last]);
    }
}
