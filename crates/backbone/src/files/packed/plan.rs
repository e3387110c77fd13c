//! What weights take when those that can stay packed do.

use super::PackedKind;
use crate::files::{Config, TensorSource};

/// The weights of a configuration, by how they are held with
/// [`super::Weights::Packed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedWeights {
    /// Bytes of the matrices that stay packed.
    pub packed_bytes: u64,
    /// Their kinds, each once.
    pub kinds: Vec<PackedKind>,
    /// Bytes of experts that the files have packed, whatever is chosen.
    pub expert_bytes: u64,
    /// Values of all else.
    pub unpacked_values: u64,
    /// Values of the largest layer: a GPU unpacks one layer at a time.
    pub largest_layer: u64,
}

impl PackedWeights {
    /// Of a configuration's tensors as a source has them.
    #[must_use]
    pub fn in_source(config: &Config, source: &dyn TensorSource) -> Self {
        let kind = |name: &str| PackedKind::of_name(&source.info(name)?.dtype);
        Self::of(config, kind)
    }

    /// Of a configuration whose matrices are all of one kind, where their rows are
    /// whole blocks.
    #[must_use]
    pub fn of_kind(config: &Config, kind: PackedKind) -> Self {
        Self::of(config, |_| Some(kind))
    }

    fn of(config: &Config, kind: impl Fn(&str) -> Option<PackedKind>) -> Self {
        let mut weights = PackedWeights {
            packed_bytes: 0,
            kinds: Vec::new(),
            expert_bytes: 0,
            unpacked_values: 0,
            largest_layer: 0,
        };
        for (name, shape) in config.tensors() {
            let values: usize = shape.iter().product();
            if name.ends_with("_blocks") || name.ends_with("_scales") {
                weights.expert_bytes += values as u64;
                continue;
            }
            let whole_blocks =
                |kind: &PackedKind| shape[shape.len() - 1].is_multiple_of(kind.block());
            match kind(&name)
                .filter(whole_blocks)
                .filter(|_| shape.len() == 2)
            {
                None => weights.unpacked_values += values as u64,
                Some(kind) => {
                    weights.packed_bytes += kind.bytes_of(values) as u64;
                    if !weights.kinds.contains(&kind) {
                        weights.kinds.push(kind);
                    }
                    // Gate and up values, or keys and values, come from one layer.
                    let joined = ["gate_proj", "up_proj", "k_proj", "v_proj"];
                    let twice = joined.iter().any(|part| name.contains(part));
                    let layer = values * if twice { 2 } else { 1 };
                    weights.largest_layer = weights.largest_layer.max(layer as u64);
                }
            }
        }
        weights
    }

    /// Bytes of all weights where an unpacked value takes `bytes_per_value`.
    #[must_use]
    pub fn bytes(&self, bytes_per_value: u64) -> u64 {
        self.packed_bytes + self.expert_bytes + bytes_per_value * self.unpacked_values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Packed, RandomTensors};
    use std::path::Path;

    #[test]
    fn a_plan_counts_what_a_source_gives() {
        let shapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/shapes");
        let open = |shape: &str| {
            Config::from_hf_json(&shapes.join(shape).join("config.json")).expect("it is read")
        };
        // 576 is no multiple of 256, so only the down projections stay packed.
        let small = open("smollm2-135m");
        for kind in [PackedKind::Q8_0, PackedKind::Q4K] {
            let source = RandomTensors::packed(&small, 1, kind);
            let plan = PackedWeights::in_source(&small, &source);
            assert_eq!(plan, PackedWeights::of_kind(&small, kind));
            assert_eq!(plan.kinds, [kind]);
            let (mut packed, mut unpacked) = (0, 0usize);
            for (name, shape) in small.tensors() {
                let matrix = match shape[..] {
                    [rows, columns] => source.load_packed(&name, [rows, columns]).expect("random"),
                    _ => None,
                };
                let bytes = |m: &Packed| (0..m.rows()).map(|row| m.row(row).len()).sum::<usize>();
                packed += matrix.as_ref().map_or(0, bytes);
                unpacked += matrix.map_or(shape.iter().product(), |_| 0);
            }
            let both = [plan.packed_bytes, plan.unpacked_values].map(|n| n as usize);
            assert_eq!(both, [packed, unpacked], "{kind}");
            assert_eq!(plan.bytes(4), (packed + 4 * unpacked) as u64);
        }
        // Eight billion parameters at 8.5, 4.5 and 16 bits.
        let large = open("llama-3.1-8b");
        for (kind, bits) in [
            (PackedKind::Q8_0, 8.5),
            (PackedKind::Q4K, 4.5),
            (PackedKind::Bf16, 16.0),
        ] {
            let plan = PackedWeights::of_kind(&large, kind);
            let want = large.parameters() as f64 * bits / 8.0;
            assert!((plan.bytes(4) as f64 / want - 1.0).abs() < 1e-3, "{kind}");
            assert_eq!(plan.largest_layer, 128_256 * 4096);
        }
    }
}
