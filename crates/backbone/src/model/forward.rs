//! The forward pass over a packed call.

use super::decoder::{Decoder, Layer};
use super::{Outputs, Pass, Recompute};
use crate::compute::{Backend, Computed, Keep};

/// Keys (rotated) and values of every layer, by store row of the forest: the
/// activations of a training step and the cache of generation are the same
/// thing.
pub(crate) struct KvStore<B: Backend> {
    pub(crate) layers: Vec<B::KeysValues>,
}

impl<B: Backend> KvStore<B> {
    /// An empty store.
    pub(crate) fn new() -> Self {
        KvStore { layers: Vec::new() }
    }
}

/// What the backward pass needs, recorded by the forward pass.
pub(crate) struct Tape<B: Backend> {
    pub(crate) layers: Vec<LayerTape<B>>,
    /// Layout of the call, and that of the wanted rows where they are not all.
    pub(crate) layout: B::Layout,
    pub(crate) selection: Option<B::Layout>,
    /// Input of the final norm, `[outputs, d]`.
    pub(crate) last: B::Kept,
}

/// Kept per layer. `N` is the number of query rows (all, or in the last layer
/// the wanted ones).
pub(crate) struct LayerTape<B: Backend> {
    /// Input of the layer, `[T, d]`.
    pub(crate) input: B::Kept,
    /// What lies between it and the output, unless it is computed again.
    pub(crate) inner: Option<Inner<B>>,
}

/// The fewest activations that the backward pass can't rebuild without a
/// matrix product.
pub(crate) struct Inner<B: Backend> {
    pub(crate) attended: B::Attended,
    /// Residual stream between attention and MLP, `[N, d]`.
    pub(crate) middle: B::Kept,
    /// Gate and up values, `[N, 2f]`, unless they are computed again.
    pub(crate) gate_up: Option<B::Tensor>,
}

/// Layout of a call, and of its wanted rows where they are not all.
pub(crate) struct Layouts<'a, B: Backend> {
    pub(crate) whole: &'a B::Layout,
    pub(crate) selected: Option<(&'a [usize], &'a B::Layout)>,
}

impl<B: Backend> Decoder<B> {
    /// Runs the rows of the pass's call, whose input embeddings are `x`
    /// (`[T, d]`), adds their keys and values to `store` and returns the final
    /// hidden states after the last norm, `[outputs, d]`, with what
    /// [`Decoder::backward`] needs when it is to be `recorded`. What the level
    /// has computed again is not kept, nor are its keys and values.
    pub(crate) fn forward(
        &self,
        pass: Pass<'_>,
        mut x: B::Stream,
        store: &mut KvStore<B>,
        recorded: Option<Recompute>,
    ) -> Computed<(B::Tensor, Option<Tape<B>>)> {
        let Pass {
            forest,
            call,
            outputs,
        } = pass;
        let (backend, shape, eps) = (
            &self.backend,
            self.attention_shape(),
            self.config.rms_norm_eps,
        );
        store
            .layers
            .resize_with(self.layers.len(), B::KeysValues::default);
        let layout = backend.layout(shape, forest, call, &self.frequencies)?;
        let selection = match outputs {
            Outputs::All => None,
            Outputs::Rows(rows) => {
                let selected =
                    backend.select(&layout, shape, forest, call, rows, &self.frequencies);
                Some((rows, selected?))
            }
        };
        let keep = match recorded {
            None => Keep::Nothing,
            Some(Recompute::None) => Keep::All,
            Some(Recompute::Mlp | Recompute::Layer) => Keep::Streams,
        };
        let mut tapes = Vec::with_capacity(self.layers.len());
        for (index, (layer, kv)) in self.layers.iter().zip(&mut store.layers).enumerate() {
            // Whoever asks for some rows only needs their queries and MLP only
            // in the last layer.
            let last = index + 1 == self.layers.len();
            let selected = selection.as_ref().filter(|_| last);
            let layouts = Layouts::<B> {
                whole: &layout,
                selected: selected.map(|(rows, layout)| (*rows, layout)),
            };
            backend.reserve(kv, shape, forest.rows())?;
            let (attended, mut middle) = self.attention(layer, &mut x, kv, &layouts, keep)?;
            let (gate_up, next) = backend.mlp(&layer.mlp(eps), &mut middle, keep)?;
            let input = std::mem::replace(&mut x, next);
            match recorded {
                None => {}
                Some(Recompute::Layer) => {
                    *kv = B::KeysValues::default();
                    let input = backend.keep(input);
                    tapes.push(LayerTape { input, inner: None });
                }
                Some(Recompute::None | Recompute::Mlp) => tapes.push(LayerTape {
                    input: backend.keep(input),
                    inner: Some(Inner {
                        attended,
                        middle: backend.keep(middle),
                        gate_up,
                    }),
                }),
            }
        }
        let kept = keep != Keep::Nothing;
        let hidden = backend.rms_norm(&mut x, &self.final_norm, eps, kept)?;
        let tape = kept.then(|| Tape {
            layers: tapes,
            layout,
            selection: selection.map(|(_, layout)| layout),
            last: backend.keep(x),
        });
        Ok((hidden, tape))
    }

    /// A layer's first half: keys and values to `kv`, and the residual stream
    /// after attention.
    pub(crate) fn attention(
        &self,
        layer: &Layer<B>,
        x: &mut B::Stream,
        kv: &mut B::KeysValues,
        layouts: &Layouts<'_, B>,
        keep: Keep,
    ) -> Computed<(B::Attended, B::Stream)> {
        let (backend, shape) = (&self.backend, self.attention_shape());
        let projections = layer.projections(self.config.rms_norm_eps);
        let kept = keep != Keep::Nothing;
        let output = &layer.attention_output;
        let Some((rows, layout)) = layouts.selected else {
            let (queries, key_value) = backend.project(&projections, x, kept)?;
            backend.store_keys_values(shape, layouts.whole, &key_value, kv)?;
            drop(key_value);
            let (values, attended) = backend.attend(shape, layouts.whole, queries, kv)?;
            return Ok((attended, backend.forward_add(output, &values, x)?));
        };
        let normed = backend.rms_norm(x, projections.norm, projections.eps, kept)?;
        let key_value = backend.forward(&layer.key_value, &normed)?;
        backend.store_keys_values(shape, layouts.whole, &key_value, kv)?;
        drop(key_value);
        let queries = backend.forward(&layer.query, &backend.gather(&normed, rows)?)?;
        drop(normed);
        let (values, attended) = backend.attend(shape, layout, queries, kv)?;
        let residual = backend.gather_stream(x, rows)?;
        Ok((attended, backend.forward_add(output, &values, &residual)?))
    }
}
