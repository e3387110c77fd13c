//! One task's prompt, for other tools.

use super::SHARED;
use crate::commands::evaluate::prompt_of;
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use metaprompt_tuning::adapter::{Adapter, Kind};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;

/// Which prompt, and how it is written.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Adapter directory.
    path: PathBuf,
    /// Whose prompt: a task's name or number (from 0), or `shared` for the
    /// metaprompt itself; can be left out where there is one task.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Form::Prompt)]
    to: Form,
    /// Directory (`prompt`) or safetensors file (`prompt-embeds`) to write.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// A PEFT directory of type PROMPT_TUNING.
    Prompt,
    /// A safetensors file with the tensor `prompt_embeds` [m, d].
    PromptEmbeds,
}

/// Name of the tensor in a `prompt-embeds` file.
const EMBEDS: &str = "prompt_embeds";

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let (path, out) = (&args.path, &args.out);
    let adapter = Adapter::load(path)?;
    let names = &adapter.notes.tasks;
    let only = names.first().filter(|_| adapter.tasks() == 1);
    let asked = args.task.as_deref().or(only.map(String::as_str));
    let (prompt, tasks) = match (&adapter.kind, asked) {
        (Kind::Multitask(m), Some(SHARED)) if !names.iter().any(|n| n == SHARED) => {
            (m.shared().to_vec(), Vec::new())
        }
        (Kind::Multitask(m), None) if m.tasks() > 1 => bail!(
            "{}: holds {} tasks ({}); say which with --task, or --task {SHARED}",
            path.display(),
            m.tasks(),
            names.join(", ")
        ),
        (Kind::Lora(_), _) => bail!(
            "{}: a LoRA has no prompt; PEFT reads this directory as it is",
            path.display()
        ),
        _ => {
            let prompt = prompt_of(&adapter, path, asked, "")?;
            let index =
                asked.and_then(|a| names.iter().position(|n| n == a).or_else(|| a.parse().ok()));
            (
                prompt,
                names.get(index.unwrap_or(0)).cloned().into_iter().collect(),
            )
        }
    };
    let (m, d) = (adapter.virtual_tokens(), adapter.hidden_size());
    if adapter.notes.pinned {
        // A warning rather than progress: --quiet doesn't hide it.
        eprintln!(
            "{}: trained with --pin-prompt, which other tools don't know: on a backbone with sliding windows its prompt goes out of sight there, and answers differ",
            path.display()
        );
    }
    match args.to {
        Form::Prompt => {
            if Adapter::exists(out) {
                bail!(
                    "{}: holds an adapter already; give another --out",
                    out.display()
                );
            }
            let mut notes = adapter.notes.clone();
            notes.made = json!({ "stage": "export", "from": notes.made, "tasks": names });
            notes.tasks = tasks;
            Adapter {
                kind: Kind::Prompt {
                    prompt,
                    hidden_size: d,
                },
                notes,
            }
            .save(out)?;
        }
        Form::PromptEmbeds => {
            let bytes: Vec<u8> = prompt.iter().flat_map(|v| v.to_le_bytes()).collect();
            let view = TensorView::new(Dtype::F32, vec![m, d], &bytes)?;
            let mut metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
            if let Some(backbone) = &adapter.notes.backbone {
                metadata.insert("backbone".into(), backbone.name.clone());
                metadata.insert("backbone_fingerprint".into(), backbone.fingerprint.clone());
            }
            metadata.extend(tasks.into_iter().map(|task| ("task".to_owned(), task)));
            let file = safetensors::serialize([(EMBEDS, view)], Some(metadata))?;
            std::fs::write(out, file)
                .with_context(|| format!("{}: can't be written", out.display()))?;
        }
    }
    let json = json!({ "out": out, "virtual_tokens": m, "hidden_size": d });
    context.print(
        &json,
        &format!(
            "{m} virtual tokens of {d} values written to {}",
            out.display()
        ),
    );
    Ok(())
}
