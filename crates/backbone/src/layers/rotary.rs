//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), in the
//! half-split layout of Hugging Face checkpoints: dimension `i` is paired with
//! `i + h/2` and the pair turns by `position · inverse_frequency_i`.
//!
//! Only queries and keys turn; values stay as they are.

use super::vector::vectorized;

/// What turns by how much, from a model's configuration.
#[derive(Clone, Debug)]
pub struct Frequencies {
    /// How far each pair of a head turns per position, after any long-context
    /// scaling, `[h/2]`.
    pub inverse: Vec<f32>,
    /// What cosines and sines are multiplied by: one, except with YaRN.
    pub magnitude: f32,
}

impl Frequencies {
    /// No turn at all, for heads of size `h` that don't know positions.
    #[must_use]
    pub fn still(h: usize) -> Self {
        Frequencies {
            inverse: vec![0.0; h / 2],
            magnitude: 1.0,
        }
    }
}

/// Cosine and sine of every (call row, pair): both `[T, h/2]`.
#[derive(Clone, Debug)]
pub struct Rotation {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotation {
    /// The rotation of tokens at `positions`.
    #[must_use]
    pub fn new(positions: &[usize], frequencies: &Frequencies) -> Self {
        let half = frequencies.inverse.len();
        let magnitude = frequencies.magnitude;
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for &position in positions {
            for &frequency in &frequencies.inverse {
                // The angle is rounded to f32 as the reference implementation
                // does; its sine and cosine are then exact to f32.
                let angle = f64::from(position as f32 * frequency);
                cos.push(angle.cos() as f32 * magnitude);
                sin.push(angle.sin() as f32 * magnitude);
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

    /// Rotates row `row` of one head (`[h]`) where it lies.
    pub(crate) fn turn(&self, x: &mut [f32], row: usize) {
        let span = row * self.half..(row + 1) * self.half;
        turn(x, &self.cos[span.clone()], &self.sin[span]);
    }

    /// The inverse rotation (the transpose), which the backward pass needs.
    pub(crate) fn turn_back(&self, x: &mut [f32], row: usize) {
        let span = row * self.half..(row + 1) * self.half;
        turn_back(x, &self.cos[span.clone()], &self.sin[span]);
    }
}

vectorized! {
    fn turn(x: &mut [f32], cos: &[f32], sin: &[f32]) {
        let (x1, x2) = x.split_at_mut(cos.len());
        for (((x1, x2), c), s) in x1.iter_mut().zip(x2).zip(cos).zip(sin) {
            (*x1, *x2) = (*x1 * c - *x2 * s, *x2 * c + *x1 * s);
        }
    }
}

vectorized! {
    fn turn_back(x: &mut [f32], cos: &[f32], sin: &[f32]) {
        let (x1, x2) = x.split_at_mut(cos.len());
        for (((x1, x2), c), s) in x1.iter_mut().zip(x2).zip(cos).zip(sin) {
            (*x1, *x2) = (*x1 * c + *x2 * s, *x2 * c - *x1 * s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    #[test]
    fn backward_is_the_derivative_and_the_inverse() {
        let inverse = vec![1.0, 0.3, 0.01];
        let frequencies = Frequencies {
            inverse,
            magnitude: 1.0,
        };
        let rotation = Rotation::new(&[0, 3, 11], &frequencies);
        let (x, dy) = (numbers(3 * 6, 1), numbers(3 * 6, 2));
        let each = |x: &[f32], turn: &dyn Fn(&mut [f32], usize)| -> Vec<f32> {
            let mut y = x.to_vec();
            y.chunks_exact_mut(6)
                .enumerate()
                .for_each(|(row, y)| turn(y, row));
            y
        };
        let turned = |x: &[f32]| each(x, &|x, row| rotation.turn(x, row));
        let back = |x: &[f32]| each(x, &|x, row| rotation.turn_back(x, row));
        assert_gradient(&x, &back(&dy), |x| dot(&turned(x), &dy));
        for (a, b) in back(&turned(&x)).iter().zip(&x) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
