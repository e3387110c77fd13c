// RMS norm of each head of a row, before queries and keys are turned:
// x, y [rows][width], w [h]; the first `heads` heads of a row are normed, what
// follows them (values behind keys) is copied. As in norm.cu:
//     y = w x / rms(x),   dx = s g - x s^3 (g . x) / h,   g = w dy.
//
// One warp per head, eight values per lane: h is a multiple of 8, at most 256.
//
// Launch: grid = rows, block = 256 threads.

__device__ inline float warp_sum(float x) {
#pragma unroll
    for (int at = 16; at > 0; at /= 2) x += __shfl_xor_sync(0xffffffffu, x, at);
    return x;
}

extern "C" __global__ void head_norm(bf16* __restrict__ y, const bf16* __restrict__ x,
                                     const float* __restrict__ w, float eps, int rows, int width,
                                     int heads, int h) {
    if (blockIdx.x >= rows) return;
    const bf16x8* from = reinterpret_cast<const bf16x8*>(x + (size_t)blockIdx.x * width);
    bf16x8* to = reinterpret_cast<bf16x8*>(y + (size_t)blockIdx.x * width);
    const int lane = threadIdx.x % 32, vectors = h / 8;
    for (int head = threadIdx.x / 32; head < heads; head += blockDim.x / 32) {
        const int at = head * vectors + lane;
        float v[8] = {}, weight[8] = {};
        if (lane < vectors) {
            unpack(v, from[at]);
            load8(weight, w + 8 * lane);
        }
        float squares = 0.0f;
#pragma unroll
        for (int j = 0; j < 8; j++) squares += v[j] * v[j];
        const float scale = 1.0f / sqrtf(warp_sum(squares) / h + eps);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] *= scale * weight[j];
        if (lane < vectors) to[at] = pack(v);
    }
    for (int i = heads * vectors + threadIdx.x; i < width / 8; i += blockDim.x) to[i] = from[i];
}

// The gradient of the input in place of that of the output.
extern "C" __global__ void head_norm_backward(bf16* __restrict__ dy, const bf16* __restrict__ x,
                                              const float* __restrict__ w, float eps, int rows,
                                              int width, int heads, int h) {
    if (blockIdx.x >= rows) return;
    const bf16x8* from = reinterpret_cast<const bf16x8*>(x + (size_t)blockIdx.x * width);
    bf16x8* gradient = reinterpret_cast<bf16x8*>(dy + (size_t)blockIdx.x * width);
    const int lane = threadIdx.x % 32, vectors = h / 8;
    for (int head = threadIdx.x / 32; head < heads; head += blockDim.x / 32) {
        const int at = head * vectors + lane;
        float v[8] = {}, g[8] = {}, weight[8] = {};
        if (lane < vectors) {
            unpack(v, from[at]);
            unpack(g, gradient[at]);
            load8(weight, w + 8 * lane);
        }
        float squares = 0.0f, product = 0.0f;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            g[j] *= weight[j];
            squares += v[j] * v[j];
            product += g[j] * v[j];
        }
        const float s = 1.0f / sqrtf(warp_sum(squares) / h + eps);
        const float c = warp_sum(product) * s * s * s / h;
#pragma unroll
        for (int j = 0; j < 8; j++) g[j] = s * g[j] - c * v[j];
        if (lane < vectors) gradient[at] = pack(g);
    }
}
