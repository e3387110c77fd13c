use super::kernel::MAX_ROWS;
use super::*;
use crate::buffer::Pool;
use crate::files::{Packed, PackedKind};
use crate::finite_difference::numbers;

const CANARY: f32 = 1234.5;

/// Sizes on both sides of each tile's and each block's limits.
const SIZES: [usize; 12] = [1, 2, 3, 7, 15, 16, 17, 33, 48, 64, 65, 130];

/// What a product is made of.
struct Case {
    rows: usize,
    columns: usize,
    depth: usize,
    transposed: bool,
    padding: usize,
    write: Write,
    threads: Threads,
}

impl Case {
    fn new(index: usize) -> Case {
        let size = |i: u32| SIZES[index / SIZES.len().pow(i) % SIZES.len()];
        let choose = |yes: bool, a, b| if yes { a } else { b };
        Case {
            rows: size(0),
            columns: size(1),
            depth: size(2),
            transposed: index.is_multiple_of(2),
            padding: index % 5,
            write: choose(index % 7 < 3, Write::Replace, Write::Accumulate),
            threads: if index % 11 < 5 {
                Threads::Pool
            } else {
                Threads::One
            },
        }
    }

    fn check(
        &self,
        kernel: &Kernel,
        right: Right<'_>,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f32> {
        self.check_with(kernel, b, |out, left| {
            multiply(kernel, out, self.write, left, right, self.threads);
        })
    }

    /// Against the definition in f64; what lies between and after the rows must
    /// survive. The values, to compare kernels.
    fn check_with(
        &self,
        kernel: &Kernel,
        b: impl Fn(usize, usize) -> f32,
        product: impl Fn(&mut Out<'_>, Left<'_>),
    ) -> Vec<f32> {
        let (m, n, k) = (self.rows, self.columns, self.depth);
        let (lines, line) = if self.transposed { (k, m) } else { (m, k) };
        let stride = line + self.padding;
        let a = numbers(lines * stride, 1);
        let left = if self.transposed {
            Left::transposed(&a, m, k, stride)
        } else {
            Left::rows(&a, m, k, stride)
        };
        let at = |i: usize, l: usize| {
            if self.transposed {
                a[l * stride + i]
            } else {
                a[i * stride + l]
            }
        };
        let out_stride = n + self.padding;
        let mut values = vec![CANARY; m * out_stride + 64];
        (0..m).for_each(|i| values[i * out_stride..i * out_stride + n].fill(0.5));
        let mut out = Out::new(&mut values, m, n, out_stride);
        product(&mut out, left);
        for (index, &got) in values.iter().enumerate() {
            let (i, j) = (index / out_stride, index % out_stride);
            if i >= m || j >= n {
                assert_eq!(got, CANARY, "{}: wrote outside at {i}, {j}", kernel.name);
                continue;
            }
            let term = |l| f64::from(at(i, l)) * f64::from(b(l, j));
            let old = if self.write == Write::Accumulate {
                0.5
            } else {
                0.0
            };
            let want = (0..k).map(term).sum::<f64>() + old;
            assert!(
                (f64::from(got) - want).abs() < 1e-4,
                "{}: {m}×{n}×{k} at {i}, {j}: {got}, not {want}",
                kernel.name
            );
        }
        values
    }
}

#[test]
fn products_with_packed_weights_agree_with_the_definition_and_write_nothing_else() {
    for index in 0..SIZES.len().pow(3) {
        let case = Case::new(index);
        let (n, k) = (case.columns, case.depth);
        let weight = numbers(n * k, 2);
        let mut results = Vec::new();
        for kernel in Kernel::supported() {
            let panels = Panels::transposed(kernel, &weight, n, k);
            results.push(case.check(kernel, panels.right(), |l, j| weight[j * k + l]));
            // The other direction is the transpose of the transpose.
            let pool = Pool::default();
            // Memory that was used before: padding must be cleared.
            pool.take(40_000).fill(CANARY);
            let back = panels.transpose(kernel, &pool);
            let again = back.transpose(kernel, &pool);
            case.check_with(
                kernel,
                |l, j| weight[j * k + l],
                |out, left| {
                    back.multiply_transposed(kernel, out, case.write, left);
                },
            );
            assert_eq!((back.depth(), back.columns()), (n, k));
            for column in 0..n {
                let of_weight = &weight[column * k..(column + 1) * k];
                assert!(panels.column(column).eq(of_weight.iter().copied()));
                assert!(again.column(column).eq(of_weight.iter().copied()));
            }
        }
        // Those with fused multiply-adds agree to the last bit.
        if cfg!(target_arch = "x86_64") {
            for result in &results[1..results.len() - 1] {
                assert_eq!(result, &results[0], "kernels differ in case {index}");
            }
        }
    }
}

#[test]
fn products_with_row_major_right_operands_agree_with_the_definition() {
    for index in 0..SIZES.len().pow(3) {
        let mut case = Case::new(index);
        case.columns = case.columns.next_multiple_of(UNIT);
        let stride = case.columns + case.padding;
        let values = numbers(case.depth * stride, 2);
        for kernel in Kernel::supported() {
            let right = Right::rows(&values, case.depth, case.columns, stride);
            case.check(kernel, right, |l, j| values[l * stride + j]);
        }
    }
}

#[test]
fn a_deep_product_is_the_same_in_any_rows_and_threads() {
    let (m, n, k) = (MAX_ROWS * 11 + 5, 200, 2_000);
    let (a, weight) = (numbers(m * k, 3), numbers(n * k, 4));
    for kernel in Kernel::supported() {
        let panels = Panels::transposed(kernel, &weight, n, k);
        let run = |rows: std::ops::Range<usize>, threads: usize| {
            let mut out = vec![0.0; rows.len() * n];
            let left = Left::rows(&a[rows.start * k..], rows.len(), k, k);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().expect("threads start").install(|| {
                let mut out = Out::new(&mut out, rows.len(), n, n);
                multiply(
                    kernel,
                    &mut out,
                    Write::Replace,
                    left,
                    panels.right(),
                    Threads::Pool,
                );
            });
            out
        };
        let whole = run(0..m, 1);
        for threads in [2, 4] {
            assert_eq!(run(0..m, threads), whole, "{threads} threads");
        }
        let (first, rest) = whole.split_at(37 * n);
        assert_eq!(run(0..37, 2), first);
        assert_eq!(run(37..m, 1), rest);
    }
}

#[test]
fn products_with_weights_that_stay_packed_are_those_with_their_values() {
    // Parts by kind and rows, and the length of a row. Depths beyond one piece
    // in either direction.
    let weights: [(&[(PackedKind, usize)], usize); 4] = [
        (&[(PackedKind::Q8_0, 70), (PackedKind::Q4_1, 739)], 1568),
        (&[(PackedKind::Bf16, 5)], 32),
        (&[(PackedKind::Q4K, 300)], 1024),
        (&[(PackedKind::Q6K, 33), (PackedKind::Q5_0, 16)], 256),
    ];
    for (parts, inputs) in weights {
        let part = |&(kind, rows): &(PackedKind, usize)| Packed::noise(kind, [rows, inputs], 3);
        let packed = PackedRows::new(parts.iter().map(part).collect());
        let outputs = packed.outputs();
        let mut values = vec![f32::NAN; outputs * inputs];
        for (row, values) in values.chunks_exact_mut(inputs).enumerate() {
            packed.copy_row(values, row);
        }
        for kernel in Kernel::supported() {
            for (rows, forward) in [1, 3, 140, 600]
                .into_iter()
                .flat_map(|rows| [(rows, true), (rows, false)])
            {
                let (k, n) = if forward {
                    (inputs, outputs)
                } else {
                    (outputs, inputs)
                };
                let left = numbers(rows * (k + 3), 5);
                let run = |rows: std::ops::Range<usize>, write, threads: usize| {
                    let mut values = vec![0.5; rows.len() * (n + 1)];
                    let from = &left[rows.start * (k + 3)..];
                    let left = Left::rows(from, rows.len(), k, k + 3);
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    pool.build().expect("threads start").install(|| {
                        let mut out = Out::new(&mut values, rows.len(), n, n + 1);
                        if forward {
                            packed.forward(kernel, &mut out, write, left, Threads::Pool);
                        } else {
                            packed.backward(kernel, &mut out, write, left, Threads::Pool);
                        }
                    });
                    values
                };
                let whole = run(0..rows, Write::Replace, 1);
                for threads in [2, 7] {
                    assert_eq!(run(0..rows, Write::Replace, threads), whole, "{threads}");
                }
                let first = rows.div_ceil(3);
                assert_eq!(
                    run(0..first, Write::Replace, 2),
                    whole[..first * (n + 1)],
                    "fewer rows"
                );
                let added = run(0..rows, Write::Accumulate, 2);
                for i in (0..rows).step_by(rows.div_ceil(4)) {
                    for j in (0..n).step_by(7).chain([n - 1]) {
                        let weight = |l: usize| {
                            let at = if forward { j * k + l } else { l * n + j };
                            f64::from(values[at])
                        };
                        let term = |l: usize| f64::from(left[i * (k + 3) + l]) * weight(l);
                        let want: f64 = (0..k).map(term).sum();
                        let at = i * (n + 1) + j;
                        assert!(
                            (f64::from(whole[at]) - want).abs() < 1e-4,
                            "{}: {forward} {i} {j}: {}, not {want}",
                            kernel.name,
                            whole[at]
                        );
                        assert!((added[at] - whole[at] - 0.5).abs() < 1e-4);
                    }
                }
                assert!(whole.iter().skip(n).step_by(n + 1).all(|&v| v == 0.5));
            }
        }
    }
}
