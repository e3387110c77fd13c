//! Timings of the readers.

use super::measure::{median, timed};
use crate::commands::corpus::Place;
use crate::commands::plain_table;
use crate::context::Context;
use anyhow::Result;
use metaprompt_corpus::{Scan, Split, Task};
use metaprompt_study::Observer;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// What is read, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// How often each is timed.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = super::positive())]
    rounds: u32,
}

/// Seconds are medians.
#[derive(Serialize)]
struct Row {
    task: String,
    format: String,
    scan: Scan,
    bytes: u64,
    /// Native files to rows or annotated texts, checked.
    parse_seconds: f64,
    /// All of `Task::read`: also examples, lengths, splits.
    read_seconds: f64,
    /// Every example as the model sees it.
    render_seconds: f64,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let tasks = options.place.tasks()?;
    let mut progress = context.progress();
    progress.begin("bench corpus", tasks.len() as u64);
    let mut rows = Vec::new();
    for (done, (_, task)) in tasks.into_iter().enumerate() {
        rows.push(measure(&task?, options)?);
        progress.advance(done as u64 + 1);
    }
    progress.end("");
    let peak = super::measure::peak_memory();
    let total = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let [parse, read, render] = [
        total(|r| r.parse_seconds),
        total(|r| r.read_seconds),
        total(|r| r.render_seconds),
    ];
    let mut text = table(&rows);
    text += "\n\nby format, without examples:\n";
    let mut formats: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for row in &rows {
        let sums = formats.entry(&row.format).or_default();
        sums.0 += row.bytes;
        sums.1 += row.parse_seconds;
    }
    for (format, (bytes, seconds)) in &formats {
        text += &format!("    {format:<10} {:>7.1} MB/s\n", rate(*bytes, *seconds));
    }
    text += &format!(
        "\none thread: parsing {parse:.2} s; with examples {read:.2} s; rendering {render:.2} s more"
    );
    if let Some(bytes) = peak {
        text += &format!("; peak memory {:.0} MB", bytes as f64 / 1e6);
    }
    let json = json!({
        "tasks": rows, "parse_seconds": parse, "read_seconds": read,
        "render_seconds": render, "peak_bytes": peak,
    });
    context.print(&json, &text);
    Ok(())
}

fn measure(task: &Task, options: &Options) -> Result<Row> {
    let data = options.place.data();
    let (mut parse, mut read, mut render) = (Vec::new(), Vec::new(), Vec::new());
    let mut scan = Scan::default();
    for _ in 0..options.rounds {
        let (found, seconds) = timed(|| task.scan(data));
        scan = found?;
        parse.push(seconds);
        let (dataset, seconds) = timed(|| task.read(data));
        let dataset = dataset?;
        read.push(seconds);
        let (_, seconds) = timed(|| {
            let examples = Split::ALL.iter().flat_map(|split| dataset.split(*split));
            examples.map(|e| task.render(e).input.len()).sum::<usize>()
        });
        render.push(seconds);
    }
    Ok(Row {
        task: task.name().to_owned(),
        format: json!(task.manifest.reader)["format"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        scan,
        bytes: task.source_bytes(data)?,
        parse_seconds: median(&parse),
        read_seconds: median(&read),
        render_seconds: median(&render),
    })
}

fn rate(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds.max(1e-9)
}

fn table(rows: &[Row]) -> String {
    let mut table = plain_table();
    table.set_header([
        "task",
        "format",
        "MB",
        "records",
        "parse MB/s",
        "parse ms",
        "with examples ms",
        "render ms",
    ]);
    for row in rows {
        let milliseconds = |seconds: f64| format!("{:.1}", 1e3 * seconds);
        table.add_row([
            row.task.clone(),
            row.format.clone(),
            format!("{:.2}", row.bytes as f64 / 1e6),
            row.scan.records.to_string(),
            format!("{:.0}", rate(row.bytes, row.parse_seconds)),
            milliseconds(row.parse_seconds),
            milliseconds(row.read_seconds),
            milliseconds(row.render_seconds),
        ]);
    }
    table.to_string()
}
