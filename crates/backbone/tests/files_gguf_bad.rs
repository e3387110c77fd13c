//! Every way in which a GGUF file can be wrong is its own error, and none is a panic.

mod files_common;

use files_common::{Gguf, Meta, Tensor, f32_tensor, write_gguf};
use metaprompt_backbone::files::gguf::{GgufProblem, Header};
use metaprompt_backbone::files::{Checkpoint, LoadError, RopeScaling};
use proptest::prelude::*;

fn open(file: &Gguf) -> Result<Checkpoint, LoadError> {
    let (_folder, path) = file.write();
    Checkpoint::open(&path)
}

fn problem(file: &Gguf) -> GgufProblem {
    match open(file) {
        Err(LoadError::GgufHeader { problem, .. }) => problem,
        other => panic!("wanted a header problem, got {other:?}"),
    }
}

/// The key that an error names.
fn bad_key(file: &Gguf) -> String {
    match open(file) {
        Err(LoadError::GgufKey { key, .. }) => key,
        other => panic!("wanted a bad key, got {other:?}"),
    }
}

#[test]
fn the_tiny_file_is_valid() {
    let checkpoint = open(&Gguf::tiny()).unwrap();
    assert_eq!(checkpoint.config.name, "tiny");
    assert_eq!(
        checkpoint
            .tokenizer()
            .unwrap()
            .encode("ab c", false)
            .unwrap(),
        [3, 4, 5]
    );
}

#[test]
fn what_is_not_a_gguf_file_is_said_to_be_none() {
    let (_folder, path) = write_gguf(b"PK\x03\x04 and so on");
    let error = Checkpoint::open(&path).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::GgufHeader {
                problem: GgufProblem::Magic,
                offset: 0,
                ..
            }
        ),
        "{error}"
    );
    let text = path.with_extension("txt");
    std::fs::rename(&path, &text).unwrap();
    assert!(matches!(
        Checkpoint::open(&text),
        Err(LoadError::NotABackbone { .. })
    ));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(
        Checkpoint::open(&path),
        Err(LoadError::GgufHeader {
            problem: GgufProblem::Magic,
            ..
        })
    ));
    assert!(matches!(
        Checkpoint::open(&path.with_extension("none")),
        Err(LoadError::NotFound { .. })
    ));
}

#[test]
fn versions_and_byte_order() {
    let version = |version| Gguf {
        version,
        ..Gguf::tiny()
    };
    assert_eq!(problem(&version(1)), GgufProblem::Version(1));
    assert_eq!(problem(&version(9)), GgufProblem::Version(9));
    assert_eq!(
        problem(&version(3_u32.swap_bytes())),
        GgufProblem::BigEndian
    );
    assert!(open(&version(2)).is_ok());
}

#[test]
fn lying_counts_allocate_nothing() {
    let bytes = Gguf::tiny().bytes();
    // The tensor count, the metadata count, and the first key's length.
    for (at, what) in [
        (8, "a tensor count"),
        (16, "a metadata count"),
        (24, "a string length"),
    ] {
        for lie in [u64::MAX, 1 << 40, bytes.len() as u64] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            let (_, problem) = Header::parse(&bytes).unwrap_err();
            assert!(
                matches!(&problem, GgufProblem::Count { what: found, .. } if *found == what),
                "{problem}"
            );
        }
    }
    let array = |kind: u32, n: u64| [&kind.to_le_bytes()[..], &n.to_le_bytes()].concat();
    for kind in 0..=12 {
        let file = Gguf::tiny().with("a", Meta::Raw(9, array(kind, 1 << 61)));
        assert!(
            matches!(
                problem(&file),
                GgufProblem::Count {
                    what: "an array length",
                    ..
                }
            ),
            "type {kind}"
        );
    }
}

#[test]
fn damaged_metadata() {
    let with =
        |kind, bytes: &[u8]| problem(&Gguf::tiny().with("a", Meta::Raw(kind, bytes.to_vec())));
    assert_eq!(with(13, &[0; 8]), GgufProblem::ValueType(13));
    assert_eq!(with(7, &[2]), GgufProblem::Boolean(2));
    assert_eq!(with(10, &[0xff; 8]), GgufProblem::Integer(u64::MAX));
    assert_eq!(
        with(8, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff]),
        GgufProblem::NotUtf8("string value")
    );
    let nested = [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()]
        .concat()
        .repeat(5);
    assert_eq!(with(9, &nested), GgufProblem::Nesting(4));
    let bytes = Gguf::tiny().bytes();
    let header_only = &bytes[..200];
    assert!(Header::parse(header_only).is_err());

    // A key twice: the last key renamed to another of the same length.
    let twice = Gguf::tiny()
        .with("x.a", Meta::U32(1))
        .with("x.b", Meta::U32(1))
        .bytes();
    let at = twice
        .windows(3)
        .position(|window| window == b"x.b")
        .unwrap();
    let mut twice = twice;
    twice[at..at + 3].copy_from_slice(b"x.a");
    let (_, problem) = Header::parse(&twice).unwrap_err();
    assert_eq!(problem, GgufProblem::DuplicateKey("x.a".to_owned()));
}

#[test]
fn damaged_tensor_table() {
    let norm = |tensor: Tensor| problem(&Gguf::tiny().with_tensor("output_norm.weight", tensor));
    let shaped = |dimensions: &[u64], kind| Tensor {
        dimensions: dimensions.to_vec(),
        kind,
        bytes: vec![0; 32],
    };
    for dimensions in [
        &[][..],
        &[0],
        &[1 << 32, 1 << 32],
        &[u64::MAX],
        &[1, 1, 1, 1, 1],
    ] {
        assert!(
            matches!(norm(shaped(dimensions, 0)), GgufProblem::Dimensions { .. }),
            "{dimensions:?}"
        );
    }
    for (kind, name) in [(16, "IQ2_XXS"), (39, "MXFP4"), (77, "number 77")] {
        let GgufProblem::Kind { found, tensor, .. } = norm(shaped(&[8], kind)) else {
            panic!("type {kind}")
        };
        assert_eq!(
            (found.as_str(), tensor.as_str()),
            (name, "output_norm.weight")
        );
    }
    let GgufProblem::PartialBlock {
        row: 8, block: 32, ..
    } = norm(shaped(&[8], 8))
    else {
        panic!()
    };
    let GgufProblem::TensorOutside { dimensions, .. } = norm(shaped(&[1 << 20], 0)) else {
        panic!()
    };
    assert_eq!(dimensions, [1 << 20]);

    let misaligned = Gguf {
        alignment: 4,
        ..Gguf::tiny()
    }
    .with_tensor("a", f32_tensor(&[3]));
    assert!(matches!(
        problem(&misaligned),
        GgufProblem::Misaligned { alignment: 32, .. }
    ));
    for alignment in [0, 7, 1 << 20] {
        let file = Gguf::tiny().with("general.alignment", Meta::U32(alignment));
        assert_eq!(problem(&file), GgufProblem::Alignment(u64::from(alignment)));
    }
    let wide = Gguf {
        alignment: 64,
        ..Gguf::tiny()
    }
    .with("general.alignment", Meta::U32(64));
    assert!(open(&wide).is_ok());

    let twice = Gguf::tiny()
        .with_tensor("output_norm.weighu", f32_tensor(&[8]))
        .bytes();
    let at = twice
        .windows(18)
        .position(|window| window == b"output_norm.weighu")
        .unwrap();
    let mut twice = twice;
    twice[at..at + 18].copy_from_slice(b"output_norm.weight");
    let (_, problem) = Header::parse(&twice).unwrap_err();
    assert_eq!(
        problem,
        GgufProblem::DuplicateTensor("output_norm.weight".to_owned())
    );
}

#[test]
fn a_file_cut_short_names_the_tensor() {
    let bytes = Gguf::tiny().bytes();
    let (_folder, path) = write_gguf(&bytes[..bytes.len() - 1]);
    let error = Checkpoint::open(&path).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("tiny.gguf")
            && text.contains("`token_embd.weight`")
            && text.contains("[6, 8]"),
        "{text}"
    );
}

#[test]
fn configuration_that_makes_no_sense() {
    let tiny = Gguf::tiny;
    let architecture =
        open(&tiny().with("general.architecture", Meta::Text("gpt-oss"))).unwrap_err();
    assert!(
        matches!(&architecture, LoadError::UnsupportedArchitecture { found, .. } if found == "gpt-oss")
    );
    assert!(architecture.to_string().contains("Hugging Face directory"));
    let experts = open(&tiny().with("llama.expert_count", Meta::U32(8))).unwrap_err();
    assert!(matches!(experts, LoadError::UnsupportedArchitecture { .. }));
    assert_eq!(
        bad_key(&tiny().with("split.count", Meta::U32(3))),
        "split.count"
    );
    let yarn = open(&tiny().with("llama.rope.scaling.type", Meta::Text("yarn"))).unwrap_err();
    assert!(matches!(&yarn, LoadError::UnsupportedRope { found, .. } if found == "yarn"));
    let linear = tiny().with("llama.rope.scaling.type", Meta::Text("linear"));
    assert_eq!(bad_key(&linear), "llama.rope.scaling.factor");
    let linear = open(&linear.with("llama.rope.scaling.factor", Meta::F32(2.0))).unwrap();
    assert_eq!(
        linear.config.rope.scaling,
        RopeScaling::Linear { factor: 2.0 }
    );

    for key in [
        "llama.context_length",
        "llama.embedding_length",
        "llama.block_count",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
    ] {
        assert_eq!(bad_key(&tiny().without(key)), key, "missing");
        assert_eq!(
            bad_key(&tiny().with(key, Meta::Text("8"))),
            key,
            "of another type"
        );
        assert_eq!(bad_key(&tiny().with(key, Meta::U32(0))), key, "zero");
        if !key.ends_with("epsilon") {
            assert_eq!(bad_key(&tiny().with(key, Meta::U32(u32::MAX))), key, "huge");
        }
    }
    assert_eq!(
        bad_key(&tiny().with("llama.attention.head_count", Meta::U32(3))),
        "llama.attention.head_count"
    );
    assert_eq!(
        bad_key(&tiny().with("llama.attention.key_length", Meta::U32(3))),
        "llama.attention.key_length"
    );
    let rotary = tiny().with("llama.rope.dimension_count", Meta::U32(2));
    assert_eq!(bad_key(&rotary), "llama.rope.dimension_count");
    let per_layer = tiny().with("llama.attention.head_count", Meta::I32s(vec![2, 4]));
    assert_eq!(bad_key(&per_layer), "llama.attention.head_count");
    assert!(open(&tiny().with("llama.attention.head_count", Meta::I32s(vec![2, 2]))).is_ok());
    assert_eq!(
        bad_key(&tiny().with("tokenizer.ggml.eos_token_id", Meta::Text("x"))),
        "tokenizer.ggml.eos_token_id"
    );
    let wrong_factors = tiny().with_tensor("rope_freqs.weight", f32_tensor(&[3]));
    assert_eq!(bad_key(&wrong_factors), "rope_freqs.weight");
    let negative_factors = tiny().with_tensor("rope_freqs.weight", f32_tensor(&[2]));
    assert_eq!(bad_key(&negative_factors), "rope_freqs.weight");
}

#[test]
fn tensors_that_do_not_match_the_configuration() {
    let missing = open(&Gguf::tiny().without("blk.0.attn_v.weight")).unwrap_err();
    let LoadError::MissingTensor { tensor, wanted, .. } = &missing else {
        panic!("{missing}")
    };
    assert_eq!(
        (tensor.as_str(), wanted.as_slice()),
        ("model.layers.0.self_attn.v_proj.weight", &[4, 8][..])
    );

    let shape =
        open(&Gguf::tiny().with_tensor("blk.0.ffn_up.weight", f32_tensor(&[8, 11]))).unwrap_err();
    let LoadError::WrongShape {
        tensor,
        wanted,
        found,
        ..
    } = &shape
    else {
        panic!("{shape}")
    };
    assert_eq!(
        (tensor.as_str(), wanted.as_slice()),
        ("model.layers.0.mlp.up_proj.weight", &[12, 8][..])
    );
    assert_eq!(found, &[11, 8]);

    for extra in [
        "blk.0.attn_q_norm.weight",
        "blk.0.ffn_gate_inp.weight",
        "cls.weight",
    ] {
        let error = open(&Gguf::tiny().with_tensor(extra, f32_tensor(&[8]))).unwrap_err();
        assert!(
            matches!(&error, LoadError::UnexpectedTensor { tensor, .. } if tensor == extra),
            "{error}"
        );
    }
    // A second layer that the configuration does not have.
    let error =
        open(&Gguf::tiny().with_tensor("blk.1.attn_norm.weight", f32_tensor(&[8]))).unwrap_err();
    assert!(
        matches!(error, LoadError::UnexpectedTensor { .. }),
        "{error}"
    );
    // Biases come together or not at all.
    let error = open(&Gguf::tiny().with_tensor("blk.0.attn_q.bias", f32_tensor(&[8]))).unwrap_err();
    assert!(matches!(error, LoadError::MissingTensor { .. }), "{error}");
}

#[test]
fn a_value_that_is_not_finite_is_found() {
    let mut tensor = f32_tensor(&[8]);
    tensor.bytes[12..16].copy_from_slice(&f32::NAN.to_le_bytes());
    let checkpoint = open(&Gguf::tiny().with_tensor("output_norm.weight", tensor)).unwrap();
    let error = checkpoint
        .tensors
        .load_f32("model.norm.weight", &[8])
        .unwrap_err();
    assert!(
        matches!(error, LoadError::NotFinite { element: 3, .. }),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a header, opening the file and building its tokenizer gives a
    /// value or an error.
    #[test]
    fn no_damage_panics(
        flips in prop::collection::vec((0..4000_usize, any::<u8>()), 0..4),
        cut in prop::option::of(0..4000_usize),
    ) {
        let mut bytes = Gguf::tiny().bytes();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut);
        }
        let (_folder, path) = write_gguf(&bytes);
        if let Ok(checkpoint) = Checkpoint::open(&path) {
            for (name, shape) in checkpoint.config.tensors() {
                let _ = checkpoint.tensors.load_f32(&name, &shape);
            }
            if let Ok(tokenizer) = checkpoint.tokenizer() {
                let _ = tokenizer.encode("ab <end> c", false);
                let _ = checkpoint.chat_template(&tokenizer);
            }
        }
    }
}
