//! The weights of a layer's experts: gated MLPs of which a router chooses a few
//! for each token (gpt-oss, OpenAI 2025, arXiv 2508.10925).

use super::linear::Linear;
use crate::files::PACKED_VALUES;
use std::borrow::Cow;

/// Weights of all experts of a layer as they come from their files.
#[derive(Clone, Debug)]
pub(crate) struct ExpertWeights {
    /// How many experts there are, and how many a token uses.
    pub(crate) count: usize,
    pub(crate) active: usize,
    /// Hidden size `d`, and width `f` of an expert.
    pub(crate) hidden: usize,
    pub(crate) width: usize,
    /// Factor inside the gate's sigmoid.
    pub(crate) alpha: f32,
    /// The gate is at most this, the up value at most this in size.
    pub(crate) limit: f32,
    /// `[count, 2f, d]`: even rows give the gate, odd rows the up value.
    pub(crate) gate_up: ExpertMatrices,
    /// `[count, 2f]`.
    pub(crate) gate_up_bias: Vec<f32>,
    /// `[count, d, f]`.
    pub(crate) down: ExpertMatrices,
    /// `[count, d]`.
    pub(crate) down_bias: Vec<f32>,
}

/// A matrix `[rows, columns]` of every expert, one behind the other.
#[derive(Clone, Debug)]
pub(crate) enum ExpertMatrices {
    /// Numbers, row-major.
    Values(Vec<f32>),
    /// Microscaling FP4 (Open Compute Project 2023): 32 values of a row share a
    /// scale `2^(s - 127)`; byte `j` of their 16 holds value `2j` in its low and
    /// value `2j + 1` in its high four bits.
    Mxfp4 {
        /// `[count, rows, columns / 32, 16]`.
        blocks: Vec<u8>,
        /// `[count, rows, columns / 32]`.
        scales: Vec<u8>,
    },
}

impl ExpertMatrices {
    /// Expert `index`'s matrix of `size` values, row-major.
    fn values(&self, index: usize, size: usize) -> Cow<'_, [f32]> {
        let all = index * size..(index + 1) * size;
        match self {
            ExpertMatrices::Values(values) => Cow::Borrowed(&values[all]),
            ExpertMatrices::Mxfp4 { blocks, scales } => {
                let mut values = vec![0.0; size];
                let groups = all.start / PACKED_VALUES..all.end / PACKED_VALUES;
                let bytes = blocks[all.start / 2..all.end / 2]
                    .as_chunks::<BLOCK_BYTES>()
                    .0;
                let to = values.as_chunks_mut::<PACKED_VALUES>().0;
                for ((to, bytes), &scale) in to.iter_mut().zip(bytes).zip(&scales[groups]) {
                    unpack(to, bytes, scale);
                }
                Cow::Owned(values)
            }
        }
    }
}

/// Bytes of the values that share a scale.
const BLOCK_BYTES: usize = PACKED_VALUES / 2;

/// What four bits mean: a sign, two bits of exponent and one of mantissa.
const E2M1: [f32; 16] = [
    0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0,
];

/// Values of one MXFP4 block.
fn unpack(values: &mut [f32; PACKED_VALUES], bytes: &[u8; BLOCK_BYTES], scale: u8) {
    // f64 holds 2^-127 and its products exactly; f32 rounds what it can't.
    let scale = 2f64.powi(i32::from(scale) - 127);
    let table = E2M1.map(|v| (f64::from(v) * scale) as f32);
    for (pair, byte) in values.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [table[usize::from(byte & 15)], table[usize::from(byte >> 4)]];
    }
}

/// A layer's experts on the CPU. Packed weights stay packed: an expert's are
/// unpacked while it works.
#[derive(Debug)]
pub(crate) struct Experts {
    weights: ExpertWeights,
}

impl Experts {
    pub(crate) fn new(weights: ExpertWeights) -> Self {
        Experts { weights }
    }

    /// How many experts there are, and how many a row uses.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.weights.count, self.weights.active)
    }

    /// Width `f` of an expert.
    pub(crate) fn width(&self) -> usize {
        self.weights.width
    }

    /// An expert's layer from the hidden rows to interleaved gate and up values.
    pub(crate) fn gate_up(&self, index: usize) -> Linear {
        let w = &self.weights;
        let bias = &w.gate_up_bias;
        Self::layer(&w.gate_up, bias, index, 2 * w.width, w.hidden)
    }

    /// An expert's layer back to the hidden size.
    pub(crate) fn down(&self, index: usize) -> Linear {
        let w = &self.weights;
        Self::layer(&w.down, &w.down_bias, index, w.hidden, w.width)
    }

    /// The bias of [`Experts::down`].
    pub(crate) fn down_bias(&self, index: usize) -> &[f32] {
        &self.weights.down_bias[index * self.weights.hidden..][..self.weights.hidden]
    }

    fn layer(
        matrices: &ExpertMatrices,
        bias: &[f32],
        index: usize,
        outputs: usize,
        inputs: usize,
    ) -> Linear {
        let weight = matrices.values(index, outputs * inputs);
        let bias = bias[index * outputs..(index + 1) * outputs].to_vec();
        Linear::new(&weight, Some(bias), outputs, inputs)
    }

    /// `(u + 1) g σ(α g)` of rows of interleaved gate and up values (`[n, 2f]`)
    /// after their limits, to `[n, f]`.
    pub(crate) fn activate(&self, activated: &mut [f32], gate_up: &[f32]) {
        for (a, pair) in activated.iter_mut().zip(gate_up.as_chunks::<2>().0) {
            let [gate, up] = self.limited(pair);
            *a = (up + 1.0) * gate * sigmoid(self.weights.alpha * gate);
        }
    }

    /// Gradient of [`Experts::activate`]'s input, given that of its output.
    pub(crate) fn activate_backward(&self, d: &mut [f32], gate_up: &[f32], da: &[f32]) {
        let (alpha, limit) = (self.weights.alpha, self.weights.limit);
        let rows = d.as_chunks_mut::<2>().0.iter_mut();
        for ((d, pair), da) in rows.zip(gate_up.as_chunks::<2>().0).zip(da) {
            let [gate, up] = self.limited(pair);
            let s = sigmoid(alpha * gate);
            // A value at its limit still moves, one beyond it doesn't.
            let moves = [pair[0] <= limit, pair[1].abs() <= limit].map(f32::from);
            d[0] = moves[0] * da * (up + 1.0) * s * (1.0 + alpha * gate * (1.0 - s));
            d[1] = moves[1] * da * gate * s;
        }
    }

    fn limited(&self, [gate, up]: &[f32; 2]) -> [f32; 2] {
        let limit = self.weights.limit;
        [gate.min(limit), up.clamp(-limit, limit)]
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Which experts a row uses and with which weights, the largest logit first: the
/// softmax over its `active` largest logits, of equal ones the first.
pub(crate) fn route(logits: &[f32], active: usize) -> Vec<(usize, f32)> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    order.truncate(active);
    let top = logits[order[0]];
    let exponentials: Vec<f32> = order.iter().map(|&e| (logits[e] - top).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    let weights = exponentials.iter().map(|e| e / sum);
    order.iter().copied().zip(weights).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    fn experts(limit: f32) -> Experts {
        Experts::new(ExpertWeights {
            count: 1,
            active: 1,
            hidden: 1,
            width: 1,
            alpha: 1.702,
            limit,
            gate_up: ExpertMatrices::Values(vec![0.0; 2]),
            gate_up_bias: vec![0.0; 2],
            down: ExpertMatrices::Values(vec![0.0]),
            down_bias: vec![0.0],
        })
    }

    #[test]
    fn the_activations_backward_is_the_derivative() {
        // Apart from the limit, where there is no derivative.
        let apart = |v: &f32| (v * 12.0).round() / 4.0 + 0.1;
        let gate_up: Vec<f32> = numbers(40, 1).iter().map(apart).collect();
        let da = numbers(20, 2);
        let experts = experts(1.5);
        let mut d = vec![f32::NAN; 40];
        experts.activate_backward(&mut d, &gate_up, &da);
        assert!(d.contains(&0.0), "some lie beyond the limit");
        assert_gradient(&gate_up, &d, |x| {
            let mut a = vec![0.0; 20];
            experts.activate(&mut a, x);
            dot(&a, &da)
        });
    }

    #[test]
    fn routing_takes_the_largest_and_of_equals_the_first() {
        let chosen = route(&[0.5, 2.0, -1.0, 2.0, 0.5], 3);
        assert_eq!(chosen.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 3, 0]);
        assert_eq!(chosen[0].1, chosen[1].1);
        assert!((chosen.iter().map(|c| c.1).sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((chosen[2].1 / chosen[0].1 - (-1.5f32).exp()).abs() < 1e-6);
    }

    #[test]
    fn blocks_unpack_to_scaled_four_bit_floats() {
        let bytes = std::array::from_fn(|j| (2 * j % 16 + (2 * j + 1) % 16 * 16) as u8);
        for (scale, factor) in [(127u8, 1.0f32), (129, 4.0), (120, 1.0 / 128.0)] {
            let mut values = [f32::NAN; 32];
            unpack(&mut values, &bytes, scale);
            for (i, v) in values.iter().enumerate() {
                assert_eq!(*v, E2M1[i % 16] * factor);
            }
        }
    }

    #[test]
    fn blocks_unpack_as_transformers_unpacks_them() {
        let bytes = include_bytes!("../../tests/fixtures/mxfp4.safetensors");
        let file = safetensors::SafeTensors::deserialize(bytes).expect("the fixture");
        let tensor = |name| file.tensor(name).expect(name);
        let matrices = ExpertMatrices::Mxfp4 {
            blocks: tensor("blocks").data().to_vec(),
            scales: tensor("scales").data().to_vec(),
        };
        let stored = tensor("values");
        let &[experts, columns, rows] = stored.shape() else {
            panic!("values of experts")
        };
        let size = columns * rows;
        let floats = stored.data().as_chunks::<4>().0;
        let wanted: Vec<f32> = floats.iter().map(|v| f32::from_le_bytes(*v)).collect();
        for expert in 0..experts {
            let values = matrices.values(expert, size);
            for (i, value) in values.iter().enumerate() {
                // Transformers has the inputs first.
                let (row, column) = (i / columns, i % columns);
                assert_eq!(*value, wanted[expert * size + column * rows + row]);
            }
        }
    }
}
