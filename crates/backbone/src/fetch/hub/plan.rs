//! Which of a model's files are fetched.

use std::collections::BTreeSet;
use std::path::Path;

use super::HubError;
use super::names::{check_inside, is_gguf, is_pickle};

pub(super) const CONFIG: &str = "config.json";
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// What goes with the weights: what this program reads, and what `transformers` reads
/// beside it from the same folder.
const COMPANIONS: [&str; 12] = [
    CONFIG,
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "LICENSE",
];

/// The files to fetch of a model's whole list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Small files, in order.
    pub(super) companions: Vec<String>,
    /// What holds the weights.
    pub(super) weights: Weights,
}

/// Where a model's weights are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// In one file.
    One(String),
    /// In the shards that the index names.
    Sharded,
}

/// Chooses among a model's files.
pub(super) fn plan(
    repository: &str,
    files: &[String],
    file: Option<&str>,
) -> Result<Plan, HubError> {
    let repository = || repository.to_owned();
    let has = |name: &str| files.iter().any(|file| file == name);
    if let Some(file) = file {
        if !has(file) {
            return Err(HubError::UnknownFile {
                repository: repository(),
                file: file.to_owned(),
                has: ggufs(files),
            });
        }
        // A GGUF file holds configuration and tokenizer itself.
        return Ok(Plan {
            companions: Vec::new(),
            weights: Weights::One(file.to_owned()),
        });
    }
    // The loader prefers the single file, too.
    let weights = if has(SINGLE) {
        Weights::One(SINGLE.to_owned())
    } else if has(INDEX) {
        Weights::Sharded
    } else if files.iter().any(|file| is_gguf(file)) {
        return Err(HubError::GgufOnly {
            repository: repository(),
            files: ggufs(files),
        });
    } else if let Some(pickle) = files.iter().find(|file| is_pickle(file)) {
        return Err(HubError::PickleOnly {
            repository: repository(),
            file: pickle.clone(),
        });
    } else {
        return Err(HubError::NoWeights {
            repository: repository(),
        });
    };
    if !has(CONFIG) {
        return Err(HubError::UnknownFile {
            repository: repository(),
            file: CONFIG.to_owned(),
            has: String::new(),
        });
    }
    let companions = COMPANIONS.into_iter().filter(|name| has(name));
    Ok(Plan {
        companions: companions.map(str::to_owned).collect(),
        weights,
    })
}

/// Names of GGUF files for a message, at most a dozen.
pub(super) fn ggufs<S: AsRef<str>>(files: &[S]) -> String {
    let names = files.iter().map(AsRef::as_ref).filter(|name| is_gguf(name));
    let names: Vec<&str> = names.collect();
    let mut text = names[..names.len().min(12)].join(", ");
    if names.len() > 12 {
        text += &format!(" and {} more", names.len() - 12);
    }
    text
}

/// The shards that an index names, each checked to be a safetensors file below the
/// model's folder.
pub(super) fn shards(repository: &str, index: &Path) -> Result<BTreeSet<String>, HubError> {
    let bad = |problem: String| HubError::BadAnswer {
        url: index.display().to_string(),
        problem,
    };
    let json = crate::files::json_file(index).map_err(|error| bad(error.to_string()))?;
    let map = json["weight_map"].as_object();
    let map = map.ok_or_else(|| bad("has no object `weight_map`".to_owned()))?;
    let mut shards = BTreeSet::new();
    for (tensor, shard) in map {
        let shard = shard.as_str();
        let shard = shard.ok_or_else(|| bad(format!("tensor `{tensor}` names no shard")))?;
        check_inside(repository, shard)?;
        if !shard.ends_with(".safetensors") {
            return Err(bad(format!(
                "names the shard {shard}, which isn't a safetensors file"
            )));
        }
        shards.insert(shard.to_owned());
    }
    if shards.is_empty() {
        return Err(bad("names no shard".to_owned()));
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str], file: Option<&str>) -> Result<Plan, HubError> {
        let files: Vec<String> = files.iter().map(|&name| name.to_owned()).collect();
        plan("org/name", &files, file)
    }

    #[test]
    fn only_what_a_model_needs_is_chosen() {
        let files = [
            ".gitattributes",
            "README.md",
            "config.json",
            "original/model.safetensors",
            "metal/model.bin",
            "model-00001-of-00002.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
            "tokenizer.json",
            "chat_template.jinja",
        ];
        let plan = of(&files, None).expect("a plan");
        assert_eq!(
            plan.companions,
            ["config.json", "tokenizer.json", "chat_template.jinja"]
        );
        assert_eq!(plan.weights, Weights::Sharded);
        let both = ["config.json", SINGLE, INDEX];
        let plan = of(&both, None).expect("a plan");
        assert_eq!(plan.weights, Weights::One(SINGLE.to_owned()));
    }

    #[test]
    fn models_without_weights_to_read_say_what_they_have() {
        let refused = |files: &[&str], file| of(files, file).expect_err("refused");
        assert!(matches!(
            refused(&["config.json", "pytorch_model.bin"], None),
            HubError::PickleOnly { file, .. } if file == "pytorch_model.bin"
        ));
        assert!(matches!(
            refused(&["a-q4.gguf", "a-q8.gguf"], None),
            HubError::GgufOnly { files, .. } if files == "a-q4.gguf, a-q8.gguf"
        ));
        assert!(matches!(
            refused(&["config.json"], None),
            HubError::NoWeights { .. }
        ));
        assert!(matches!(
            refused(&[SINGLE], None),
            HubError::UnknownFile { file, .. } if file == CONFIG
        ));
        assert!(matches!(
            refused(&["a-q4.gguf"], Some("b.gguf")),
            HubError::UnknownFile { has, .. } if has == "a-q4.gguf"
        ));
    }

    #[test]
    fn an_index_may_name_safetensors_files_of_its_folder_only() {
        let folder = tempfile::tempdir().expect("folder");
        let index = folder.path().join(INDEX);
        let of = |text: &str| {
            std::fs::write(&index, text).expect("file");
            shards("org/name", &index)
        };
        let two = of(
            r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}}"#,
        );
        assert_eq!(two.expect("shards").len(), 2);
        for (text, part) in [
            ("{", "JSON"),
            ("{}", "weight_map"),
            (r#"{"weight_map": {}}"#, "no shard"),
            (r#"{"weight_map": {"a": 1}}"#, "`a`"),
            (r#"{"weight_map": {"a": "../x.safetensors"}}"#, "outside"),
            (r#"{"weight_map": {"a": "/x.safetensors"}}"#, "outside"),
            (r#"{"weight_map": {"a": "x.bin"}}"#, "x.bin"),
        ] {
            let error = of(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
