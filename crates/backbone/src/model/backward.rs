//! The backward pass to the input embeddings. No weight gets a gradient, so
//! no layer's input is needed except where a function is not linear.

use super::forward::{Outputs, Pass, Tape};
use super::store::KvStore;
use super::weights::{Layer, Model};
use crate::forest::Plan;
use crate::layers::attention::{self, Gradients};
use crate::layers::rotary::{Rotation, join_heads, split_heads};
use crate::layers::vector::add;
use crate::layers::{rms_norm, swiglu};
use crate::matmul::Write;

impl Model {
    /// Gradient of a loss at the input embeddings of call rows `0..wanted`,
    /// `[wanted, d]`, given its gradient at the final hidden states
    /// (`d_hidden`, `[outputs, d]`). `pass`, `store` and `tape` are those of the
    /// forward pass, which must have computed every
    /// row of the store (a training step has no cache). The tape is used up.
    ///
    /// # Panics
    /// When `call` does not cover the forest or the tape is another pass's.
    #[must_use]
    pub fn backward(
        &self,
        pass: Pass<'_>,
        store: &KvStore,
        tape: &mut Tape,
        d_hidden: &[f32],
        wanted: usize,
    ) -> Vec<f32> {
        let Pass {
            forest,
            call,
            outputs,
        } = pass;
        let rows = call.rows();
        let d = self.config.hidden_size;
        assert_eq!(
            rows,
            forest.rows(),
            "a backward pass covers the whole forest"
        );
        assert_eq!(
            tape.layers.len(),
            self.layers.len(),
            "the tape of a forward pass"
        );
        let rotation = Rotation::new(&call.positions(forest), &self.frequencies);
        let full = Plan::new(forest, call, None);

        let mut dx = vec![0.0; d_hidden.len()];
        self.norm_backward_add(&mut dx, d_hidden, &tape.last, &self.final_norm);
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let Some(kept) = tape.layers.pop() else { break };
            let selected = match outputs {
                Outputs::Rows(selected) if index + 1 == self.layers.len() => Some(selected),
                _ => None,
            };
            // Only the first layer may leave out rows: the gradient of a later
            // layer's input is needed wherever an earlier row is attended to.
            let wanted = if index == 0 { wanted } else { rows };

            self.mlp_backward_add(layer, &mut dx, &kept.middle, kept.gate_up);
            let d_attended = self.split(&layer.attention_output.backward(&dx));
            let selection =
                selected.map(|rows| (Plan::new(forest, call, Some(rows)), rotation.select(rows)));
            let (plan, query_rotation) = selection
                .as_ref()
                .map_or((&full, &rotation), |(plan, r)| (plan, r));
            let gradients = attention::backward(
                self.attention_shape(),
                plan,
                &kept.queries,
                &store.layers[index],
                &kept.log_sums,
                &d_attended,
                wanted,
            );
            let query_rows = wanted_queries(selected, wanted);
            dx.truncate(query_rows * d);
            let d_normed = self.projections_backward(
                layer,
                &gradients,
                &rotation,
                query_rotation,
                selected,
                query_rows,
            );
            dx = match selected {
                None => dx,
                Some(selected) => scatter_rows(&dx, &selected[..query_rows], wanted, d),
            };
            let input = &kept.input[..wanted * d];
            self.norm_backward_add(&mut dx, &d_normed, input, &layer.attention_norm);
        }
        dx
    }

    /// `dx` is the gradient after the MLP's residual sum and becomes the one
    /// before it.
    fn mlp_backward_add(
        &self,
        layer: &Layer,
        dx: &mut [f32],
        middle: &[f32],
        mut gate_up: Vec<f32>,
    ) {
        let d_activated = layer.down.backward(dx);
        swiglu::backward_in_place(&mut gate_up, &d_activated, self.config.intermediate_size);
        let d_normed = layer.gate_up.backward(&gate_up);
        self.norm_backward_add(dx, &d_normed, middle, &layer.mlp_norm);
    }

    /// Gradient at the attention norm's output, `[wanted, d]`.
    fn projections_backward(
        &self,
        layer: &Layer,
        gradients: &Gradients,
        rotation: &Rotation,
        query_rotation: &Rotation,
        selected: Option<&[usize]>,
        query_rows: usize,
    ) -> Vec<f32> {
        let (c, d) = (&self.config, self.config.hidden_size);
        let wanted = gradients.keys[0].len() / c.head_dim;
        let [keys, values] = self.key_value_columns();
        let mut d_kv = vec![0.0; wanted * keys.stride];
        join_heads(&mut d_kv, &gradients.keys, keys, Some(rotation));
        join_heads(&mut d_kv, &gradients.values, values, None);
        let mut d_normed = layer.key_value.backward(&d_kv);

        let columns = self.query_columns();
        let mut dq = vec![0.0; query_rows * columns.stride];
        join_heads(&mut dq, &gradients.queries, columns, Some(query_rotation));
        match selected {
            None => layer
                .query
                .backward_into(&mut d_normed, &dq, Write::Accumulate),
            Some(selected) => {
                let part = layer.query.backward(&dq);
                for (&row, part) in selected[..query_rows].iter().zip(part.chunks_exact(d)) {
                    add(&mut d_normed[row * d..(row + 1) * d], part);
                }
            }
        }
        d_normed
    }

    fn norm_backward_add(&self, dx: &mut [f32], dy: &[f32], x: &[f32], weight: &[f32]) {
        rms_norm::backward_add(dx, dy, x, weight, self.config.rms_norm_eps);
    }

    /// Token-major gradients to head-major ones.
    fn split(&self, rows: &[f32]) -> Vec<Vec<f32>> {
        let c = &self.config;
        let n = rows.len() / (c.heads * c.head_dim);
        let mut heads = vec![vec![0.0; n * c.head_dim]; c.heads];
        split_heads(&mut heads, rows, self.query_columns(), None, |row| row);
        heads
    }
}

/// How many of the (ascending) query rows are among the wanted rows.
fn wanted_queries(selected: Option<&[usize]>, wanted: usize) -> usize {
    selected.map_or(wanted, |rows| rows.partition_point(|&r| r < wanted))
}

fn scatter_rows(x: &[f32], rows: &[usize], total: usize, d: usize) -> Vec<f32> {
    let mut y = vec![0.0; total * d];
    for (&row, x) in rows.iter().zip(x.chunks_exact(d)) {
        y[row * d..(row + 1) * d].copy_from_slice(x);
    }
    y
}
