//! A mixture of experts on the GPU against the CPU.
//!
//! Rounding must not decide anything here: experts differ by much in their
//! logits, and few values lie near the gate's limit.

use super::*;
use crate::compute::{Keep, Mixture};
use crate::layers::experts::{ExpertMatrices, ExpertWeights};

/// Relative error of what went through eight roundings to bf16 one after the
/// other: 0.6%, and more where there is a single row.
const ROUNDED: f64 = 2e-2;

/// Rows, hidden size, width of an expert, experts, and active ones.
struct Sizes {
    rows: usize,
    d: usize,
    f: usize,
    count: usize,
    active: usize,
}

fn matrices(packed: bool, size: usize, columns: usize, stream: u64) -> ExpertMatrices {
    if !packed {
        let scale = 3.0 / (columns as f32).sqrt();
        let values = random(size, stream).into_iter().map(|v| v * scale);
        return ExpertMatrices::Values(rounded(values.collect()));
    }
    let byte = |v: f32| (v.to_bits() >> 16) as u8;
    let scales = random(size / 32, stream + 1);
    // Four-bit floats have a standard deviation of about 2.9.
    let scale = 127.0 - (columns as f32).sqrt().log2();
    ExpertMatrices::Mxfp4 {
        // Any bits are numbers.
        blocks: random(size / 2, stream).into_iter().map(byte).collect(),
        scales: scales
            .into_iter()
            .map(|v| scale as u8 - byte(v) % 2)
            .collect(),
    }
}

fn expert_weights(sizes: &Sizes, packed: bool) -> ExpertWeights {
    let &Sizes { d, f, count, .. } = sizes;
    // Some gates and up values far beyond the limit.
    let bias = |(i, v): (usize, f32)| {
        if i % 7 == 0 {
            12.0f32.copysign(v)
        } else {
            3.0 * v
        }
    };
    let gate_up_bias = random(count * 2 * f, 13).into_iter().enumerate().map(bias);
    ExpertWeights {
        count,
        active: sizes.active,
        hidden: d,
        width: f,
        alpha: 1.702,
        limit: 7.0,
        gate_up: matrices(packed, count * 2 * f * d, d, 11),
        gate_up_bias: gate_up_bias.collect(),
        down: matrices(packed, count * d * f, f, 14),
        down_bias: random(count * d, 16),
    }
}

/// Rows whose first values say, far beyond rounding, which experts are chosen,
/// in another order for every row; expert 0 only where all are.
fn decided(sizes: &Sizes) -> Vec<f32> {
    let &Sizes { rows, d, count, .. } = sizes;
    let mut x = random(rows * d, 17);
    let keys = random(rows * count, 18);
    for (row, keys) in x.chunks_exact_mut(d).zip(keys.chunks_exact(count)) {
        let mut order: Vec<usize> = (1..count).collect();
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
        row[0] = -0.25;
        for (rank, expert) in order.into_iter().enumerate() {
            row[expert] = rank as f32 / 4.0;
        }
    }
    x
}

fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_experts() {
    let cuda = cuda();
    let sizes = |[rows, d, f, count, active]: [usize; 5]| Sizes {
        rows,
        d,
        f,
        count,
        active,
    };
    // Every size of the products' tiles; the last one has gpt-oss's widths.
    let cases = [
        [1, 96, 64, 8, 2],
        [37, 160, 96, 32, 4],
        [5, 32, 32, 8, 8],
        [200, 96, 608, 8, 2],
        [700, 1120, 64, 8, 2],
        [40, 2880, 2880, 8, 4],
    ];
    for case in cases {
        let sizes = sizes(case);
        let Sizes { rows, d, count, .. } = sizes;
        let x = decided(&sizes);
        let dy = random(rows * d, 19);
        let mut norm = random(d, 20);
        norm[..count].fill(1.0);
        // Each expert looks at its own value, and a little at all others.
        let little = 0.02 / (d as f32).sqrt();
        let mut router: Vec<f32> = random(count * d, 21).iter().map(|v| v * little).collect();
        for expert in 0..count {
            router[expert * d + expert] = 2.0;
        }
        let (router, router_bias) = (rounded(router), vec![0.01; count]);
        for packed in [false, true] {
            let experts = expert_weights(&sizes, packed);
            on_both!(
                format!("experts {case:?} packed {packed}"),
                ROUNDED,
                &cuda,
                |b| {
                    let norm = b.vector(norm.clone()).expect("it fits");
                    let router = b.linear(router.clone(), Some(router_bias.clone()), count, d);
                    let mixture = Mixture {
                        norm: &norm,
                        router: &router.expect("it fits"),
                        experts: &b.experts(experts.clone()).expect("it fits"),
                        eps: 1e-5,
                    };
                    // Without what the residual branch adds, which is exact.
                    let mut before = stream(b, &x, d);
                    let (none, alone) = b
                        .mix(&mixture, &mut before, Keep::Nothing)
                        .expect("it runs");
                    assert!(none.is_none());
                    let (routed, next) = b.mix(&mixture, &mut before, Keep::All).expect("it runs");
                    let kept = b.keep(before);
                    let dx = b.rms_norm_backward(None, &tensor(b, &dy, d), &kept, &norm, 1e-5);
                    let dx = dx.expect("it runs");
                    let residual = stream_values(b, &dx);
                    let sum = b
                        .mix_backward(&mixture, dx, &kept, routed)
                        .expect("it runs");
                    vec![
                        minus(&stream_values(b, &alone), &x),
                        minus(&stream_values(b, &next), &x),
                        minus(&stream_values(b, &sum), &residual),
                    ]
                }
            );
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_experts_that_it_cannot_run_are_refused() {
    let cuda = cuda();
    let refusal = |weights: ExpertWeights| {
        let refused = cuda.experts(weights).err();
        refused.map(|e| e.to_string()).unwrap_or_default()
    };
    let sizes = Sizes {
        rows: 1,
        d: 32,
        f: 64,
        count: 12,
        active: 2,
    };
    let message = refusal(expert_weights(&sizes, false));
    assert!(message.contains("12 experts"), "{message}");
    let sizes = Sizes { count: 8, ..sizes };
    let mut huge = expert_weights(&sizes, true);
    if let ExpertMatrices::Mxfp4 { scales, .. } = &mut huge.down {
        scales[5] = 254;
    }
    let message = refusal(huge);
    assert!(message.contains("scale 2^127"), "{message}");
}
