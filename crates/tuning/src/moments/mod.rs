//! The two moments of AdamW, in f32 or in 8 bits.

mod map;
mod quantized;

use quantized::Kind;
pub(crate) use quantized::{BLOCK, Quantized};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Numbers that one task of the thread pool handles: whole blocks.
const TASK: usize = 64 * BLOCK;

/// Tensors below this many values stay f32, as in the paper: biases and norms
/// cost next to nothing and react most.
pub const SMALL: usize = 4096;

/// In what the optimizer's state is held between two steps. Updates are
/// computed in f32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptimizerState {
    /// As 32-bit numbers: 8 bytes a value for both moments.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// In 8 bits with a scale for each block, tensors of at least [`SMALL`]
    /// values: 2 bytes a value and 8 a block.
    #[serde(rename = "8-bit")]
    EightBit,
}

impl OptimizerState {
    /// Bytes of both moments of a tensor.
    #[must_use]
    pub fn bytes(self, values: usize) -> usize {
        match self {
            OptimizerState::EightBit if values >= SMALL => {
                2 * (values + size_of::<f32>() * values.div_ceil(BLOCK))
            }
            _ => 2 * size_of::<f32>() * values,
        }
    }
}

/// First and second moment of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Moments {
    F32 { mean: Vec<f32>, square: Vec<f32> },
    EightBit { mean: Quantized, square: Quantized },
}

impl Moments {
    /// Zeros for a tensor of so many values.
    pub(crate) fn zeros(values: usize, state: OptimizerState) -> Self {
        match state {
            OptimizerState::EightBit if values >= SMALL => Moments::EightBit {
                mean: Quantized::zeros(values),
                square: Quantized::zeros(values),
            },
            // Fresh from the system, so pages that are never written cost nothing.
            _ => Moments::F32 {
                mean: vec![0.0; values],
                square: vec![0.0; values],
            },
        }
    }

    /// As what they are held.
    pub(crate) fn state(&self) -> OptimizerState {
        match self {
            Moments::F32 { .. } => OptimizerState::F32,
            Moments::EightBit { .. } => OptimizerState::EightBit,
        }
    }

    /// Bytes of both.
    pub(crate) fn bytes(&self) -> usize {
        let of = |q: &Quantized| q.codes.len() + size_of_val(q.scales.as_slice());
        match self {
            Moments::F32 { mean, square } => {
                size_of_val(mean.as_slice()) + size_of_val(square.as_slice())
            }
            Moments::EightBit { mean, square } => of(mean) + of(square),
        }
    }

    /// Calls `update` with parts of the values, of the gradient and of both
    /// moments that belong together, in parallel. The parts are the same on any
    /// number of threads.
    pub(crate) fn update(
        &mut self,
        value: &mut [f32],
        gradient: &[f32],
        update: impl Fn(&mut [f32], &[f32], &mut [f32], &mut [f32]) + Sync,
    ) {
        let tensor = value.par_chunks_mut(TASK).zip(gradient.par_chunks(TASK));
        match self {
            Moments::F32 { mean, square } => {
                let moments = mean.par_chunks_mut(TASK).zip(square.par_chunks_mut(TASK));
                tensor
                    .zip(moments)
                    .for_each(|((value, gradient), (mean, square))| {
                        update(value, gradient, mean, square);
                    });
            }
            Moments::EightBit { mean, square } => {
                let parts = tensor.zip(mean.tasks()).zip(square.tasks());
                parts.for_each(|(((value, gradient), mean), square)| {
                    let tensor = value.chunks_mut(BLOCK).zip(gradient.chunks(BLOCK));
                    let blocks = tensor.zip(blocks(mean)).zip(blocks(square));
                    let (mut m, mut s) = ([0.0; BLOCK], [0.0; BLOCK]);
                    for (((value, gradient), mean), square) in blocks {
                        let (m, s) = (&mut m[..value.len()], &mut s[..value.len()]);
                        Kind::Signed.decode(mean.0, *mean.1, m);
                        Kind::Unsigned.decode(square.0, *square.1, s);
                        update(value, gradient, m, s);
                        *mean.1 = Kind::Signed.encode(m, mean.0);
                        *square.1 = Kind::Unsigned.encode(s, square.0);
                    }
                });
            }
        }
    }
}

/// Codes and scales of some blocks.
type Part<'a> = (&'a mut [u8], &'a mut [f32]);

impl Quantized {
    fn tasks(&mut self) -> impl IndexedParallelIterator<Item = Part<'_>> {
        let scales = self.scales.par_chunks_mut(TASK / BLOCK);
        self.codes.par_chunks_mut(TASK).zip(scales)
    }
}

/// One block after the other.
fn blocks<'a>((codes, scales): Part<'a>) -> impl Iterator<Item = (&'a mut [u8], &'a mut f32)> {
    codes.chunks_mut(BLOCK).zip(scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_take_a_quarter() {
        let full = Moments::zeros(49_152 * 576, OptimizerState::F32).bytes();
        let few = Moments::zeros(49_152 * 576, OptimizerState::EightBit).bytes();
        let share = few as f64 / full as f64;
        assert!((0.25..0.26).contains(&share), "{share}");
        for values in [1, SMALL - 1, SMALL, SMALL + 1, 100_000] {
            for state in [OptimizerState::F32, OptimizerState::EightBit] {
                assert_eq!(state.bytes(values), Moments::zeros(values, state).bytes());
            }
        }
    }

    #[test]
    fn every_value_meets_its_own_moments() {
        // More than one task, and a last block that isn't whole.
        let n = TASK + 3 * BLOCK + 5;
        let gradient: Vec<f32> = (0..n).map(|i| ((i * 7) % 13) as f32 - 6.0).collect();
        for state in [OptimizerState::F32, OptimizerState::EightBit] {
            let mut moments = Moments::zeros(n, state);
            let mut seen = vec![0.0; n];
            for _ in 0..2 {
                moments.update(&mut seen, &gradient, |value, gradient, mean, square| {
                    for (i, value) in value.iter_mut().enumerate() {
                        *value = mean[i] + square[i];
                        (mean[i], square[i]) = (gradient[i], gradient[i].powi(2));
                    }
                });
            }
            for (seen, g) in seen.iter().zip(&gradient) {
                let want = g + g * g;
                assert!(
                    (seen - want).abs() <= 0.03 * (g.abs() + g * g),
                    "{seen} {want}"
                );
            }
        }
    }
}
