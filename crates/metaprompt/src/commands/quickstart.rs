//! `metaprompt quickstart`: the whole method in minutes.

use super::setup::set_seed;
use super::study::{Options, run_study};
use crate::context::Context;
use anyhow::{Context as _, Result};
use include_dir::{Dir, include_dir};
use metaprompt_study::Study;
use std::path::PathBuf;

/// The synthetic corpora, their manifests and the study, as the repository
/// ships them.
static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/quickstart");

/// Teach, distill, adapt and evaluate on small synthetic corpora, in minutes.
///
/// Teaches four or more tasks, distills them into one metaprompt, adapts it to a
/// task it hasn't seen, and compares.
///
/// The corpora are synthetic clinical texts that come with this program; they
/// are written to the run folder, where you can look at them. A run that was
/// stopped goes on when started again.
///
/// Example: metaprompt quickstart --out runs/quickstart
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run folder.
    #[arg(long, default_value = "runs/quickstart", value_name = "DIR")]
    out: PathBuf,
    /// Backbone: Hugging Face directory, GGUF file or ORG/NAME [default: the embedded
    /// SmolLM2-135M-Instruct].
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let files = args.out.join("input");
    std::fs::create_dir_all(&files)
        .with_context(|| format!("{}: can't make the run folder", files.display()))?;
    FILES
        .extract(&files)
        .with_context(|| format!("{}: can't write the quickstart's corpora", files.display()))?;
    let mut study = Study::load(&files.join("study.toml"))?;
    if let Some(backbone) = &args.backbone {
        study.backbone.clone_from(backbone);
    }
    set_seed(&mut study, context);
    run_study(&args.out, &study, &Options::default(), context)
}
