//! Models written as Hugging Face directories and read back.

mod files_common;

use metaprompt_backbone::Device;
use metaprompt_backbone::files::{Checkpoint, Config, SaveError};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fixtures.join(name)
}

fn open(path: &Path) -> (Checkpoint, Model) {
    let checkpoint = Checkpoint::open(path).expect("it opens");
    let model = Model::load(&checkpoint, Device::Cpu).expect("it loads");
    (checkpoint, model)
}

#[test]
fn a_saved_model_is_the_same_model() {
    for name in [
        "llama-gqa",
        "llama-untied",
        "llama-biases",
        "llama-f16",
        "qwen3",
        "smollm3",
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (checkpoint, model) = open(&fixture(name));
        checkpoint.save(&model, folder.path()).expect(name);
        let (again, saved) = open(folder.path());
        let unnamed = |config: &Config| Config {
            name: String::new(),
            ..config.clone()
        };
        assert_eq!(
            unnamed(&again.config),
            unnamed(&checkpoint.config),
            "{name}"
        );
        let ids: Vec<u32> = (0..15).map(|i| (i * i * 7 + 3) % 160).collect();
        let logits = |model: &Model| probe(model, &ids, 9, None).expect("it runs").logits;
        assert_eq!(logits(&saved), logits(&model), "{name}");
        for (tensor, _) in checkpoint.config.tensors() {
            let values = |model: &Model| model.tensor(&tensor).expect("the CPU can");
            assert_eq!(values(&saved), values(&model), "{name} {tensor}");
        }
    }
}

#[test]
fn a_changed_tensor_is_read_computed_with_and_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (checkpoint, model) = open(&fixture("llama-biases"));
    let mut copy = model.trainable_copy().expect("it can be trained");
    for (name, shape) in checkpoint.config.tensors() {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i % 13) as f32 / 40.0 - 0.1).collect();
        copy.set_tensor(&name, &values).expect("the CPU can");
        assert_eq!(
            copy.tensor(&name).expect("the CPU can"),
            Some(values),
            "{name}"
        );
    }
    checkpoint
        .save(&copy, folder.path())
        .expect("it is written");
    let (_, saved) = open(folder.path());
    let ids: Vec<u32> = (0..15).map(|i| (i * i * 7 + 3) % 160).collect();
    let logits = |model: &Model| probe(model, &ids, 9, None).expect("it runs").logits;
    assert_eq!(logits(&saved), logits(&copy));
    assert_ne!(
        logits(&saved),
        logits(&model),
        "the first model has its own weights"
    );
}

#[test]
fn experts_are_not_rewritten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (checkpoint, model) = open(&fixture("gpt-oss"));
    let error = checkpoint.save(&model, folder.path()).expect_err("experts");
    assert!(matches!(&error, SaveError::Weights(_)), "{error}");
    assert!(model.trainable_copy().is_err());
}

#[test]
fn a_gguf_backbone_is_saved_with_configuration_and_tokenizer() {
    let Some(gguf) = files_common::embedded_backbone() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (checkpoint, model) = open(&gguf);
    checkpoint
        .save(&model, folder.path())
        .expect("it is written");
    let (again, saved) = open(folder.path());
    let text = "No acute distress.\n<|im_start|>user: 12.5 mg b.i.d., naïve";
    let ids = |checkpoint: &Checkpoint| {
        let tokenizer = checkpoint.tokenizer().expect("it has one");
        let chat = checkpoint.chat_template(&tokenizer).expect("it compiles");
        assert!(chat.is_some());
        [false, true].map(|marked| tokenizer.encode(text, marked).expect("it encodes"))
    };
    assert_eq!(ids(&again), ids(&checkpoint));
    assert_eq!(again.config.eos, checkpoint.config.eos);
    let ids = &ids(&checkpoint)[0];
    let logits = |model: &Model| probe(model, ids, 4, None).expect("it runs").logits;
    assert_eq!(logits(&saved), logits(&model));
}
