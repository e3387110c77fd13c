// Rotary position embedding in the half-split layout: in a head of width h,
// value i is paired with value i + h/2, and the pair turns by
// position * frequency_i:
//     y1 = x1 cos - x2 sin,   y2 = x2 cos + x1 sin.
// cos and sin are [rows][h/2]; row r belongs to row r of the activations.
//
// One block per row; a thread turns four pairs at a time (h/2 is a multiple of
// four, not always of eight). A row's cosines serve all its heads from cache.
//
// Launch: both rotation tables: any grid and block that cover rows * half threads.
// rotate_queries: grid = rows,
//     block = min(256, round_up(heads * h / 8, 32)).
// store_keys_values: grid = rows, block = min(256, round_up(kv_heads * h / 8, 32)).

// The angle is rounded to float before its sine is taken, as in the models'
// reference implementation.
extern "C" __global__ void rotation_table(float* __restrict__ cos, float* __restrict__ sin,
                                          const int* __restrict__ positions,
                                          const float* __restrict__ frequencies, int rows,
                                          int half) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * half) return;
    const int row = (int)(at / half), i = (int)(at % half);
    const float angle = __fmul_rn((float)positions[row], frequencies[i]);
    cos[at] = cosf(angle);
    sin[at] = sinf(angle);
}

// The same for a rotation that also stretches (YaRN's): a kernel of its own, so
// that the one without it stays what it is.
extern "C" __global__ void stretched_rotation_table(float* __restrict__ cos,
                                                    float* __restrict__ sin,
                                                    const int* __restrict__ positions,
                                                    const float* __restrict__ frequencies,
                                                    float magnitude, int rows, int half) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * half) return;
    const int row = (int)(at / half), i = (int)(at % half);
    const float angle = __fmul_rn((float)positions[row], frequencies[i]);
    cos[at] = cosf(angle) * magnitude;
    sin[at] = sinf(angle) * magnitude;
}

// Turns four pairs; y may be x.
__device__ inline void turn(bf16* y, const bf16* x, const float* cos, const float* sin, int half) {
    float a[4], b[4];
    unpack(a, *reinterpret_cast<const bf16x4*>(x));
    unpack(b, *reinterpret_cast<const bf16x4*>(x + half));
    const float4 c4 = *reinterpret_cast<const float4*>(cos);
    const float4 s4 = *reinterpret_cast<const float4*>(sin);
    const float c[4] = {c4.x, c4.y, c4.z, c4.w}, s[4] = {s4.x, s4.y, s4.z, s4.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float x1 = a[i], x2 = b[i];
        a[i] = x1 * c[i] - x2 * s[i];
        b[i] = x2 * c[i] + x1 * s[i];
    }
    *reinterpret_cast<bf16x4*>(y) = pack(a);
    *reinterpret_cast<bf16x4*>(y + half) = pack(b);
}

__device__ inline void turn_row(bf16* q, const float* cos, const float* sin, int heads, int h) {
    const size_t row = blockIdx.x;
    const int half = h / 2, fours = half / 4;
    for (int item = threadIdx.x; item < heads * fours; item += blockDim.x) {
        const int head = item / fours, i = item % fours * 4;
        bf16* x = q + (row * heads + head) * h + i;
        turn(x, x, cos + row * half + i, sin + row * half + i, half);
    }
}

// In place: q is [rows][heads][h].
extern "C" __global__ void rotate_queries(bf16* __restrict__ q, const float* __restrict__ cos,
                                          const float* __restrict__ sin, int rows, int heads,
                                          int h) {
    if (blockIdx.x < rows) turn_row(q, cos, sin, heads, h);
}

// kv is [rows][2][kv_heads][h], keys before values. Rotated keys and plain
// values of row r go to row store_rows[r] of keys and values,
// [store][kv_heads][h] each. As many fours of pairs as vectors of eight values:
// a thread does one of each.
extern "C" __global__ void store_keys_values(bf16* __restrict__ keys, bf16* __restrict__ values,
                                             const bf16* __restrict__ kv,
                                             const float* __restrict__ cos,
                                             const float* __restrict__ sin,
                                             const int* __restrict__ store_rows, int rows,
                                             int kv_heads, int h) {
    if (blockIdx.x >= rows) return;
    const size_t row = blockIdx.x;
    const int width = kv_heads * h, half = h / 2, fours = half / 4;
    const bf16* from = kv + row * 2 * width;
    const size_t to = (size_t)store_rows[row] * width;
    for (int item = threadIdx.x; item < width / 8; item += blockDim.x) {
        const bf16x8 value = reinterpret_cast<const bf16x8*>(from + width)[item];
        const int head = item / fours, i = item % fours * 4;
        const int column = head * h + i;
        turn(keys + to + column, from + column, cos + row * half + i, sin + row * half + i, half);
        reinterpret_cast<bf16x8*>(values + to)[item] = value;
    }
}
