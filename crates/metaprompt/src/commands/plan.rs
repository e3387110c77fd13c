//! How much memory a training step takes, by how weights are held and what is
//! computed again.

use crate::context::Context;
use anyhow::Result;
use metaprompt_backbone::files::{Config, PackedKind, PackedWeights};
use metaprompt_backbone::model::{Recompute, TrainingMemory};
use serde_json::{Value, json};
use std::path::Path;

/// Number types that a plan from a configuration alone is made for.
const KINDS: [PackedKind; 3] = [PackedKind::Bf16, PackedKind::Q8_0, PackedKind::Q4K];

/// The plan of a configuration whose weights nobody needs to have.
pub(super) fn of_configuration(path: &Path, tokens: usize, context: &Context) -> Result<()> {
    let config = Config::from_hf_json(path)?;
    let packed = KINDS.map(|kind| PackedWeights::of_kind(&config, kind));
    let (training, table) = training_memory(&config, &packed, tokens);
    let parameters = config.parameters();
    let text = format!("parameters         {parameters}\n{table}");
    context.print(
        &json!({ "parameters": parameters, "training": training }),
        &text,
    );
    Ok(())
}

/// What a training step holds in memory at each level of computing again, with
/// unpacked weights and with packed ones where there are any.
pub(super) fn training_memory(
    config: &Config,
    packed: &[PackedWeights],
    tokens: usize,
) -> (Value, String) {
    let threads = rayon::current_num_threads();
    let mut text = format!(
        "\nmemory of a training step of {tokens} packed tokens on this CPU, {threads} threads, in MB\n\
         --weights                 --recompute   weights   activations   passing    in all\n"
    );
    let of_levels = |held: &str, memory: &dyn Fn(Recompute) -> TrainingMemory| {
        let levels = Recompute::ALL.map(|level| (level, memory(level)));
        let lines: String = levels
            .iter()
            .map(|(level, m)| line(held, *level, m))
            .collect();
        let json: Vec<Value> = levels.iter().map(|(level, m)| fields(*level, m)).collect();
        (lines, json)
    };
    let (lines, levels) = of_levels("unpacked (f32)", &|level| {
        TrainingMemory::of(config, tokens, level, threads)
    });
    text += &lines;
    let mut of_packed = Vec::new();
    for weights in packed.iter().filter(|weights| !weights.kinds.is_empty()) {
        let kinds = weights.kinds.iter().map(|kind| kind.name());
        let kinds = kinds.collect::<Vec<_>>();
        let held = format!("packed ({})", kinds.join(", "));
        let (lines, levels) = of_levels(&held, &|level| {
            TrainingMemory::packed(config, weights, tokens, level, threads)
        });
        text += &lines;
        of_packed.push(json!({ "kinds": kinds, "levels": levels }));
    }
    let json = json!({
        "tokens": tokens, "threads": threads, "levels": levels, "packed": of_packed,
    });
    (json, text)
}

fn line(held: &str, level: Recompute, memory: &TrainingMemory) -> String {
    let megabytes = |bytes: f64| (bytes / 1e6).round();
    format!(
        "{held:<25} {level:<11} {:>9} {:>13} {:>9} {:>9}\n",
        megabytes(memory.weights),
        megabytes(memory.kept),
        megabytes(memory.passing),
        megabytes(memory.total())
    )
}

fn fields(level: Recompute, memory: &TrainingMemory) -> Value {
    json!({
        "recompute": level.to_string(), "weights_bytes": memory.weights,
        "kept_bytes": memory.kept, "passing_bytes": memory.passing,
        "total_bytes": memory.total(),
    })
}
