// The gate of the MLP, silu(z) = z sigmoid(z). gate_up is [rows][2 f]: a row is
// the f gate values g, then the f up values u; a and da are [rows][f].
//     a  = silu(g) u
//     dg = da u s (1 + g (1 - s)),   du = da g s,   s = sigmoid(g)
//
// A thread does eight columns, all of its loads in flight together.
//
// Launch: block = 256 threads, grid = (rows, ceil(f / 8 / 256)).

// The fast exponential and division: their errors of a few units in the last
// place of a float vanish in the rounding to bf16.
__device__ inline float sigmoid(float z) { return __fdividef(1.0f, 1.0f + __expf(-z)); }

extern "C" __global__ void swiglu(bf16* __restrict__ a, const bf16* __restrict__ gate_up, int rows,
                                  int f) {
    const size_t row = blockIdx.x;
    const int at = blockIdx.y * blockDim.x + threadIdx.x;
    if (row >= rows || at >= f / 8) return;
    const bf16x8* gate = reinterpret_cast<const bf16x8*>(gate_up + row * 2 * f);
    const bf16x8* up = reinterpret_cast<const bf16x8*>(gate_up + row * 2 * f + f);
    const bf16x8 gate8 = gate[at], up8 = up[at];
    float g[8], u[8];
    unpack(g, gate8);
    unpack(u, up8);
#pragma unroll
    for (int j = 0; j < 8; j++) g[j] *= sigmoid(g[j]) * u[j];
    reinterpret_cast<bf16x8*>(a + row * f)[at] = pack(g);
}

// d_gate_up may be gate_up: a thread writes only where it alone has read.
extern "C" __global__ void swiglu_backward(bf16* d_gate_up, const bf16* gate_up,
                                           const bf16* __restrict__ da, int rows, int f) {
    const size_t row = blockIdx.x;
    const int at = blockIdx.y * blockDim.x + threadIdx.x;
    if (row >= rows || at >= f / 8) return;
    const size_t gate = row * 2 * f, up = gate + f;
    const bf16x8 gate8 = reinterpret_cast<const bf16x8*>(gate_up + gate)[at];
    const bf16x8 up8 = reinterpret_cast<const bf16x8*>(gate_up + up)[at];
    const bf16x8 da8 = reinterpret_cast<const bf16x8*>(da + row * f)[at];
    float g[8], u[8], d[8];
    unpack(g, gate8);
    unpack(u, up8);
    unpack(d, da8);
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const float s = sigmoid(g[j]);
        const float dg = d[j] * u[j] * s * (1.0f + g[j] * (1.0f - s));
        u[j] = d[j] * g[j] * s;
        g[j] = dg;
    }
    reinterpret_cast<bf16x8*>(d_gate_up + gate)[at] = pack(g);
    reinterpret_cast<bf16x8*>(d_gate_up + up)[at] = pack(u);
}
