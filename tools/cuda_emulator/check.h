// Random inputs and the record of errors, for all tests. Include common.cuh first.
#pragma once
#include "emulator.h"
#include <string>

using emu::Buffer;
using emu::launch;

inline std::mt19937 random_bits(7);

inline double normal() {
    static std::normal_distribution<double> distribution;
    return distribution(random_bits);
}

inline double value(float x) { return x; }
inline double value(bf16 x) { return from_bf16_bits(x); }

inline Buffer<bf16> random_bf16(size_t count, double spread = 1) {
    Buffer<bf16> x(count);
    for (size_t i = 0; i < count; i++) x[i] = emu::round_to_bf16(float(spread * normal()));
    return x;
}

inline Buffer<float> random_f32(size_t count, double spread = 1) {
    Buffer<float> x(count);
    for (size_t i = 0; i < count; i++) x[i] = float(spread * normal());
    return x;
}

// The largest error of one output of a kernel.
struct Output {
    std::string name;
    double limit;  // 0: exact
    double largest = 0;

    void add(double error) { largest = std::max(largest, error == error ? error : INFINITY); }
    void same(bool equal) { add(equal ? 0 : INFINITY); }
    // In units of the last place of `want`, or of `floor` where that is larger:
    // a sum is not more exact than its largest terms.
    void near(double got, double want, double floor, int bits) {
        const double size = std::max(std::fabs(want), floor);
        const double unit = size > 0 ? std::ldexp(1.0, std::ilogb(size) - bits + 1) : 1e-300;
        add(std::fabs(got - want) / unit);
    }
    void near(bf16 got, double want, double floor = 1e-30) { near(value(got), want, floor, 8); }
    void near(float got, double want, double floor = 1e-30) { near(value(got), want, floor, 24); }
};

inline int failures = 0;

// The one line of a kernel.
inline void report(const std::string& kernel, const std::vector<Output>& outputs) {
    printf("%-40s", kernel.c_str());
    bool wrong = false;
    for (const Output& output : outputs) {
        if (output.limit > 0) {
            printf("  %s %.3g (<= %.3g)", output.name.c_str(), output.largest, output.limit);
        } else {
            printf("  %s %s", output.name.c_str(), output.largest == 0 ? "exact" : "differs");
        }
        wrong |= !(output.largest <= output.limit);
    }
    failures += wrong;
    printf("%s\n", wrong ? "  <-- WRONG" : "");
    fflush(stdout);
}
