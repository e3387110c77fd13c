//! Linear map with an optional bias: `y = x Wᵀ + b`.

use super::vector::{add, rows_per_task};
use crate::buffer::Pool;
use crate::files::Packed;
use crate::matmul::{Kernel, Left, Out, PackedRows, Panels, Threads, Write, multiply};
use rayon::prelude::*;

/// A frozen linear layer. Its weight is held once.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Weight,
    bias: Option<Vec<f32>>,
}

#[derive(Debug)]
enum Weight {
    /// f32 in the layout of the forward product; the backward product transposes
    /// it for as long as it needs that, which costs a step about 1% of its time
    /// and saves a third of its memory.
    Panels(Panels),
    /// As in the file; both products unpack pieces of it.
    Packed(PackedRows),
}

impl Linear {
    /// `weight` is `[outputs, inputs]`, `bias` is `[outputs]`.
    ///
    /// # Panics
    /// When the lengths don't fit the sizes.
    #[must_use]
    pub(crate) fn new(
        weight: &[f32],
        bias: Option<Vec<f32>>,
        outputs: usize,
        inputs: usize,
    ) -> Self {
        assert_eq!(weight.len(), outputs * inputs);
        assert!(bias.as_ref().is_none_or(|b| b.len() == outputs));
        Linear {
            weight: Weight::Panels(Panels::transposed(Kernel::best(), weight, outputs, inputs)),
            bias,
        }
    }

    /// A layer whose weight stays packed: `parts` one below the other.
    ///
    /// # Panics
    /// When the lengths don't fit the sizes.
    #[must_use]
    pub(crate) fn packed(parts: Vec<Packed>, bias: Option<Vec<f32>>) -> Self {
        let weight = PackedRows::new(parts);
        assert!(bias.as_ref().is_none_or(|b| b.len() == weight.outputs()));
        Linear {
            weight: Weight::Packed(weight),
            bias,
        }
    }

    /// Whether its weight stays packed: products then take all rows at once,
    /// since each unpacks the whole of it.
    #[must_use]
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.weight, Weight::Packed(_))
    }

    /// Output size.
    #[must_use]
    pub(crate) fn outputs(&self) -> usize {
        match &self.weight {
            Weight::Panels(weight) => weight.columns(),
            Weight::Packed(weight) => weight.outputs(),
        }
    }

    /// Input size.
    #[must_use]
    pub(crate) fn inputs(&self) -> usize {
        match &self.weight {
            Weight::Panels(weight) => weight.depth(),
            Weight::Packed(weight) => weight.inputs(),
        }
    }

    /// Writes or adds `x Wᵀ + b` to `y` (`[T, outputs]`), for `x` of `[T, inputs]`
    /// in rows `stride` values apart.
    pub(crate) fn forward_into(
        &self,
        y: &mut [f32],
        x: &[f32],
        stride: usize,
        write: Write,
        threads: Threads,
    ) {
        let rows = y.len() / self.outputs();
        let left = Left::rows(x, rows, self.inputs(), stride);
        let mut out = Out::new(y, rows, self.outputs(), self.outputs());
        let kernel = Kernel::best();
        match &self.weight {
            Weight::Panels(weight) => {
                multiply(kernel, &mut out, write, left, weight.right(), threads);
            }
            Weight::Packed(weight) => weight.forward(kernel, &mut out, write, left, threads),
        }
        self.add_bias(y, threads);
    }

    /// Writes or adds the gradient of the input, `dy W`, to `dx` (`[T, inputs]`),
    /// for `dy` of `[T, outputs]`.
    pub(crate) fn backward_into(&self, dx: &mut [f32], dy: &[f32], write: Write) {
        let (rows, inputs) = (dx.len() / self.inputs(), self.inputs());
        let left = Left::rows(dy, rows, self.outputs(), self.outputs());
        let mut out = Out::new(dx, rows, inputs, inputs);
        let kernel = Kernel::best();
        match &self.weight {
            Weight::Panels(weight) => weight.multiply_transposed(kernel, &mut out, write, left),
            Weight::Packed(weight) => {
                weight.backward(kernel, &mut out, write, left, Threads::Pool);
            }
        }
    }

    /// The layer with its weight in the layout of the gradient of the input.
    ///
    /// # Panics
    /// When the weight stays packed: it has no other layout.
    pub(crate) fn transposed(&self, pool: &Pool) -> Transposed {
        match &self.weight {
            Weight::Panels(weight) => Transposed(weight.transpose(Kernel::best(), pool)),
            Weight::Packed(_) => panic!("a packed weight is multiplied as it is"),
        }
    }

    /// Writes row `output` of the weight (for the output head, a token's
    /// vector) to `row`.
    pub(crate) fn copy_row(&self, row: &mut [f32], output: usize) {
        match &self.weight {
            Weight::Panels(weight) => {
                for (to, from) in row.iter_mut().zip(weight.column(output)) {
                    *to = from;
                }
            }
            Weight::Packed(weight) => weight.copy_row(row, output),
        }
    }

    /// The bias.
    pub(crate) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// Replaces rows `first ..` of the weight by `rows` (`[_, inputs]`).
    ///
    /// # Panics
    /// When the weight is packed or has fewer rows.
    pub(crate) fn set_rows(&mut self, first: usize, rows: &[f32]) {
        match &mut self.weight {
            Weight::Panels(weight) => weight.set_columns(first, rows),
            Weight::Packed(_) => panic!("a packed weight stays as it is"),
        }
    }

    /// Replaces values `first ..` of the bias.
    ///
    /// # Panics
    /// When there is none, or it is shorter.
    pub(crate) fn set_bias(&mut self, first: usize, values: &[f32]) {
        let bias = self.bias.as_mut().expect("a layer with a bias");
        bias[first..first + values.len()].copy_from_slice(values);
    }

    fn add_bias(&self, y: &mut [f32], threads: Threads) {
        let Some(bias) = &self.bias else { return };
        let each = |y: &mut [f32]| y.chunks_exact_mut(bias.len()).for_each(|y| add(y, bias));
        match threads {
            Threads::One => each(y),
            Threads::Pool => {
                let task = rows_per_task(self.outputs()) * self.outputs();
                y.par_chunks_mut(task).for_each(each);
            }
        }
    }
}

/// A layer's weight packed for the gradient of its input.
#[derive(Debug)]
pub(crate) struct Transposed(Panels);

impl Transposed {
    /// Writes or adds `dy W` to `dx` (`[T, inputs]`), for `dy` of `[T, outputs]`
    /// in rows `stride` values apart.
    pub(crate) fn backward_into(
        &self,
        dx: &mut [f32],
        dy: &[f32],
        stride: usize,
        write: Write,
        threads: Threads,
    ) {
        let (inputs, outputs) = (self.0.columns(), self.0.depth());
        let rows = dx.len() / inputs;
        let left = Left::rows(dy, rows, outputs, stride);
        let mut out = Out::new(dx, rows, inputs, inputs);
        multiply(
            Kernel::best(),
            &mut out,
            write,
            left,
            self.0.right(),
            threads,
        );
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
        let weight = numbers(outputs * inputs, 1);
        let layer = Linear::new(&weight, Some(numbers(outputs, 2)), outputs, inputs);
        let x = numbers(rows * inputs, 3);
        let dy = numbers(rows * outputs, 4);
        let forward = |y: &mut [f32], x: &[f32], write| {
            layer.forward_into(y, x, inputs, write, Threads::Pool);
        };
        let mut dx = vec![0.0; rows * inputs];
        let pool = Pool::default();
        layer.backward_into(&mut dx, &dy, Write::Replace);
        let streamed = dx.clone();
        let transposed = layer.transposed(&pool);
        transposed.backward_into(&mut dx, &dy, outputs, Write::Replace, Threads::Pool);
        assert_eq!(dx, streamed);
        assert_gradient(&x, &dx, |x| {
            let mut y = vec![0.0; rows * outputs];
            forward(&mut y, x, Write::Replace);
            dot(&y, &dy)
        });
        let mut once = vec![0.0; rows * outputs];
        forward(&mut once, &x, Write::Replace);
        let mut sum = once.clone();
        forward(&mut sum, &x, Write::Accumulate);
        for (twice, once) in sum.iter().zip(once) {
            assert!((twice - 2.0 * once).abs() < 1e-4);
        }
        let mut row = vec![0.0; inputs];
        layer.copy_row(&mut row, 3);
        assert_eq!(row, weight[3 * inputs..4 * inputs]);
        let mut changed = Linear::new(&weight, Some(numbers(outputs, 2)), outputs, inputs);
        changed.set_rows(1, &[5.0; 12]);
        changed.set_bias(4, &[7.0]);
        let mut rows = vec![0.0; outputs * inputs];
        for (row, values) in rows.chunks_exact_mut(inputs).enumerate() {
            changed.copy_row(values, row);
        }
        assert_eq!(rows[..6], weight[..6]);
        assert_eq!(rows[6..18], [5.0; 12]);
        assert_eq!(rows[18..], weight[18..]);
        let bias = changed.bias().expect("it has one");
        assert_eq!(bias[..4], numbers(outputs, 2)[..4]);
        assert_eq!(bias[4], 7.0);
    }
}
