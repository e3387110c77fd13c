//! What the engine needs of the processor's memory.

use crate::files::Config;
use crate::matmul::Kernel;

pub(crate) use super::blocks::MOST as ROWS_PER_TASK;
pub(crate) use crate::layers::head::CHUNK_ROWS as LOGIT_ROWS;

/// Values of all weights in panels.
pub(crate) fn weights(config: &Config) -> usize {
    let width = Kernel::best().width();
    let of = |shape: Vec<usize>| match shape[..] {
        [outputs, inputs] => outputs.next_multiple_of(width) * inputs,
        _ => shape.iter().product(),
    };
    config
        .tensors()
        .into_iter()
        .map(|(_, shape)| of(shape))
        .sum()
}

/// Values of the transposes that exist at the same time: an MLP's.
pub(crate) fn transposes(config: &Config) -> usize {
    let width = Kernel::best().width();
    let (d, f) = (config.hidden_size, config.intermediate_size);
    d.next_multiple_of(width) * 2 * f + f.next_multiple_of(width) * d
}
