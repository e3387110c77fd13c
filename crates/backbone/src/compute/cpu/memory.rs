//! What the processor's memory allows, and what the engine needs of it.

use crate::files::Config;
use crate::matmul::Kernel;

pub(crate) use super::blocks::MOST as ROWS_PER_TASK;
pub(crate) use crate::layers::head::CHUNK_ROWS as LOGIT_ROWS;

/// Bytes of a weight in both layouts.
const BYTES: u64 = 2 * size_of::<f32>() as u64;

/// Whether training keeps the weights of so many parameters in both layouts:
/// when that takes at most a quarter of the machine's memory. Otherwise each
/// step packs the second one anew, which costs it about 3%.
pub(crate) fn keeps_transposed(parameters: u64) -> bool {
    total().is_some_and(|total| parameters.saturating_mul(BYTES) <= total / 4)
}

/// Memory of the machine in bytes, where the system says so.
fn total() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Values of the weights in their first layout, and of their second one where it
/// is kept.
pub(crate) fn layouts(config: &Config) -> [f64; 2] {
    let width = Kernel::best().width();
    let kept = keeps_transposed(config.parameters());
    let (mut forward, mut back) = (0, 0);
    for (name, shape) in config.tensors() {
        let [outputs, inputs] = shape[..] else {
            forward += shape.iter().product::<usize>();
            continue;
        };
        forward += outputs.next_multiple_of(width) * inputs;
        // Embeddings and output head have one layout only.
        if kept && name.starts_with("model.layers") {
            back += inputs.next_multiple_of(width) * outputs;
        }
    }
    [forward as f64, back as f64]
}
