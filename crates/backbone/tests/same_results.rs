//! Losses and gradients are the same, to the last bit, on any number of threads
//! and whatever the backward pass computes again.

mod step_common;

use metaprompt_backbone::Device;
use metaprompt_backbone::files::{Config, LayerAttention, RandomTensors, Rope, RopeScaling};
use metaprompt_backbone::model::{Model, Recompute};
use step_common::{on_threads, step};

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
