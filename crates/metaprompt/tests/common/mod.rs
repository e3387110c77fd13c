//! The built program, tiny backbones to run it on, and what a failure has to
//! look like.
#![allow(dead_code)]

pub(crate) mod lab;

use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a run of the program left.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, without what this machine's environment would change.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metaprompt"));
    for name in ["METAPROMPT_DATA", "METAPROMPT_BACKBONE", "METAPROMPT_LOG"] {
        command.env_remove(name);
    }
    // The expectations are f32's, also on a machine with a GPU.
    command.env("METAPROMPT_DEVICE", "cpu");
    command
}

pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Run {
    let output = program().args(args).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 output");
    Run {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Runs the program, which has to succeed.
pub(crate) fn succeed<S: AsRef<OsStr>>(args: &[S]) -> Run {
    let run = run(args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run
}

/// Runs the program with `--json`, which has to succeed.
pub(crate) fn result<S: AsRef<OsStr>>(args: &[S]) -> Value {
    let mut all: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
    all.push(OsStr::new("--json"));
    serde_json::from_str(&succeed(&all).stdout).expect("JSON on standard output")
}

/// Runs the program, which has to refuse: exit status 1 and a message with all
/// of `parts`, without a panic.
pub(crate) fn refuse<S: AsRef<OsStr>>(args: &[S], parts: &[&str]) -> Run {
    let run = run(args);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert_eq!(
        run.code,
        Some(1),
        "stdout {}\nstderr {}",
        run.stdout,
        run.stderr
    );
    let message = run.stderr.find("error: ").map(|at| &run.stderr[at..]);
    let message = message.unwrap_or_else(|| panic!("no error in: {}", run.stderr));
    for part in parts {
        assert!(message.contains(part), "{part:?} isn't in: {message}");
    }
    run
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A fixture of the backbone crate.
pub(crate) fn backbone_fixture(name: &str) -> PathBuf {
    root().join("crates/backbone/tests/fixtures").join(name)
}

/// A fixture of the tuning crate.
pub(crate) fn adapter_fixture(name: &str) -> PathBuf {
    root().join("crates/tuning/tests/fixtures").join(name)
}

/// Copies a folder's files.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("name"))).expect("copy");
    }
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("file")).expect("JSON")
}

pub(crate) fn write_json(path: &Path, value: &Value) {
    std::fs::write(path, value.to_string()).expect("file");
}

/// An f32 tensor of a safetensors file.
pub(crate) fn tensor(path: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = file.tensor(name).expect(name);
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
    let values = tensor.data().chunks_exact(4);
    values
        .map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")))
        .collect()
}

/// `llama-gqa` with a tokenizer of its 160 ids and room for whole examples:
/// the smallest backbone that can read text.
pub(crate) fn tiny_backbone(folder: &Path) {
    copy(&backbone_fixture("llama-gqa"), folder);
    let mut config = read_json(&folder.join("config.json"));
    config["max_position_embeddings"] = json!(2048);
    write_json(&folder.join("config.json"), &config);
    write_json(&folder.join("tokenizer.json"), &tokenizer());
}

/// Byte-level BPE: three control tokens (begin and end as the fixture's
/// `config.json` names them), printable ASCII, blank, line break, and merges.
fn tokenizer() -> Value {
    const MERGES: &str = "Ġ t,h e,Ġt he,Ġ a,i n,o n,e r,r e,Ġ s,Ġ w,e n,a t,Ġ d,Ġ o,Ġ p,Ġ m,\
        n d,e s,o r,i t,i s,Ġ c,Ġ b,Ġ f,a n,a l,e d,n g,i ng,Ġa nd,Ġo f,a r,e a,o u,Ġ h,i c,l e,\
        Ġt o,Ġ in,a s,c t,Ġ re,t i,ti on,v e,y es,n o,A n,s w,An sw,Answ er";
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    tokens.extend(('!'..='~').map(String::from));
    tokens.extend(["Ġ", "Ċ"].map(String::from));
    let merges: Vec<[&str; 2]> = MERGES
        .split(',')
        .map(|pair| {
            pair.trim()
                .split_once(' ')
                .map(<[&str; 2]>::from)
                .expect("a pair")
        })
        .collect();
    tokens.extend(merges.iter().map(|pair| pair.concat()));
    assert!(tokens.len() <= 160, "{} ids", tokens.len());
    let vocab: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), json!(id)))
        .collect();
    let added: Vec<Value> = tokens[..3]
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": merges,
        },
    })
}

/// A folder to make mistakes in.
pub(crate) struct Desk(pub(crate) TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Desk(TempDir::new().expect("folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(&path, content).expect("file");
        self.text(name)
    }

    pub(crate) fn tiny(&self) -> String {
        tiny_backbone(&self.path("tiny"));
        self.text("tiny")
    }

    /// A corpus of one NLI task, whose manifest and training file can be
    /// changed.
    pub(crate) fn corpus(&self, more: &str, train: &str) -> String {
        let file = "premise,hypothesis,label\na b,c d,yes\ne f,g h,no\n";
        self.write("data/train.csv", train);
        self.write("data/dev.csv", file);
        self.write("data/test.csv", file);
        let manifest = format!(
            "name = \"t\"\ntype = \"nli\"\nrole = \"source\"\nlicence = \"none\"\n\
             metric = \"accuracy\"\ninstruction = \"Yes or no?\"\n{more}\n[reader]\nformat = \"csv\"\n\
             [files]\ntrain = \"train.csv\"\ndev = \"dev.csv\"\ntest = \"test.csv\"\n\
             [fields]\npremise = \"premise\"\nhypothesis = \"hypothesis\"\nlabel = \"label\"\n\
             [[labels]]\nname = \"yes\"\n[[labels]]\nname = \"no\"\n"
        );
        self.write("tasks/t.toml", manifest)
    }
}

/// A training file for [`Desk::corpus`].
pub(crate) const GOOD: &str = "premise,hypothesis,label\ni j,k l,yes\nm n,o p,no\n";
