//! An adapter of another tool, taken over.

use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_backbone::Backbone;
use metaprompt_tuning::adapter::{Adapter, BackboneNote};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Which adapter, and what it lacks.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// PEFT adapter directory.
    path: PathBuf,
    /// Backbone that it was trained for: a Hugging Face directory or a GGUF
    /// file; `embedded` for SmolLM2-135M-Instruct.
    #[arg(long, value_name = "PATH")]
    backbone: PathBuf,
    /// Directory to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Names of its tasks, in order [default: those it has, else task-0 …].
    #[arg(long = "task", value_name = "NAME")]
    tasks: Vec<String>,
    /// It was trained with examples in the backbone's chat template.
    #[arg(long)]
    chat_template: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let (path, out) = (&args.path, &args.out);
    let mut adapter = Adapter::load(path)?;
    let backbone = context.backbone(Some(&args.backbone))?;
    adapter.check_backbone(path, &backbone)?;
    check_config(path, &adapter, &backbone)?;
    // Says what of a LoRA doesn't fit.
    adapter.model(&backbone.model)?;
    if Adapter::exists(out) {
        bail!(
            "{}: holds an adapter already; give another --out",
            out.display()
        );
    }
    let count = adapter.tasks();
    let notes = &mut adapter.notes;
    if !args.tasks.is_empty() {
        notes.tasks.clone_from(&args.tasks);
    } else if notes.tasks.is_empty() {
        notes.tasks = (0..count).map(|k| format!("task-{k}")).collect();
    }
    let mut distinct = notes.tasks.clone();
    distinct.sort();
    distinct.dedup();
    if notes.tasks.len() != count || distinct.len() != count {
        bail!(
            "{}: holds {count} tasks; give --task {count} times, each with another name",
            path.display()
        );
    }
    notes.backbone = Some(BackboneNote::of(&backbone));
    notes.chat_template |= args.chat_template;
    if notes.made.is_null() {
        notes.made = json!({ "stage": "import" });
    }
    let tasks = notes.tasks.clone();
    adapter.save(out)?;
    let json = json!({ "out": out, "tasks": tasks, "backbone": backbone.name() });
    context.print(
        &json,
        &format!(
            "{} (for {}) written to {}",
            tasks.join(", "),
            backbone.name(),
            out.display()
        ),
    );
    Ok(())
}

/// Holds the numbers of another tool's configuration against its tensors and
/// against the backbone: width alone may fit by chance.
fn check_config(path: &Path, adapter: &Adapter, backbone: &Backbone) -> Result<()> {
    let file = path.join("adapter_config.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{}: can't be read", file.display()))?;
    let config: Value =
        serde_json::from_str(&text).with_context(|| format!("{}: not JSON", file.display()))?;
    let model = backbone.model.config();
    // Of a prefix they are those of keys and values.
    let (heads, width) = match adapter.prefix() {
        Some(_) => (model.kv_heads, model.kv_heads * model.head_dim),
        None => (model.heads, model.hidden_size),
    };
    for (field, wanted, of) in [
        ("num_layers", model.layers, backbone.name()),
        ("num_attention_heads", heads, backbone.name()),
        ("token_dim", width, backbone.name()),
        ("num_transformer_submodules", 1, "a decoder"),
        (
            "num_virtual_tokens",
            adapter.virtual_tokens(),
            "its tensors",
        ),
    ] {
        // Tools leave out what they don't know.
        if let Some(found) = config[field].as_u64()
            && found != wanted as u64
        {
            let made_for = config["base_model_name_or_path"]
                .as_str()
                .unwrap_or("an unnamed model");
            bail!(
                "{}: {field} is {found}, but {wanted} in {of}; it was made for {made_for}, so import it with that backbone",
                file.display()
            );
        }
    }
    match config["task_type"].as_str() {
        None | Some("CAUSAL_LM") => Ok(()),
        Some(other) => bail!(
            "{}: task_type is {other}; only prompts of language models (CAUSAL_LM) can be used",
            file.display()
        ),
    }
}
