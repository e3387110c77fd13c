//! Keys and values that stand before a sequence though no token made them:
//! prefix tuning (Li & Liang 2021, arXiv 2101.00190).

use super::decoder::Decoder;
use super::forward::KvStore;
use crate::compute::{ComputeError, Computed, Kind, Tune};
use crate::files::Config;
use crate::forest::{Call, Forest, NodeId, Sight};
use crate::layers::rotary::Frequencies;

/// Keys and values of every layer for so many first positions.
///
/// Keys are as attention reads them: neither normed nor rotated any more. Tokens
/// behind the prefix are at the positions after it, and a window hides it from
/// them as it would hide tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyValuePrefix {
    positions: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Of each layer `[m, 2 · kv_heads · h]`: keys, then values.
    layers: Vec<Vec<f32>>,
}

/// Why a model can't continue a prefix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PrefixError {
    /// It was made for a model of another shape.
    #[error(
        "the prefix has {found} {what}, but the backbone has {wanted}; use the backbone that it was made for"
    )]
    Shape {
        /// What differs.
        what: PrefixSize,
        /// The prefix's.
        found: usize,
        /// The backbone's.
        wanted: usize,
    },
    /// The processor can't.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// A size in which a prefix and a backbone may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixSize {
    /// Decoder layers.
    Layers,
    /// Key/value heads.
    Heads,
    /// Values in a head.
    HeadDim,
}

impl std::fmt::Display for PrefixSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PrefixSize::Layers => "layers",
            PrefixSize::Heads => "key/value heads",
            PrefixSize::HeadDim => "values in a head",
        })
    }
}

impl KeyValuePrefix {
    /// A prefix of given values: for each layer `[m, 2 · kv_heads · h]`, in each
    /// row the keys of all heads, then the values.
    ///
    /// # Panics
    /// When a size is zero, or the layers don't have as many whole rows.
    #[must_use]
    pub fn new(kv_heads: usize, head_dim: usize, layers: Vec<Vec<f32>>) -> Self {
        let width = 2 * kv_heads * head_dim;
        let values = layers.first().map_or(0, Vec::len);
        assert!(values > 0 && width > 0, "a prefix has positions and heads");
        assert!(
            values.is_multiple_of(width) && layers.iter().all(|layer| layer.len() == values),
            "the layers of a prefix have the same whole rows"
        );
        KeyValuePrefix {
            positions: values / width,
            kv_heads,
            head_dim,
            layers,
        }
    }

    /// Positions that it takes, `m`.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Key/value heads of a layer.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Values in a head, `h`.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Keys and values of each layer, as [`KeyValuePrefix::new`] took them.
    #[must_use]
    pub fn layers(&self) -> &[Vec<f32>] {
        &self.layers
    }

    /// Says whether a model of this configuration can continue it.
    ///
    /// # Errors
    /// [`PrefixError::Shape`], with the first size that differs.
    pub fn check(&self, config: &Config) -> Result<(), PrefixError> {
        let sizes = [
            (PrefixSize::Layers, self.layers.len(), config.layers),
            (PrefixSize::Heads, self.kv_heads, config.kv_heads),
            (PrefixSize::HeadDim, self.head_dim, config.head_dim),
        ];
        match sizes.into_iter().find(|(_, found, wanted)| found != wanted) {
            None => Ok(()),
            Some((what, found, wanted)) => Err(PrefixError::Shape {
                what,
                found,
                wanted,
            }),
        }
    }
}

impl<B: Tune> Decoder<B> {
    /// Puts a prefix, which fits the model, at the store rows of `node`.
    pub(super) fn place(
        &self,
        forest: &Forest,
        node: NodeId,
        prefix: &KeyValuePrefix,
        store: &mut KvStore<B>,
    ) -> Computed<()> {
        let (backend, shape) = (&self.backend, self.attention_shape());
        let call = Call::nodes(forest, &[node]);
        // Its keys are already as they would be after their rotation.
        let still = Kind {
            sight: Sight::default(),
            frequencies: Frequencies::still(shape.head_dim),
            sinks: false,
        };
        backend.start_pass();
        let layout = backend.layout(shape, forest, &call, &still)?;
        store
            .layers
            .resize_with(self.layers.len(), B::KeysValues::default);
        for (kv, rows) in store.layers.iter_mut().zip(&prefix.layers) {
            backend.reserve(kv, shape, forest.rows())?;
            let rows = backend.upload(rows, shape.key_value_width())?;
            backend.store_keys_values(shape, &layout, &rows, kv)?;
        }
        Ok(())
    }
}
