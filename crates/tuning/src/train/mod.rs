//! The trainer: one loop for teaching, distilling and adapting.

mod budget;
mod checkpoint;
mod development;
mod error;
mod feed;
mod metrics;
mod mixing;
mod planned;
mod run;
mod sampling;
mod settings;
mod states;
mod step;
mod teachers;

pub use budget::Budget;
pub use error::TrainError;
pub use mixing::Mixing;
pub use planned::Planned;
pub use run::{Event, Finished, Training};
pub use sampling::{Draw, Sampler};
pub use settings::Settings;
pub use teachers::Teachers;
