//! What no card has run yet.
//!
//! The kernels named here pass their tests on the emulator and compile for
//! every architecture, but their tests on a card (`cargo test cuda -- --ignored`)
//! are still to be run. Until then `--device auto` leaves models that need them
//! to the CPU, and `--device cuda` says so.

use crate::files::{Config, RopeScaling, Weights};

/// What a model needs of that, for people.
pub(crate) fn unproven(config: &Config, weights: Weights) -> Option<String> {
    let windows = config.attention.iter().any(|layer| layer.window.is_some());
    let yarn = matches!(config.rope.scaling, RopeScaling::Yarn { .. });
    let parts = [
        ("sliding windows", windows),
        ("attention sinks", config.sinks),
        ("norms of queries and keys", config.query_key_norm),
        ("mixtures of experts", config.experts.is_some()),
        ("YaRN", yarn),
        ("packed weights", weights == Weights::Packed),
    ];
    let needed: Vec<&str> = parts
        .iter()
        .filter(|part| part.1)
        .map(|part| part.0)
        .collect();
    (!needed.is_empty()).then(|| needed.join(", "))
}
