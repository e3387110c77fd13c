//! Tiles for x86: AVX-512 (32 registers of 16 values) and AVX2 with FMA
//! (16 registers of 8).
//!
//! Sizes of tiles by measurement (docs/LOG.md): on Zen 4, 9 × 48 reaches 97% of
//! the processor's peak and 14 × 32 95%; 6 × 16 is the usual tile of AVX2, 90%.

use super::kernel::{Kernel, Operands, Tile, UNIT, tiles};
use std::arch::x86_64::{
    __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

pub(super) static AVX512: Kernel = Kernel {
    name: "AVX-512",
    units: 3,
    tiles: &[
        tiles!(avx512, 1, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]),
        tiles!(avx512, 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]),
        tiles!(avx512, 3, [1 2 3 4 5 6 7 8 9]),
    ],
};

pub(super) static AVX2: Kernel = Kernel {
    name: "AVX2",
    units: 1,
    tiles: &[tiles!(avx2, 1, [1 2 3 4 5 6])],
};

#[target_feature(enable = "avx512f")]
unsafe fn avx512<const ROWS: usize, const UNITS: usize>(o: Operands) {
    // SAFETY: the caller vouches for every address (see [`Tile`]).
    unsafe {
        let mut sums: [[__m512; UNITS]; ROWS] = [[_mm512_setzero_ps(); UNITS]; ROWS];
        let (mut a, mut b) = (o.a, o.b);
        for _ in 0..o.depth {
            let mut right = [_mm512_setzero_ps(); UNITS];
            for (unit, right) in right.iter_mut().enumerate() {
                *right = _mm512_loadu_ps(b.wrapping_add(unit * o.b_unit));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let left = _mm512_set1_ps(*a.wrapping_add(row * o.a_row));
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = _mm512_fmadd_ps(left, right, *sum);
                }
            }
            a = a.wrapping_add(o.a_depth);
            b = b.wrapping_add(o.b_depth);
        }
        for (row, sums) in sums.iter().enumerate() {
            for (unit, &sum) in sums.iter().enumerate() {
                let out = o.out.wrapping_add(row * o.out_row + unit * UNIT);
                let sum = if o.accumulate {
                    _mm512_add_ps(_mm512_loadu_ps(out), sum)
                } else {
                    sum
                };
                _mm512_storeu_ps(out, sum);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const ROWS: usize, const UNITS: usize>(o: Operands) {
    const {
        assert!(UNITS == 1, "a unit is two AVX registers");
    }
    // SAFETY: the caller vouches for every address (see [`Tile`]).
    unsafe {
        let mut sums: [[__m256; 2]; ROWS] = [[_mm256_setzero_ps(); 2]; ROWS];
        let (mut a, mut b) = (o.a, o.b);
        for _ in 0..o.depth {
            let right = [_mm256_loadu_ps(b), _mm256_loadu_ps(b.wrapping_add(8))];
            for (row, sums) in sums.iter_mut().enumerate() {
                let left = _mm256_set1_ps(*a.wrapping_add(row * o.a_row));
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = _mm256_fmadd_ps(left, right, *sum);
                }
            }
            a = a.wrapping_add(o.a_depth);
            b = b.wrapping_add(o.b_depth);
        }
        for (row, sums) in sums.iter().enumerate() {
            for (half, &sum) in sums.iter().enumerate() {
                let out = o.out.wrapping_add(row * o.out_row + 8 * half);
                let sum = if o.accumulate {
                    _mm256_add_ps(_mm256_loadu_ps(out), sum)
                } else {
                    sum
                };
                _mm256_storeu_ps(out, sum);
            }
        }
    }
}
