//! Changes and gradients inside the layers, on the processor.

use super::matrix::Matrix;
use super::{Cpu, linear_cost};
use crate::buffer::zeroed;
use crate::compute::{Backend, Computed, Tune};
use crate::layers::attention::Shape;
use crate::layers::head::{self, Label};
use crate::layers::linear::Linear;
use crate::layers::low_rank::{LowRank, LowRankGradient};
use crate::layers::outer::{Columns, outer_into};
use crate::layers::rms_norm;
use crate::layers::vector::add;
use crate::matmul::Write;

impl Tune for Cpu {
    fn check_tuning(&self) -> Computed<()> {
        Ok(())
    }

    fn low_rank(&self, change: &LowRank, first: usize, x: &Matrix, y: &mut Matrix) -> Computed<()> {
        let stride = y.columns;
        let cost = || change_cost(change, x, 1.0);
        let work = || change.forward_add(&self.pool, &mut y.values, first, stride, &x.values);
        self.recorder.run("low-rank change", cost, work);
        Ok(())
    }

    fn low_rank_stream(&self, change: &LowRank, x: &Matrix, y: &mut Matrix) -> Computed<()> {
        self.low_rank(change, 0, x, y)
    }

    fn low_rank_backward(
        &self,
        change: &LowRank,
        first: usize,
        x: &Matrix,
        dy: &Matrix,
        dx: &mut Matrix,
    ) -> Computed<LowRankGradient> {
        let dy = Columns {
            values: &dy.values,
            stride: dy.columns,
            first,
            count: change.outputs(),
        };
        let cost = || change_cost(change, x, 2.5);
        let work = || change.backward_add(&self.pool, &mut dx.values, &x.values, dy);
        Ok(self.recorder.run("low-rank change: backward", cost, work))
    }

    fn as_tensor(&self, x: &Matrix) -> Computed<Matrix> {
        self.restore(x)
    }

    fn weight_gradient(&self, dy: &Matrix, x: &Matrix) -> Computed<Vec<f32>> {
        // In large pages: a pass makes one for every weight of the model.
        let mut gradient = zeroed(dy.columns * x.columns);
        let columns = Columns::all(&dy.values, dy.columns);
        let cost = || {
            let flops = 2.0 * (x.rows() * dy.columns * x.columns) as f64;
            (
                flops,
                dy.values.len() + x.values.len() + dy.columns * x.columns,
            )
        };
        let work = || {
            let write = Write::Replace;
            outer_into(
                &self.pool,
                &mut gradient,
                write,
                columns,
                &x.values,
                x.columns,
            );
        };
        self.recorder.run("weight gradient", cost, work);
        Ok(gradient)
    }

    fn bias_gradient(&self, dy: &Matrix) -> Computed<Vec<f32>> {
        let mut gradient = vec![0.0; dy.columns];
        for dy in dy.values.chunks_exact(dy.columns) {
            add(&mut gradient, dy);
        }
        Ok(gradient)
    }

    fn norm_gradient(&self, dy: &Matrix, x: &Matrix, eps: f32) -> Computed<Vec<f32>> {
        let mut gradient = vec![0.0; x.columns];
        rms_norm::weight_gradient_add(&mut gradient, &dy.values, &x.values, eps);
        Ok(gradient)
    }

    fn head_norm_gradient(
        &self,
        dy: &Matrix,
        x: &Matrix,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<Vec<f32>> {
        let mut gradient = vec![0.0; shape.head_dim];
        let used = heads * shape.head_dim;
        let rows = dy.values.chunks_exact(dy.columns);
        for (dy, x) in rows.zip(x.values.chunks_exact(x.columns)) {
            rms_norm::weight_gradient_add(&mut gradient, &dy[..used], &x[..used], eps);
        }
        Ok(gradient)
    }

    fn output_gradient(
        &self,
        output: &Linear,
        hidden: &Matrix,
        labels: &[Label],
    ) -> Computed<Vec<f32>> {
        let cost = || linear_cost(2 * labels.len(), &[output]);
        let work = || head::weight_gradient(&self.pool, output, &hidden.values, labels);
        Ok(self
            .recorder
            .run("output head: weight gradient", cost, work))
    }

    fn is_plain(&self, layer: &Linear) -> bool {
        !layer.is_packed()
    }

    fn linear_rows(&self, layer: &Linear, first: usize, rows: usize) -> Computed<Vec<f32>> {
        let rows: Vec<u32> = (first..first + rows).map(|row| row as u32).collect();
        self.weight_rows(layer, &rows)
    }

    fn bias(&self, layer: &Linear) -> Computed<Option<Vec<f32>>> {
        Ok(layer.bias().map(<[f32]>::to_vec))
    }

    fn vector_values(&self, vector: &Vec<f32>) -> Computed<Vec<f32>> {
        Ok(vector.clone())
    }

    fn set_rows(&self, layer: &mut Linear, first: usize, rows: &[f32]) -> Computed<()> {
        layer.set_rows(first, rows);
        Ok(())
    }

    fn set_bias(&self, layer: &mut Linear, first: usize, bias: &[f32]) -> Computed<()> {
        layer.set_bias(first, bias);
        Ok(())
    }
}

/// Operations and values of a change's products, `times` the forward's.
fn change_cost(change: &LowRank, x: &Matrix, times: f64) -> (f64, usize) {
    let ends = x.columns + change.outputs();
    let flops = 2.0 * (x.rows() * change.rank() * ends) as f64;
    (times * flops, change.rank() * ends + x.rows() * ends)
}
