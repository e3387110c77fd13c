//! The reference backend: f32 on the processor, through [`crate::layers`].

use super::{Backend, Computed, Memory, Profile, Wanted};
use crate::forest::{Call, Forest, Input, Plan, TILE_ROWS};
use crate::layers::attention::{self, KeysValues, Shape};
use crate::layers::head::{self, Distillation, Label, LabelLosses};
use crate::layers::linear::Linear;
use crate::layers::rotary::{Columns, Rotation, join_heads, split_heads};
use crate::layers::vector::{add, dispatch, max};
use crate::layers::{rms_norm, swiglu};
use crate::matmul::Write;
use rayon::prelude::*;
use std::sync::Arc;

/// The processor, on rayon's threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu;

/// A row-major matrix.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    values: Vec<f32>,
    columns: usize,
}

impl Matrix {
    fn new(values: Vec<f32>, columns: usize) -> Self {
        Matrix { values, columns }
    }

    fn zeros(rows: usize, columns: usize) -> Self {
        Self::new(vec![0.0; rows * columns], columns)
    }

    fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }
}

/// See [`Backend::Layout`].
pub(crate) struct Layout {
    plan: Plan,
    /// Of the query rows.
    query_rotation: Arc<Rotation>,
    /// Of all call rows.
    rotation: Arc<Rotation>,
    store_rows: Arc<[usize]>,
}

/// See [`Backend::Attended`].
pub(crate) struct Attended {
    /// Rotated queries, `heads × [N, h]`.
    queries: Vec<Vec<f32>>,
    /// Log-sum-exp of the attention scores, `heads × [N]`.
    log_sums: Vec<Vec<f32>>,
}

impl Backend for Cpu {
    const NUMBERS: &'static str = "f32";
    const LAYERS_AT_ONCE: usize = usize::MAX;

    type Tensor = Matrix;
    type Stream = Matrix;
    type Kept = Matrix;
    type Linear = Linear;
    type Norm = Vec<f32>;
    type KeysValues = KeysValues;
    type Layout = Layout;
    type Attended = Attended;
    type Losses = LabelLosses;

    fn check(&self, _shape: Shape, _widths: &[usize], _parameters: u64) -> Computed<()> {
        Ok(())
    }

    fn linear(
        &self,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        outputs: usize,
        inputs: usize,
    ) -> Computed<Linear> {
        Ok(Linear::new(weight, bias, outputs, inputs))
    }

    fn norm(&self, weight: Vec<f32>) -> Computed<Vec<f32>> {
        Ok(weight)
    }

    fn weight_rows(&self, layer: &Linear, rows: &[u32]) -> Computed<Vec<f32>> {
        let rows = rows.iter().flat_map(|&row| layer.row(row as usize));
        Ok(rows.copied().collect())
    }

    #[cfg(test)]
    fn upload(&self, values: &[f32], columns: usize) -> Computed<Matrix> {
        Ok(Matrix::new(values.to_vec(), columns))
    }

    fn download(&self, x: &Matrix) -> Computed<Vec<f32>> {
        Ok(x.values.clone())
    }

    fn download_stream(&self, x: &Matrix) -> Computed<Vec<f32>> {
        self.download(x)
    }

    fn embed(&self, table: &Linear, inputs: &[Input], prompts: &[&[f32]]) -> Computed<Matrix> {
        let d = table.inputs();
        let mut x = Vec::with_capacity(inputs.len() * d);
        for input in inputs {
            x.extend_from_slice(match *input {
                Input::Token(token) => table.row(token as usize),
                Input::Soft { prompt, index } => &prompts[prompt][index * d..(index + 1) * d],
            });
        }
        Ok(Matrix::new(x, d))
    }

    fn layout(
        &self,
        _shape: Shape,
        forest: &Forest,
        call: &Call,
        frequencies: &[f32],
    ) -> Computed<Layout> {
        let rotation = Arc::new(Rotation::new(&call.positions(forest), frequencies));
        Ok(Layout {
            plan: Plan::new(forest, call, None, TILE_ROWS),
            query_rotation: rotation.clone(),
            rotation,
            store_rows: call.store_rows(forest).into(),
        })
    }

    fn select(
        &self,
        whole: &Layout,
        _shape: Shape,
        forest: &Forest,
        call: &Call,
        rows: &[usize],
        _frequencies: &[f32],
    ) -> Computed<Layout> {
        Ok(Layout {
            plan: Plan::new(forest, call, Some(rows), TILE_ROWS),
            query_rotation: Arc::new(whole.rotation.select(rows)),
            rotation: whole.rotation.clone(),
            store_rows: whole.store_rows.clone(),
        })
    }

    fn reserve(&self, store: &mut KeysValues, shape: Shape, rows: usize) -> Computed<()> {
        store.resize(shape.kv_heads, rows, shape.head_dim);
        Ok(())
    }

    fn rms_norm(
        &self,
        x: &mut Matrix,
        weight: &Vec<f32>,
        eps: f32,
        _kept: bool,
    ) -> Computed<Matrix> {
        let mut y = Matrix::zeros(x.rows(), x.columns);
        rms_norm::forward(&mut y.values, &x.values, weight, eps);
        Ok(y)
    }

    fn keep(&self, x: Matrix) -> Matrix {
        x
    }

    fn rms_norm_backward(
        &self,
        residual: Option<Matrix>,
        dy: &Matrix,
        x: &Matrix,
        weight: &Vec<f32>,
        eps: f32,
    ) -> Computed<Matrix> {
        let mut dx = residual.unwrap_or_else(|| Matrix::zeros(dy.rows(), dy.columns));
        let x = &x.values[..dx.values.len()];
        rms_norm::backward_add(&mut dx.values, &dy.values, x, weight, eps);
        Ok(dx)
    }

    fn forward(&self, layer: &Linear, x: &Matrix) -> Computed<Matrix> {
        Ok(Matrix::new(layer.forward(&x.values), layer.outputs()))
    }

    fn forward_add(&self, layer: &Linear, x: &Matrix, residual: &Matrix) -> Computed<Matrix> {
        let mut y = residual.clone();
        layer.forward_add(&mut y.values, &x.values);
        Ok(y)
    }

    fn backward(&self, layer: &Linear, dy: &Matrix) -> Computed<Matrix> {
        Ok(Matrix::new(layer.backward(&dy.values), layer.inputs()))
    }

    fn backward_stream(&self, layer: &Linear, dy: &Matrix) -> Computed<Matrix> {
        self.backward(layer, dy)
    }

    fn backward_add(&self, layer: &Linear, dy: &Matrix, dx: &mut Matrix) -> Computed<()> {
        layer.backward_into(&mut dx.values, &dy.values, Write::Accumulate);
        Ok(())
    }

    fn swiglu(&self, gate_up: &Matrix) -> Computed<Matrix> {
        let f = gate_up.columns / 2;
        Ok(Matrix::new(swiglu::forward(&gate_up.values, f), f))
    }

    fn swiglu_backward(&self, mut gate_up: Matrix, da: &Matrix) -> Computed<Matrix> {
        swiglu::backward_in_place(&mut gate_up.values, &da.values, da.columns);
        Ok(gate_up)
    }

    fn store_keys_values(
        &self,
        shape: Shape,
        layout: &Layout,
        rows: &Matrix,
        store: &mut KeysValues,
    ) -> Computed<()> {
        let [keys, values] = key_value_columns(shape);
        let at = |row: usize| layout.store_rows[row];
        let rotation = Some(&*layout.rotation);
        split_heads(&mut store.keys, &rows.values, keys, rotation, at);
        split_heads(&mut store.values, &rows.values, values, None, at);
        Ok(())
    }

    fn attend(
        &self,
        shape: Shape,
        layout: &Layout,
        queries: Matrix,
        store: &KeysValues,
    ) -> Computed<(Matrix, Attended)> {
        let queries = split(shape, &queries, Some(&layout.query_rotation));
        let attended = attention::forward(shape, &layout.plan, &queries, store);
        let mut values = Matrix::zeros(layout.plan.queries, query_columns(shape).stride);
        join_heads(
            &mut values.values,
            &attended.outputs,
            query_columns(shape),
            None,
        );
        let log_sums = attended.log_sums;
        Ok((values, Attended { queries, log_sums }))
    }

    fn attend_backward(
        &self,
        shape: Shape,
        layout: &Layout,
        attended: Attended,
        store: &KeysValues,
        d_values: &Matrix,
        wanted: Wanted,
    ) -> Computed<(Matrix, Matrix)> {
        let gradients = attention::backward(
            shape,
            &layout.plan,
            &attended.queries,
            store,
            &attended.log_sums,
            &split(shape, d_values, None),
            wanted.rows,
        );
        let [keys, values] = key_value_columns(shape);
        let mut d_kv = Matrix::zeros(wanted.rows, keys.stride);
        let rotation = Some(&*layout.rotation);
        join_heads(&mut d_kv.values, &gradients.keys, keys, rotation);
        join_heads(&mut d_kv.values, &gradients.values, values, None);
        let columns = query_columns(shape);
        let mut dq = Matrix::zeros(wanted.queries, columns.stride);
        let rotation = Some(&*layout.query_rotation);
        join_heads(&mut dq.values, &gradients.queries, columns, rotation);
        Ok((dq, d_kv))
    }

    fn gather(&self, x: &Matrix, rows: &[usize]) -> Computed<Matrix> {
        let values = rows.iter().flat_map(|&r| x.row(r)).copied().collect();
        Ok(Matrix::new(values, x.columns))
    }

    fn gather_stream(&self, x: &Matrix, rows: &[usize]) -> Computed<Matrix> {
        self.gather(x, rows)
    }

    fn scatter(&self, x: &Matrix, rows: &[usize], total: usize) -> Computed<Matrix> {
        let mut y = Matrix::zeros(total, x.columns);
        for (i, &row) in rows.iter().enumerate() {
            y.row_mut(row).copy_from_slice(x.row(i));
        }
        Ok(y)
    }

    fn add_rows(&self, y: &mut Matrix, x: &Matrix, rows: &[usize]) -> Computed<()> {
        for (i, &row) in rows.iter().enumerate() {
            add(y.row_mut(row), x.row(i));
        }
        Ok(())
    }

    fn truncate(&self, mut x: Matrix, rows: usize) -> Matrix {
        x.values.truncate(rows * x.columns);
        x
    }

    fn head_loss(
        &self,
        output: &Linear,
        hidden: &Matrix,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        gradient: bool,
    ) -> Computed<(LabelLosses, Option<Matrix>)> {
        let (losses, d) = head::loss(output, &hidden.values, labels, distillation, gradient);
        let d = gradient.then(|| Matrix::new(d, hidden.columns));
        Ok((losses, d))
    }

    fn read_losses(&self, losses: LabelLosses) -> Computed<LabelLosses> {
        Ok(losses)
    }

    fn logits(&self, output: &Linear, hidden: &Matrix) -> Computed<Vec<f32>> {
        Ok(output.forward(&hidden.values))
    }

    fn log_likelihood(
        &self,
        output: &Linear,
        hidden: &Matrix,
        labels: &[Label],
    ) -> Computed<Vec<f32>> {
        Ok(head::log_likelihood(output, &hidden.values, labels))
    }

    fn most_likely(&self, output: &Linear, hidden: &Matrix) -> Computed<Vec<u32>> {
        let logits = output.forward(&hidden.values);
        let of_row = |row: &[f32]| {
            let top = dispatch(|| max(row));
            row.iter().position(|&x| x >= top).unwrap_or(0) as u32
        };
        Ok(logits
            .par_chunks_exact(output.outputs())
            .map(of_row)
            .collect())
    }

    fn describe(&self) -> String {
        format!("CPU, {} threads", rayon::current_num_threads())
    }

    fn memory(&self) -> Computed<Option<Memory>> {
        Ok(None)
    }

    fn start_profile(&self) -> Computed<()> {
        Ok(())
    }

    fn finish_profile(&self) -> Computed<Option<Profile>> {
        Ok(None)
    }
}

fn query_columns(shape: Shape) -> Columns {
    Columns {
        stride: shape.heads * shape.head_dim,
        first: 0,
        head_dim: shape.head_dim,
    }
}

fn key_value_columns(shape: Shape) -> [Columns; 2] {
    let width = shape.kv_heads * shape.head_dim;
    [0, width].map(|first| Columns {
        stride: 2 * width,
        first,
        head_dim: shape.head_dim,
    })
}

/// Token-major query rows to head-major ones.
fn split(shape: Shape, x: &Matrix, rotation: Option<&Rotation>) -> Vec<Vec<f32>> {
    let mut heads = vec![vec![0.0; x.rows() * shape.head_dim]; shape.heads];
    let columns = query_columns(shape);
    split_heads(&mut heads, &x.values, columns, rotation, |row| row);
    heads
}
