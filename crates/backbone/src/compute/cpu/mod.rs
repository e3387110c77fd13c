//! The reference backend: f32 on the processor, through [`crate::layers`].

mod blocks;
mod matrix;
pub(crate) mod memory;
mod mixture;
mod profile;
mod tune;

use super::{
    Backend, Computed, Keep, Kind, Memory, Mixture, Mlp, Profile, Projections, Wanted, composed,
};
use crate::buffer::{Buffer, Pool, scratch};
use crate::files::{Packed, PackedWeights};
use crate::forest::{Call, Forest, Input, Plan, TILE_ROWS};
use crate::layers::attention::{self, Backward, KeysValues, Shape};
use crate::layers::experts::{ExpertWeights, Experts};
use crate::layers::head::{self, Distillation, Label, LabelLosses};
use crate::layers::linear::Linear;
use crate::layers::rotary::Rotation;
use crate::layers::vector::{PARALLEL_ELEMENTS, add};
use crate::layers::{rms_norm, swiglu};
use crate::matmul::{Kernel, Threads, Write};
use blocks::rows_per_task;
use matrix::Matrix;
use mixture::Routed;
use profile::Recorder;
use rayon::prelude::*;
use std::sync::Arc;

/// The processor, on rayon's threads.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    pool: Pool,
    recorder: Recorder,
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
    /// Rotated queries, `[N, heads·h]`.
    queries: Matrix,
    /// Log-sum-exp of the attention scores, `[heads, N]`.
    log_sums: Buffer,
}

impl Backend for Cpu {
    const NUMBERS: &'static str = "f32";
    const BYTES_PER_WEIGHT: u64 = 4;
    const LAYERS_AT_ONCE: usize = usize::MAX;

    type Tensor = Matrix;
    type Stream = Matrix;
    type Kept = Matrix;
    type Linear = Linear;
    type Vector = Vec<f32>;
    type Experts = Experts;
    type Routed = Routed;
    type KeysValues = KeysValues;
    type Layout = Layout;
    type Attended = Attended;
    type Losses = LabelLosses;

    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        // On a thread of the pool: an operation then starts and ends without
        // waking another thread to wait for it.
        rayon::scope(|_| work())
    }

    fn check(
        &self,
        _shape: Shape,
        _kinds: &[Kind],
        _widths: &[usize],
        _weight_bytes: u64,
    ) -> Computed<()> {
        Ok(())
    }

    fn linear(
        &self,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        outputs: usize,
        inputs: usize,
    ) -> Computed<Linear> {
        Ok(Linear::new(&weight, bias, outputs, inputs))
    }

    fn packed_linear(&self, parts: Vec<Packed>, bias: Option<Vec<f32>>) -> Computed<Linear> {
        Ok(Linear::packed(parts, bias))
    }

    fn room_to_unpack(_weights: &PackedWeights) -> u64 {
        0
    }

    fn vector(&self, values: Vec<f32>) -> Computed<Vec<f32>> {
        Ok(values)
    }

    fn weight_rows(&self, layer: &Linear, rows: &[u32]) -> Computed<Vec<f32>> {
        let d = layer.inputs();
        let mut values = vec![0.0; rows.len() * d];
        for (to, &row) in values.chunks_exact_mut(d).zip(rows) {
            layer.copy_row(to, row as usize);
        }
        Ok(values)
    }

    fn upload(&self, values: &[f32], columns: usize) -> Computed<Matrix> {
        let mut x = Matrix::new(&self.pool, values.len() / columns, columns);
        x.values.copy_from_slice(values);
        Ok(x)
    }

    fn download(&self, x: &Matrix) -> Computed<Vec<f32>> {
        Ok(x.values.to_vec())
    }

    fn download_stream(&self, x: &Matrix) -> Computed<Vec<f32>> {
        self.download(x)
    }

    fn embed(&self, table: &Linear, inputs: &[Input], prompts: &[&[f32]]) -> Computed<Matrix> {
        let d = table.inputs();
        let mut x = Matrix::new(&self.pool, inputs.len(), d);
        let rows = x
            .values
            .par_chunks_exact_mut(d)
            .with_min_len(PARALLEL_ELEMENTS / d + 1);
        rows.zip(inputs).for_each(|(x, input)| match *input {
            Input::Token(token) => table.copy_row(x, token as usize),
            Input::Soft { prompt, index } => {
                x.copy_from_slice(&prompts[prompt][index * d..(index + 1) * d]);
            }
        });
        Ok(x)
    }

    fn start_pass(&self) {
        self.pool.next_pass();
    }

    fn layout(&self, _shape: Shape, forest: &Forest, call: &Call, kind: &Kind) -> Computed<Layout> {
        let rotation = Arc::new(Rotation::new(&call.positions(forest), &kind.frequencies));
        Ok(Layout {
            plan: Plan::new(forest, call, None, TILE_ROWS, kind.sight),
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
        kind: &Kind,
    ) -> Computed<Layout> {
        Ok(Layout {
            plan: Plan::new(forest, call, Some(rows), TILE_ROWS, kind.sight),
            query_rotation: Arc::new(whole.rotation.select(rows)),
            rotation: whole.rotation.clone(),
            store_rows: whole.store_rows.clone(),
        })
    }

    fn reserve(&self, store: &mut KeysValues, shape: Shape, rows: usize) -> Computed<()> {
        store.reserve(&self.pool, shape, rows);
        Ok(())
    }

    fn rms_norm(
        &self,
        x: &mut Matrix,
        weight: &Vec<f32>,
        eps: f32,
        _kept: bool,
    ) -> Computed<Matrix> {
        let mut y = Matrix::new(&self.pool, x.rows(), x.columns);
        let task = task_of(x.columns);
        let rows = y.values.par_chunks_mut(task).zip(x.values.par_chunks(task));
        rows.for_each(|(y, x)| rms_norm::forward(y, x, weight, eps));
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
        let zeros = || Matrix::zeros(&self.pool, dy.rows(), dy.columns);
        let mut dx = residual.unwrap_or_else(zeros);
        let task = task_of(dx.columns);
        let inputs = dy.values.par_chunks(task).zip(x.values.par_chunks(task));
        let rows = dx.values.par_chunks_mut(task).zip(inputs);
        rows.for_each(|(dx, (dy, x))| {
            rms_norm::backward_add(dx, dy, &x[..dx.len()], weight, eps);
        });
        Ok(dx)
    }

    fn forward(&self, layer: &Linear, x: &Matrix) -> Computed<Matrix> {
        let mut y = Matrix::new(&self.pool, x.rows(), layer.outputs());
        let (write, threads) = (Write::Replace, Threads::Pool);
        let work = || layer.forward_into(&mut y.values, &x.values, x.columns, write, threads);
        let cost = || linear_cost(x.rows(), &[layer]);
        self.recorder.run("linear", cost, work);
        Ok(y)
    }

    fn forward_add(&self, layer: &Linear, x: &Matrix, residual: &Matrix) -> Computed<Matrix> {
        let work = || {
            if let Some(each) = rows_per_task(x.rows(), &[layer]) {
                return blocks::add(&self.pool, layer, x, residual, each);
            }
            let mut y = Matrix::copy(&self.pool, residual);
            let (write, threads) = (Write::Accumulate, Threads::Pool);
            layer.forward_into(&mut y.values, &x.values, x.columns, write, threads);
            y
        };
        let cost = || linear_cost(x.rows(), &[layer]);
        Ok(self.recorder.run("linear, residual sum", cost, work))
    }

    fn backward(&self, layer: &Linear, dy: &Matrix) -> Computed<Matrix> {
        let mut dx = Matrix::new(&self.pool, dy.rows(), layer.inputs());
        let work = || match rows_per_task(dy.rows(), &[layer]) {
            Some(_) => {
                let transposed = layer.transposed(&self.pool);
                let (write, threads) = (Write::Replace, Threads::Pool);
                transposed.backward_into(&mut dx.values, &dy.values, dy.columns, write, threads);
            }
            None => layer.backward_into(&mut dx.values, &dy.values, Write::Replace),
        };
        let cost = || linear_cost(dy.rows(), &[layer]);
        self.recorder.run("linear: backward", cost, work);
        Ok(dx)
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
        let mut a = Matrix::new(&self.pool, gate_up.rows(), f);
        let task = task_of(f);
        let rows = a.values.par_chunks_mut(task);
        let rows = rows.zip(gate_up.values.par_chunks(2 * task));
        rows.for_each(|(a, gate_up)| swiglu::forward(a, f, gate_up, f));
        Ok(a)
    }

    fn swiglu_backward(&self, gate_up: Matrix, da: &Matrix) -> Computed<Matrix> {
        let f = da.columns;
        let mut d = Matrix::new(&self.pool, da.rows(), 2 * f);
        let task = task_of(f);
        let inputs = gate_up
            .values
            .par_chunks(2 * task)
            .zip(da.values.par_chunks(task));
        let rows = d.values.par_chunks_mut(2 * task).zip(inputs);
        rows.for_each(|(d, (gate_up, da))| swiglu::backward(d, 2 * f, gate_up, da, f));
        Ok(d)
    }

    fn project(
        &self,
        weights: &Projections<'_, Self>,
        x: &mut Matrix,
        kept: bool,
    ) -> Computed<(Matrix, Matrix)> {
        let layers = [weights.query, weights.key_value];
        let Some(each) = rows_per_task(x.rows(), &layers) else {
            return composed::project(self, weights, x, kept);
        };
        let cost = || linear_cost(x.rows(), &[weights.query, weights.key_value]);
        let work = || blocks::project(&self.pool, weights, x, each);
        Ok(self.recorder.run("norm, queries, keys, values", cost, work))
    }

    fn project_backward(
        &self,
        weights: &Projections<'_, Self>,
        mut residual: Matrix,
        d_query: &Matrix,
        d_key_value: &Matrix,
        x: &Matrix,
    ) -> Computed<Matrix> {
        let layers = [weights.query, weights.key_value];
        let Some(each) = rows_per_task(residual.rows(), &layers) else {
            return composed::project_backward(self, weights, residual, d_query, d_key_value, x);
        };
        let (pool, rows) = (&self.pool, residual.rows());
        let cost = || linear_cost(rows, &[weights.query, weights.key_value]);
        let work = || {
            blocks::project_backward(pool, weights, &mut residual, d_query, d_key_value, x, each);
        };
        self.recorder
            .run("norm, queries, keys, values: backward", cost, work);
        Ok(residual)
    }

    fn mlp(
        &self,
        weights: &Mlp<'_, Self>,
        x: &mut Matrix,
        kept: Keep,
    ) -> Computed<(Option<Matrix>, Matrix)> {
        let layers = [weights.gate_up, weights.down];
        let Some(each) = rows_per_task(x.rows(), &layers) else {
            return composed::mlp(self, weights, x, kept);
        };
        let cost = || linear_cost(x.rows(), &[weights.gate_up, weights.down]);
        let work = || blocks::mlp(&self.pool, weights, x, kept, each);
        Ok(self.recorder.run("norm, MLP", cost, work))
    }

    fn mlp_backward(
        &self,
        weights: &Mlp<'_, Self>,
        mut dx: Matrix,
        x: &Matrix,
        gate_up: Option<Matrix>,
    ) -> Computed<Matrix> {
        let layers = [weights.gate_up, weights.down];
        let Some(each) = rows_per_task(dx.rows(), &layers) else {
            return composed::mlp_backward(self, weights, dx, x, gate_up);
        };
        let rows = dx.rows();
        let cost = || {
            let again = gate_up.is_none().then_some(weights.gate_up);
            let layers = [Some(weights.gate_up), Some(weights.down), again];
            linear_cost(rows, &layers.into_iter().flatten().collect::<Vec<_>>())
        };
        let work = || {
            blocks::mlp_backward(&self.pool, weights, &mut dx, x, gate_up.as_ref(), each);
        };
        self.recorder.run("norm, MLP: backward", cost, work);
        Ok(dx)
    }

    fn head_norm(
        &self,
        x: &Matrix,
        weight: &Vec<f32>,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<Matrix> {
        let (width, used) = (x.columns, heads * shape.head_dim);
        let mut y = Matrix::new(&self.pool, x.rows(), width);
        let rows = y.values.par_chunks_exact_mut(width);
        rows.zip(x.values.par_chunks_exact(width))
            .for_each(|(y, x)| {
                rms_norm::forward(&mut y[..used], &x[..used], weight, eps);
                y[used..].copy_from_slice(&x[used..]);
            });
        Ok(y)
    }

    fn head_norm_backward(
        &self,
        dy: &mut Matrix,
        x: &Matrix,
        weight: &Vec<f32>,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<()> {
        let (width, used) = (x.columns, heads * shape.head_dim);
        let rows = dy.values.par_chunks_exact_mut(width);
        rows.zip(x.values.par_chunks_exact(width))
            .for_each(|(dy, x)| {
                let mut dx = scratch(used);
                dx.fill(0.0);
                rms_norm::backward_add(&mut dx, &dy[..used], &x[..used], weight, eps);
                dy[..used].copy_from_slice(&dx);
            });
        Ok(())
    }

    fn experts(&self, weights: ExpertWeights) -> Computed<Experts> {
        Ok(Experts::new(weights))
    }

    fn mix(
        &self,
        weights: &Mixture<'_, Self>,
        x: &mut Matrix,
        kept: Keep,
    ) -> Computed<(Option<Routed>, Matrix)> {
        Ok(mixture::forward(self, weights, x, kept))
    }

    fn mix_backward(
        &self,
        weights: &Mixture<'_, Self>,
        dx: Matrix,
        x: &Matrix,
        routed: Option<Routed>,
    ) -> Computed<Matrix> {
        Ok(mixture::backward(self, weights, dx, x, routed))
    }

    fn restore(&self, kept: &Matrix) -> Computed<Matrix> {
        Ok(Matrix::copy(&self.pool, kept))
    }

    fn store_keys_values(
        &self,
        shape: Shape,
        layout: &Layout,
        rows: &Matrix,
        store: &mut KeysValues,
    ) -> Computed<()> {
        let cost = || (0.0, 2 * rows.values.len());
        let work = || {
            store.put(shape, &layout.rotation, &rows.values, &layout.store_rows);
        };
        self.recorder.run("rotation, key/value store", cost, work);
        Ok(())
    }

    fn attend(
        &self,
        shape: Shape,
        layout: &Layout,
        mut queries: Matrix,
        store: &KeysValues,
        sinks: Option<&Vec<f32>>,
    ) -> Computed<(Matrix, Attended)> {
        let width = shape.query_width();
        let mut values = Matrix::new(&self.pool, layout.plan.queries, width);
        let mut log_sums = self.pool.take(shape.heads * layout.plan.queries);
        let cost = || attention_cost(shape, &layout.plan, 2.0);
        let work = || {
            attention::forward(
                shape,
                &layout.plan,
                &layout.query_rotation,
                &mut queries.values,
                store,
                sinks.map(Vec::as_slice),
                &mut values.values,
                &mut log_sums,
            );
        };
        self.recorder.run("attention", cost, work);
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
        let mut dq = Matrix::new(&self.pool, wanted.queries, shape.query_width());
        let mut d_kv = Matrix::new(&self.pool, wanted.rows, shape.key_value_width());
        let of = Backward {
            pool: &self.pool,
            shape,
            plan: &layout.plan,
            q: &attended.queries.values,
            store,
            log_sums: &attended.log_sums,
            d_out: &d_values.values,
            query_rotation: &layout.query_rotation,
            rotation: &layout.rotation,
        };
        let cost = || attention_cost(shape, &layout.plan, 5.0);
        let work = || attention::backward(&of, &mut dq.values, &mut d_kv.values);
        self.recorder.run("attention: backward", cost, work);
        Ok((dq, d_kv))
    }

    fn gather(&self, x: &Matrix, rows: &[usize]) -> Computed<Matrix> {
        let mut gathered = Matrix::new(&self.pool, rows.len(), x.columns);
        for (to, &row) in rows.iter().enumerate() {
            gathered.row_mut(to).copy_from_slice(x.row(row));
        }
        Ok(gathered)
    }

    fn gather_stream(&self, x: &Matrix, rows: &[usize]) -> Computed<Matrix> {
        self.gather(x, rows)
    }

    fn scatter(&self, x: &Matrix, rows: &[usize], total: usize) -> Computed<Matrix> {
        let mut y = Matrix::zeros(&self.pool, total, x.columns);
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
        let x = &hidden.values;
        let cost = || {
            let rows =
                labels.len() * (1 + usize::from(gradient) + usize::from(distillation.is_some()));
            linear_cost(rows, &[output])
        };
        let work = || head::loss(&self.pool, output, x, labels, distillation, gradient);
        let (losses, values) = self.recorder.run("output head, losses", cost, work);
        let columns = hidden.columns;
        Ok((losses, gradient.then_some(Matrix { values, columns })))
    }

    fn read_losses(&self, losses: LabelLosses) -> Computed<LabelLosses> {
        Ok(losses)
    }

    fn logits(&self, output: &Linear, hidden: &Matrix) -> Computed<Vec<f32>> {
        Ok(head::forward(&self.pool, output, &hidden.values).to_vec())
    }

    fn log_likelihood(
        &self,
        output: &Linear,
        hidden: &Matrix,
        labels: &[Label],
    ) -> Computed<Vec<f32>> {
        Ok(head::log_likelihood(
            &self.pool,
            output,
            &hidden.values,
            labels,
        ))
    }

    fn most_likely(&self, output: &Linear, hidden: &Matrix) -> Computed<Vec<u32>> {
        let logits = head::forward(&self.pool, output, &hidden.values);
        Ok(logits
            .par_chunks_exact(output.outputs())
            .map(head::most_likely)
            .collect())
    }

    fn describe(&self) -> String {
        format!(
            "CPU, {} threads, {}",
            rayon::current_num_threads(),
            Kernel::best().name
        )
    }

    fn memory(&self) -> Computed<Option<Memory>> {
        Ok(None)
    }

    fn start_profile(&self) -> Computed<()> {
        self.recorder.start();
        Ok(())
    }

    fn finish_profile(&self) -> Computed<Option<Profile>> {
        Ok(self.recorder.finish())
    }
}

/// Values of a parallel task over rows of `width`.
fn task_of(width: usize) -> usize {
    crate::layers::vector::rows_per_task(width) * width
}

/// Operations, and values read and written, of `rows` rows through linear layers.
fn linear_cost(rows: usize, layers: &[&Linear]) -> (f64, usize) {
    let weights: usize = layers.iter().map(|l| l.inputs() * l.outputs()).sum();
    let ends: usize = layers.iter().map(|l| l.inputs() + l.outputs()).sum();
    (2.0 * rows as f64 * weights as f64, weights + rows * ends)
}

/// The same of attention with so many products, each over the pairs that it
/// needs.
fn attention_cost(shape: Shape, plan: &Plan, products: f64) -> (f64, usize) {
    let seen = plan.tiles.iter().map(|tile| {
        let own: usize = tile.visible.iter().sum();
        tile.queries.len() * tile.context_len() + own
    });
    let pairs: usize = seen.sum();
    let width = shape.query_width();
    let values = plan.queries * (2 * width + shape.key_value_width());
    (2.0 * products * (pairs * width) as f64, values)
}
