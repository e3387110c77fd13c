//! A low-rank change of a linear layer, `y += s · (x Aᵀ) Bᵀ` with
//! `A ∈ R^{r×inputs}` and `B ∈ R^{outputs×r}` (Hu et al. 2022, LoRA,
//! arXiv 2106.09685). Of a layer with such a change only `A` and `B` get a
//! gradient, for which its input is needed once more.

use super::dropout::Dropout;
use super::outer::{Columns, outer_into};
use crate::buffer::{Buffer, Pool};
use crate::matmul::{Kernel, Left, Out, Panels, Threads, UNIT, Write, multiply};

/// A change, in the layout that the products read.
#[derive(Debug)]
pub(crate) struct LowRank {
    /// `Aᵀ`, `[inputs, r]`.
    down: Panels,
    /// `s Bᵀ`, `[r, outputs]`.
    up: Panels,
    scale: f32,
    dropout: Option<Dropout>,
}

/// Gradients of a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowRankGradient {
    /// Of `A`, `[r, inputs]`.
    pub a: Vec<f32>,
    /// Of `B`, `[outputs, r]`.
    pub b: Vec<f32>,
}

impl LowRank {
    /// `a` is `[rank, inputs]`, `b` is `[outputs, rank]`; `scale` is `α/r`, and
    /// `dropout` acts on the input.
    ///
    /// # Panics
    /// When the lengths aren't multiples of the rank.
    pub(crate) fn new(
        a: &[f32],
        b: &[f32],
        rank: usize,
        scale: f32,
        dropout: Option<Dropout>,
    ) -> Self {
        let kernel = Kernel::best();
        let scaled: Vec<f32> = b.iter().map(|b| scale * b).collect();
        LowRank {
            down: Panels::transposed(kernel, a, rank, a.len() / rank),
            up: Panels::transposed(kernel, &scaled, b.len() / rank, rank),
            scale,
            dropout: dropout.filter(|d| d.probability > 0.0),
        }
    }

    fn inputs(&self) -> usize {
        self.down.depth()
    }

    /// Output size.
    pub(crate) fn outputs(&self) -> usize {
        self.up.columns()
    }

    /// Rank.
    pub(crate) fn rank(&self) -> usize {
        self.up.depth()
    }

    /// Values of a row of the rank's width, as the kernels read it.
    fn stride(&self) -> usize {
        self.rank().next_multiple_of(UNIT)
    }

    /// Adds the change for `x` (`[rows, inputs]`) to the columns of `y` from
    /// `first` on, whose rows are `stride` values.
    pub(crate) fn forward_add(
        &self,
        pool: &Pool,
        y: &mut [f32],
        first: usize,
        stride: usize,
        x: &[f32],
    ) {
        let rows = x.len() / self.inputs();
        if rows == 0 {
            return;
        }
        let inner = match self.dropped(pool, x) {
            Some(dropped) => self.inner(pool, &dropped),
            None => self.inner(pool, x),
        };
        let left = Left::rows(&inner, rows, self.rank(), self.stride());
        let mut out = Out::new(&mut y[first..], rows, self.outputs(), stride);
        let right = self.up.right();
        let kernel = Kernel::best();
        let write = Write::Accumulate;
        multiply(kernel, &mut out, write, left, right, Threads::Pool);
    }

    /// Adds the gradient of the input to `dx` and gives those of the change:
    /// with `h = x Aᵀ` and `dh = s dy B`, `dB = s dyᵀ h`, `dA = dhᵀ x` and
    /// `dx += dh A`.
    pub(crate) fn backward_add(
        &self,
        pool: &Pool,
        dx: &mut [f32],
        x: &[f32],
        dy: Columns<'_>,
    ) -> LowRankGradient {
        let (inputs, outputs, rank) = (self.inputs(), self.outputs(), self.rank());
        let (rows, stride) = (x.len() / inputs, self.stride());
        let mut gradient = LowRankGradient {
            a: vec![0.0; rank * inputs],
            b: vec![0.0; outputs * rank],
        };
        if rows == 0 {
            return gradient;
        }
        let dropped = self.dropped(pool, x);
        let x = dropped.as_deref().unwrap_or(x);
        let (kernel, threads) = (Kernel::best(), Threads::Pool);

        let inner = self.inner(pool, x);
        let mut wide = pool.take(outputs * stride);
        outer_into(pool, &mut wide, Write::Replace, dy, &inner, stride);
        for (to, from) in gradient.b.chunks_exact_mut(rank).zip(wide.chunks(stride)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = self.scale * from;
            }
        }
        drop((inner, wide));

        let mut d_inner = pool.take(rows * rank);
        let left = Left::rows(dy.tail(), rows, outputs, dy.stride);
        let mut out = Out::new(&mut d_inner, rows, rank, rank);
        let up = self.up.transpose(kernel, pool);
        multiply(kernel, &mut out, Write::Replace, left, up.right(), threads);
        drop(up);
        let columns = Columns::all(&d_inner, rank);
        outer_into(pool, &mut gradient.a, Write::Replace, columns, x, inputs);

        let left = Left::rows(&d_inner, rows, rank, rank);
        let down = self.down.transpose(kernel, pool);
        let Some(dropout) = self.dropout else {
            let mut out = Out::new(dx, rows, inputs, inputs);
            let write = Write::Accumulate;
            multiply(kernel, &mut out, write, left, down.right(), threads);
            return gradient;
        };
        let mut d_dropped = pool.take(rows * inputs);
        let mut out = Out::new(&mut d_dropped, rows, inputs, inputs);
        multiply(
            kernel,
            &mut out,
            Write::Replace,
            left,
            down.right(),
            threads,
        );
        dropout.apply(&mut d_dropped);
        super::vector::add(dx, &d_dropped);
        gradient
    }

    /// The input after dropout, where there is any.
    fn dropped(&self, pool: &Pool, x: &[f32]) -> Option<Buffer> {
        let dropout = self.dropout?;
        let mut dropped = pool.take(x.len());
        dropped.copy_from_slice(x);
        dropout.apply(&mut dropped);
        Some(dropped)
    }

    /// `x Aᵀ` in rows of whole units.
    fn inner(&self, pool: &Pool, x: &[f32]) -> Buffer {
        let (inputs, stride) = (self.inputs(), self.stride());
        let rows = x.len() / inputs;
        // What lies beyond the rank is multiplied, and its products left out.
        let mut inner = pool.zeros(rows * stride);
        let left = Left::rows(x, rows, inputs, inputs);
        let mut out = Out::new(&mut inner, rows, self.rank(), stride);
        let (kernel, right) = (Kernel::best(), self.down.right());
        multiply(kernel, &mut out, Write::Replace, left, right, Threads::Pool);
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    #[test]
    fn backward_is_the_derivative() {
        let dropout = Dropout {
            probability: 0.4,
            seed: 9,
        };
        for (rank, dropout) in [(3, None), (16, None), (5, Some(dropout))] {
            let (rows, inputs, outputs) = (6, 10, 9);
            // The change goes to columns 4 to 13 of rows of 15.
            let (first, stride) = (4, 15);
            let x = numbers(rows * inputs, 1);
            let a = numbers(rank * inputs, 2);
            let b = numbers(outputs * rank, 3);
            let dy = numbers(rows * stride, 4);
            let pool = Pool::default();
            let loss = |x: &[f32], a: &[f32], b: &[f32]| {
                let change = LowRank::new(a, b, rank, 0.7, dropout);
                let mut y = vec![0.0; rows * stride];
                change.forward_add(&pool, &mut y, first, stride, x);
                assert!(y[..first].iter().all(|&y| y == 0.0));
                dot(&y, &dy)
            };
            let change = LowRank::new(&a, &b, rank, 0.7, dropout);
            let mut dx = vec![0.0; x.len()];
            let columns = Columns {
                values: &dy,
                stride,
                first,
                count: outputs,
            };
            let gradient = change.backward_add(&pool, &mut dx, &x, columns);
            assert_gradient(&x, &dx, |x| loss(x, &a, &b));
            assert_gradient(&a, &gradient.a, |a| loss(&x, a, &b));
            assert_gradient(&b, &gradient.b, |b| loss(&x, &a, b));
            // The gradient of the input is added.
            let once = dx.clone();
            change.backward_add(&pool, &mut dx, &x, columns);
            for (twice, once) in dx.iter().zip(once) {
                assert!((twice - 2.0 * once).abs() < 1e-5);
            }
        }
    }
}
