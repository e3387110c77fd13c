//! Linear map with an optional bias: `y = x Wᵀ + b`.

use super::vector::{add, dispatch, rows_per_task};
use crate::matmul::{Threads, View, Write, matmul};
use rayon::prelude::*;

/// A frozen linear layer.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// `weight` is `[outputs, inputs]`, `bias` is `[outputs]`.
    ///
    /// # Panics
    /// When the lengths don't fit the sizes.
    #[must_use]
    pub fn new(weight: Vec<f32>, bias: Option<Vec<f32>>, outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs);
        assert!(bias.as_ref().is_none_or(|b| b.len() == outputs));
        Linear {
            weight,
            bias,
            inputs,
            outputs,
        }
    }

    /// Output size.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Input size.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// `y = x Wᵀ + b` for `x` of `[T, inputs]`.
    #[must_use]
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let mut y = vec![0.0; rows * self.outputs];
        matmul(
            &mut y,
            Write::Replace,
            View::new(x, rows, self.inputs),
            self.view().transpose(),
            Threads::Pool,
        );
        self.add_bias(&mut y);
        y
    }

    /// `y += x Wᵀ + b`: a layer that ends a residual branch.
    pub fn forward_add(&self, y: &mut [f32], x: &[f32]) {
        let rows = x.len() / self.inputs;
        matmul(
            y,
            Write::Accumulate,
            View::new(x, rows, self.inputs),
            self.view().transpose(),
            Threads::Pool,
        );
        self.add_bias(y);
    }

    /// Gradient of the input: `dx = dy W` for `dy` of `[T, outputs]`.
    #[must_use]
    pub fn backward(&self, dy: &[f32]) -> Vec<f32> {
        let rows = dy.len() / self.outputs;
        let mut dx = vec![0.0; rows * self.inputs];
        self.backward_into(&mut dx, dy, Write::Replace);
        dx
    }

    /// Writes or adds the gradient of the input to `dx`.
    pub fn backward_into(&self, dx: &mut [f32], dy: &[f32], write: Write) {
        let rows = dy.len() / self.outputs;
        matmul(
            dx,
            write,
            View::new(dy, rows, self.outputs),
            self.view(),
            Threads::Pool,
        );
    }

    /// Row `output` of the weight: for the output head, a token's vector.
    #[must_use]
    pub fn row(&self, output: usize) -> &[f32] {
        &self.weight[output * self.inputs..(output + 1) * self.inputs]
    }

    fn view(&self) -> View<'_> {
        View::new(&self.weight, self.outputs, self.inputs)
    }

    fn add_bias(&self, y: &mut [f32]) {
        let Some(bias) = &self.bias else { return };
        let task = rows_per_task(self.outputs) * self.outputs;
        y.par_chunks_mut(task).for_each(|y| {
            dispatch(|| y.chunks_exact_mut(bias.len()).for_each(|y| add(y, bias)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    #[test]
    fn backward_is_the_derivative() {
        let (rows, inputs, outputs) = (4, 6, 5);
        let layer = Linear::new(
            numbers(outputs * inputs, 1),
            Some(numbers(outputs, 2)),
            outputs,
            inputs,
        );
        let x = numbers(rows * inputs, 3);
        let dy = numbers(rows * outputs, 4);
        assert_gradient(&x, &layer.backward(&dy), |x| dot(&layer.forward(x), &dy));
        let mut sum = layer.forward(&x);
        layer.forward_add(&mut sum, &x);
        for (twice, once) in sum.iter().zip(layer.forward(&x)) {
            assert!((twice - 2.0 * once).abs() < 1e-4);
        }
    }
}
