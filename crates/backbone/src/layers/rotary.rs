//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), in the
//! half-split layout of Hugging Face checkpoints: dimension `i` is paired with
//! `i + h/2` and the pair turns by `position · inverse_frequency_i`.
//!
//! Queries, keys and values leave their products token by token (`[T, heads·h]`)
//! and attention reads them head by head (`[heads][T][h]`), so the functions
//! here rotate and transpose in one pass over memory.

use rayon::prelude::*;

/// Cosine and sine of every (call row, pair): both `[T, h/2]`.
#[derive(Clone, Debug)]
pub struct Rotation {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotation {
    /// The rotation of tokens at `positions` for the inverse frequencies of a
    /// model's configuration (`[h/2]`, after any long-context scaling).
    #[must_use]
    pub fn new(positions: &[usize], inverse_frequencies: &[f32]) -> Self {
        let half = inverse_frequencies.len();
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for &position in positions {
            for &frequency in inverse_frequencies {
                // The angle is rounded to f32 as the reference implementation
                // does; its sine and cosine are then exact to f32.
                let angle = f64::from(position as f32 * frequency);
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        Rotation { cos, sin, half }
    }

    /// The rotation of some rows only.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let pick = |x: &[f32]| {
            rows.iter()
                .flat_map(|&r| &x[r * self.half..(r + 1) * self.half])
                .copied()
                .collect()
        };
        Rotation {
            cos: pick(&self.cos),
            sin: pick(&self.sin),
            half: self.half,
        }
    }

    /// Rotates row `row` of one head from `x` to `y` (both `[h]`).
    #[inline]
    fn turn(&self, y: &mut [f32], x: &[f32], row: usize) {
        let span = row * self.half..(row + 1) * self.half;
        let (y1, y2) = y.split_at_mut(self.half);
        let (x1, x2) = x.split_at(self.half);
        for i in 0..self.half {
            let (c, s) = (self.cos[span.start + i], self.sin[span.start + i]);
            y1[i] = x1[i] * c - x2[i] * s;
            y2[i] = x2[i] * c + x1[i] * s;
        }
    }

    /// The inverse rotation (the transpose), which the backward pass needs.
    #[inline]
    fn turn_back(&self, y: &mut [f32], x: &[f32], row: usize) {
        let span = row * self.half..(row + 1) * self.half;
        let (y1, y2) = y.split_at_mut(self.half);
        let (x1, x2) = x.split_at(self.half);
        for i in 0..self.half {
            let (c, s) = (self.cos[span.start + i], self.sin[span.start + i]);
            y1[i] = x1[i] * c + x2[i] * s;
            y2[i] = x2[i] * c - x1[i] * s;
        }
    }
}

/// Columns of one head within token-major rows.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Values in a token's row.
    pub stride: usize,
    /// First column of head 0.
    pub first: usize,
    /// Size of a head, `h`.
    pub head_dim: usize,
}

impl Columns {
    fn of(self, row: usize, head: usize) -> std::ops::Range<usize> {
        let start = row * self.stride + self.first + head * self.head_dim;
        start..start + self.head_dim
    }
}

/// Token-major `x` to head-major, rotated when `rotation` is given. Row `i`
/// of head `j` goes to row `destination(i)` of `heads[j]`.
pub fn split_heads(
    heads: &mut [Vec<f32>],
    x: &[f32],
    columns: Columns,
    rotation: Option<&Rotation>,
    destination: impl Fn(usize) -> usize + Sync,
) {
    let (rows, h) = (x.len() / columns.stride, columns.head_dim);
    heads.par_iter_mut().enumerate().for_each(|(head, y)| {
        for row in 0..rows {
            let at = destination(row) * h;
            let (y, x) = (&mut y[at..at + h], &x[columns.of(row, head)]);
            match rotation {
                Some(rotation) => rotation.turn(y, x, row),
                None => y.copy_from_slice(x),
            }
        }
    });
}

/// Head-major rows back to token-major `x` (all of its rows), with the inverse
/// rotation when `rotation` is given: the backward of [`split_heads`], and
/// with `None` also the way of attention's output to its projection.
pub fn join_heads(
    x: &mut [f32],
    heads: &[Vec<f32>],
    columns: Columns,
    rotation: Option<&Rotation>,
) {
    let h = columns.head_dim;
    x.par_chunks_mut(columns.stride)
        .enumerate()
        .for_each(|(row, x)| {
            for (head, y) in heads.iter().enumerate() {
                let (x, y) = (&mut x[columns.of(0, head)], &y[row * h..(row + 1) * h]);
                match rotation {
                    Some(rotation) => rotation.turn_back(x, y, row),
                    None => x.copy_from_slice(y),
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    #[test]
    fn backward_is_the_derivative_and_the_inverse() {
        let columns = Columns {
            stride: 14,
            first: 2,
            head_dim: 6,
        };
        let rotation = Rotation::new(&[0, 3, 11], &[1.0, 0.3, 0.01]);
        let x = numbers(3 * 14, 1);
        let dy: Vec<Vec<f32>> = (0..2).map(|h| numbers(18, 2 + h)).collect();
        let rotate = |x: &[f32]| {
            let mut heads = vec![vec![0.0; 18]; 2];
            split_heads(&mut heads, x, columns, Some(&rotation), |row| row);
            heads
        };
        let mut dx = vec![0.0; 3 * 14];
        join_heads(&mut dx, &dy, columns, Some(&rotation));
        assert_gradient(&x, &dx, |x| {
            rotate(x).iter().zip(&dy).map(|(y, dy)| dot(y, dy)).sum()
        });
        let mut back = x.clone();
        join_heads(&mut back, &rotate(&x), columns, Some(&rotation));
        for (a, b) in back.iter().zip(&x) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
