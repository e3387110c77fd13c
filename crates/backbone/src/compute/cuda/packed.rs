//! Linear layers whose weights stay packed on the device.
//!
//! A product unpacks the whole weight to bf16 in memory that all layers share,
//! just before cuBLASLt reads it. One stream does everything in order, so the next
//! layer's weight can't overwrite this one's too early.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::tensor::{Linear, Weight};
use crate::compute::Computed;
use crate::files::{Packed, PackedKind};
use std::sync::{Mutex, PoisonError};

/// A packed matrix on the device, its rows in their order.
pub(crate) struct Part {
    kind: PackedKind,
    blocks: Buffer<u8>,
    values: usize,
}

/// Memory for the one weight that is unpacked: as large as the largest of all.
pub(super) type Unpacked = Mutex<Option<Buffer<u16>>>;

impl Cuda {
    /// A layer of packed matrices, one below the other.
    pub(super) fn upload_packed(
        &self,
        parts: &[Packed],
        bias: Option<Vec<f32>>,
    ) -> Computed<Linear> {
        let inputs = parts[0].columns();
        let outputs = parts.iter().map(Packed::rows).sum();
        let upload = |part: &Packed| -> Computed<Part> {
            let mut bytes = Vec::with_capacity(part.kind().bytes_of(part.rows() * inputs));
            (0..part.rows()).for_each(|row| bytes.extend_from_slice(part.row(row)));
            Ok(Part {
                kind: part.kind(),
                blocks: self.device.upload(&bytes)?,
                values: part.rows() * inputs,
            })
        };
        let parts = parts.iter().map(upload).collect::<Computed<Vec<_>>>()?;
        let mut room = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if room
            .as_ref()
            .is_none_or(|room| room.len() < outputs * inputs)
        {
            *room = None;
            *room = Some(self.device.alloc(outputs * inputs)?);
        }
        Ok(Linear {
            weight: Weight::Packed(parts),
            bias: bias.map(|bias| self.device.upload(&bias)).transpose()?,
            outputs,
            inputs,
        })
    }

    /// Gives `work` the address of a layer's weight in bf16. What it launches must
    /// be all that reads it.
    pub(super) fn with_weight<T>(
        &self,
        layer: &Linear,
        work: impl FnOnce(u64) -> Computed<T>,
    ) -> Computed<T> {
        let parts = match &layer.weight {
            Weight::Half(weight) => return work(weight.address()),
            Weight::Packed(parts) => parts,
        };
        // Held until the work is on the stream: nobody else's weight comes between.
        let room = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let room = room.as_ref().expect("room was made for every layer");
        let mut at = room.address();
        for part in parts {
            self.unpack(at, part)?;
            at += (size_of::<u16>() * part.values) as u64;
        }
        work(room.address())
    }

    fn unpack(&self, to: u64, part: &Part) -> Computed<()> {
        let kernel = match part.kind {
            PackedKind::Bf16 => {
                let bytes = size_of::<u16>() * part.values;
                return self.device.copy(to, part.blocks.address(), bytes);
            }
            PackedKind::F16 => "unpack_f16",
            PackedKind::Q4_0 => "unpack_q4_0",
            PackedKind::Q4_1 => "unpack_q4_1",
            PackedKind::Q5_0 => "unpack_q5_0",
            PackedKind::Q5_1 => "unpack_q5_1",
            PackedKind::Q8_0 => "unpack_q8_0",
            PackedKind::Q4K => "unpack_q4_k",
            PackedKind::Q5K => "unpack_q5_k",
            PackedKind::Q6K => "unpack_q6_k",
        };
        let n = part.values / 8;
        let args = [Arg::Address(to), (&part.blocks).into(), n.into()];
        let bytes = part.blocks.len() + size_of::<u16>() * part.values;
        let grid = Grid::new(n.div_ceil(256), 256).moving(bytes);
        self.device.launch(kernel, grid, &args)
    }
}
