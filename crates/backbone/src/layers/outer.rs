//! `dyᵀ x`, summed over rows: the gradient of a weight.

use crate::buffer::Pool;
use crate::matmul::{Kernel, Left, Out, Right, Threads, UNIT, Write, multiply};

/// Some columns of a row-major matrix.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) values: &'a [f32],
    /// Values from one row to the next.
    pub(crate) stride: usize,
    /// The first column.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
}

impl<'a> Columns<'a> {
    /// All of them.
    pub(crate) fn all(values: &'a [f32], columns: usize) -> Self {
        Columns {
            values,
            stride: columns,
            first: 0,
            count: columns,
        }
    }

    /// From the first one on.
    pub(crate) fn tail(self) -> &'a [f32] {
        self.values.get(self.first..).unwrap_or_default()
    }
}

/// Writes or adds `dyᵀ x` to `out` (`[dy.count, inputs]`), for `x` of
/// `[rows, inputs]` and as many rows of `dy`.
pub(crate) fn outer_into(
    pool: &Pool,
    out: &mut [f32],
    write: Write,
    dy: Columns<'_>,
    x: &[f32],
    inputs: usize,
) {
    let rows = x.len() / inputs;
    let left = Left::transposed(dy.tail(), dy.count, rows, dy.stride);
    let kernel = Kernel::best();
    if inputs.is_multiple_of(UNIT) {
        let right = Right::rows(x, rows, inputs, inputs);
        let mut out = Out::new(out, dy.count, inputs, inputs);
        return multiply(kernel, &mut out, write, left, right, Threads::Pool);
    }
    // The kernels read whole units of columns.
    let width = inputs.next_multiple_of(UNIT);
    let mut padded = pool.zeros(rows * width);
    for (to, from) in padded.chunks_exact_mut(width).zip(x.chunks_exact(inputs)) {
        to[..inputs].copy_from_slice(from);
    }
    let right = Right::rows(&padded, rows, width, width);
    let mut whole = pool.take(dy.count * width);
    let mut to = Out::new(&mut whole, dy.count, width, width);
    multiply(kernel, &mut to, Write::Replace, left, right, Threads::Pool);
    for (out, from) in out.chunks_exact_mut(inputs).zip(whole.chunks_exact(width)) {
        match write {
            Write::Replace => out.copy_from_slice(&from[..inputs]),
            Write::Accumulate => super::vector::add(out, &from[..inputs]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::numbers;

    #[test]
    fn is_the_sum_over_rows_of_outer_products() {
        for (rows, stride, first, count, inputs) in
            [(37, 50, 3, 40, 32), (5, 7, 0, 7, 13), (0, 4, 1, 2, 16)]
        {
            let dy = numbers(rows * stride, 1);
            let x = numbers(rows * inputs, 2);
            let columns = Columns {
                values: &dy,
                stride,
                first,
                count,
            };
            let old = numbers(count * inputs, 3);
            for write in [Write::Replace, Write::Accumulate] {
                let mut out = old.clone();
                outer_into(&Pool::default(), &mut out, write, columns, &x, inputs);
                for o in 0..count {
                    for i in 0..inputs {
                        let product = |row: usize| {
                            f64::from(dy[row * stride + first + o]) * f64::from(x[row * inputs + i])
                        };
                        let mut want: f64 = (0..rows).map(product).sum();
                        if write == Write::Accumulate {
                            want += f64::from(old[o * inputs + i]);
                        }
                        let got = f64::from(out[o * inputs + i]);
                        assert!((got - want).abs() < 1e-5, "{o} {i}: {got} {want}");
                    }
                }
            }
        }
    }
}
