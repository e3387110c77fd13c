//! Clinical corpora in and out of a language model.
//!
//! Native files → typed records → text, and generated text → typed answer.
//! A task is a TOML manifest ([`Manifest`], described in this crate's
//! `MANIFEST.md`); [`Task::read`] gives a [`Dataset`] of [`Example`]s,
//! [`Task::render`] writes one down, [`Task::parse`] understands what a model
//! wrote, [`Task::gold`] says the same of the annotators. Nothing here knows a
//! model or a tensor.
//!
//! ```no_run
//! use std::path::Path;
//! use metaprompt_corpus::{Split, Task};
//!
//! let task = Task::find(Path::new("tasks"), "jnlpba")?;
//! let data = task.read(Path::new("target/data"))?;
//! for example in data.split(Split::Test) {
//!     let text = task.render(example);
//!     assert_eq!(task.parse(example, &text.target).unusable, []);
//! }
//! # Ok::<(), metaprompt_corpus::CorpusError>(())
//! ```
//!
//! The modules follow the data: `readers` (one file per format) → `examples`
//! (rows and annotated texts to `record`s) → `read` and `split` → `template` and
//! `render` and `forms` → `parse` → `prediction`.

mod braces;
mod dataset;
mod error;
mod examples;
mod few_shot;
mod forms;
mod ids;
mod kinds;
mod leaks;
mod length;
mod line_reader;
mod manifest;
mod parse;
mod prediction;
mod read;
mod readers;
mod record;
mod render;
mod round_trip;
mod sampling;
mod scan;
mod seeded;
mod short_id;
mod source;
mod split;
mod stream;
mod task;
mod template;
mod text;
mod warning;
mod windows;
mod writers;

pub use dataset::{Counts, Dataset};
pub use error::{CorpusError, Place};
pub use few_shot::few_shot;
pub use kinds::{Metric, Role, Split, TaskType};
pub use leaks::{Leak, Leaks};
pub use manifest::*;
pub use prediction::{Answer, Prediction, RelationAnswer, RelationEnd, Unusable, UnusableReason};
pub use readers::*;
pub use record::{
    Annotations, Attribute, Document, Entailment, Entity, Event, EventArgument, Example, Group,
    Note, Pair, Passage, Question, Record, RecordError, Relation, Span, Statement, TextPair,
};
pub use render::Rendered;
pub use round_trip::{LossCause, RoundTrip};
pub use scan::Scan;
pub use source::Source;
pub use task::Task;
pub use warning::{Warning, WarningKind};
pub use windows::{Merged, Wholes, Window};
pub use writers::{Existing, Loss, Losses, Target, write, write_examples};
