// The kernels that unpack weights (unpack.cu) against a reference that follows
// the file format's own description, value by value: what is written must be its
// f32 values rounded to bf16, exactly.
#include "emulator.h"
#include "common.cuh"
#include "check.h"
#include "unpack.cu"
#include <functional>

using Block = const unsigned char*;

double half_at(Block block, int at) {
    const int bits = block[at] | block[at + 1] << 8;
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double size = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
    return bits >> 15 ? -size : size;
}

float product(float a, float b) { return float(double(a) * b); }  // rounded once
float sum(float a, float b) { return float(double(a) + b); }

// The 4 low bits of value i of a block of 32 whose bytes begin at `from`.
int low_bits(Block block, int from, int i) {
    return i < 16 ? block[from + i] & 15 : block[from + i - 16] >> 4;
}

int bit(Block block, int from, int i) { return block[from + i / 8] >> i % 8 & 1; }

float f16(Block block, int i) { return half_at(block, 2 * i); }
float q4_0(Block block, int i) { return product(low_bits(block, 2, i) - 8, half_at(block, 0)); }
float q4_1(Block block, int i) {
    return sum(product(low_bits(block, 4, i), half_at(block, 0)), half_at(block, 2));
}
float q5_0(Block block, int i) {
    const int q = low_bits(block, 6, i) + 16 * bit(block, 2, i);
    return product(q - 16, half_at(block, 0));
}
float q5_1(Block block, int i) {
    const int q = low_bits(block, 8, i) + 16 * bit(block, 4, i);
    return sum(product(q, half_at(block, 0)), half_at(block, 2));
}
float q8_0(Block block, int i) { return product((signed char)block[2 + i], half_at(block, 0)); }

// Scale (or minimum) `group` of a block of 256: six bits each, the scales'
// and minimums' first four in bytes 0..4 and 4..8, whose upper two bits belong
// to the last four.
int six_bits(Block scales, int group, bool minimum) {
    if (group < 4) return scales[group + 4 * minimum] & 63;
    const int low = minimum ? scales[group + 4] >> 4 : scales[group + 4] & 15;
    return low + 16 * (scales[group - 4 + 4 * minimum] >> 6);
}
float of_256(Block block, int i, int q) {
    const float d = product(half_at(block, 0), six_bits(block + 4, i / 32, false));
    const float m = product(half_at(block, 2), six_bits(block + 4, i / 32, true));
    return sum(product(d, q), -m);
}
// Each 64 values share 32 bytes: the first half has the low nibbles.
int nibble(Block bytes, int i) {
    const int byte = bytes[i / 64 * 32 + i % 32];
    return i % 64 < 32 ? byte & 15 : byte >> 4;
}
float q4_k(Block block, int i) { return of_256(block, i, nibble(block + 16, i)); }
float q5_k(Block block, int i) {
    const int fifth = block[16 + i % 32] >> i / 32 & 1;
    return of_256(block, i, nibble(block + 48, i) + 16 * fifth);
}
// Each 128 values: 64 bytes of low bits, 32 of two high bits for four quarters.
float q6_k(Block block, int i) {
    const int within = i % 128, quarter = within / 32;
    const int low = block[i / 128 * 64 + within % 64];
    const int high = block[128 + i / 128 * 32 + within % 32] >> 2 * quarter & 3;
    const int q = (quarter < 2 ? low & 15 : low >> 4) + 16 * high;
    const float d = product(half_at(block, 208), (signed char)block[192 + i / 16]);
    return product(d, q - 32);
}

void test(const char* name, void (*kernel)(bf16*, const half_bits*, int), int values, int bytes,
          std::function<float(Block, int)> want) {
    Output y_error{"y", 0};
    for (int blocks : {1, 9, 64}) {
        Buffer<half_bits> packed(blocks * bytes / 2);
        for (int i = 0; i < blocks * bytes / 2; i++) {
            // No infinities among what may be a scale: the exponent loses a bit.
            packed[i] = random_bits() & 0xbfff;
        }
        const int n = blocks * values / 8;
        Buffer<bf16> y(8 * n);
        launch((n + 255) / 256, 256, 0, kernel, y, packed, n);
        const Block block = (Block)(const half_bits*)packed;
        for (int i = 0; i < 8 * n; i++) {
            const float x = want(block + i / values * bytes, i % values);
            y_error.same(y[i] == emu::round_to_bf16(x));
        }
    }
    report(name, {y_error});
}

int main(int argc, char** argv) {
    emu::catch_stray_accesses();
    emu::chance.seed(argc > 1 ? atoi(argv[1]) : 1);
    test("unpack_f16", unpack_f16, 32, 64, f16);
    test("unpack_q4_0", unpack_q4_0, 32, 18, q4_0);
    test("unpack_q4_1", unpack_q4_1, 32, 20, q4_1);
    test("unpack_q5_0", unpack_q5_0, 32, 22, q5_0);
    test("unpack_q5_1", unpack_q5_1, 32, 24, q5_1);
    test("unpack_q8_0", unpack_q8_0, 32, 34, q8_0);
    test("unpack_q4_k", unpack_q4_k, 256, 144, q4_k);
    test("unpack_q5_k", unpack_q5_k, 256, 176, q5_k);
    test("unpack_q6_k", unpack_q6_k, 256, 210, q6_k);
    return failures > 0;
}
