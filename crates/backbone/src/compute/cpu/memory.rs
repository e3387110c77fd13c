//! What the processor's memory allows.

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
