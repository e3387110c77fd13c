//! The one function behind which every matrix product of the engine stands.
//!
//! All matrices are dense, row-major `f32`. Weights are stored once, as
//! Hugging Face stores them (`[out, in]`), and serve both directions: the
//! forward product multiplies by the transpose (a change of strides, not a
//! copy), the backward product by the matrix itself.

// The only reason for `unsafe` here is the signature of `gemm::gemm`, which
// takes pointers and strides. Every call is made of slices whose lengths were
// checked against those strides a few lines before.
#![allow(unsafe_code)]

use gemm::Parallelism;

/// What happens to the values that the output already holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// `out = a · b`; old values are not read.
    Replace,
    /// `out += a · b`.
    Accumulate,
}

/// Whether a product may use the thread pool (a product inside a parallel
/// region runs on its own thread).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Every thread of the current rayon pool.
    Pool,
    /// The calling thread only.
    One,
}

impl Threads {
    fn parallelism(self) -> Parallelism {
        match self {
            Threads::Pool => Parallelism::Rayon(0),
            Threads::One => Parallelism::None,
        }
    }
}

/// Threads of the current pool.
#[must_use]
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// A row-major view of `rows × cols` values whose rows start `stride` apart.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
    transposed: bool,
}

impl<'a> View<'a> {
    /// A dense `rows × cols` matrix at the start of `data`.
    #[must_use]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A matrix whose rows start `stride` values apart.
    #[must_use]
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let needed = if rows == 0 {
            0
        } else {
            (rows - 1) * stride + cols
        };
        View {
            data: &data[..needed],
            rows,
            cols,
            stride,
            transposed: false,
        }
    }

    /// The same values read as the transposed matrix.
    #[must_use]
    pub fn transpose(self) -> Self {
        View {
            transposed: !self.transposed,
            ..self
        }
    }

    fn shape(&self) -> (usize, usize) {
        if self.transposed {
            (self.cols, self.rows)
        } else {
            (self.rows, self.cols)
        }
    }

    #[cfg(test)]
    fn at(&self, row: usize, col: usize) -> f32 {
        let (row, col) = if self.transposed {
            (col, row)
        } else {
            (row, col)
        };
        self.data[row * self.stride + col]
    }

    /// Strides between columns and between rows.
    fn strides(&self) -> (isize, isize) {
        let stride = self.stride.cast_signed();
        if self.transposed {
            (stride, 1)
        } else {
            (1, stride)
        }
    }
}

/// `out (+)= scale · a · b` for a dense row-major `out` of `a.rows × b.cols`
/// whose rows start `out_stride` apart.
///
/// # Panics
/// When the shapes don't fit each other (a defect of the caller, never of
/// input: shapes come from the configuration, which is checked on loading).
pub fn matmul_strided(
    out: &mut [f32],
    out_stride: usize,
    write: Write,
    a: View<'_>,
    b: View<'_>,
    scale: f32,
    threads: Threads,
) {
    let ((m, k), (k2, n)) = (a.shape(), b.shape());
    assert_eq!(k, k2, "inner sizes of a matrix product differ");
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        out_stride >= n && out.len() >= (m - 1) * out_stride + n,
        "output of a matrix product"
    );
    let (a_cols, a_rows) = a.strides();
    let (b_cols, b_rows) = b.strides();
    // SAFETY: `View` cuts its slice to exactly the elements that its shape and
    // stride address, and the assertion above does so for `out`, which is
    // borrowed mutably and so overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride.cast_signed(),
            write == Write::Accumulate,
            a.data.as_ptr(),
            a_cols,
            a_rows,
            b.data.as_ptr(),
            b_cols,
            b_rows,
            1.0,
            scale,
            false,
            false,
            false,
            threads.parallelism(),
        );
    }
}

/// [`matmul_strided`] for a dense `out` and scale 1.
pub fn matmul(out: &mut [f32], write: Write, a: View<'_>, b: View<'_>, threads: Threads) {
    let n = b.shape().1;
    matmul_strided(out, n, write, a, b, 1.0, threads);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::numbers;

    /// Every combination of transposition, strides, accumulation and threads,
    /// over sizes on both sides of each implementation's limits, against the
    /// definition in f64; what lies between and after the rows must survive.
    #[test]
    fn products_agree_with_the_definition_and_write_nothing_else() {
        const CANARY: f32 = 1234.5;
        const SIZES: [usize; 8] = [1, 2, 3, 7, 16, 33, 64, 130];
        for case in 0..SIZES.len().pow(3) {
            let size = |i: u32| SIZES[case / SIZES.len().pow(i) % SIZES.len()];
            let (m, n, k) = (size(0), size(1), size(2));
            let (ta, tb, pad) = (case % 2 == 0, case % 3 == 0, case % 5);
            let write = if case % 7 < 3 {
                Write::Replace
            } else {
                Write::Accumulate
            };
            let threads = if case % 11 < 5 {
                Threads::Pool
            } else {
                Threads::One
            };
            let (ra, ca) = if ta { (k, m) } else { (m, k) };
            let (rb, cb) = if tb { (n, k) } else { (k, n) };
            let (a, b) = (numbers(ra * (ca + pad), 1), numbers(rb * (cb + pad), 2));
            let mut va = View::strided(&a, ra, ca, ca + pad);
            let mut vb = View::strided(&b, rb, cb, cb + pad);
            if ta {
                va = va.transpose();
            }
            if tb {
                vb = vb.transpose();
            }
            let stride = n + pad;
            let mut out = vec![CANARY; m * stride + 64];
            (0..m).for_each(|i| out[i * stride..i * stride + n].fill(0.5));
            matmul_strided(&mut out, stride, write, va, vb, 2.0, threads);
            for (at, &got) in out.iter().enumerate() {
                let (i, j) = (at / stride, at % stride);
                if i >= m || j >= n {
                    assert_eq!(got, CANARY, "{m}×{n}×{k}: wrote outside at {i}, {j}");
                    continue;
                }
                let sum: f64 = (0..k)
                    .map(|l| f64::from(va.at(i, l)) * f64::from(vb.at(l, j)))
                    .sum();
                let want = 2.0 * sum + if write == Write::Accumulate { 0.5 } else { 0.0 };
                assert!(
                    (f64::from(got) - want).abs() < 1e-4,
                    "{m}×{n}×{k} ta {ta} tb {tb} {write:?} {threads:?} at {i}, {j}: {got}, not {want}"
                );
            }
        }
    }
}
