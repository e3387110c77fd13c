//! What the hub refuses, what it lies about, and what the cache can't take.

mod hub_common;

use hub_common::{Hub, MODEL};
use metaprompt_backbone::fetch::hub::{
    Fetched, HubError, Reference, Request, Settings, cached, fetch,
};
use std::path::Path;
use std::time::Duration;

const WEIGHTS: &str = "model.safetensors";

fn hub() -> Hub {
    Hub::start(&[
        ("config.json", b"{}".to_vec(), false),
        ("tokenizer.json", vec![1; 100], false),
        (WEIGHTS, vec![2; 5000], true),
    ])
}

fn settings(hub: &Hub, cache: &Path) -> Settings {
    let mut settings = Settings::from_variables(&|_| None);
    settings.cache = cache.to_owned();
    settings.endpoint.clone_from(&hub.endpoint);
    settings.first_wait = Duration::from_millis(1);
    settings
}

fn get(text: &str, settings: &Settings) -> Result<Fetched, HubError> {
    let request = Request {
        reference: Reference::parse(text).expect("a name"),
        update: false,
    };
    fetch(&request, settings, &mut |_| {})
}

/// Asserts that a fetch fails with a message that has all parts.
fn refused(text: &str, settings: &Settings, parts: &[&str]) -> HubError {
    let error = get(text, settings).expect_err("refused");
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} isn't in: {message}");
    }
    if let Some(token) = &settings.token {
        assert!(!message.contains(token.as_str()), "{message}");
    }
    error
}

#[test]
fn gated_and_private_models_want_a_token() {
    let (hub, folder) = (hub(), tempfile::tempdir().expect("folder"));
    let mut settings = settings(&hub, folder.path());
    hub.rules().gated = Some("hf_good");
    let error = refused(MODEL, &settings, &["gated", "HF_TOKEN", MODEL]);
    assert!(matches!(
        error,
        HubError::Gated {
            with_token: false,
            ..
        }
    ));
    settings.token = Some("hf_other".to_owned());
    let error = refused(MODEL, &settings, &["gated", "hasn't got access"]);
    assert!(matches!(
        error,
        HubError::Gated {
            with_token: true,
            ..
        }
    ));
    hub.rules().private = Some("hf_good");
    let error = refused(MODEL, &settings, &["may see", MODEL]);
    assert!(matches!(error, HubError::UnknownRepository { .. }));
    settings.token = None;
    refused(MODEL, &settings, &["private", "HF_TOKEN"]);
    settings.token = Some("wrong-token".to_owned());
    let error = refused(MODEL, &settings, &["refuses your token"]);
    assert!(matches!(error, HubError::TokenRefused { .. }));
    settings.token = Some("hf_\u{7}bell".to_owned());
    let error = refused(MODEL, &settings, &["HF_TOKEN"]);
    assert!(matches!(error, HubError::TokenUnsendable));

    settings.token = Some("hf_good".to_owned());
    hub.seen();
    get(MODEL, &settings).expect("fetched");
    for seen in hub.seen() {
        // The storage is another server, which has no business with the token.
        assert_eq!(seen.token.is_some(), !seen.at_storage, "{seen:?}");
    }
}

#[test]
fn models_revisions_and_files_that_are_not_there() {
    let (hub, folder) = (hub(), tempfile::tempdir().expect("folder"));
    let settings = settings(&hub, folder.path());
    refused("org/other", &settings, &["org/other", "spelling"]);
    refused("org/tiny-model@v2", &settings, &[MODEL, "`v2`"]);
    refused("org/tiny-model/a.gguf", &settings, &["a.gguf"]);
    let _ = hub.rules().files.remove(WEIGHTS);
    refused(MODEL, &settings, &["neither safetensors"]);
    let stored = hub.rules().files["tokenizer.json"].clone();
    hub.rules()
        .files
        .insert("pytorch_model.bin".to_owned(), stored);
    refused(MODEL, &settings, &["pytorch_model.bin", "pickle"]);
    assert!(hub.seen().iter().all(|seen| !seen.path.contains(".bin")));
    assert!(!folder.path().join("models--org--tiny-model").exists());
}

#[test]
fn one_gguf_file_of_several() {
    let hub = Hub::start(&[
        ("q4/a-Q4.gguf", vec![4; 4000], true),
        ("a-Q8.gguf", vec![8; 8000], true),
        ("a-F16.gguf", vec![16; 16_000], true),
    ]);
    let folder = tempfile::tempdir().expect("folder");
    let settings = settings(&hub, folder.path());
    refused(MODEL, &settings, &["--file", "a-F16.gguf", "a-Q8.gguf"]);
    let nested = get("org/tiny-model/q4/a-Q4.gguf", &settings).expect("fetched");
    assert_eq!(std::fs::read(&nested.path).expect("file"), vec![4; 4000]);
    let one = get("org/tiny-model/a-Q8.gguf", &settings).expect("fetched");
    assert_eq!(one.received, 8000);
    // Where the model's folder has one file only, its name is enough.
    let model = Reference::parse(MODEL).expect("a name");
    assert_eq!(cached(&model, &settings).expect("here"), one.path);
    get("org/tiny-model/a-F16.gguf", &settings).expect("fetched");
    let error = cached(&model, &settings).expect_err("several").to_string();
    assert!(error.contains("org/tiny-model/a-F16.gguf"), "{error}");
}

#[test]
fn answers_that_no_hub_gives() {
    let folder = tempfile::tempdir().expect("folder");
    let with = |change: &dyn Fn(&mut hub_common::Rules), parts: &[&str]| {
        let hub = hub();
        change(&mut hub.rules());
        refused(MODEL, &settings(&hub, folder.path()), parts)
    };
    with(
        &|rules| rules.tag = Some("\"5f-8c\""),
        &["checksum", "5f-8c"],
    );
    let escape = "\"../../../../../../../../../../tmp/escape0\"";
    with(&|rules| rules.tag = Some(escape), &["checksum"]);
    with(
        &|rules| rules.commit = "../../elsewhere".to_owned(),
        &["sha"],
    );
    with(
        &|rules| rules.too_long = Some(WEIGHTS.to_owned()),
        &["more than the 5000 bytes"],
    );
    let index = |rules: &mut hub_common::Rules| {
        let mut index = rules.files["config.json"].clone();
        index.bytes = br#"{"weight_map": {"a": "../../../evil.safetensors"}}"#.to_vec();
        let _ = rules.files.remove(WEIGHTS);
        rules
            .files
            .insert("model.safetensors.index.json".to_owned(), index);
    };
    let error = with(&index, &["evil", "outside"]);
    assert!(matches!(error, HubError::OutsideName { .. }));
    let absent = |rules: &mut hub_common::Rules| {
        index(rules);
        let file = rules.files.get_mut("model.safetensors.index.json");
        file.expect("the index").bytes = br#"{"weight_map": {"a": "b.safetensors"}}"#.to_vec();
    };
    with(&absent, &["b.safetensors"]);
}

#[test]
fn offline_means_offline() {
    let (hub, folder) = (hub(), tempfile::tempdir().expect("folder"));
    let mut settings = settings(&hub, folder.path());
    settings.offline = Some("HF_HUB_OFFLINE");
    refused(MODEL, &settings, &["HF_HUB_OFFLINE", MODEL]);

    // A cache as `huggingface_hub` leaves it, made by hand.
    let model = folder.path().join("models--org--tiny-model");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let snapshot = model.join("snapshots").join(commit);
    for below in ["blobs", "refs"] {
        std::fs::create_dir_all(model.join(below)).expect("folder");
    }
    std::fs::create_dir_all(&snapshot).expect("folder");
    std::fs::write(model.join("refs/main"), commit).expect("file");
    let reference = Reference::parse(MODEL).expect("a name");
    for name in ["config.json", "tokenizer.json", WEIGHTS] {
        let lacks = cached(&reference, &settings).expect_err("incomplete");
        let command = format!("metaprompt backbone fetch {MODEL}");
        assert!(lacks.to_string().contains(&command), "{lacks}");
        let blob = format!("blobs/{:040}", name.len());
        std::fs::write(model.join(&blob), name).expect("file");
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../..").join(&blob), snapshot.join(name))
            .expect("link");
        #[cfg(not(unix))]
        std::fs::copy(model.join(&blob), snapshot.join(name)).expect("copy");
    }
    assert_eq!(cached(&reference, &settings).expect("here"), snapshot);
    assert_eq!(get(MODEL, &settings).expect("here").path, snapshot);
    let pinned = format!("{MODEL}@{commit}");
    assert_eq!(get(&pinned, &settings).expect("here").path, snapshot);
    assert_eq!(hub.seen(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_what_is_missing() {
    let (hub, folder) = (hub(), tempfile::tempdir().expect("folder"));
    let settings = settings(&hub, folder.path());
    let blobs = folder.path().join("models--org--tiny-model/blobs");
    std::fs::create_dir_all(&blobs).expect("folder");
    let part = blobs.join(format!("{}.incomplete", hub.checksum(WEIGHTS)));
    std::os::unix::fs::symlink("/dev/full", part).expect("link");
    let error = refused(MODEL, &settings, &["disk is full", "5000 bytes", WEIGHTS]);
    assert!(matches!(error, HubError::DiskFull { .. }));
}

#[test]
fn certificates_that_are_none() {
    let (hub, folder) = (hub(), tempfile::tempdir().expect("folder"));
    let mut settings = settings(&hub, folder.path());
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "no certificate").expect("file");
    settings.certificates = Some(file);
    refused(MODEL, &settings, &["ca.pem", "SSL_CERT_FILE"]);
    assert_eq!(hub.seen(), []);
}
