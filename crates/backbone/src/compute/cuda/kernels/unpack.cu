// Packed weights to bf16, just before a product reads them. The blocks are the
// file format's, row after row; a thread unpacks 8 neighbouring values. What is
// rounded to bf16 are the f32 values of the format's definition: products and
// sums are not fused.
//
// Launch: block = 256, grid = ceil(n / 256) for n = values / 8; y begins at a
// 16-byte boundary and blocks at a 2-byte one.

typedef unsigned short half_bits;

// A finite half-precision number.
__device__ inline float from_half_bits(unsigned x) {
    // With the exponent's bits in place the value is 2^112 too small, which also
    // holds for numbers below the normal ones.
    const float size = __fmul_rn(__uint_as_float((x & 0x7fff) << 13), 5192296858534827628530496329220096.0f);
    return __uint_as_float(__float_as_uint(size) | (x & 0x8000) << 16);
}

// Eight bytes, which may begin at any even address.
struct Eight {
    unsigned words[2];
    __device__ explicit Eight(const half_bits* p) {
        words[0] = p[0] | (unsigned)p[1] << 16;
        words[1] = p[2] | (unsigned)p[3] << 16;
    }
    __device__ unsigned operator[](int j) const { return words[j / 4] >> 8 * (j % 4) & 255; }
};

__device__ inline unsigned byte_at(const half_bits* block, int at) {
    return (block[at / 2] >> 8 * (at % 2)) & 255;
}

// Each kind: values and bytes of a block, and the eight values at `at` of one.

struct F16 {
    static const int VALUES = 32, BYTES = 64;
    static __device__ void unpack(float (&v)[8], const half_bits* block, int at) {
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = from_half_bits(block[at + j]);
    }
};

struct Q8_0 {
    static const int VALUES = 32, BYTES = 34;
    static __device__ void unpack(float (&v)[8], const half_bits* block, int at) {
        const float d = from_half_bits(block[0]);
        const Eight q(block + 1 + at / 2);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn((float)(signed char)q[j], d);
    }
};

// Four bits, and a fifth in 32 more where FIVE; with a minimum, or centred.
template <bool FIVE, bool MINIMUM> struct Small {
    static const int BEFORE = (MINIMUM ? 4 : 2) + (FIVE ? 4 : 0);
    static const int VALUES = 32, BYTES = BEFORE + 16;
    static __device__ void unpack(float (&v)[8], const half_bits* block, int at) {
        const float d = from_half_bits(block[0]);
        const float m = MINIMUM ? from_half_bits(block[1]) : 0.0f;
        const half_bits* high = block + (MINIMUM ? 2 : 1);
        const unsigned fifths = FIVE ? (high[0] | (unsigned)high[1] << 16) >> at : 0;
        const Eight bytes(block + BEFORE / 2 + at % 16 / 2);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int q = (bytes[j] >> at / 16 * 4 & 15) | (fifths >> j & 1) << 4;
            v[j] = MINIMUM ? __fmul_rn((float)q, d) + m : __fmul_rn((float)(q - (FIVE ? 16 : 8)), d);
        }
    }
};

// 256 values with 6-bit scales and minimums for each 32; FIVE bits or four.
template <bool FIVE> struct Large {
    static const int LOW = FIVE ? 48 : 16;
    static const int VALUES = 256, BYTES = LOW + 128;
    static __device__ void unpack(float (&v)[8], const half_bits* block, int at) {
        const int group = at / 32, within = at % 32;
        // 12 bytes: the first four scales and minimums are the low bits of a byte
        // each, the others have their two high bits in the high ones of those.
        const half_bits* scales = block + 2;
        unsigned scale, minimum;
        if (group < 4) {
            scale = byte_at(scales, group) & 63;
            minimum = byte_at(scales, group + 4) & 63;
        } else {
            const unsigned low = byte_at(scales, group + 4);
            scale = (low & 15) | byte_at(scales, group - 4) >> 6 << 4;
            minimum = low >> 4 | byte_at(scales, group) >> 6 << 4;
        }
        const float d = __fmul_rn(from_half_bits(block[0]), (float)scale);
        const float m = __fmul_rn(from_half_bits(block[1]), (float)minimum);
        const Eight low(block + (LOW + group / 2 * 32 + within) / 2);
        const Eight fifths(block + 8 + within / 2);  // the low bits of Large<false>
#pragma unroll
        for (int j = 0; j < 8; j++) {
            int q = low[j] >> group % 2 * 4 & 15;
            if (FIVE) q |= (fifths[j] >> group & 1) << 4;
            v[j] = __fmul_rn(d, (float)q) - m;
        }
    }
};

struct Q6_K {
    static const int VALUES = 256, BYTES = 210;
    static __device__ void unpack(float (&v)[8], const half_bits* block, int at) {
        const int group = at / 32, of_four = group % 4, half = group / 4, within = at % 32;
        const signed char scale = (signed char)byte_at(block + 96, at / 16);
        const float d = __fmul_rn(from_half_bits(block[104]), (float)scale);
        const Eight low(block + (64 * half + of_four % 2 * 32 + within) / 2);
        const Eight high(block + 64 + (32 * half + within) / 2);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int q = (low[j] >> of_four / 2 * 4 & 15) | (high[j] >> 2 * of_four & 3) << 4;
            v[j] = __fmul_rn(d, (float)(q - 32));
        }
    }
};

template <class Kind> __device__ inline void unpack_weight(bf16* y, const half_bits* blocks, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const int each = Kind::VALUES / 8;
    float v[8];
    Kind::unpack(v, blocks + (size_t)(i / each) * (Kind::BYTES / 2), i % each * 8);
    reinterpret_cast<bf16x8*>(y)[i] = pack(v);
}

extern "C" __global__ void unpack_f16(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<F16>(y, blocks, n);
}

extern "C" __global__ void unpack_q4_0(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Small<false, false>>(y, blocks, n);
}

extern "C" __global__ void unpack_q4_1(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Small<false, true>>(y, blocks, n);
}

extern "C" __global__ void unpack_q5_0(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Small<true, false>>(y, blocks, n);
}

extern "C" __global__ void unpack_q5_1(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Small<true, true>>(y, blocks, n);
}

extern "C" __global__ void unpack_q8_0(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Q8_0>(y, blocks, n);
}

extern "C" __global__ void unpack_q4_k(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Large<false>>(y, blocks, n);
}

extern "C" __global__ void unpack_q5_k(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Large<true>>(y, blocks, n);
}

extern "C" __global__ void unpack_q6_k(bf16* y, const half_bits* blocks, int n) {
    unpack_weight<Q6_K>(y, blocks, n);
}
