//! The run folder: whose it is, and how much of it is done.

use crate::StudyError;
use crate::spec::Study;
use metaprompt_backbone::Backbone;
use metaprompt_tuning::write_atomically;
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Parts (stages and evaluations) and whether each is done.
    pub parts: Vec<(String, bool)>,
}

/// What of a study is done in `folder`.
#[must_use]
pub fn status(study: &Study, folder: &Path) -> Status {
    let mut parts = Vec::new();
    let mut stage = |path: PathBuf| {
        let done = folder
            .join(&path)
            .join("adapter/adapter_config.json")
            .is_file();
        parts.push((path.display().to_string(), done));
    };
    for source in &study.sources {
        stage(Path::new("teach").join(source));
    }
    stage("distill".into());
    for target in &study.targets {
        for shots in &study.adapt.shots {
            for method in ["adapt", "scratch"] {
                stage(Path::new(method).join(target).join(shots.name()));
            }
        }
    }
    for target in &study.targets {
        let trained = study.adapt.shots.iter().flat_map(|shots| {
            ["adapt", "scratch"].map(|method| format!("{method}-{}", shots.name()))
        });
        let cells = ["instruction".to_owned(), "zero-shot".to_owned()];
        for cell in cells.into_iter().chain(trained) {
            let path = Path::new("evaluate")
                .join(target)
                .join(format!("{cell}.json"));
            parts.push((path.display().to_string(), folder.join(&path).is_file()));
        }
    }
    parts.push(("report.json".into(), folder.join("report.json").is_file()));
    Status { parts }
}

/// Makes the folder this study's, or checks that it is.
pub(crate) fn claim(study: &Study, backbone: &Backbone, folder: &Path) -> Result<(), StudyError> {
    std::fs::create_dir_all(folder).map_err(StudyError::file(folder))?;
    let path = folder.join("study.json");
    let mine = json!({
        "study": study, "backbone": backbone.fingerprint, "numbers": backbone.model.numbers(),
    });
    match std::fs::read(&path) {
        Ok(bytes) => {
            let found: serde_json::Value =
                serde_json::from_slice(&bytes).map_err(|e| StudyError::Damaged {
                    path: path.clone(),
                    problem: e.to_string(),
                })?;
            if let Some(field) = difference(
                &without_circumstances(found),
                &without_circumstances(mine),
                "",
            ) {
                return Err(StudyError::OtherStudy {
                    path: folder.to_owned(),
                    field,
                });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write_atomically(&path, format!("{mine:#}\n").as_bytes())
                .map_err(StudyError::file(&path))?;
        }
        Err(error) => return Err(StudyError::file(&path)(error)),
    }
    let path = folder.join("environment.json");
    let environment = json!({
        "metaprompt": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "threads": metaprompt_backbone::matmul::threads(),
        "backbone": backbone.name(),
        "device": backbone.model.device(),
    });
    write_atomically(&path, format!("{environment:#}\n").as_bytes())
        .map_err(StudyError::file(&path))
}

/// A study without what changes no result. That is the places of its files: the
/// same corpora and weights may be reached by another path, and what they hold
/// is compared by its digests. And it is how much memory may be used.
fn without_circumstances(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(study) = value["study"].as_object_mut() {
        for place in ["tasks", "data", "backbone"] {
            study.remove(place);
        }
    }
    if let Some(distill) = value["study"]["distill"].as_object_mut() {
        distill.remove("teacher_memory_mb");
    }
    if let Some(init) = value["study"]["prompt"]["init"].as_object_mut() {
        init.remove("adapter");
    }
    value
}

/// Path of the first field in which two JSON values differ.
pub(crate) fn difference(a: &serde_json::Value, b: &serde_json::Value, at: &str) -> Option<String> {
    match (a.as_object(), b.as_object()) {
        (Some(x), Some(y)) => x.keys().chain(y.keys()).find_map(|key| {
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            difference(
                x.get(key).unwrap_or_default(),
                y.get(key).unwrap_or_default(),
                &at,
            )
        }),
        _ => (a != b).then(|| at.to_owned()),
    }
}
