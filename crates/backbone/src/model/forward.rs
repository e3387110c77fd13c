//! The forward pass over a packed call.

use super::store::KvStore;
use super::weights::{Layer, Model};
use crate::forest::{Call, Forest, Plan};
use crate::layers::attention::{self, Attended};
use crate::layers::rotary::{Columns, Rotation, join_heads, split_heads};
use crate::layers::{rms_norm, swiglu};

/// Which call rows' final hidden states are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Outputs<'a> {
    /// Every row.
    All,
    /// These rows, ascending: the last layer then computes nothing but keys
    /// and values for the others.
    Rows(&'a [usize]),
}

/// What a forward pass computes, and its backward pass goes back through.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The forest, which holds every node of the call and their ancestors.
    pub forest: &'a Forest,
    /// The rows that are computed.
    pub call: &'a Call,
    /// The rows whose final hidden states are wanted.
    pub outputs: Outputs<'a>,
}

/// What the backward pass needs, recorded by the forward pass.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    pub(crate) layers: Vec<LayerTape>,
    /// Input of the final norm, `[outputs, d]`.
    pub(crate) last: Vec<f32>,
}

/// Kept per layer: the fewest activations that the backward pass can't rebuild
/// without a matrix product. `N` is the number of query rows (all, or in the
/// last layer the wanted ones).
#[derive(Clone, Debug)]
pub(crate) struct LayerTape {
    /// Input of the layer, `[T, d]`.
    pub(crate) input: Vec<f32>,
    /// Rotated queries, `heads × [N, h]`.
    pub(crate) queries: Vec<Vec<f32>>,
    /// Log-sum-exp of the attention scores, `heads × [N]`.
    pub(crate) log_sums: Vec<Vec<f32>>,
    /// Residual stream between attention and MLP, `[N, d]`.
    pub(crate) middle: Vec<f32>,
    /// Gate and up values, `[N, 2f]`.
    pub(crate) gate_up: Vec<f32>,
}

impl Model {
    /// Runs the rows of the pass's call, whose input embeddings are `x` (`[T, d]`), adds
    /// their keys and values to `store` and returns the final hidden states
    /// after the last norm, `[outputs, d]`. With a `tape`, records what
    /// [`Model::backward`] needs.
    #[must_use]
    pub fn forward(
        &self,
        pass: Pass<'_>,
        mut x: Vec<f32>,
        store: &mut KvStore,
        mut tape: Option<&mut Tape>,
    ) -> Vec<f32> {
        let Pass {
            forest,
            call,
            outputs,
        } = pass;
        let c = &self.config;
        store.resize(c.layers, c.kv_heads, forest.rows(), c.head_dim);
        let rotation = Rotation::new(&call.positions(forest), &self.frequencies);
        let store_rows = call.store_rows(forest);
        let full = Plan::new(forest, call, None);
        if let Some(tape) = tape.as_deref_mut() {
            tape.layers.clear();
        }
        for (index, layer) in self.layers.iter().enumerate() {
            // Whoever asks for some rows only needs their queries and MLP only
            // in the last layer.
            let selection = match outputs {
                Outputs::Rows(rows) if index + 1 == c.layers => Some(Selection {
                    rows,
                    plan: Plan::new(forest, call, Some(rows)),
                    rotation: rotation.select(rows),
                }),
                _ => None,
            };
            let kv = &mut store.layers[index];
            let normed = self.norm(&x, &layer.attention_norm);
            self.store_keys_values(layer, &normed, &rotation, &store_rows, kv);
            let (normed, residual, plan, rotation) = match &selection {
                Some(s) => (
                    gather_rows(&normed, s.rows, c.hidden_size),
                    gather_rows(&x, s.rows, c.hidden_size),
                    &s.plan,
                    &s.rotation,
                ),
                None => (normed, x.clone(), &full, &rotation),
            };
            let queries = self.queries(layer, &normed, rotation);
            drop(normed);
            let Attended { outputs, log_sums } =
                attention::forward(self.attention_shape(), plan, &queries, kv);
            let mut middle = residual;
            layer
                .attention_output
                .forward_add(&mut middle, &self.join(&outputs));
            let normed = self.norm(&middle, &layer.mlp_norm);
            let gate_up = layer.gate_up.forward(&normed);
            drop(normed);
            let mut next = middle.clone();
            layer
                .down
                .forward_add(&mut next, &swiglu::forward(&gate_up, c.intermediate_size));
            if let Some(tape) = tape.as_deref_mut() {
                tape.layers.push(LayerTape {
                    input: x,
                    queries,
                    log_sums,
                    middle,
                    gate_up,
                });
            }
            x = next;
        }
        let hidden = self.norm(&x, &self.final_norm);
        if let Some(tape) = tape {
            tape.last = x;
        }
        hidden
    }

    fn norm(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        rms_norm::forward(&mut y, x, weight, self.config.rms_norm_eps);
        y
    }

    fn store_keys_values(
        &self,
        layer: &Layer,
        normed: &[f32],
        rotation: &Rotation,
        store_rows: &[usize],
        kv: &mut attention::KeysValues,
    ) {
        let kv_rows = layer.key_value.forward(normed);
        let [keys, values] = self.key_value_columns();
        split_heads(&mut kv.keys, &kv_rows, keys, Some(rotation), |row| {
            store_rows[row]
        });
        split_heads(&mut kv.values, &kv_rows, values, None, |row| {
            store_rows[row]
        });
    }

    fn queries(&self, layer: &Layer, normed: &[f32], rotation: &Rotation) -> Vec<Vec<f32>> {
        let rows = normed.len() / self.config.hidden_size;
        let mut queries = vec![vec![0.0; rows * self.config.head_dim]; self.config.heads];
        let q = layer.query.forward(normed);
        split_heads(
            &mut queries,
            &q,
            self.query_columns(),
            Some(rotation),
            |row| row,
        );
        queries
    }

    /// Head-major attention values to token-major rows, `[N, heads·h]`.
    fn join(&self, heads: &[Vec<f32>]) -> Vec<f32> {
        let mut rows = vec![0.0; heads.iter().map(Vec::len).sum()];
        join_heads(&mut rows, heads, self.query_columns(), None);
        rows
    }

    pub(crate) fn query_columns(&self) -> Columns {
        let h = self.config.head_dim;
        Columns {
            stride: self.config.heads * h,
            first: 0,
            head_dim: h,
        }
    }

    pub(crate) fn key_value_columns(&self) -> [Columns; 2] {
        let h = self.config.head_dim;
        let width = self.config.kv_heads * h;
        [0, width].map(|first| Columns {
            stride: 2 * width,
            first,
            head_dim: h,
        })
    }
}

struct Selection<'a> {
    rows: &'a [usize],
    plan: Plan,
    rotation: Rotation,
}

pub(crate) fn gather_rows(x: &[f32], rows: &[usize], d: usize) -> Vec<f32> {
    rows.iter()
        .flat_map(|&r| &x[r * d..(r + 1) * d])
        .copied()
        .collect()
}
