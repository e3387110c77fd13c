//! Fetching a model from the hub.

use crate::context::Context;
use anyhow::Result;
use metaprompt_backbone::fetch::hub::{self, Progress, Reference, Request, Settings};
use metaprompt_study::Observer;
use serde_json::json;
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Model of the hub, as ORGANISATION/NAME [default: the embedded backbone,
    /// SmolLM2-135M-Instruct, 98 MB].
    #[arg(value_name = "REPO_ID")]
    model: Option<String>,
    /// Branch, tag or commit [default: main].
    #[arg(long, value_name = "R", requires = "model")]
    revision: Option<String>,
    /// One GGUF file, in place of the safetensors model.
    #[arg(long, value_name = "F", requires = "model")]
    file: Option<String>,
    /// Ask the hub whether the branch has moved on, even if the model is here.
    #[arg(long, requires = "model")]
    update: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let Some(model) = &args.model else {
        let path = context.backbone_path(None)?;
        context.print(&json!({ "path": path }), &path.display().to_string());
        return Ok(());
    };
    let mut reference = Reference::parse(model)?;
    if let Some(revision) = &args.revision {
        reference = reference.at(revision)?;
    }
    if let Some(file) = &args.file {
        reference = reference.with_file(file)?;
    }
    let request = Request {
        reference,
        update: args.update,
    };
    let started = Instant::now();
    let mut display = context.progress();
    let mut shown = false;
    let mut report = |progress: Progress| match progress {
        Progress::Begin { bytes, .. } => {
            shown = true;
            display.begin_bytes(&request.reference.to_string(), bytes);
        }
        Progress::Here { bytes } if shown => display.advance(bytes),
        Progress::Broken { file, reason, wait } => {
            let seconds = wait.as_secs_f64();
            display.note(&format!("{file}: {reason}; trying again in {seconds:.0} s"));
        }
        _ => {}
    };
    let fetched = hub::fetch(&request, &Settings::from_environment(), &mut report)?;
    if shown {
        let received = fetched.received as f64 / 1e6;
        display.end(&format!("{received:.1} MB received"));
    }
    let json = json!({
        "path": fetched.path, "model": request.reference.repository(),
        "revision": request.reference.revision(), "commit": fetched.commit,
        "asked_hub": fetched.asked, "bytes": fetched.asked.then_some(fetched.bytes),
        "received_bytes": fetched.received, "seconds": started.elapsed().as_secs_f64(),
    });
    context.print(&json, &fetched.path.display().to_string());
    Ok(())
}
