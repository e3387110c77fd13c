//! The cache is the one that `huggingface_hub` reads and writes.
//!
//! Needs a Python that has it: `PYTHON=… cargo test -p metaprompt-backbone --test
//! hub_python -- --ignored`.

#![cfg(unix)]

mod hub_common;

use hub_common::{Hub, MODEL};
use metaprompt_backbone::fetch::hub::{Reference, Request, Settings, cached, fetch};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const FILES: [&str; 4] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
];

fn python(hub: &Hub, cache: &Path, offline: bool, script: &str) -> String {
    let python = std::env::var_os("PYTHON").expect("PYTHON names an interpreter");
    let output = Command::new(python)
        .args(["-c", script])
        .env("HF_HOME", cache)
        .env("HF_HUB_CACHE", cache.join("hub"))
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("HF_HUB_OFFLINE", if offline { "1" } else { "0" })
        .env("HF_HUB_DISABLE_XET", "1")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("Python starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Every file and link of the model's folder, with content or target.
fn tree(folder: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder.join(below)).expect("folder") {
        let entry = entry.expect("entry");
        let name = format!("{below}/{}", entry.file_name().to_str().expect("UTF-8"));
        let kind = entry.file_type().expect("type");
        if kind.is_dir() {
            tree(folder, &name, found);
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("link");
            found.insert(name, target.display().to_string());
        } else {
            let content = std::fs::read(entry.path()).expect("file");
            found.insert(name, String::from_utf8_lossy(&content).into_owned());
        }
    }
}

#[test]
#[ignore = "needs a Python with huggingface_hub"]
fn both_write_the_same_cache_and_read_each_others() {
    let hub = Hub::start(&[
        (FILES[0], b"{}".to_vec(), false),
        (FILES[1], vec![7; 100_000], true),
        (FILES[2], vec![65; 2000], true),
        (FILES[3], b"{ }".to_vec(), false),
    ]);
    let ours = tempfile::tempdir().expect("folder");
    let theirs = tempfile::tempdir().expect("folder");
    let settings = |folder: &Path| {
        let mut settings = Settings::from_variables(&|_| None);
        settings.cache = folder.join("hub");
        settings.endpoint.clone_from(&hub.endpoint);
        settings
    };
    let reference = Reference::parse(MODEL).expect("a name");
    let request = Request {
        reference: reference.clone(),
        update: false,
    };
    let download = format!(
        "import huggingface_hub as h\nprint(h.__version__, h.snapshot_download('{MODEL}'), end='')"
    );
    let printed = python(&hub, theirs.path(), false, &download);
    let (version, path) = printed.split_once(' ').expect("two words");
    eprintln!("huggingface_hub {version}");
    hub.seen();
    let here = fetch(&request, &settings(theirs.path()), &mut |_| {}).expect("here");
    assert_eq!(here.path, Path::new(path));
    assert_eq!(
        cached(&reference, &settings(theirs.path())).expect("here"),
        here.path
    );
    assert_eq!(hub.seen(), []);

    let fetched = fetch(&request, &settings(ours.path()), &mut |_| {}).expect("fetched");
    hub.seen();
    let find = format!(
        "import huggingface_hub as h\nfor f in {FILES:?}: print(h.hf_hub_download('{MODEL}', f))\n\
         print([(r.repo_id, r.size_on_disk, len(r.revisions)) for r in h.scan_cache_dir().repos])"
    );
    let printed = python(&hub, ours.path(), true, &find);
    let lines: Vec<&str> = printed.lines().collect();
    for (line, name) in lines.iter().zip(FILES) {
        assert_eq!(Path::new(line), fetched.path.join(name));
    }
    assert_eq!(lines[FILES.len()], format!("[('{MODEL}', 102005, 1)]"));
    assert_eq!(hub.seen(), []);

    let model = |folder: &Path| {
        let mut found = BTreeMap::new();
        for below in ["blobs", "refs", "snapshots"] {
            tree(
                &folder.join("hub/models--org--tiny-model"),
                below,
                &mut found,
            );
        }
        found
    };
    assert_eq!(model(ours.path()), model(theirs.path()));
}
