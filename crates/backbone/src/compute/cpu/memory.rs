//! What the engine needs of the processor's memory.

use crate::files::Config;
use crate::matmul::Kernel;

pub(crate) use super::blocks::MOST as ROWS_PER_TASK;
pub(crate) use crate::layers::head::CHUNK_ROWS as LOGIT_ROWS;

/// Bytes of all weights: linear layers in panels, experts as the files have them.
pub(crate) fn weights(config: &Config) -> usize {
    let width = Kernel::best().width();
    let of = |(name, shape): (String, Vec<usize>)| {
        let values = match shape[..] {
            [outputs, inputs] => outputs.next_multiple_of(width) * inputs,
            _ => shape.iter().product(),
        };
        let packed = name.ends_with("_blocks") || name.ends_with("_scales");
        if packed {
            values
        } else {
            size_of::<f32>() * values
        }
    };
    config.tensors().into_iter().map(of).sum()
}

/// Values that a task unpacks from weights that stay packed.
pub(crate) use crate::matmul::UNPACKED_AT_ONCE;

/// Values of the transposes that exist at the same time: an MLP's, or those that
/// the threads' experts have unpacked.
pub(crate) fn transposes(config: &Config, threads: usize) -> usize {
    let width = Kernel::best().width();
    let (d, f) = (config.hidden_size, config.intermediate_size);
    if config.experts.is_some() {
        // Its values, and the same in panels.
        return threads * 2 * (2 * f).next_multiple_of(width) * d;
    }
    d.next_multiple_of(width) * 2 * f + f.next_multiple_of(width) * d
}
