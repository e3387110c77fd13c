//! What is trained, and how: soft prompts, the decomposed multitask prompt,
//! LoRA, all weights, distillation from teachers, the trainer with its checkpoints, and
//! adapters on disk in PEFT's format.
//!
//! Source of the method: Wang et al., "Multitask Prompt Tuning Enables
//! Parameter-Efficient Transfer Learning", ICLR 2023, arXiv 2303.02861, as
//! applied to clinical text by arXiv 2604.06650.

pub mod adapter;
mod batch;
mod digest;
mod example;
mod files;
pub mod full;
pub mod lora;
mod method;
mod moments;
mod objective;
mod optimizer;
mod parameter;
pub mod prompt;
mod random;
mod schedule;
pub mod train;

pub use digest::Digest;
pub use example::{Example, TaskData};
pub use files::write_atomically;
pub use method::{Method, NextPass, Pass, Update};
pub use moments::{OptimizerState, SMALL};
pub use objective::{DistillationLoss, Item, Losses, evaluate, gradients, hidden_states};
pub use optimizer::{AdamW, clip};
pub use parameter::Parameter;
pub use schedule::Schedule;
