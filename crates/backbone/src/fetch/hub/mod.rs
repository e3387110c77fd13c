//! Models of the Hugging Face hub, in the cache that Hugging Face's own libraries use.
//!
//! [`fetch`] brings one model's files into that cache, [`cached`] finds them there without
//! a network. Both keep to the layout of `huggingface_hub`: `models--ORG--NAME` with
//! `blobs/CHECKSUM`, `snapshots/COMMIT/FILE` as links to the blobs, and `refs/REVISION`
//! with a commit in it. So what is fetched here is there for `transformers`, and the
//! reverse.
//!
//! The client is our own, on `ureq`, since the `hf-hub` crate (1.0) lacks two things that
//! a model of many gigabytes needs: it begins a cut download again from its first byte,
//! and holds what it wrote against no checksum. It would also bring an asynchronous
//! runtime, a second HTTP client and the hub's chunk storage with it. Every file is
//! reached by plain HTTP here; the hub serves those of at most 50 GB that way, which
//! includes all shards that `save_pretrained` writes.
//!
//! A snapshot's small files come first and its weights last, and a revision's name points
//! to a new commit only when all of its files are there. So a snapshot with all its
//! weights is whole, which is what [`cached`] relies on.

mod address;
mod answer;
mod cache;
mod client;
mod download;
mod error;
mod fetch;
mod names;
mod plan;
mod settings;

pub use cache::{cached, repository_of};
pub use error::HubError;
pub use fetch::{Fetched, Progress, Request, fetch};
pub use names::Reference;
pub use settings::Settings;
