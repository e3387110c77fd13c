//! A model whose weights stay packed computes what the unpacked one computes.

mod files_common;
mod step_common;

use files_common::{embedded_backbone, fixture};
use metaprompt_backbone::Device;
use metaprompt_backbone::files::{
    Checkpoint, Config, LayerAttention, LoadError, PackedKind, RandomTensors, Rope, RopeScaling,
    SafetensorsSource, TensorSource, Weights,
};
use metaprompt_backbone::model::{Model, Recompute};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use step_common::{on_threads, step};

fn load(path: &Path, weights: Weights) -> Model {
    let checkpoint = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    Model::load_as(&checkpoint, Device::Cpu, weights).unwrap_or_else(|e| panic!("{e}"))
}

/// Losses and gradients to a millionth of the largest.
fn assert_near(got: &(Vec<f32>, Vec<f32>), want: &(Vec<f32>, Vec<f32>), what: &str) {
    for (got, want) in [(&got.0, &want.0), (&got.1, &want.1)] {
        assert_eq!(got.len(), want.len());
        let scale = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(scale > 0.0, "{what}: all zero");
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 2e-6 * scale, "{what}: {got}, {want}");
        }
    }
}

#[test]
fn the_embedded_backbone_gives_the_same_bits_packed() {
    let Some(path) = embedded_backbone() else {
        return;
    };
    let [unpacked, packed] = [Weights::Unpacked, Weights::Packed].map(|w| load(&path, w));
    let tokens = [0, 1, 17, 49_151];
    assert_eq!(
        packed.embeddings(&tokens).expect("it runs"),
        unpacked.embeddings(&tokens).expect("it runs")
    );
    // Few rows and many, whose unpacked products are done in different ways.
    for lengths in [&[40, 75, 33, 64][..], &[9]] {
        assert_eq!(step(&packed, lengths), step(&unpacked, lengths));
    }
}

#[test]
fn every_kind_in_a_file_gives_the_same_losses_and_gradients() {
    let names = [
        "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k",
        "q6_k",
    ];
    for name in names {
        let path = fixture(&format!("{name}.gguf"));
        let [unpacked, packed] = [Weights::Unpacked, Weights::Packed].map(|w| load(&path, w));
        assert_near(&step(&packed, &[30, 7]), &step(&unpacked, &[30, 7]), name);
        let source = Checkpoint::open(&path).expect("it opens").tensors;
        let query = "model.layers.0.self_attn.q_proj.weight";
        let shape = source.info(query).expect("it is there").shape;
        let of_query = source
            .load_packed(query, [shape[0], shape[1]])
            .unwrap_or_else(|e| panic!("{e}"));
        let kind = PackedKind::of_name(name);
        assert_eq!(of_query.map(|packed| packed.kind()), kind, "{name}");
    }
}

#[test]
fn half_precision_tensors_of_a_directory_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let words = |count: usize| -> Vec<u8> { (0..2 * count).map(|i| (i % 61) as u8).collect() };
    let mut damaged = words(64);
    damaged[64..66].copy_from_slice(&[0xff, 0xff]);
    let tensors = [
        ("bf16", Dtype::BF16, [3, 64], words(192)),
        ("f16", Dtype::F16, [2, 32], words(64)),
        ("f32", Dtype::F32, [1, 32], vec![0; 128]),
        ("short", Dtype::BF16, [2, 48], words(96)),
        ("damaged", Dtype::BF16, [2, 32], damaged),
    ];
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.to_vec(), bytes).expect("bytes of this shape");
        (*name, view)
    });
    let bytes = safetensors::serialize(views, None).expect("tensors");
    std::fs::write(folder.path().join("model.safetensors"), bytes).expect("it is written");
    let source = SafetensorsSource::open(folder.path()).expect("it opens");
    let load = |at: usize| source.load_packed(tensors[at].0, tensors[at].2);
    for (at, kind) in [(0, PackedKind::Bf16), (1, PackedKind::F16)] {
        let packed = load(at).expect("finite").expect("a packed kind");
        assert_eq!(packed.kind(), kind);
        let rows: Vec<u8> = (0..packed.rows())
            .flat_map(|row| packed.row(row).to_vec())
            .collect();
        assert_eq!(rows, tensors[at].3);
    }
    for at in [2, 3] {
        assert!(load(at).expect("finite").is_none(), "{}", tensors[at].0);
    }
    let refused = load(4).expect_err("not a number");
    let LoadError::NotFinite { element, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(*element, 32);
}

#[test]
fn a_block_whose_scale_is_infinite_is_refused() {
    let original = fixture("q8_0.gguf");
    let name = "model.layers.0.mlp.gate_proj.weight";
    let mut bytes = std::fs::read(&original).expect("it is there");
    let checkpoint = Checkpoint::open(&original).expect("it opens");
    let raw = checkpoint.tensors.raw(name).expect("it is there");
    let at = bytes.windows(raw.len()).position(|window| window == raw);
    // The second block's scale; values are counted from its first.
    let scale = at.expect("the tensor's bytes") + PackedKind::Q8_0.block_bytes();
    bytes[scale..scale + 2].copy_from_slice(&[0x00, 0x7c]);
    let (_folder, path) = files_common::write_gguf(&bytes);
    let damaged = Checkpoint::open(&path).expect("it opens");
    let refused = Model::load_as(&damaged, Device::Cpu, Weights::Packed).err();
    let Some(LoadError::NotFinite {
        tensor, element, ..
    }) = &refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((tensor.as_str(), *element), (name, 32));
}

fn config() -> Config {
    Config {
        hidden_size: 512,
        intermediate_size: 768,
        layers: 2,
        heads: 8,
        kv_heads: 2,
        head_dim: 64,
        vocab_size: 300,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: RopeScaling::None,
        },
        tied_embeddings: false,
        query_key_value_bias: true,
        attention_output_bias: false,
        mlp_bias: false,
        query_key_norm: false,
        sinks: false,
        attention: vec![LayerAttention::FULL; 2],
        experts: None,
        max_positions: 2048,
        bos: None,
        eos: vec![],
        name: "random".to_owned(),
    }
}

#[test]
fn any_threads_and_any_level_give_the_same_bits_packed() {
    let lengths = [40, 75, 33, 120];
    for kind in PackedKind::ALL {
        let source = RandomTensors::packed(&config(), 3, kind);
        let load = |weights, level| {
            let model = Model::from_tensors_as(&config(), &source, Device::Cpu, weights);
            let model = model.unwrap_or_else(|e| panic!("{kind}: {e}"));
            model.with_recompute(level)
        };
        let unpacked = step(&load(Weights::Unpacked, Recompute::None), &lengths);
        let packed = load(Weights::Packed, Recompute::None);
        let want = on_threads(1, || step(&packed, &lengths));
        assert_near(&want, &unpacked, kind.name());
        for threads in [2, 7] {
            let got = on_threads(threads, || step(&packed, &lengths));
            assert_eq!(got, want, "{kind}, {threads} threads");
        }
        let again = load(Weights::Packed, Recompute::Layer);
        assert_eq!(step(&again, &lengths), want, "{kind}, computed again");
    }
}

#[test]
fn a_packed_tensor_asked_for_with_another_shape_is_refused() {
    let query = "model.layers.0.self_attn.q_proj.weight";
    let source = Checkpoint::open(&fixture("q8_0.gguf"))
        .expect("it opens")
        .tensors;
    let refused = source
        .load_packed(query, [9, 256])
        .expect_err("another shape");
    assert!(matches!(refused, LoadError::WrongShape { .. }), "{refused}");
    let refused = source
        .load_packed("model.absent", [8, 256])
        .expect_err("absent");
    assert!(
        matches!(refused, LoadError::MissingTensor { .. }),
        "{refused}"
    );
}
