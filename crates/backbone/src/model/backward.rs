//! The backward pass to the input embeddings. No weight gets a gradient, so
//! no layer's input is needed except where a function is not linear.

use super::decoder::{Decoder, Layer};
use super::forward::{KvStore, Tape};
use super::{Outputs, Pass};
use crate::compute::{Backend, Computed, Wanted};

impl<B: Backend> Decoder<B> {
    /// Gradient of a loss at the input embeddings of call rows `0..wanted`,
    /// `[wanted, d]`, given its gradient at the final hidden states
    /// (`d_hidden`, `[outputs, d]`). `pass`, `store` and `tape` are those of the
    /// forward pass, which must have computed every row of the store (a
    /// training step has no cache).
    ///
    /// # Panics
    /// When the pass's call does not cover the forest.
    pub(crate) fn backward(
        &self,
        pass: Pass<'_>,
        store: &KvStore<B>,
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
        let last = self.layers.len() - 1;
        let mut dx =
            backend.rms_norm_backward(None, d_hidden, &tape.last, &self.final_norm, eps)?;
        let kept = self.layers.iter().zip(&store.layers).zip(tape.layers);
        for (index, ((layer, kv), kept)) in kept.enumerate().rev() {
            // Only the first layer may leave out rows: the gradient of a later
            // layer's input is needed wherever an earlier row is attended to.
            let wanted = if index == 0 { wanted } else { rows };
            let selected = match (pass.outputs, &tape.selection) {
                (Outputs::Rows(selected), Some(layout)) if index == last => {
                    Some((selected, layout))
                }
                _ => None,
            };
            dx = self.mlp_backward(layer, dx, &kept.middle, kept.gate_up)?;
            let d_values = backend.backward_stream(&layer.attention_output, &dx)?;
            // The wanted rows among the (ascending) query rows.
            let queries = selected.map_or(wanted, |(rows, _)| {
                rows.partition_point(|&row| row < wanted)
            });
            let (dq, d_kv) = backend.attend_backward(
                shape,
                selected.map_or(&tape.layout, |(_, layout)| layout),
                kept.attended,
                kv,
                &d_values,
                Wanted {
                    queries,
                    rows: wanted,
                },
            )?;
            drop(d_values);
            dx = backend.truncate(dx, queries);
            let mut d_normed = backend.backward(&layer.key_value, &d_kv)?;
            match selected {
                None => backend.backward_add(&layer.query, &dq, &mut d_normed)?,
                Some((rows, _)) => {
                    let part = backend.backward(&layer.query, &dq)?;
                    backend.add_rows(&mut d_normed, &part, &rows[..queries])?;
                    dx = backend.scatter(&dx, &rows[..queries], wanted)?;
                }
            }
            dx = backend.rms_norm_backward(
                Some(dx),
                &d_normed,
                &kept.input,
                &layer.attention_norm,
                eps,
            )?;
        }
        Ok(dx)
    }

    /// From the gradient after the MLP's residual sum to the one before it.
    fn mlp_backward(
        &self,
        layer: &Layer<B>,
        dx: B::Stream,
        middle: &B::Kept,
        gate_up: B::Tensor,
    ) -> Computed<B::Stream> {
        let backend = &self.backend;
        let d_activated = backend.backward_stream(&layer.down, &dx)?;
        let d_gate_up = backend.swiglu_backward(gate_up, &d_activated)?;
        drop(d_activated);
        let d_normed = backend.backward(&layer.gate_up, &d_gate_up)?;
        drop(d_gate_up);
        let eps = self.config.rms_norm_eps;
        backend.rms_norm_backward(Some(dx), &d_normed, middle, &layer.mlp_norm, eps)
    }
}
