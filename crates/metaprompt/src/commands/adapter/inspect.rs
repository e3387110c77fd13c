//! What an adapter is.

use super::SHARED;
use crate::context::Context;
use anyhow::{Context as _, Result};
use metaprompt_backbone::Backbone;
use metaprompt_tuning::Method;
use metaprompt_tuning::adapter::{Adapter, Kind};
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn run(path: &Path, backbone: Option<&Path>, context: &Context) -> Result<()> {
    let adapter = Adapter::load(path)?;
    let backbone = backbone.map(|b| context.backbone(Some(b))).transpose()?;
    let verdict = backbone.as_ref().map(|b| fits(&adapter, path, b));
    let notes = &adapter.notes;
    let kind = Adapter::stored_kind(path)?;
    let (rank, values) = match &adapter.kind {
        Kind::Prompt { prompt, .. } => (None, prompt.len()),
        Kind::Prefix(prefix) => (None, prefix.layers().iter().map(Vec::len).sum()),
        Kind::Multitask(prompt) => {
            let vectors = prompt.vectors(0);
            let pairs = prompt.tasks() * (vectors.0.len() + vectors.1.len());
            (Some(prompt.rank()), prompt.shared().len() + pairs)
        }
        Kind::Lora(lora) => (
            Some(lora.options().rank),
            lora.parameters().iter().map(|p| p.value.len()).sum(),
        ),
    };
    // What training changed may be less than what is stored.
    let trained = notes.made["trainable_parameters"]
        .as_u64()
        .unwrap_or(values as u64);
    let share = backbone
        .as_ref()
        .map(|b| trained as f64 / b.model.config().parameters() as f64);
    let prompts = prompts(&adapter);
    let fits = verdict.as_ref().map(Result::is_ok);
    let or_dash = |size: Option<usize>| size.map_or_else(|| "–".into(), |n| n.to_string());

    let mut rows = vec![
        ("kind", kind.clone()),
        ("virtual tokens", adapter.virtual_tokens().to_string()),
        ("hidden size", or_dash(adapter.hidden_size())),
        ("rank", or_dash(rank)),
        (
            "made for",
            match &notes.backbone {
                Some(b) => format!(
                    "{} ({} layers, {} heads, weights {})",
                    b.name, b.layers, b.heads, b.fingerprint
                ),
                None => "not noted".into(),
            },
        ),
        (
            "chat template",
            if notes.chat_template { "yes" } else { "no" }.into(),
        ),
        (
            "beyond windows",
            if notes.pinned {
                "in sight (pinned)"
            } else {
                "out of sight"
            }
            .into(),
        ),
        ("stored values", values.to_string()),
        (
            "trained",
            match share {
                Some(share) => {
                    format!(
                        "{trained} parameters, {:.4}% of the backbone's",
                        100.0 * share
                    )
                }
                None => format!("{trained} parameters"),
            },
        ),
    ];
    if let Some(prefix) = adapter.prefix() {
        let (layers, heads) = (prefix.layers().len(), prefix.kv_heads());
        let shape = format!(
            "of {layers} layers, {heads} heads of {} values",
            prefix.head_dim()
        );
        rows.insert(3, ("keys and values", shape));
    }
    if let Some(fits) = fits {
        rows.push(("fits the backbone", if fits { "yes" } else { "no" }.into()));
    }
    let mut text: String = rows
        .iter()
        .map(|(name, value)| format!("{name:<18} {value}\n"))
        .collect();
    for p in &prompts {
        text += &format!(
            "prompt {:<24} norm {:>9.3}, of a virtual token {:>8.3} (mean)\n",
            p.name, p.norm, p.mean_row_norm
        );
    }
    let json = json!({
        "path": path, "kind": kind, "virtual_tokens": adapter.virtual_tokens(),
        "hidden_size": adapter.hidden_size(), "rank": rank, "tasks": notes.tasks,
        "backbone": notes.backbone, "chat_template": notes.chat_template, "pinned": notes.pinned,
        "values": values,
        "prefix": adapter.prefix().map(|prefix| json!({
            "layers": prefix.layers().len(), "kv_heads": prefix.kv_heads(),
            "head_dim": prefix.head_dim(),
        })),
        "trained_parameters": trained, "share_of_backbone": share, "fits": fits,
        "prompts": prompts.iter().map(PromptNorm::json).collect::<Vec<_>>(), "made": notes.made,
    });
    context.print(&json, &text);
    verdict.unwrap_or(Ok(()))
}

/// Whether a backbone is the adapter's, and has what the adapter changes.
fn fits(adapter: &Adapter, path: &Path, backbone: &Backbone) -> Result<()> {
    adapter.check_backbone(path, backbone)?;
    let model = adapter.model(&backbone.model);
    model.map(drop).with_context(|| path.display().to_string())
}

/// How large one prompt of an adapter is.
struct PromptNorm {
    name: String,
    /// Euclidean norm of all its values.
    norm: f64,
    /// Mean of its rows' norms: comparable with the norms of embeddings.
    mean_row_norm: f64,
}

impl PromptNorm {
    fn of(name: String, prompt: &[f32], hidden_size: usize) -> Self {
        let norm = |x: &[f32]| x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let rows = prompt.chunks_exact(hidden_size);
        let mean_row_norm = rows.clone().map(norm).sum::<f64>() / rows.len() as f64;
        PromptNorm {
            name,
            norm: norm(prompt),
            mean_row_norm,
        }
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "norm": self.norm, "mean_row_norm": self.mean_row_norm })
    }
}

fn prompts(adapter: &Adapter) -> Vec<PromptNorm> {
    let Some(d) = adapter.hidden_size() else {
        return Vec::new();
    };
    let mut norms = Vec::new();
    if let Kind::Multitask(prompt) = &adapter.kind {
        norms.push(PromptNorm::of(SHARED.into(), prompt.shared(), d));
    }
    for index in 0.. {
        let Some(prompt) = adapter.prompt(index) else {
            break;
        };
        let name = adapter.notes.tasks.get(index).cloned();
        norms.push(PromptNorm::of(
            name.unwrap_or_else(|| index.to_string()),
            &prompt,
            d,
        ));
    }
    norms
}
