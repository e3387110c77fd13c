// Root-mean-square normalisation of rows of the residual stream, which is f32:
// x [rows][d], w [d],
//     y = w x / rms(x),   rms(x) = sqrt(mean(x^2) + eps)
// and its gradient: with s = 1 / rms(x) and g = w dy,
//     dx += s g - x s^3 (g . x) / d.
//
// y and dy are bf16, as products take and give them. The backward pass keeps x
// in bf16 (`copy`, where it is not null), and takes dx on to the next product
// in bf16 as well: both copies are written here, where the values are at hand.
//
// One block per row. Memory is the limit, so a row is read once and stays in
// registers over the reduction: KEPT vectors of eight values per thread.
//
// Launch: grid = rows, block = round_up(d / (8 KEPT), 32) threads; d is a
// multiple of 8, at most 8 KEPT THREADS = 16384.

constexpr int KEPT = 4;
constexpr int THREADS = 512;  // at most

__device__ inline void store8(float* p, const float (&v)[8]) {
    float4* at = reinterpret_cast<float4*>(p);
    at[0] = make_float4(v[0], v[1], v[2], v[3]);
    at[1] = make_float4(v[4], v[5], v[6], v[7]);
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_norm(bf16* __restrict__ y, bf16* __restrict__ copy, const float* __restrict__ x,
         const float* __restrict__ w, float eps, int rows, int d) {
    if (blockIdx.x >= rows) return;
    const size_t row = (size_t)blockIdx.x * d;
    bf16x8* y_row = reinterpret_cast<bf16x8*>(y + row);
    bf16x8* copy_row = reinterpret_cast<bf16x8*>(copy + row);
    float v[KEPT][8] = {};
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        if (at < d / 8) load8(v[i], x + row + 8 * at);
    }
    float squares[1] = {0.0f};
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) squares[0] += v[i][j] * v[i][j];
    }
    block_reduce<Sum>(squares);
    const float scale = 1.0f / sqrtf(squares[0] / d + eps);
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        if (at < d / 8) {
            float weight[8];
            if (copy) copy_row[at] = pack(v[i]);
            load8(weight, w + 8 * at);
#pragma unroll
            for (int j = 0; j < 8; j++) v[i][j] *= scale * weight[j];
            y_row[at] = pack(v[i]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_norm_backward_add(float* __restrict__ dx, bf16* __restrict__ dx_copy,
                      const bf16* __restrict__ dy, const bf16* __restrict__ x,
                      const float* __restrict__ w, float eps, int rows, int d) {
    if (blockIdx.x >= rows) return;
    const size_t row = (size_t)blockIdx.x * d;
    const bf16x8* x_row = reinterpret_cast<const bf16x8*>(x + row);
    const bf16x8* dy_row = reinterpret_cast<const bf16x8*>(dy + row);
    bf16x8* copy_row = reinterpret_cast<bf16x8*>(dx_copy + row);
    const bf16x8 zero = make_uint4(0, 0, 0, 0);
    bf16x8 kept_x[KEPT], kept_dy[KEPT];
    float sum[KEPT][8] = {};
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        const bool inside = at < d / 8;
        kept_x[i] = inside ? x_row[at] : zero;
        kept_dy[i] = inside ? dy_row[at] : zero;
        if (inside) load8(sum[i], dx + row + 8 * at);
    }
    float sums[2] = {0.0f, 0.0f};  // x . x and g . x
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        if (at < d / 8) {
            float v[8], g[8], weight[8];
            unpack(v, kept_x[i]);
            unpack(g, kept_dy[i]);
            load8(weight, w + 8 * at);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                sums[0] += v[j] * v[j];
                sums[1] += g[j] * weight[j] * v[j];
            }
        }
    }
    block_reduce<Sum>(sums);
    const float s = 1.0f / sqrtf(sums[0] / d + eps);
    const float c = sums[1] * s * s * s / d;
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        if (at < d / 8) {
            float v[8], g[8], weight[8];
            unpack(v, kept_x[i]);
            unpack(g, kept_dy[i]);
            load8(weight, w + 8 * at);
#pragma unroll
            for (int j = 0; j < 8; j++) sum[i][j] += s * g[j] * weight[j] - c * v[j];
            store8(dx + row + 8 * at, sum[i]);
            copy_row[at] = pack(sum[i]);
        }
    }
}
