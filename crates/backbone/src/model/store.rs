//! The key/value store: the activations of a training step and the cache of
//! generation are the same thing.

use crate::layers::attention::KeysValues;

/// Keys (rotated) and values of every layer, by store row of the forest.
#[derive(Clone, Debug, Default)]
pub struct KvStore {
    pub(crate) layers: Vec<KeysValues>,
}

impl KvStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for `rows` rows in each layer (or forgets the rows after).
    pub(crate) fn resize(&mut self, layers: usize, kv_heads: usize, rows: usize, head_dim: usize) {
        self.layers.resize_with(layers, KeysValues::default);
        for layer in &mut self.layers {
            layer.resize(kv_heads, rows, head_dim);
        }
    }
}
