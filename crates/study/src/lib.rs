//! An experiment from its file to its table: which tasks, which methods, how
//! many examples, in a run folder that explains itself and survives being
//! stopped at any moment.

mod answer;
mod cells;
mod check;
mod encode;
mod error;
mod folder;
mod initial;
mod observer;
mod prepare;
pub mod report;
pub mod results;
mod run;
mod spec;
mod stages;

pub use answer::{Answered, Answerer, Decoding};
pub use encode::{Encoded, EncodedExample, Encoder, Encoding};
pub use error::StudyError;
pub use folder::{Status, status};
pub use observer::{Observer, Silent};
pub use prepare::Prepared;
pub use report::{Report, Row, single_markdown as markdown, table};
pub use run::run;
pub use spec::{
    Adapt, Distill, Evaluate, Full, Limits, PromptInit, PromptSpec, SharedInit, Shots, Study,
    Teach, Vectors,
};
pub use stages::{SourceVectors, Stage, Stages};
