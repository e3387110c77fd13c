//! How much memory the passes need on a device that stores bf16.

use crate::files::Config;

/// Bytes of a stored value.
const VALUE: f64 = 2.0;

/// What a pass over `rows` rows needs, for people.
pub(super) fn plan(config: &Config, rows: usize, recorded: bool) -> String {
    let gigabytes = |bytes: f64| format!("{:.2} GB", bytes / 1e9);
    let mut text = format!("the backbone has {} of weights", gigabytes(weights(config)));
    if rows > 0 {
        let keys_values = gigabytes(keys_values(config, rows));
        text += &format!(", {rows} rows of keys and values take {keys_values}");
    }
    if recorded {
        let tape = gigabytes(tape(config, rows));
        text += &format!(", and what their backward pass needs {tape}");
    }
    text
}

fn weights(config: &Config) -> f64 {
    VALUE * config.parameters() as f64
}

fn keys_values(config: &Config, rows: usize) -> f64 {
    let width = 2 * config.kv_heads * config.head_dim;
    VALUE * (config.layers * rows * width) as f64
}

/// Inputs and middles of the layers, queries and values of attention, gate and
/// up values.
fn tape(config: &Config, rows: usize) -> f64 {
    let width =
        2 * config.hidden_size + 2 * config.heads * config.head_dim + 2 * config.intermediate_size;
    VALUE * (config.layers * rows * width) as f64
}
