//! Losses and gradients are the same, to the last bit, on any number of threads
//! and whatever the backward pass computes again.

use metaprompt_backbone::Device;
use metaprompt_backbone::files::{Config, LayerAttention, RandomTensors, Rope, RopeScaling};
use metaprompt_backbone::forest::{Forest, Path, pack};
use metaprompt_backbone::layers::head::Label;
use metaprompt_backbone::model::{Model, Outputs, Pass, Recompute, Work};

const VOCABULARY: usize = 300;

fn config() -> Config {
    Config {
        hidden_size: 96,
        intermediate_size: 200,
        layers: 4,
        heads: 6,
        kv_heads: 2,
        head_dim: 16,
        vocab_size: VOCABULARY,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: RopeScaling::None,
        },
        tied_embeddings: true,
        query_key_value_bias: true,
        attention_output_bias: true,
        mlp_bias: false,
        query_key_norm: false,
        sinks: false,
        attention: vec![LayerAttention::FULL; 4],
        experts: None,
        max_positions: 2048,
        bos: None,
        eos: vec![],
        name: "random".to_owned(),
    }
}

fn model(level: Recompute) -> Model {
    let config = config();
    let weights = RandomTensors::new(&config, 3);
    let model = Model::from_tensors(&config, &weights, Device::Cpu).expect("it loads");
    model.with_recompute(level)
}

/// Losses and the gradient at two prompts of a batch of seven examples.
fn step(model: &Model, lengths: &[usize]) -> (Vec<f32>, Vec<f32>) {
    let d = model.config().hidden_size;
    let token = |i: usize| ((i * i * 31 + 7 * i) % VOCABULARY) as u32;
    let sequences: Vec<Vec<u32>> = lengths
        .iter()
        .enumerate()
        .map(|(s, &n)| {
            let of = |i| token(if i < 5 { i } else { i + 100 * s });
            (0..n).map(of).collect()
        })
        .collect();
    let prompt = |length: usize, phase: usize| -> Vec<f32> {
        let value = |i: usize| ((i * 37 + phase) % 101) as f32 / 50.0 - 1.0;
        (0..length * d).map(value).collect()
    };
    let prompts = [prompt(10, 1), prompt(17, 2)];
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
    let packed = pack(&mut forest, &[10, 17], &paths);
    let mut rows: Vec<usize> = sequences
        .iter()
        .enumerate()
        .flat_map(|(path, s)| [s.len() - 2, s.len() - 1].map(|i| packed.row(path, i)))
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
    let (losses, gradient) = model.gradients(work, &labels, None, soft).expect("it runs");
    (losses.nll, gradient)
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads start").install(work)
}

#[test]
fn any_threads_and_any_level_give_the_same_bits() {
    // Many rows are taken through whole blocks, few are not.
    for lengths in [&[40, 75, 33, 120, 9, 64, 51][..], &[6, 9]] {
        let want = on_threads(1, || step(&model(Recompute::None), lengths));
        assert!(want.1.iter().any(|&g| g != 0.0));
        for level in Recompute::ALL {
            let model = model(level);
            for threads in [1, 2, 4, 16] {
                let got = on_threads(threads, || step(&model, lengths));
                assert_eq!(got.0, want.0, "losses, {level}, {threads} threads");
                assert_eq!(got.1, want.1, "gradients, {level}, {threads} threads");
            }
            // Memory of earlier, other steps changes nothing.
            step(&model, &[30, 2, 77]);
            assert_eq!(step(&model, lengths), want, "again, {level}");
        }
    }
}
