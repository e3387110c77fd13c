// What every kernel shares: bf16 values, rounding, and sums and maxima over a
// warp or a block whose order of additions is fixed, so that results repeat
// bit for bit. The loader puts this text in front of each .cu file.

typedef unsigned short bf16;
typedef uint4 bf16x8;  // eight values, 16 bytes: the unit of memory access
typedef uint2 bf16x4;

#ifndef EMULATE
// Two floats to bf16, rounded to nearest even: `low` in the lower half.
__device__ inline unsigned bf16_pair(float low, float high) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
#endif

__device__ inline bf16 to_bf16_bits(float x) { return (bf16)bf16_pair(x, 0.0f); }
__device__ inline float from_bf16_bits(bf16 x) { return __uint_as_float((unsigned)x << 16); }

__device__ inline void unpack_pair(float* v, unsigned pair) {
    v[0] = __uint_as_float(pair << 16);
    v[1] = __uint_as_float(pair & 0xffff0000u);
}

__device__ inline void unpack(float (&v)[8], const bf16x8& x) {
    unpack_pair(v, x.x);
    unpack_pair(v + 2, x.y);
    unpack_pair(v + 4, x.z);
    unpack_pair(v + 6, x.w);
}

__device__ inline void unpack(float (&v)[4], const bf16x4& x) {
    unpack_pair(v, x.x);
    unpack_pair(v + 2, x.y);
}

__device__ inline void unpack(float (&v)[8], const float4& a, const float4& b) {
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
    v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

__device__ inline bf16x8 pack(const float (&v)[8]) {
    return make_uint4(bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3]),
                      bf16_pair(v[4], v[5]), bf16_pair(v[6], v[7]));
}

__device__ inline bf16x4 pack(const float (&v)[4]) {
    return make_uint2(bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3]));
}

// Eight floats at a 16-byte boundary.
__device__ inline void load8(float (&v)[8], const float* p) {
    const float4* at = reinterpret_cast<const float4*>(p);
    unpack(v, at[0], at[1]);
}

struct Sum {
    static __device__ float neutral() { return 0.0f; }
    static __device__ float join(float a, float b) { return a + b; }
};

struct Max {
    static __device__ float neutral() { return __int_as_float(0xff800000); }  // -inf
    static __device__ float join(float a, float b) { return fmaxf(a, b); }
};

// The joined value of all 32 lanes, the same in each.
template <class Op> __device__ inline float warp_reduce(float v) {
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) v = Op::join(v, __shfl_xor_sync(0xffffffffu, v, bit));
    return v;
}

// Joins N values at once over a block of whole warps; every thread calls it
// and gets the result.
template <class Op, int N> __device__ inline void block_reduce(float (&v)[N]) {
    __shared__ float partial[N][32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = warp_reduce<Op>(v[i]);
    __syncthreads();  // an earlier call's readers are done
    if (lane == 0) {
#pragma unroll
        for (int i = 0; i < N; i++) partial[i][warp] = v[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = warp_reduce<Op>(lane < warps ? partial[i][lane] : Op::neutral());
}
