// Twins of the PTX wrappers in ptx.cuh: copies to shared memory in the
// background, ldmatrix, tensor-core products, and the fast power of two.
#pragma once
#include "emulator.h"

inline unsigned shared_address(const void* pointer) {
    const ptrdiff_t address = (const unsigned char*)pointer - shared;
    if (address < 0 || address > emu::shared_bytes) emu::fail("not an address in shared memory");
    return (unsigned)address;
}

// --- Copies in the background -------------------------------------------------
//
// A copy happens at once or when its thread waits for it, as chance has it:
// reading too early and overwriting too early both show.

namespace emu {

inline void perform(const Copy& copy) {
    if (copy.from) {
        memcpy(copy.to, copy.from, copy.bytes);
    } else {
        memset(copy.to, 0, copy.bytes);
    }
}

inline void start_copy(void* to, const void* from, bool valid, int bytes) {
    if (shared_address(to) % bytes || (uintptr_t)from % bytes) fail("a misaligned copy");
    if ((int)shared_address(to) + bytes > shared_bytes) fail("a copy behind the shared memory");
    const Copy copy = {to, valid ? from : nullptr, bytes, lanes[now].closed_groups};
    if (chance() % 3 == 0) {
        perform(copy);
    } else {
        lanes[now].copies.push_back(copy);
    }
}

// Performs this thread's copies of the groups before `end`.
inline void finish_copies(int end) {
    std::vector<Copy> later;
    for (const Copy& copy : lanes[now].copies) {
        if (copy.group < end) {
            perform(copy);
        } else {
            later.push_back(copy);
        }
    }
    lanes[now].copies.swap(later);
}

}  // namespace emu

inline void copy_16(void* to, const void* from, bool valid) {
    emu::start_copy(to, from, valid, 16);
}
inline void copy_4(void* to, const void* from, bool valid) {
    emu::start_copy(to, from, valid, 4);
}
inline void close_copy_group() { emu::lanes[emu::now].closed_groups++; }
inline void wait_for_copies() { emu::finish_copies(emu::lanes[emu::now].closed_groups + 1); }

template <int N> inline void wait_for_copy_groups() {
    emu::finish_copies(emu::lanes[emu::now].closed_groups - N);
}

// --- Matrices -----------------------------------------------------------------

namespace emu {

template <bool TRANSPOSED> inline void load_four(Lane* warp) {
    for (int i = 0; i < 32; i++) {
        const unsigned address = warp[i].in[0];
        if (address % 16) fail("a misaligned row for ldmatrix");
        if ((int)address + 16 > shared_bytes) fail("ldmatrix behind the shared memory");
    }
    for (int matrix = 0; matrix < 4; matrix++) {
        const auto element = [&](int row, int column) {
            unsigned short value;
            memcpy(&value, shared + warp[8 * matrix + row].in[0] + 2 * column, 2);
            return (unsigned)value;
        };
        for (int i = 0; i < 32; i++) {
            const int row = i / 4, column = i % 4 * 2;
            warp[i].out[matrix] = TRANSPOSED
                                      ? element(column, row) | element(column + 1, row) << 16
                                      : element(row, column) | element(row, column + 1) << 16;
        }
    }
}

// One rounding per product and addition, in ascending order; a GPU's order and
// its rounding differ.
inline void add_product(Lane* warp) {
    float a[16][16], b[16][8];
    for (int i = 0; i < 32; i++) {
        const int row = i / 4, column = i % 4 * 2;
        for (int j = 0; j < 6; j++) {
            for (int e = 0; e < 2; e++) {
                const unsigned word = warp[i].in[j];
                const float value = __uint_as_float(e ? word & 0xffff0000u : word << 16);
                if (j < 4) {
                    a[row + j % 2 * 8][column + j / 2 * 8 + e] = value;
                } else {
                    b[column + (j - 4) * 8 + e][row] = value;
                }
            }
        }
    }
    for (int i = 0; i < 32; i++) {
        for (int j = 0; j < 4; j++) {
            const int row = i / 4 + j / 2 * 8, column = i % 4 * 2 + j % 2;
            float sum = 0.0f;
            for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
            warp[i].sum[j] += sum;
        }
    }
}

template <bool TRANSPOSED> inline void load_matrices(unsigned (&x)[4], unsigned address) {
    Lane& own = lanes[now];
    own.in[0] = address;
    meet(load_four<TRANSPOSED>);
    memcpy(x, own.out, sizeof x);
}

}  // namespace emu

inline void load_matrices(unsigned (&x)[4], unsigned address) {
    emu::load_matrices<false>(x, address);
}
inline void load_matrices_transposed(unsigned (&x)[4], unsigned address) {
    emu::load_matrices<true>(x, address);
}

inline void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    emu::Lane& own = emu::lanes[emu::now];
    memcpy(own.in, a, sizeof a);
    own.in[4] = b0;
    own.in[5] = b1;
    memcpy(own.sum, c, sizeof c);
    emu::meet(emu::add_product);
    memcpy(c, own.sum, sizeof c);
}

// Subnormal results are zero, as with .ftz.
inline float power_of_two(float x) {
    const float y = std::exp2(x);
    return y < 0x1p-126f ? 0.0f : y;
}
