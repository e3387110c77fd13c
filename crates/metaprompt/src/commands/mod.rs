//! The commands, one file each.

mod adapt;
mod adapter;
mod backbone;
mod bench;
mod corpus;
mod distill;
mod evaluate;
mod inspect;
mod plan;
mod predict;
mod quickstart;
mod setup;
mod study;
mod teach;

use crate::context::Context;
use anyhow::Result;
use clap::Subcommand;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

/// What can be done. (A command whose arguments have a type of their own takes
/// its help from there.)
#[derive(Subcommand)]
pub(crate) enum Command {
    Quickstart(quickstart::Args),
    /// Fetch, inspect and probe backbones.
    #[command(subcommand)]
    Backbone(backbone::Command),
    Teach(teach::Args),
    Distill(distill::Args),
    Adapt(adapt::Args),
    Evaluate(evaluate::Args),
    Predict(predict::Args),
    /// Run whole experiments.
    #[command(subcommand)]
    Study(study::Command),
    /// Check, count and show corpora.
    #[command(subcommand)]
    Corpus(corpus::Command),
    /// Inspect, export and import adapters.
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// Time training and inference on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Command::Quickstart(args) => quickstart::run(&args, context),
            Command::Backbone(command) => backbone::run(&command, context),
            Command::Teach(args) => teach::run(&args, context),
            Command::Distill(args) => distill::run(&args, context),
            Command::Adapt(args) => adapt::run(&args, context),
            Command::Evaluate(args) => evaluate::run(&args, context),
            Command::Predict(args) => predict::run(&args, context),
            Command::Study(command) => study::run(&command, context),
            Command::Corpus(command) => corpus::run(&command, context),
            Command::Adapter(command) => adapter::run(&command, context),
            Command::Bench(command) => bench::run(&command, context),
        }
    }
}

/// An empty table in the look of all of them.
fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}
