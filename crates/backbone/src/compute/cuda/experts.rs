//! The weights of a mixture of experts on the GPU. Packed ones stay packed.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer};
use super::device::Device;
use super::tensor::{Linear, Weight, halves};
use crate::compute::Computed;
use crate::files::PACKED_VALUES;
use crate::layers::experts::{ExpertMatrices, ExpertWeights};

/// Most experts that the kernels sort rows by, and most that a row may use.
const MOST_EXPERTS: usize = 256;
const MOST_ACTIVE: usize = 32;

/// First block scale whose largest values bf16 does not hold.
const TOO_LARGE: u8 = 253;

/// See [`crate::compute::Backend::Experts`].
pub(crate) struct Experts {
    pub(super) count: usize,
    pub(super) active: usize,
    pub(super) hidden: usize,
    pub(super) width: usize,
    pub(super) alpha: f32,
    pub(super) limit: f32,
    /// `[count, 2f, d]`.
    pub(super) gate_up: Matrices,
    /// `[count, d, f]`.
    pub(super) down: Matrices,
    /// The bias of `down` as a layer without one: its product with a row's
    /// gradient is the bias's part in the gradient of the row's weights.
    pub(super) down_bias_rows: Linear,
}

/// A matrix `[rows, columns]` of every expert, and a bias for its rows.
pub(super) struct Matrices {
    pub(super) rows: usize,
    pub(super) columns: usize,
    stored: Stored,
    /// `[count, rows]`.
    pub(super) bias: Buffer<f32>,
}

enum Stored {
    /// bf16.
    Half(Buffer<u16>),
    Mxfp4 {
        blocks: Buffer<u8>,
        scales: Buffer<u8>,
    },
}

impl Matrices {
    fn new(
        device: &Device,
        matrices: &ExpertMatrices,
        bias: &[f32],
        [count, rows, columns]: [usize; 3],
    ) -> Computed<Self> {
        let size = count * rows * columns;
        let stored = match matrices {
            ExpertMatrices::Values(values) => {
                assert_eq!(values.len(), size, "a value for every weight");
                Stored::Half(device.upload(&halves(values))?)
            }
            ExpertMatrices::Mxfp4 { blocks, scales } => {
                assert_eq!(blocks.len(), size / 2, "a byte for every two weights");
                assert_eq!(scales.len(), size / PACKED_VALUES, "a scale for each block");
                if let Some(scale) = scales.iter().find(|&&scale| scale >= TOO_LARGE) {
                    let problem = format!(
                        "a block of the experts' weights has the scale 2^{}, with which bf16 overflows; the checkpoint seems to be damaged",
                        i32::from(*scale) - 127
                    );
                    return Err(device.error("preparing for this backbone", &problem));
                }
                Stored::Mxfp4 {
                    blocks: device.upload(blocks)?,
                    scales: device.upload(scales)?,
                }
            }
        };
        Ok(Matrices {
            rows,
            columns,
            stored,
            bias: device.upload(bias)?,
        })
    }

    pub(super) fn packed(&self) -> bool {
        matches!(self.stored, Stored::Mxfp4 { .. })
    }

    /// Values (or blocks) and scales.
    pub(super) fn args(&self) -> [Arg; 2] {
        match &self.stored {
            Stored::Half(values) => [values.into(), Arg::Address(0)],
            Stored::Mxfp4 { blocks, scales } => [blocks.into(), scales.into()],
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match &self.stored {
            Stored::Half(values) => 2 * values.len(),
            Stored::Mxfp4 { blocks, scales } => blocks.len() + scales.len(),
        }
    }
}

impl Cuda {
    /// See [`crate::compute::Backend::experts`].
    pub(crate) fn upload_experts(&self, weights: &ExpertWeights) -> Computed<Experts> {
        let &ExpertWeights {
            count,
            active,
            hidden,
            width,
            ..
        } = weights;
        let problem = if !hidden.is_multiple_of(32) || !width.is_multiple_of(32) {
            format!("the experts' sizes {hidden} and {width} are not multiples of 32")
        } else if !count.is_multiple_of(8) || count > MOST_EXPERTS {
            format!("{count} experts are not a multiple of 8 up to {MOST_EXPERTS}")
        } else if active > MOST_ACTIVE {
            format!("{active} experts for each token are above {MOST_ACTIVE}")
        } else {
            String::new()
        };
        if !problem.is_empty() {
            let problem = format!("{problem}, which its kernels need; use --device cpu");
            return Err(self.device.error("preparing for this backbone", &problem));
        }
        let device = &self.device;
        let (gate_up, gate_up_bias) = (&weights.gate_up, &weights.gate_up_bias);
        let (down, down_bias) = (&weights.down, &weights.down_bias);
        let experts = Experts {
            count,
            active,
            hidden,
            width,
            alpha: weights.alpha,
            limit: weights.limit,
            gate_up: Matrices::new(device, gate_up, gate_up_bias, [count, 2 * width, hidden])?,
            down: Matrices::new(device, down, down_bias, [count, hidden, width])?,
            down_bias_rows: Linear {
                weight: Weight::Half(device.upload(&halves(down_bias))?),
                bias: None,
                outputs: count,
                inputs: hidden,
            },
        };
        self.expert_kernels(experts.gate_up.packed())?;
        self.expert_kernels(experts.down.packed())?;
        Ok(experts)
    }
}
