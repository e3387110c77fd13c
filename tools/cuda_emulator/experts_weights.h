// Random weights of experts, packed or not, and their values.
#pragma once
#include "check.h"

// Value of four bits of MXFP4.
inline double e2m1(int bits) {
    static const double magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return (bits & 8 ? -1 : 1) * magnitudes[bits & 7];
}

// [experts, rows, columns]
class ExpertWeights {
    int rows, columns;
    Buffer<uint4> blocks;
    Buffer<unsigned char> block_scales;
    Buffer<bf16> plain;

  public:
    ExpertWeights(int experts, int rows, int columns)
        : rows(rows), columns(columns), blocks((size_t)experts * rows * columns / 32),
          block_scales(blocks.size()),
          plain(random_bf16((size_t)experts * rows * columns, 2 / std::sqrt(columns))) {
        if (!PACKED) return;
        for (size_t i = 0; i < blocks.size(); i++) {
            unsigned words[4];
            for (unsigned& word : words) word = random_bits();
            blocks[i] = {words[0], words[1], words[2], words[3]};
            block_scales[i] = 127 - 4 + random_bits() % 3;
            for (int j = 0; j < 32; j++) {
                const double v = e2m1(words[j / 8] >> j % 8 * 4) * std::ldexp(1, block_scales[i] - 127);
                plain[32 * i + j] = emu::round_to_bf16(float(v));
            }
        }
    }

#if PACKED
    uint4* values() const { return blocks; }
#else
    bf16* values() const { return plain; }
#endif
    unsigned char* scales() const { return block_scales; }

    // Weight (expert, column of a product, its depth) of each direction.
    auto by_row() const {
        return [this](int expert, int j, int k) {
            return value(plain[((size_t)expert * rows + j) * columns + k]);
        };
    }
    auto by_column() const {
        return [this](int expert, int j, int k) {
            return value(plain[((size_t)expert * rows + k) * columns + j]);
        };
    }
};

// Every value with every scale that a weight may have.
inline void test_unpacking() {
    Output exact{"values", 0};
    for (int scale = 0; scale <= 252; scale++) {
        for (unsigned pair = 0; pair < 256; pair++) {
            const unsigned word = pair * 0x01010101u;
            const bf16x8 got = unpack_mxfp4(word, scaled_magnitudes(scale));
            for (const unsigned halves : {got.x, got.y, got.z, got.w}) {
                exact.same(value(bf16(halves)) == std::ldexp(e2m1(pair & 15), scale - 127));
                exact.same(value(bf16(halves >> 16)) == std::ldexp(e2m1(pair >> 4), scale - 127));
            }
        }
    }
    // Values in their order.
    const bf16x8 got = unpack_mxfp4(0x76543210u, scaled_magnitudes(127));
    const unsigned words[] = {got.x, got.y, got.z, got.w};
    for (int i = 0; i < 8; i++) exact.same(value(bf16(words[i / 2] >> i % 2 * 16)) == e2m1(i));
    report("unpack_mxfp4", {exact});
}
