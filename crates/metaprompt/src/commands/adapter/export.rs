//! One task's prompt, for other tools.

use super::SHARED;
use super::embeds::{self, Type};
use crate::commands::evaluate::prompt_of;
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use metaprompt_tuning::adapter::{Adapter, Kind};
use serde_json::json;
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
    /// Number type of `prompt-embeds` [default: f32]; take the server's.
    #[arg(long, value_enum, value_name = "TYPE")]
    dtype: Option<Type>,
    /// Directory (`prompt`) or safetensors file (`prompt-embeds`) to write.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A PEFT directory of type PROMPT_TUNING.
    Prompt,
    /// A safetensors file with the tensor `prompt_embeds` [m, d], for servers that
    /// take embeddings.
    PromptEmbeds,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let (path, out) = (&args.path, &args.out);
    if args.dtype.is_some() && args.to != Form::PromptEmbeds {
        bail!("--dtype: PEFT directories hold f32; it is for --to prompt-embeds");
    }
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
        (Kind::Prefix(_), _) => bail!(
            "{}: a prefix of keys and values has no prompt; PEFT reads this directory as it is",
            path.display()
        ),
        _ => {
            // Where there is one task, it needn't be named.
            let asked = asked.or_else(|| names.first().map(String::as_str));
            let prompt = prompt_of(&adapter, path, asked, "")?;
            let index =
                asked.and_then(|a| names.iter().position(|n| n == a).or_else(|| a.parse().ok()));
            (
                prompt,
                names.get(index.unwrap_or(0)).cloned().into_iter().collect(),
            )
        }
    };
    let d = adapter.hidden_size().context("prompts have a width")?;
    let m = prompt.len() / d;
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
            let number = args.dtype.unwrap_or(Type::F32);
            embeds::write(out, &prompt, d, number, &adapter.notes, &tasks)?;
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
