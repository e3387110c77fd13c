//! The backward pass of frozen layers to the input embeddings. No weight gets a
//! gradient, so no layer's input is needed except where a function is not linear.

use super::decoder::{Decoder, Layer};
use super::forward::{Inner, KvStore, LayerTape, Layouts, Tape};
use super::low_rank::Tuned;
use super::{Outputs, Pass};
use crate::compute::{Computed, Keep, Tune, Wanted};

impl<B: Tune> Decoder<B> {
    /// Gradient of a loss at the input embeddings of call rows `0..wanted`,
    /// `[wanted, d]`, given its gradient at the final hidden states
    /// (`d_hidden`, `[outputs, d]`). `pass`, `store` and `tape` are those of the
    /// forward pass, which must have computed every row of the store (a
    /// training step has no cache); the store is empty afterwards.
    ///
    /// # Panics
    /// When the pass's call does not cover the forest.
    pub(crate) fn backward(
        &self,
        pass: Pass<'_>,
        store: &mut KvStore<B>,
        tape: Tape<B>,
        d_hidden: &B::Tensor,
        wanted: usize,
    ) -> Computed<B::Stream> {
        let (backend, shape, eps) = (
            &self.backend,
            self.attention_shape(),
            self.config.rms_norm_eps,
        );
        let rows = pass.call.rows();
        assert_eq!(
            rows,
            pass.forest.rows(),
            "a backward pass covers the whole forest"
        );
        let mut dx =
            backend.rms_norm_backward(None, d_hidden, &tape.last, &self.final_norm, eps)?;
        let kept = self.layers.iter().zip(&mut store.layers).zip(tape.layers);
        for (index, ((layer, kv), kept)) in kept.enumerate().rev() {
            // Only the first layer may leave out rows: the gradient of a later
            // layer's input is needed wherever an earlier row is attended to.
            let wanted = if index == 0 { wanted } else { rows };
            let selection = tape.selection.as_ref();
            let layouts = self.layouts(pass, &tape.layouts, selection, index);
            let selected = layouts.selected;
            let LayerTape { input, inner } = kept;
            let inner = match inner {
                Some(inner) => inner,
                None => self.again(layer, &input, kv, &layouts, rows, Tuned::Nothing)?,
            };
            let Inner {
                attended,
                middle,
                inside,
            } = inner;
            dx = self.feed_backward(layer, dx, &middle, inside)?;
            drop(middle);
            let d_values = backend.backward_stream(&layer.attention_output, &dx)?;
            // The wanted rows among the (ascending) query rows.
            let queries = selected.map_or(wanted, |(rows, _)| {
                rows.partition_point(|&row| row < wanted)
            });
            let (mut dq, mut d_kv) = backend.attend_backward(
                shape,
                selected.map_or(layouts.whole, |(_, layout)| layout),
                attended.attended,
                kv,
                &d_values,
                Wanted {
                    queries,
                    rows: wanted,
                },
            )?;
            drop(d_values);
            dx = backend.truncate(dx, queries);
            *kv = B::KeysValues::default();
            if let (Some(norms), Some(before)) = (&layer.head_norms, &attended.before_norms) {
                let heads = [shape.heads, shape.kv_heads];
                let each = [&mut dq, &mut d_kv]
                    .into_iter()
                    .zip(before)
                    .zip(norms)
                    .zip(heads);
                for (((dy, x), norm), heads) in each {
                    backend.head_norm_backward(dy, x, norm, eps, shape, heads)?;
                }
            }
            let projections = layer.projections(eps);
            let Some((rows, _)) = selected else {
                dx = backend.project_backward(&projections, dx, &dq, &d_kv, &input)?;
                continue;
            };
            let mut d_normed = backend.backward(&layer.key_value, &d_kv)?;
            let part = backend.backward(&layer.query, &dq)?;
            backend.add_rows(&mut d_normed, &part, &rows[..queries])?;
            let residual = backend.scatter(&dx, &rows[..queries], wanted)?;
            let norm = projections.norm;
            dx = backend.rms_norm_backward(Some(residual), &d_normed, &input, norm, eps)?;
        }
        Ok(dx)
    }

    /// Layouts of a layer, given those of the pass.
    pub(super) fn layouts<'l>(
        &self,
        pass: Pass<'l>,
        whole: &'l [B::Layout],
        selection: Option<&'l B::Layout>,
        index: usize,
    ) -> Layouts<'l, B> {
        let last = index + 1 == self.layers.len();
        let selected = match (pass.outputs, selection) {
            (Outputs::Rows(selected), Some(layout)) if last => Some((selected, layout)),
            _ => None,
        };
        Layouts {
            whole: &whole[self.layers[index].kind],
            selected,
        }
    }

    /// What a layer's first half kept, computed again from its input.
    pub(super) fn again(
        &self,
        layer: &Layer<B>,
        input: &B::Kept,
        kv: &mut B::KeysValues,
        layouts: &Layouts<'_, B>,
        rows: usize,
        tuned: Tuned<'_>,
    ) -> Computed<Inner<B>> {
        let backend = &self.backend;
        let mut x = backend.restore(input)?;
        backend.reserve(kv, self.attention_shape(), rows)?;
        let again = self.attention(layer, &mut x, kv, layouts, Keep::Streams, tuned)?;
        let (attended, middle) = again;
        Ok(Inner {
            attended,
            middle: backend.keep(middle),
            inside: None,
        })
    }
}
