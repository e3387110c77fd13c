//! Weights that stay packed, from the command line.

mod common;

use common::{Desk, result, root, run};
use serde_json::{Value, json};

/// A configuration whose rows are whole blocks of 32.
fn config(desk: &Desk) -> String {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 160, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": false,
    });
    desk.write("config.json", config.to_string())
}

fn total(levels: &Value, level: usize) -> f64 {
    levels[level]["total_bytes"].as_f64().expect("bytes")
}

#[test]
fn packed_weights_train_like_unpacked_ones() {
    let desk = Desk::new();
    let config = config(&desk);
    let step = ["bench", "step", "--config", &config, "--kind", "q4_1"];
    let shape = [
        "--virtual-tokens",
        "4",
        "--steps",
        "2",
        "--lengths",
        "30,25",
    ];
    let losses = |weights: &str| {
        let held = ["--weights", weights, "--device", "cpu"];
        let timed = result(&[&step[..], &shape, &held].concat());
        let losses = timed["losses"].as_array().expect("losses").clone();
        losses.iter().map(|l| l.as_f64().expect("a loss")).collect()
    };
    let [unpacked, packed]: [Vec<f64>; 2] = ["unpacked", "packed"].map(losses);
    assert_eq!(packed.len(), unpacked.len());
    for (packed, unpacked) in packed.iter().zip(&unpacked) {
        let error = (packed / unpacked - 1.0).abs();
        assert!(error < 1e-5, "{packed} and {unpacked}");
    }
    for (more, part) in [
        (["--kind", "Q9"], "Q8_0"),
        (["--weights", "tight"], "unpacked or packed"),
    ] {
        let refused = run(&[&["bench", "step", "--config", &config], &more[..]].concat());
        assert_eq!(refused.code, Some(2));
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
}

#[test]
fn plans_say_what_packed_weights_take() {
    let file = root().join("crates/backbone/tests/fixtures/files/q8_0.gguf");
    let file = file.display().to_string();
    let plan = result(&["backbone", "inspect", &file, "--train"]);
    let packed = plan["training"]["packed"].as_array().expect("plans");
    assert_eq!(packed.len(), 1);
    assert_eq!(packed[0]["kinds"], json!(["Q8_0"]));
    for level in 0..3 {
        let weights = |levels: &Value| levels[level]["weights_bytes"].as_f64().expect("bytes");
        let of_unpacked = weights(&plan["training"]["levels"]);
        assert!(weights(&packed[0]["levels"]) < 0.4 * of_unpacked);
    }

    // Of a configuration alone: LLaMA 3.1 8B within 12 GB.
    let shape = root().join("tools/shapes/llama-3.1-8b/config.json");
    let shape = shape.display().to_string();
    let plan = result(&[
        "backbone",
        "inspect",
        &shape,
        "--train",
        "--tokens",
        "1300",
        "--threads",
        "2",
    ]);
    assert_eq!(plan["parameters"], 8_030_261_248u64);
    let packed = plan["training"]["packed"].as_array().expect("plans");
    let kinds: Vec<&str> = packed
        .iter()
        .filter_map(|p| p["kinds"][0].as_str())
        .collect();
    assert_eq!(kinds, ["BF16", "Q8_0", "Q4_K"]);
    assert!(total(&plan["training"]["levels"], 0) > 32e9);
    let [_, of_q8_0, of_q4_k] = &packed[..] else {
        panic!("three plans");
    };
    // With gate and up values computed again.
    assert!(total(&of_q8_0["levels"], 1) < 12e9);
    assert!(total(&of_q4_k["levels"], 1) < 8e9);
}
