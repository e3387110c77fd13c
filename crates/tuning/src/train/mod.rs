//! The trainer: one loop for teaching, distilling and adapting.

mod checkpoint;
mod error;
mod metrics;
mod run;
mod sampling;
mod settings;
mod teachers;

pub use error::TrainError;
pub use run::{Event, Finished, Training};
pub use sampling::{Mixing, Sampler};
pub use settings::Settings;
pub use teachers::Teachers;
