//! Loops over `f32` slices, written so that the compiler vectorizes them.
//!
//! [`vectorized`] compiles a function once per instruction set and picks one
//! when it runs, so a portable build uses AVX2 or AVX-512 where it finds them.
//! Sums run in [`LANES`] independent partial sums: the order of additions is
//! the same on every machine.

use std::sync::OnceLock;

/// Partial sums kept by a reduction.
const LANES: usize = 16;

/// Elements below which a loop is not worth a parallel task.
pub(crate) const PARALLEL_ELEMENTS: usize = 1 << 14;

/// Rows per parallel task for rows of `width` values.
pub(crate) fn rows_per_task(width: usize) -> usize {
    (PARALLEL_ELEMENTS / width.max(1)).max(1)
}

/// Instruction sets that [`vectorized`] functions are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// The best one of this processor.
#[inline]
pub(crate) fn vectors() -> Vectors {
    static BEST: OnceLock<Vectors> = OnceLock::new();
    *BEST.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return Vectors::Avx512;
            }
            if avx2 {
                return Vectors::Avx2;
            }
        }
        Vectors::Portable
    })
}

/// Compiles a function for every instruction set of [`Vectors`]. What it calls
/// in its loops must be `#[inline(always)]`.
macro_rules! vectorized {
    ($(#[$meta:meta])* $visible:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments, reason = "see the calls")]
        $visible fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
                fn avx512($($argument: $type),*) $(-> $result)? { portable($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? { portable($($argument),*) }
                match crate::layers::vector::vectors() {
                    // SAFETY: the processor was asked.
                    crate::layers::vector::Vectors::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    crate::layers::vector::Vectors::Avx2 => return unsafe { avx2($($argument),*) },
                    crate::layers::vector::Vectors::Portable => {}
                }
            }
            portable($($argument),*)
        }
    };
}
pub(crate) use vectorized;

/// `e^x` to about 2e-7 relative error; inputs are clamped to the range whose
/// result is a normal number (Cody–Waite reduction and a degree-6 polynomial
/// with the coefficients of the Cephes library's `expf`). Multiplications are
/// fused with additions: an instruction of every processor since 2013.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let x = x.clamp(-87.3, 88.3);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r + 1.0);
    let exponent = shifted.to_bits().wrapping_sub(MAGIC.to_bits());
    y * f32::from_bits(exponent.wrapping_add(127) << 23)
}

/// `Σ f(x_i)`.
#[inline(always)]
pub(crate) fn sum_map(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let mut tail = 0.0;
    for &v in chunks.remainder() {
        tail += f(v);
    }
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v);
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// `Σ a_i b_i`.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = ca
        .remainder()
        .iter()
        .zip(cb.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in ca.zip(cb) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// `Σ a_i b_i c_i`.
#[inline(always)]
pub(crate) fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut tail = 0.0;
    let (ca, cb, cc) = (
        a.chunks_exact(LANES),
        b.chunks_exact(LANES),
        c.chunks_exact(LANES),
    );
    let rest = ca.remainder().iter().zip(cb.remainder());
    for ((x, y), z) in rest.zip(cc.remainder()) {
        tail += x * y * z;
    }
    for ((x, y), z) in ca.zip(cb).zip(cc) {
        for (((lane, &x), &y), &z) in lanes.iter_mut().zip(x).zip(y).zip(z) {
            *lane += x * y * z;
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// Largest value (negative infinity for an empty slice).
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail = chunks
        .remainder()
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes.iter().copied().fold(tail, f32::max)
}

vectorized! {
    /// `x *= factor`.
    pub(crate) fn scale_by(x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|x| *x *= factor);
    }
}

vectorized! {
    /// `y += factor x`.
    pub(crate) fn add_scaled(y: &mut [f32], x: &[f32], factor: f32) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += factor * x;
        }
    }
}

vectorized! {
    /// `y += x`.
    pub(crate) fn add(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        let mut worst = 0.0f64;
        for i in -870..=880 {
            let x = i as f32 * 0.1;
            let want = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - want).abs() / want);
        }
        assert!(worst < 3e-7, "largest relative error {worst}");
    }

    #[test]
    fn reductions_cover_the_remainder() {
        let x: Vec<f32> = (0..37).map(|i| i as f32 - 40.0).collect();
        assert_eq!(sum_map(&x, |v| v), x.iter().sum::<f32>());
        assert_eq!(max(&x), -4.0);
        assert_eq!(dot(&x, &x), x.iter().map(|v| v * v).sum::<f32>());
    }
}
