//! A worker: takes one ready cell after the other until there is none left.

use crate::execute::Execution;
use crate::lab::Lab;
use crate::outcome::Outcome;
use crate::store::{Claimed, Store, Worker};
use crate::tensorboard::EventFile;
use crate::{Observer, StudyError};
use metaprompt_tuning::train::Event;
use metaprompt_tuning::write_atomically;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a worker that has to wait looks again.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a running cell says how far it is.
const REPORT: Duration = Duration::from_secs(5);

/// How cells are run; nothing of it changes a result.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkOptions {
    /// Bytes that all running cells may plan to take beside the weights.
    pub memory: Option<u64>,
    /// Whether training metrics are also written as TensorBoard event files.
    pub tensorboard: bool,
}

/// Runs the cells of a run until none is left. A cell that fails is recorded
/// and doesn't stop the others.
///
/// # Errors
/// When the run folder's database can't be used.
pub(crate) fn work(
    lab: &mut Lab<'_>,
    store: &mut Store,
    run: i64,
    options: WorkOptions,
    observer: &mut dyn Observer,
) -> Result<(), StudyError> {
    let worker = Worker::new(store.folder())?;
    loop {
        let (digest, folder, recipe) = match store.claim(run, &worker, options.memory)? {
            Claimed::Nothing => return Ok(()),
            Claimed::Wait => {
                std::thread::sleep(PAUSE);
                continue;
            }
            Claimed::Cell {
                digest,
                folder,
                recipe,
            } => (digest, folder, recipe),
        };
        let config = store.config_of(&digest)?;
        let mut watched = Watched {
            inner: observer,
            store,
            cell: &digest,
            total: 0,
            said: Instant::now(),
            events: options.tensorboard.then(|| EventFile::new(&folder)),
        };
        let execution = Execution {
            lab,
            store,
            recipe: &recipe,
            folder: &folder,
            observer: &mut watched,
        };
        let finished = describe(&folder, &config).and_then(|()| execution.run());
        let events = watched.events.take().map_or(Ok(()), EventFile::finish);
        let finished = finished.and_then(|outcome| {
            events?;
            let outcome = Outcome {
                cell: digest.clone(),
                ..outcome
            };
            outcome.save(&folder)?;
            Ok(outcome)
        });
        match finished {
            Ok(outcome) => store.done(&digest, &outcome)?,
            Err(error) => {
                let error = whole(&error);
                observer.end("failed");
                observer.note(&format!("{}: {error}", folder.display()));
                store.failed(&digest, &error)?;
            }
        }
    }
}

/// Writes what a cell is into its folder, for people.
fn describe(folder: &Path, config: &str) -> Result<(), StudyError> {
    std::fs::create_dir_all(folder).map_err(StudyError::file(folder))?;
    let path = folder.join("cell.json");
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    write_atomically(&path, format!("{config:#}\n").as_bytes()).map_err(StudyError::file(&path))
}

/// An error with its causes, none of them said twice.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Tells the database how far a cell is, beside whoever else watches.
struct Watched<'w> {
    inner: &'w mut dyn Observer,
    store: &'w Store,
    cell: &'w str,
    total: u64,
    said: Instant,
    /// Where TensorBoard looks, if it does.
    events: Option<EventFile>,
}

impl Watched<'_> {
    fn say(&mut self, done: u64) {
        if self.said.elapsed() < REPORT {
            return;
        }
        self.said = Instant::now();
        // Whoever looks at the status sees an older number; no result is lost.
        if let Err(error) = self.store.progress(self.cell, done, self.total) {
            tracing::warn!("{error}");
        }
    }
}

impl Observer for Watched<'_> {
    fn begin(&mut self, stage: &str, total: u64) {
        self.total = total;
        self.inner.begin(stage, total);
    }

    fn event(&mut self, event: &Event) {
        if let Event::Step { step, .. } = event {
            self.say(*step);
        }
        match (&mut self.events, event) {
            (Some(events), Event::Resumed(step)) => events.resumed(*step),
            (Some(events), _) => events.measured(),
            (None, _) => {}
        }
        self.inner.event(event);
    }

    fn advance(&mut self, done: u64) {
        self.say(done);
        self.inner.advance(done);
    }

    fn end(&mut self, summary: &str) {
        self.inner.end(summary);
    }

    fn note(&mut self, text: &str) {
        self.inner.note(text);
    }
}
