//! The forward pass over a packed call.

use super::decoder::{Decoder, Layer};
use super::{Outputs, Pass};
use crate::compute::{Backend, Computed};

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

/// Kept per layer: the fewest activations that the backward pass can't rebuild
/// without a matrix product. `N` is the number of query rows (all, or in the
/// last layer the wanted ones).
pub(crate) struct LayerTape<B: Backend> {
    /// Input of the layer, `[T, d]`.
    pub(crate) input: B::Kept,
    pub(crate) attended: B::Attended,
    /// Residual stream between attention and MLP, `[N, d]`.
    pub(crate) middle: B::Kept,
    /// Gate and up values, `[N, 2f]`.
    pub(crate) gate_up: B::Tensor,
}

impl<B: Backend> Decoder<B> {
    /// Runs the rows of the pass's call, whose input embeddings are `x`
    /// (`[T, d]`), adds their keys and values to `store` and returns the final
    /// hidden states after the last norm, `[outputs, d]`, with what
    /// [`Decoder::backward`] needs when it is to be `recorded`.
    pub(crate) fn forward(
        &self,
        pass: Pass<'_>,
        mut x: B::Stream,
        store: &mut KvStore<B>,
        recorded: bool,
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
            Outputs::Rows(rows) => Some((
                rows,
                backend.select(&layout, shape, forest, call, rows, &self.frequencies)?,
            )),
        };
        let mut tapes = Vec::new();
        for (index, (layer, kv)) in self.layers.iter().zip(&mut store.layers).enumerate() {
            backend.reserve(kv, shape, forest.rows())?;
            let normed = backend.rms_norm(&mut x, &layer.attention_norm, eps, recorded)?;
            let rows = backend.forward(&layer.key_value, &normed)?;
            backend.store_keys_values(shape, &layout, &rows, kv)?;
            drop(rows);
            // Whoever asks for some rows only needs their queries and MLP only
            // in the last layer.
            let selection = selection
                .as_ref()
                .filter(|_| index + 1 == self.layers.len());
            let (queries, attended, mut middle);
            match selection {
                Some((rows, layout)) => {
                    queries = backend.forward(&layer.query, &backend.gather(&normed, rows)?)?;
                    drop(normed);
                    let (values, kept) = backend.attend(shape, layout, queries, kv)?;
                    let residual = backend.gather_stream(&x, rows)?;
                    middle = backend.forward_add(&layer.attention_output, &values, &residual)?;
                    attended = kept;
                }
                None => {
                    queries = backend.forward(&layer.query, &normed)?;
                    drop(normed);
                    let (values, kept) = backend.attend(shape, &layout, queries, kv)?;
                    middle = backend.forward_add(&layer.attention_output, &values, &x)?;
                    attended = kept;
                }
            }
            let (gate_up, next) = self.mlp(layer, &mut middle, recorded)?;
            let input = std::mem::replace(&mut x, next);
            if recorded {
                tapes.push(LayerTape {
                    input: backend.keep(input),
                    attended,
                    middle: backend.keep(middle),
                    gate_up,
                });
            }
        }
        let hidden = backend.rms_norm(&mut x, &self.final_norm, eps, recorded)?;
        let tape = recorded.then(|| Tape {
            layers: tapes,
            layout,
            selection: selection.map(|(_, layout)| layout),
            last: backend.keep(x),
        });
        Ok((hidden, tape))
    }

    /// Gate and up values, and the residual stream after the MLP.
    fn mlp(
        &self,
        layer: &Layer<B>,
        middle: &mut B::Stream,
        recorded: bool,
    ) -> Computed<(B::Tensor, B::Stream)> {
        let (backend, eps) = (&self.backend, self.config.rms_norm_eps);
        let normed = backend.rms_norm(middle, &layer.mlp_norm, eps, recorded)?;
        let gate_up = backend.forward(&layer.gate_up, &normed)?;
        drop(normed);
        let next = backend.forward_add(&layer.down, &backend.swiglu(&gate_up)?, middle)?;
        Ok((gate_up, next))
    }
}
