//! An experiment from its file to its table: which tasks, which methods, how
//! many examples, in a run folder that explains itself and survives being
//! stopped at any moment.

mod answer;
mod collect;
mod demonstrations;
mod encode;
mod error;
mod evaluation;
mod execute;
mod graph;
mod json;
mod lab;
mod memory;
mod metrics;
mod observer;
mod outcome;
mod prepare;
mod recorded;
pub mod report;
pub mod results;
mod run;
mod spec;
mod stages;
mod status;
mod store;
mod tensorboard;
mod transfer;
mod worker;

pub use answer::{Answered, Answerer, Decoding};
pub use encode::{Encoded, EncodedExample, Encoder, Encoding};
pub use error::StudyError;
pub use observer::{Observer, Silent};
pub use prepare::Prepared;
pub use recorded::Recorded;
pub use report::{Report, Row, single_markdown as markdown, table};
pub use run::{Finished, Run, resolved, run, work_on};
pub use spec::{
    Ablation, ChosenBy, Demonstrations, Distill, Evaluate, Full, FullTuning, Length, Limits, Lora,
    Metaprompt, MetapromptSeeds, Method, PromptInit, PromptSpec, PromptTuning, Search, SharedInit,
    Shots, SourceVectors, Study, Teach, Vectors,
};
pub use stages::{FullStage, Stage, Stages};
pub use status::{KindStatus, Status, status};
pub use store::Counted;
pub use worker::WorkOptions;
