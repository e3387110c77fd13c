//! Progress on standard error: bars on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use metaprompt_study::Observer;
use metaprompt_tuning::train::Event;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds between two lines of a stage where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

/// Shows how a run goes.
pub(crate) struct Progress {
    quiet: bool,
    terminal: bool,
    bar: Option<ProgressBar>,
    stage: String,
    total: u64,
    done: u64,
    /// Where this process began in the stage (a resumed one not at 0).
    first: u64,
    started: Instant,
    last_line: Instant,
    loss: Option<f64>,
    /// Whether what is counted are bytes.
    bytes: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Progress {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            bar: None,
            stage: String::new(),
            total: 0,
            done: 0,
            first: 0,
            started: now,
            last_line: now,
            loss: None,
            bytes: false,
        }
    }

    /// Progress in lines, where several processes write to one terminal.
    pub(crate) fn lines(quiet: bool) -> Self {
        Progress {
            terminal: false,
            ..Self::new(quiet)
        }
    }

    /// Begins a stage that counts bytes; `advance` and `end` go on with it.
    pub(crate) fn begin_bytes(&mut self, stage: &str, total: u64) {
        self.begin(stage, total);
        self.bytes = true;
        // A resumed download begins with what is there, which is no speed.
        self.first = u64::MAX;
        if let Some(bar) = &self.bar {
            let style = ProgressStyle::with_template(
                "{prefix:<34} {bar:24} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {eta:>4} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
    }

    fn show(&mut self) {
        let loss = self
            .loss
            .map(|l| format!("loss {l:.3}"))
            .unwrap_or_default();
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.set_message(loss);
        } else if !self.quiet && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let seconds = self.started.elapsed().as_secs_f64();
            let rate = (self.done - self.first) as f64 / seconds;
            let left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-9);
            if self.bytes {
                let megabytes = |bytes: f64| bytes / 1e6;
                eprintln!(
                    "{}: {:.1}/{:.1} MB ({:.2} MB/s, {left:.0} s left)",
                    self.stage,
                    megabytes(self.done as f64),
                    megabytes(self.total as f64),
                    megabytes(rate)
                );
                return;
            }
            eprintln!(
                "{}: {}/{} ({rate:.2}/s, {left:.0} s left) {loss}",
                self.stage, self.done, self.total
            );
        }
    }
}

impl Observer for Progress {
    fn begin(&mut self, stage: &str, total: u64) {
        self.stage = stage.to_owned();
        self.total = total;
        (self.done, self.first, self.loss, self.bytes) = (0, 0, None, false);
        self.started = Instant::now();
        self.last_line = self.started;
        if !self.quiet && self.terminal {
            let style = ProgressStyle::with_template(
                "{prefix:<34} {bar:24} {pos:>5}/{len} {per_sec:>10} {eta:>4} left  {msg}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total)
                .with_style(style)
                .with_prefix(self.stage.clone());
            self.bar = Some(bar);
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Resumed(step) => {
                (self.done, self.first) = (*step, *step);
                if let Some(bar) = &self.bar {
                    bar.set_position(*step);
                    bar.reset_eta();
                } else if !self.quiet {
                    eprintln!("{}: continuing after step {step}", self.stage);
                }
            }
            Event::Step { step, losses, .. } => {
                self.done = *step;
                // A running mean: single batches jump.
                self.loss = Some(match self.loss {
                    Some(loss) => 0.9 * loss + 0.1 * losses.total,
                    None => losses.total,
                });
                self.show();
            }
            Event::Evaluated { .. } => {}
        }
    }

    fn advance(&mut self, done: u64) {
        if self.bytes && (self.first > done || done < self.done) {
            // What was here before, or a file that had to be begun again.
            self.first = done;
            self.started = Instant::now();
            if let Some(bar) = &self.bar {
                bar.set_position(done);
                bar.reset_eta();
            }
        }
        self.done = done;
        self.show();
    }

    fn end(&mut self, summary: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !self.quiet {
            let seconds = self.started.elapsed().as_secs_f64();
            let loss = self
                .loss
                .map(|l| format!(", loss {l:.3}"))
                .unwrap_or_default();
            eprintln!("{:<40} {summary}{loss} ({seconds:.0} s)", self.stage);
        }
    }

    fn note(&mut self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}
