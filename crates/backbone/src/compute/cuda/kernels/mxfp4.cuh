// MXFP4: blocks of 32 values of four bits (E2M1: 0 .5 1 1.5 2 3 4 6 and a sign)
// with a common scale 2^(s - 127). Byte j of a block has value 2 j in its low
// half and 2 j + 1 in its high half. All of a block's values are exact in bf16.

// The upper and lower bytes of a block's eight magnitudes in bf16, as the table
// that __byte_perm looks four values up in.
struct Magnitudes {
    unsigned high[2], low[2];
};

// For scales below 253, beyond which the largest magnitudes overflow.
__device__ __forceinline__ Magnitudes scaled_magnitudes(unsigned scale) {
    const unsigned one = scale << 7;  // 2^(s - 127), where it isn't subnormal
    const unsigned ones = one << 16 | one;
    unsigned a = (one - 0x80) << 16;  // 0, .5
    unsigned b = ones + 0x00400000;   // 1, 1.5
    const unsigned c = ones + 0x00c00080, d = ones + 0x01400100;
    if (scale < 2) {
        a = 0x00200000u << scale;
        b = scale == 0 ? 0x00600040 : b;
    }
    return {{__byte_perm(a, b, 0x7531), __byte_perm(c, d, 0x7531)},
            {__byte_perm(a, b, 0x6420), __byte_perm(c, d, 0x6420)}};
}

// Eight values in bf16.
__device__ __forceinline__ bf16x8 unpack_mxfp4(unsigned values, const Magnitudes& of) {
    const unsigned first = values & 0x77777777u, second = first >> 16;
    const unsigned low0 = __byte_perm(of.low[0], of.low[1], first);
    const unsigned high0 = __byte_perm(of.high[0], of.high[1], first);
    const unsigned low1 = __byte_perm(of.low[0], of.low[1], second);
    const unsigned high1 = __byte_perm(of.high[0], of.high[1], second);
    // The sign of a byte's low half at the top of the byte, as that of the high
    // half is.
    const unsigned lows = values << 4;
    constexpr unsigned SIGNS = 0x80008000u;
    return make_uint4(
        __byte_perm(low0, high0, 0x5140) | (__byte_perm(lows, values, 0x4000) & SIGNS),
        __byte_perm(low0, high0, 0x7362) | (__byte_perm(lows, values, 0x5010) & SIGNS),
        __byte_perm(low1, high1, 0x5140) | (__byte_perm(lows, values, 0x6020) & SIGNS),
        __byte_perm(low1, high1, 0x7362) | (__byte_perm(lows, values, 0x7030) & SIGNS));
}
