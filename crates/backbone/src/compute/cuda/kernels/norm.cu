// Root-mean-square normalisation of rows, x and y [rows][d], w [d]:
//     y = w x / rms(x),   rms(x) = sqrt(mean(x^2) + eps)
// and its gradient: with s = 1 / rms(x) and g = w dy,
//     dx += s g - x s^3 (g . x) / d.
//
// One block per row. Memory is the limit, so a row is read once and stays in
// registers over the reduction: KEPT vectors of eight values per thread.
//
// Launch: grid = rows, block = round_up(d / (8 KEPT), 32) threads; d is a
// multiple of 8, at most 8 KEPT THREADS = 16384.

constexpr int KEPT = 4;
constexpr int THREADS = 512;  // at most

extern "C" __global__ void __launch_bounds__(THREADS)
rms_norm(bf16* __restrict__ y, const bf16* __restrict__ x, const float* __restrict__ w, float eps,
         int rows, int d) {
    if (blockIdx.x >= rows) return;
    const size_t row = (size_t)blockIdx.x * d;
    const bf16x8* x_row = reinterpret_cast<const bf16x8*>(x + row);
    bf16x8* y_row = reinterpret_cast<bf16x8*>(y + row);
    bf16x8 kept[KEPT];
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        kept[i] = at < d / 8 ? x_row[at] : make_uint4(0, 0, 0, 0);
    }
    float squares[1] = {0.0f};
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        float v[8];
        unpack(v, kept[i]);
#pragma unroll
        for (int j = 0; j < 8; j++) squares[0] += v[j] * v[j];
    }
    block_reduce<Sum>(squares);
    const float scale = 1.0f / sqrtf(squares[0] / d + eps);
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        if (at < d / 8) {
            float v[8], weight[8];
            unpack(v, kept[i]);
            load8(weight, w + 8 * at);
#pragma unroll
            for (int j = 0; j < 8; j++) v[j] *= scale * weight[j];
            y_row[at] = pack(v);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_norm_backward_add(bf16* __restrict__ dx, const bf16* __restrict__ dy,
                      const bf16* __restrict__ x, const float* __restrict__ w, float eps, int rows,
                      int d) {
    if (blockIdx.x >= rows) return;
    const size_t row = (size_t)blockIdx.x * d;
    const bf16x8* x_row = reinterpret_cast<const bf16x8*>(x + row);
    const bf16x8* dy_row = reinterpret_cast<const bf16x8*>(dy + row);
    bf16x8* dx_row = reinterpret_cast<bf16x8*>(dx + row);
    const bf16x8 zero = make_uint4(0, 0, 0, 0);
    bf16x8 kept_x[KEPT], kept_dy[KEPT], kept_dx[KEPT];
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        const int at = threadIdx.x + i * blockDim.x;
        const bool inside = at < d / 8;
        kept_x[i] = inside ? x_row[at] : zero;
        kept_dy[i] = inside ? dy_row[at] : zero;
        kept_dx[i] = inside ? dx_row[at] : zero;
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
            float v[8], g[8], sum[8], weight[8];
            unpack(v, kept_x[i]);
            unpack(g, kept_dy[i]);
            unpack(sum, kept_dx[i]);
            load8(weight, w + 8 * at);
#pragma unroll
            for (int j = 0; j < 8; j++) sum[j] += s * g[j] * weight[j] - c * v[j];
            dx_row[at] = pack(sum);
        }
    }
}
