//! Every operation on the GPU against the CPU reference, on random inputs that
//! bf16 holds exactly. New memory is filled with NaNs (`Device::alloc`), so a
//! value that no kernel wrote shows in every comparison.
//!
//! These need a card: `cargo test --release -p metaprompt-backbone --lib cuda -- --ignored`.

mod attention;
mod packed;

use super::Cuda;
use crate::compute::{Backend, Cpu};
use crate::files::{Config, Experts, LayerAttention, RandomTensors, Rope, RopeScaling};
use crate::finite_difference::numbers;
use crate::forest::{Forest, Input, Path, pack};
use crate::generation::{Choices, Limits, Request, Session};
use crate::layers::attention::Shape;
use crate::layers::head::{Distillation, Label};
use crate::model::{KeyValuePrefix, Model, Outputs, Pass, Recompute, Work};
use crate::tokenizer::Tokenizer;
use crate::{ComputeError, Device};
use half::bf16;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Relative error that bf16 results may have.
const HALF: f64 = 1e-2;
/// Relative error that f32 results of exact inputs may have.
const FULL: f64 = 1e-5;

fn rounded(values: Vec<f32>) -> Vec<f32> {
    let round = |v: f32| bf16::from_f32(v).to_f32();
    values.into_iter().map(round).collect()
}

/// Other numbers in every run of the tests.
fn random(count: usize, stream: u64) -> Vec<f32> {
    static RUN: OnceLock<u64> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = time.map_or(0, |t| t.as_nanos() as u64);
        eprintln!("inputs of run {seed}");
        seed
    });
    rounded(numbers(count, run.wrapping_add(stream)))
}

fn tensor<B: Backend>(backend: &B, values: &[f32], columns: usize) -> B::Tensor {
    backend.upload(values, columns).expect("it fits")
}

fn stream<B: Backend>(backend: &B, values: &[f32], columns: usize) -> B::Stream {
    let table = backend
        .linear(vec![0.0; columns], None, 1, columns)
        .expect("it fits");
    let inputs: Vec<Input> = (0..values.len() / columns)
        .map(|index| Input::Soft { prompt: 0, index })
        .collect();
    backend.embed(&table, &inputs, &[values]).expect("it fits")
}

fn stream_values<B: Backend>(backend: &B, x: &B::Stream) -> Vec<f32> {
    backend.download_stream(x).expect("it can be read")
}

fn values<B: Backend>(backend: &B, x: &B::Tensor) -> Vec<f32> {
    backend.download(x).expect("it can be read")
}

#[track_caller]
fn assert_near(what: &str, got: &[f32], want: &[f32], limit: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    assert!(got.iter().all(|v| v.is_finite()), "{what}: not all finite");
    let square = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
    let difference = square(&mut got.iter().zip(want).map(|(a, b)| f64::from(a - b)));
    let size = square(&mut want.iter().map(|&v| f64::from(v))).max(1e-30);
    let error = difference / size;
    eprintln!("{what}: relative error {error:.2e}");
    assert!(
        error <= limit,
        "{what}: relative error {error:.3e} above {limit:.0e}"
    );
}

/// Runs `work` on both backends and compares all tensors that it returns.
macro_rules! on_both {
    ($what:expr, $limit:expr, $cuda:expr, |$b:ident| $work:expr) => {{
        let want: Vec<Vec<f32>> = {
            let $b = &Cpu::default();
            $work
        };
        let got: Vec<Vec<f32>> = {
            let $b = $cuda;
            $work
        };
        assert_eq!(got.len(), want.len());
        for (part, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_near(&format!("{} [{part}]", $what), got, want, $limit);
        }
    }};
}

mod experts;

fn cuda() -> Cuda {
    Cuda::open(0).expect("a GPU")
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_norms() {
    let cuda = cuda();
    for (rows, d) in [(1, 8), (37, 576), (129, 4096), (3, 16384)] {
        let (x, w) = (random(rows * d, 1), random(d, 2));
        let (dy, dx) = (random(rows * d, 3), random(rows * d, 4));
        on_both!(format!("norm {rows}×{d}"), HALF, &cuda, |b| {
            let weight = b.vector(w.clone()).expect("it fits");
            let mut x = stream(b, &x, d);
            let y = b.rms_norm(&mut x, &weight, 1e-5, false).expect("it runs");
            let again = b.rms_norm(&mut x, &weight, 1e-5, true).expect("it runs");
            let kept = b.keep(x);
            let dy = tensor(b, &dy, d);
            let add = Some(stream(b, &dx, d));
            let sum = b.rms_norm_backward(add, &dy, &kept, &weight, 1e-5);
            let sum = sum.expect("it runs");
            let mut all = vec![values(b, &y), values(b, &again)];
            // A product sees the copy that the norm made of the gradient.
            if d <= 576 {
                let one = |i: usize| f32::from(u8::from(i % d == i / d));
                let identity = b.linear((0..d * d).map(one).collect(), None, d, d);
                let seen = b.backward_stream(&identity.expect("it fits"), &sum);
                all.push(values(b, &seen.expect("it runs")));
            }
            all
        });
        on_both!(format!("norm's gradient {rows}×{d}"), FULL, &cuda, |b| {
            let weight = b.vector(w.clone()).expect("it fits");
            let mut x = stream(b, &x, d);
            b.rms_norm(&mut x, &weight, 1e-5, true).expect("it runs");
            let kept = b.keep(x);
            let dy = tensor(b, &dy, d);
            let add = Some(stream(b, &dx, d));
            let sum = b.rms_norm_backward(add, &dy, &kept, &weight, 1e-5);
            let alone = b.rms_norm_backward(None, &dy, &kept, &weight, 1e-5);
            vec![
                stream_values(b, &sum.expect("it runs")),
                stream_values(b, &alone.expect("it runs")),
            ]
        });
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_head_norms() {
    let cuda = cuda();
    for (rows, heads, kept, head_dim) in [(1, 2, 1, 8), (37, 16, 8, 128), (5, 8, 8, 256)] {
        let shape = Shape {
            heads,
            kv_heads: heads,
            head_dim,
        };
        let width = heads * head_dim;
        let (x, dy) = (random(rows * width, 1), random(rows * width, 2));
        let w = random(head_dim, 3);
        on_both!(format!("head norm {rows}×{width}"), HALF, &cuda, |b| {
            let weight = b.vector(w.clone()).expect("it fits");
            let (x, mut dy) = (tensor(b, &x, width), tensor(b, &dy, width));
            let y = b.head_norm(&x, &weight, 1e-6, shape, kept);
            let y = values(b, &y.expect("it runs"));
            b.head_norm_backward(&mut dy, &x, &weight, 1e-6, shape, kept)
                .expect("it runs");
            vec![y, values(b, &dy)]
        });
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_linear_layers() {
    let cuda = cuda();
    for (rows, inputs, outputs) in [(1, 8, 16), (77, 576, 1536), (300, 1024, 264)] {
        let (w, bias) = (random(inputs * outputs, 1), random(outputs, 2));
        let (x, dy) = (random(rows * inputs, 3), random(rows * outputs, 4));
        let (residual, dx) = (random(rows * outputs, 5), random(rows * inputs, 6));
        for bias in [None, Some(bias)] {
            on_both!(
                format!("linear {rows}×{inputs}×{outputs}"),
                HALF,
                &cuda,
                |b| {
                    let layer = b
                        .linear(w.clone(), bias.clone(), outputs, inputs)
                        .expect("it fits");
                    let (x, dy) = (tensor(b, &x, inputs), tensor(b, &dy, outputs));
                    let y = b.forward(&layer, &x).expect("it runs");
                    let add = b.forward_add(&layer, &x, &stream(b, &residual, outputs));
                    let back = b.backward(&layer, &dy).expect("it runs");
                    let mut sum = tensor(b, &dx, inputs);
                    b.backward_add(&layer, &dy, &mut sum).expect("it runs");
                    vec![
                        values(b, &y),
                        stream_values(b, &add.expect("it runs")),
                        values(b, &back),
                        values(b, &sum),
                    ]
                }
            );
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_gates_and_rows() {
    let cuda = cuda();
    for (rows, f) in [(1, 8), (33, 1536), (5, 14336)] {
        let (gate_up, da) = (random(rows * 2 * f, 1), random(rows * f, 2));
        on_both!(format!("swiglu {rows}×{f}"), HALF, &cuda, |b| {
            let x = tensor(b, &gate_up, 2 * f);
            let y = values(b, &b.swiglu(&x).expect("it runs"));
            let dx = b.swiglu_backward(x, &tensor(b, &da, f)).expect("it runs");
            vec![y, values(b, &dx)]
        });
    }
    let (x, y) = (random(9 * 24, 3), random(20 * 24, 4));
    on_both!("rows", 0.0, &cuda, |b| {
        let some = b.gather(&tensor(b, &x, 24), &[8, 0, 3]).expect("it runs");
        let none = b.gather(&tensor(b, &x, 24), &[]).expect("it runs");
        assert!(values(b, &none).is_empty());
        let picked = b
            .gather_stream(&stream(b, &x, 24), &[8, 0, 3])
            .expect("it runs");
        let spread = b.scatter(&picked, &[1, 2, 19], 20).expect("it runs");
        let first = b.truncate(stream(b, &y, 24), 7);
        vec![
            values(b, &some),
            stream_values(b, &picked),
            stream_values(b, &spread),
            stream_values(b, &first),
        ]
    });
    on_both!("added rows", HALF, &cuda, |b| {
        let mut y = tensor(b, &y, 24);
        b.add_rows(&mut y, &tensor(b, &x, 24), &[0, 2, 3, 5, 8, 11, 12, 18, 19])
            .expect("it runs");
        vec![values(b, &y)]
    });
    let table = random(50 * 40, 5);
    on_both!("embedding", 0.0, &cuda, |b| {
        let table = b.linear(table.clone(), None, 50, 40).expect("it fits");
        let soft = |prompt, index| Input::Soft { prompt, index };
        let inputs = [soft(1, 1), soft(0, 0), Input::Token(49), Input::Token(0)];
        let x = b
            .embed(&table, &inputs, &[&y[..40], &y[40..120]])
            .expect("it runs");
        vec![
            stream_values(b, &x),
            b.weight_rows(&table, &[7, 7, 49]).expect("it runs"),
        ]
    });
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_head() {
    let cuda = cuda();
    for (vocabulary, d, rows) in [(160, 48, 5), (49152, 576, 40), (12301, 64, 3)] {
        let weight: Vec<f32> = random(vocabulary * d, 1);
        let hidden = random(rows * d, 2);
        let labels: Vec<Label> = (0..2 * rows + 1)
            .map(|i| Label {
                row: (i * 7) % rows,
                token: (i * 4099 % vocabulary) as u32,
                weight: 0.5 + i as f32 / 16.0,
            })
            .collect();
        let teacher = random(labels.len() * d, 3);
        let imitation = Distillation {
            teacher: &teacher,
            temperature: 2.0,
            weight: 0.9,
            hidden_weight: 0.3,
        };
        for distillation in [None, Some(imitation)] {
            let run = |losses: crate::layers::head::LabelLosses| {
                vec![losses.nll, losses.divergence, losses.hidden]
            };
            let what = format!("head of {vocabulary}, distilled {}", distillation.is_some());
            on_both!(format!("{what}, losses"), 1e-4, &cuda, |b| {
                let output = b
                    .linear(weight.clone(), None, vocabulary, d)
                    .expect("it fits");
                let hidden = tensor(b, &hidden, d);
                let (losses, none) = b
                    .head_loss(&output, &hidden, &labels, distillation, false)
                    .expect("it runs");
                assert!(none.is_none());
                run(b.read_losses(losses).expect("it runs"))
            });
            on_both!(format!("{what}, gradient"), HALF, &cuda, |b| {
                let output = b
                    .linear(weight.clone(), None, vocabulary, d)
                    .expect("it fits");
                let hidden = tensor(b, &hidden, d);
                let (_, d) = b
                    .head_loss(&output, &hidden, &labels, distillation, true)
                    .expect("it runs");
                vec![values(b, &d.expect("a gradient"))]
            });
        }
        on_both!(format!("logits of {vocabulary}"), FULL, &cuda, |b| {
            let output = b
                .linear(weight.clone(), None, vocabulary, d)
                .expect("it fits");
            let hidden = tensor(b, &hidden, d);
            let best = b.most_likely(&output, &hidden).expect("it runs");
            let best = best.into_iter().map(|t| t as f32).collect();
            let likely = b
                .log_likelihood(&output, &hidden, &labels)
                .expect("it runs");
            vec![b.logits(&output, &hidden).expect("it runs"), best, likely]
        });
    }
}

fn config(layers: usize, heads: usize, kv_heads: usize, head_dim: usize) -> Config {
    Config {
        vocab_size: 1000,
        hidden_size: heads * head_dim,
        intermediate_size: 3 * heads * head_dim,
        layers,
        heads,
        kv_heads,
        head_dim,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: RopeScaling::None,
        },
        tied_embeddings: heads == 9,
        query_key_value_bias: false,
        attention_output_bias: false,
        query_key_norm: false,
        sinks: false,
        attention: vec![LayerAttention::FULL; layers],
        experts: None,
        mlp_bias: false,
        max_positions: 2048,
        bos: None,
        eos: vec![],
        name: "random".to_owned(),
    }
}

/// gpt-oss's parts at a small size: a window in every second layer, sinks,
/// experts in MXFP4, biases, YaRN.
fn gpt_oss(layers: usize) -> Config {
    let window = |layer: usize| LayerAttention {
        window: layer.is_multiple_of(2).then_some(32),
        rotary: true,
    };
    Config {
        intermediate_size: 96,
        rope: Rope {
            theta: 150_000.0,
            scaling: RopeScaling::Yarn {
                factor: 32.0,
                beta_fast: 32.0,
                beta_slow: 1.0,
                original_max_position_embeddings: 4096,
                truncate: false,
                attention_factor: 1.3466,
            },
        },
        query_key_value_bias: true,
        attention_output_bias: true,
        sinks: true,
        attention: (0..layers).map(window).collect(),
        experts: Some(Experts {
            count: 8,
            active: 2,
            alpha: 1.702,
            limit: 7.0,
            packed: true,
        }),
        ..config(layers, 8, 2, 64)
    }
}

/// Qwen3's norms of heads.
fn qwen3(layers: usize) -> Config {
    Config {
        query_key_norm: true,
        ..config(layers, 8, 2, 64)
    }
}

fn models(config: &Config) -> [Model; 2] {
    let weights = RandomTensors::new(config, 3);
    [Device::Cpu, Device::Cuda(0)]
        .map(|device| Model::from_tensors(config, &weights, device).expect("it loads"))
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_model_losses_and_gradients() {
    // Rounding of every activation to bf16 adds up over the layers, and moves a
    // token now and then to another expert of nearly the same weight.
    for (config, limit) in [
        (config(4, 9, 3, 64), 3.0 * HALF),
        (config(3, 8, 2, 128), 3.0 * HALF),
        (qwen3(3), 3.0 * HALF),
        (gpt_oss(4), 10.0 * HALF),
    ] {
        let [cpu, cuda] = models(&config);
        let d = config.hidden_size;
        let token = |i: usize| ((i * i * 31 + 7 * i) % 1000) as u32;
        let sequences: Vec<Vec<u32>> = [40, 75, 33, 120, 9]
            .iter()
            .enumerate()
            .map(|(s, &n)| {
                (0..n)
                    .map(|i| token(if i < 12 { i } else { i + 100 * s }))
                    .collect()
            })
            .collect();
        let prompts = [random(20 * d, 1), random(30 * d, 2)];
        let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
        let paths: Vec<Path<'_>> = sequences
            .iter()
            .enumerate()
            .map(|(i, tokens)| Path {
                parent: None,
                prompt: Some(i % 2),
                tokens,
            })
            .collect();
        let mut forest = Forest::new();
        let packed = pack(&mut forest, &[20, 30], &paths);
        let mut rows: Vec<usize> = sequences
            .iter()
            .enumerate()
            .flat_map(|(path, s)| (s.len() - 4..s.len()).map(move |i| (path, i)))
            .map(|(path, i)| packed.row(path, i))
            .collect();
        rows.sort_unstable();
        let labels: Vec<Label> = (0..rows.len())
            .map(|row| Label {
                row,
                token: token(row + 3),
                weight: 1.0 / rows.len() as f32,
            })
            .collect();
        let work = Work {
            pass: Pass {
                forest: &forest,
                call: &packed.call,
                outputs: Outputs::Rows(&rows),
            },
            inputs: &packed.inputs,
            prompts: &views,
        };
        let soft = packed.soft_rows;
        let (want, d_want) = cpu.gradients(work, &labels, None, soft).expect("it runs");
        let (got, d_got) = cuda.gradients(work, &labels, None, soft).expect("it runs");
        assert_near("losses", &got.nll, &want.nll, HALF);
        assert_near("prompt gradients", &d_got, &d_want, limit);
        let (again, d_again) = cuda.gradients(work, &labels, None, soft).expect("it runs");
        assert_eq!(
            (got.nll, d_got),
            (again.nll, d_again),
            "bit for bit the same"
        );
        let evaluated = cuda.losses(work, &labels, None).expect("it runs");
        assert_near("losses alone", &evaluated.nll, &want.nll, HALF);
        let mut cuda = cuda;
        for level in [Recompute::Mlp, Recompute::Layer] {
            cuda = cuda.with_recompute(level);
            let (got, d_got) = cuda.gradients(work, &labels, None, soft).expect("it runs");
            assert_eq!(got.nll, evaluated.nll, "the forward pass is the same");
            // The streams are read again from their rounded copies.
            assert_near("recomputed gradients", &d_got, &d_want, limit);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_cache_continues_as_the_whole_sequence_does() {
    let config = config(3, 8, 2, 128);
    let [cpu, cuda] = models(&config);
    let tokenizer = Tokenizer::numbered(config.vocab_size).expect("it is made");
    let tokens = |n: usize, seed: usize| -> Vec<u32> {
        (0..n)
            .map(|i| ((i * 37 + seed * 101) % 1000) as u32)
            .collect()
    };
    let prompt = random(25 * config.hidden_size, 1);
    let run = |model: &Model| -> Result<_, crate::generation::GenerationError> {
        let mut session = Session::new(model);
        let root = session.pin(None, Some(&prompt), &tokens(10, 1))?;
        let other = session.pin(None, None, &tokens(5, 2))?;
        let layers = (10..13).map(|layer| random(17 * 2 * 2 * 128, layer));
        let prefix = KeyValuePrefix::new(2, 128, layers.collect());
        let prefix = session.pin_prefix(&prefix).expect("it fits");
        let requests: Vec<Request> = (0..12)
            .map(|i| Request {
                parent: if i % 3 == 0 { other } else { root },
                tokens: tokens(3 + 5 * i, i),
            })
            .collect();
        let limits = Limits {
            max_new_tokens: 20,
            stop: Vec::new(),
            batch: 12,
        };
        let answers = session.generate(&requests, &tokenizer, &limits)?;
        let choices: Vec<Choices> = (0..6)
            .map(|i| Choices {
                parent: if i % 2 == 0 { root } else { Some(prefix) },
                tokens: tokens(4 + i, i),
                answers: vec![tokens(2, 7), tokens(3, 8), tokens(2, 9)],
            })
            .collect();
        let scores = session.score(&choices)?;
        Ok((answers, scores))
    };
    let (want, want_scores) = run(&cpu).expect("the CPU can");
    let (got, scores) = run(&cuda).expect("the GPU can");
    let flat = |scores: &[Vec<crate::generation::Likelihood>]| -> Vec<f32> {
        scores.iter().flatten().map(|s| s.log_probability).collect()
    };
    assert_near("scores", &flat(&scores), &flat(&want_scores), HALF);
    // Random weights give nearly equal logits, so rounding may change a choice;
    // until an answer differs for the first time, every token is the same.
    let agreed: usize = got
        .iter()
        .zip(&want)
        .map(|(a, b)| {
            let same = a.tokens.iter().zip(&b.tokens).take_while(|(a, b)| a == b);
            same.count()
        })
        .sum();
    eprintln!("{agreed} of {} tokens before a first difference", 12 * 20);
    assert!(agreed > 12 * 20 / 2, "only {agreed} tokens agree");
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_refusals_are_errors() {
    assert!(matches!(Cuda::open(99), Err(ComputeError::Device { .. })));
    let odd = Config {
        head_dim: 12,
        ..config(1, 4, 2, 12)
    };
    let weights = RandomTensors::new(&odd, 1);
    let refused = Model::from_tensors(&odd, &weights, Device::Cuda(0));
    let message = refused.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("head size of 12"), "{message}");
    let cuda = cuda();
    let huge = cuda.tensor(1 << 30, 1 << 8);
    let message = huge.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("out of memory"), "{message}");
    // A model that no card holds: refused with its plan, before most of its
    // weights are made.
    let large = Config {
        vocab_size: 4_000_000,
        hidden_size: 16384,
        tied_embeddings: true,
        ..config(1, 128, 8, 128)
    };
    let weights = RandomTensors::new(&large, 1);
    let refused = Model::from_tensors(&large, &weights, Device::Cuda(0));
    let message = refused.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("GB of weights"), "{message}");
}
