//! `metaprompt backbone inspect`: what a backbone is.

use crate::context::Context;
use anyhow::Result;
use metaprompt_backbone::files::{Checkpoint, Config, LayerAttention, PackedWeights};
use serde_json::json;
use std::path::Path;

/// Describes the backbone at `path`, and what a training step of `train` tokens takes.
pub(super) fn inspect(path: &Path, train: Option<usize>, context: &Context) -> Result<()> {
    let checkpoint = Checkpoint::open(path)?;
    let c = &checkpoint.config;
    let mut dtypes = std::collections::BTreeMap::<String, (usize, usize)>::new();
    for tensor in checkpoint.tensors.tensors() {
        let entry = dtypes.entry(tensor.dtype).or_default();
        entry.0 += 1;
        entry.1 += tensor.bytes;
    }
    let bytes: usize = dtypes.values().map(|(_, bytes)| bytes).sum();
    let kv_bytes = 2 * c.layers * c.kv_heads * c.head_dim * 4;
    let rows = [
        ("name", c.name.clone()),
        ("path", path.display().to_string()),
        ("fingerprint", checkpoint.fingerprint.clone()),
        ("parameters", c.parameters().to_string()),
        ("layers", c.layers.to_string()),
        ("hidden size", c.hidden_size.to_string()),
        ("intermediate size", c.intermediate_size.to_string()),
        (
            "heads",
            format!(
                "{} query, {} key/value, size {}",
                c.heads, c.kv_heads, c.head_dim
            ),
        ),
        (
            "vocabulary",
            format!(
                "{} ({} head)",
                c.vocab_size,
                if c.tied_embeddings {
                    "tied"
                } else {
                    "separate"
                }
            ),
        ),
        ("context", c.max_positions.to_string()),
        (
            "rotary",
            format!("theta {}, scaling {:?}", c.rope.theta, c.rope.scaling),
        ),
        ("attention", attention(c)),
        (
            "biases",
            format!(
                "query, key, value {}, attention output {}, MLP {}",
                c.query_key_value_bias, c.attention_output_bias, c.mlp_bias
            ),
        ),
        ("experts", experts(c)),
        (
            "tensors",
            dtypes
                .iter()
                .map(|(t, (n, b))| format!("{n} {t} ({:.1} MB)", *b as f64 / 1e6))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        (
            "in memory (f32)",
            format!("{:.0} MB", c.weight_bytes(4) as f64 / 1e6),
        ),
        ("key/value cache", format!("{kv_bytes} bytes a token")),
    ];
    let mut text: String = rows
        .iter()
        .map(|(name, value)| format!("{name:<18} {value}\n"))
        .collect();
    let mut json = json!({
        "name": c.name, "path": path, "fingerprint": checkpoint.fingerprint,
        "parameters": c.parameters(), "layers": c.layers, "hidden_size": c.hidden_size,
        "intermediate_size": c.intermediate_size, "heads": c.heads, "kv_heads": c.kv_heads,
        "head_dim": c.head_dim, "vocab_size": c.vocab_size, "tied_embeddings": c.tied_embeddings,
        "max_positions": c.max_positions, "rope_theta": c.rope.theta, "bytes_on_disk": bytes,
        "kv_bytes_per_token": kv_bytes, "head_norms": c.query_key_norm, "sinks": c.sinks,
        "attention": kinds(c).map(|(layers, kind)| json!({
            "layers": layers, "window": kind.window, "rotary": kind.rotary,
        })).collect::<Vec<_>>(),
        "experts": c.experts.as_ref().map(|experts| json!({
            "count": experts.count, "active": experts.active, "packed": experts.packed,
        })),
    });
    if let Some(tokens) = train {
        let packed = PackedWeights::in_source(c, checkpoint.tensors.as_ref());
        let (of_training, table) = super::plan::training_memory(c, &[packed], tokens);
        json["training"] = of_training;
        text += &table;
    }
    context.print(&json, &text);
    Ok(())
}

/// The layers' kinds of attention, and how many layers have each.
fn kinds(config: &Config) -> impl Iterator<Item = (usize, LayerAttention)> {
    let layers = |kind: &LayerAttention| config.attention.iter().filter(|a| *a == kind).count();
    let kinds = config.attention_kinds().into_iter();
    kinds.map(move |kind| (layers(&kind), kind))
}

/// What the layers see, in words.
fn attention(config: &Config) -> String {
    let mut parts: Vec<String> = kinds(config)
        .map(|(layers, kind)| {
            let sees = kind.window.map_or("all positions".to_owned(), |window| {
                format!("{window} positions")
            });
            let without = if kind.rotary { "" } else { " without rotary" };
            format!("{layers} layers see {sees}{without}")
        })
        .collect();
    if config.query_key_norm {
        parts.push("head norms".to_owned());
    }
    if config.sinks {
        parts.push("sinks".to_owned());
    }
    parts.join(", ")
}

/// The experts in place of the MLP, in words.
fn experts(config: &Config) -> String {
    config
        .experts
        .as_ref()
        .map_or("none".to_owned(), |experts| {
            let packed = if experts.packed { ", MXFP4" } else { "" };
            format!(
                "{}, {} for each token{packed}",
                experts.count, experts.active
            )
        })
}
