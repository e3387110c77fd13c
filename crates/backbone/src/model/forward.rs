//! The forward pass over a packed call.

use super::decoder::{Decoder, Layer};
use super::feed::Inside;
use super::low_rank::{Tuned, Tuning};
use super::module::Module;
use super::{Outputs, Pass, Recompute};
use crate::compute::{Backend, Computed, Keep, Kind, Tune};

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
    /// Layouts of the call, one for each kind of attention, and that of the
    /// wanted rows in the last layer where they are not all.
    pub(crate) layouts: Vec<B::Layout>,
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
    pub(crate) attended: Attended<B>,
    /// Residual stream between attention and MLP, `[N, d]`.
    pub(crate) middle: B::Kept,
    /// What lies inside the second half, unless it is computed again.
    pub(crate) inside: Option<Inside<B>>,
}

/// What attention keeps.
pub(crate) struct Attended<B: Backend> {
    pub(crate) attended: B::Attended,
    /// Queries, and keys with values, before the norms of their heads where
    /// there are any.
    pub(crate) before_norms: Option<[B::Tensor; 2]>,
    /// What it gave, `[N, heads·h]`, where the layer that reads it is changed or
    /// trained.
    pub(crate) values: Option<B::Tensor>,
}

/// Layout of a call, and of its wanted rows where they are not all.
pub(crate) struct Layouts<'a, B: Backend> {
    pub(crate) whole: &'a B::Layout,
    pub(crate) selected: Option<(&'a [usize], &'a B::Layout)>,
}

impl<B: Tune> Decoder<B> {
    /// Runs the rows of the pass's call, whose input embeddings are `x`
    /// (`[T, d]`), adds their keys and values to `store` and returns the final
    /// hidden states after the last norm, `[outputs, d]`, with what
    /// [`Decoder::backward`] needs when it is to be `recorded`. What the level
    /// has computed again is not kept, nor are its keys and values. The first
    /// `pinned` positions stay visible beyond every window; `tuning` says what is
    /// changed or trained inside the layers.
    pub(crate) fn forward(
        &self,
        pass: Pass<'_>,
        mut x: B::Stream,
        store: &mut KvStore<B>,
        recorded: Option<Recompute>,
        pinned: usize,
        tuning: Tuning<'_>,
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
        backend.start_pass();
        let kinds = self.kinds.iter().map(|kind| kind.with_pinned(pinned));
        let kinds: Vec<Kind> = kinds.collect();
        let layout = |kind: &Kind| backend.layout(shape, forest, call, kind);
        let layouts = kinds.iter().map(layout).collect::<Computed<Vec<_>>>()?;
        let selection = match (outputs, self.layers.last()) {
            (Outputs::Rows(rows), Some(last)) => {
                let (whole, kind) = (&layouts[last.kind], &kinds[last.kind]);
                let selected = backend.select(whole, shape, forest, call, rows, kind);
                Some((rows, selected?))
            }
            _ => None,
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
            let of_layer = Layouts::<B> {
                whole: &layouts[layer.kind],
                selected: selected.map(|(rows, layout)| (*rows, layout)),
            };
            backend.reserve(kv, shape, forest.rows())?;
            let tuned = tuning.layer(index);
            let (attended, mut middle) =
                self.attention(layer, &mut x, kv, &of_layer, keep, tuned)?;
            let (inside, next) = self.feed(layer, &mut middle, keep, tuned)?;
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
                        inside,
                    }),
                }),
            }
        }
        let kept = keep != Keep::Nothing;
        let hidden = backend.rms_norm(&mut x, &self.final_norm, eps, kept)?;
        let tape = kept.then(|| Tape {
            layers: tapes,
            layouts,
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
        tuned: Tuned<'_>,
    ) -> Computed<(Attended<B>, B::Stream)> {
        let (backend, shape) = (&self.backend, self.attention_shape());
        let projections = layer.projections(self.config.rms_norm_eps);
        let (kept, eps) = (keep != Keep::Nothing, projections.eps);
        let rows = layouts.selected.map(|(rows, _)| rows);
        let changed = tuned.changes(&[Module::Query, Module::Key, Module::Value]);
        let (mut queries, mut key_value) = if rows.is_none() && !changed {
            backend.project(&projections, x, kept)?
        } else {
            let normed = backend.rms_norm(x, projections.norm, eps, kept)?;
            let mut key_value = backend.forward(&layer.key_value, &normed)?;
            self.change(
                tuned,
                &[Module::Key, Module::Value],
                &normed,
                &mut key_value,
            )?;
            let some = match rows {
                Some(rows) => backend.gather(&normed, rows)?,
                None => normed,
            };
            let mut queries = backend.forward(&layer.query, &some)?;
            self.change(tuned, &[Module::Query], &some, &mut queries)?;
            (queries, key_value)
        };
        let mut before_norms = None;
        if let Some([query, key]) = &layer.head_norms {
            let normed = [
                backend.head_norm(&queries, query, eps, shape, shape.heads)?,
                backend.head_norm(&key_value, key, eps, shape, shape.kv_heads)?,
            ];
            before_norms = kept.then_some([queries, key_value]);
            [queries, key_value] = normed;
        }
        backend.store_keys_values(shape, layouts.whole, &key_value, kv)?;
        drop(key_value);
        let layout = layouts.selected.map_or(layouts.whole, |(_, layout)| layout);
        let sinks = layer.sinks.as_ref();
        let (values, attended) = backend.attend(shape, layout, queries, kv, sinks)?;
        let output = &layer.attention_output;
        let mut next = match rows {
            None => backend.forward_add(output, &values, x)?,
            Some(rows) => {
                let residual = backend.gather_stream(x, rows)?;
                backend.forward_add(output, &values, &residual)?
            }
        };
        let change = tuned.change(Module::Output);
        if let Some(change) = change {
            backend.low_rank_stream(&change.low_rank, &values, &mut next)?;
        }
        let needed = kept && (change.is_some() || tuned.weights());
        let attended = Attended {
            attended,
            before_norms,
            values: needed.then_some(values),
        };
        Ok((attended, next))
    }
}
