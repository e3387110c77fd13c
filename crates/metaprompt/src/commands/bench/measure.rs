//! What the timings share: clocks, memory, the report.

use crate::context::Context;
use anyhow::Result;
use metaprompt_backbone::model::Model;
use serde_json::{Value, json};
use std::time::Instant;

pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// Of at least one number; the lower one of two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// Most memory that this process has held, in bytes, where the system says so.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Prints a result with the machine's part in it.
pub(super) fn report(
    mut json: Value,
    mut text: String,
    model: Option<&Model>,
    context: &Context,
) -> Result<()> {
    let peak = peak_memory();
    let threads = rayon::current_num_threads();
    json["peak_memory_bytes"] = json!(peak);
    json["threads"] = json!(threads);
    text += &format!("\n{threads} threads");
    if let Some(bytes) = peak {
        text += &format!(", peak memory {:.2} GB", bytes as f64 / 1e9);
    }
    if let Some(model) = model {
        json["device"] = json!(model.device());
        if let Some(memory) = model.device_memory()? {
            json["device_peak_memory_bytes"] = json!(memory.peak);
            text += &format!(
                "\n{}, peak memory {:.2} GB of {:.2} GB",
                model.device(),
                memory.peak as f64 / 1e9,
                memory.total as f64 / 1e9
            );
        }
    }
    context.print(&json, &text);
    Ok(())
}
