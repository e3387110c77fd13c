//! Studies that differ from a study in one field.

use super::{Method, Shots, Study};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A field and the values that it takes in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ablation {
    /// Its name in tables.
    pub name: String,
    /// The field, by its path (`distill.lambda`). `sources` with a number
    /// means the first so many sources.
    pub field: String,
    /// Its values.
    pub values: Vec<toml::Value>,
    /// Other fields that differ from the study, with all of the values.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub with: toml::Table,
    /// Its methods.
    #[serde(default = "metaprompt")]
    pub methods: Vec<Method>,
    /// Numbers of training examples; the study's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shots: Option<Vec<Shots>>,
    /// Targets; the study's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
    /// Seeds; the study's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Vec<u64>>,
}

fn metaprompt() -> Vec<Method> {
    vec![Method::Metaprompt]
}

/// A study, or one that differs from it in one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    /// The ablation and its value, as tables spell them; none for the study.
    pub(crate) label: Option<(String, String)>,
    /// With the field set.
    pub(crate) study: Study,
    /// Its seeds. Those of [`Variant::study`] stay the study's, whose first one
    /// decides which examples are used.
    pub(crate) seeds: Vec<u64>,
    /// Methods that take the rate which the study's search chooses.
    pub(crate) searched: Vec<Method>,
}

/// The study itself, then one for each value of its ablations. Each is checked.
///
/// # Errors
/// What is wrong, in words that name the ablation and its field.
pub(crate) fn variants(study: &Study) -> Result<Vec<Variant>, String> {
    let mut all = vec![Variant {
        label: None,
        study: study.clone(),
        seeds: study.seeds.clone(),
        searched: study.search.keys().copied().collect(),
    }];
    for (index, ablation) in study.ablation.iter().enumerate() {
        named(ablation, &study.ablation[..index])?;
        if ablation.values.is_empty() {
            return Err(format!(
                "[[ablation]] {}: values is empty; give the values of {}",
                ablation.name, ablation.field
            ));
        }
        let fields = || ablation.with.keys().chain([&ablation.field]);
        // A rate that the ablation gives itself isn't searched for; those of
        // other stages leave the methods' rates alone.
        let own_rate = |method: &Method| fields().any(|field| method.has_rate(field));
        let mut searched = all[0].searched.clone();
        searched.retain(|method| !own_rate(method));
        for value in &ablation.values {
            let at = format!(
                "[[ablation]] {}: {} = {value}",
                ablation.name, ablation.field
            );
            let study = with(study, ablation, value).map_err(|p| format!("{at}: {p}"))?;
            if study.targets.is_empty() {
                return Err(format!(
                    "{at}: targets is empty; leave it out for the study's"
                ));
            }
            let seeds = ablation.seeds.clone().unwrap_or(study.seeds.clone());
            if seeds.is_empty() {
                return Err(format!(
                    "{at}: seeds is empty; leave it out for the study's"
                ));
            }
            if let Some(twice) = super::check::twice("seeds: ", seeds.iter()) {
                return Err(format!("{at}: {twice}"));
            }
            super::check::contradiction(&study).map_err(|p| format!("{at}: {p}"))?;
            all.push(Variant {
                label: Some((ablation.name.clone(), spelt(value))),
                searched: searched.clone(),
                study,
                seeds,
            });
        }
    }
    Ok(all)
}

/// An ablation is known by its name: without one its rows would be the study's
/// own, and with another's its values would be that one's further seeds.
fn named(ablation: &Ablation, before: &[Ablation]) -> Result<(), String> {
    let Ablation { name, field, .. } = ablation;
    if name.is_empty() {
        return Err(format!(
            "[[ablation]] of {field}: name is empty; give it one for the tables"
        ));
    }
    if before.iter().any(|other| other.name == *name) {
        return Err(format!(
            "[[ablation]] {name}: two have this name; give each its own"
        ));
    }
    Ok(())
}

/// As tables spell a value.
fn spelt(value: &toml::Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

fn with(study: &Study, ablation: &Ablation, value: &toml::Value) -> Result<Study, String> {
    let mut study = study.clone();
    study.ablation = Vec::new();
    study.search.clear();
    study.methods.clone_from(&ablation.methods);
    study.shots = ablation.shots.clone().unwrap_or(study.shots);
    study.targets = ablation.targets.clone().unwrap_or(study.targets);
    (study.evaluate.sources, study.evaluate.transfer) = (false, false);
    for (field, value) in &ablation.with {
        study = set(&study, field, value)?;
    }
    set(&study, &ablation.field, value)
}

/// The study with one field set.
fn set(study: &Study, field: &str, value: &toml::Value) -> Result<Study, String> {
    const OWN: [&str; 7] = [
        "name", "tasks", "data", "backbone", "methods", "seeds", "ablation",
    ];
    if OWN.contains(&field) {
        return Err(format!("{field} is of the whole study and can't be varied"));
    }
    if let ("sources", Some(count)) = (field, value.as_integer()) {
        let most = study.sources.len();
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 || count > most {
            return Err(format!("give from 1 to {most} sources"));
        }
        let mut fewer = study.clone();
        fewer.sources.truncate(count);
        return Ok(fewer);
    }
    let mut fields = plain(study);
    let value = plain(value);
    let mut at = &mut fields;
    let parts: Vec<&str> = field.split('.').collect();
    if let ([section], Some(inner)) = (&*parts, value.as_object()) {
        // Its other fields would silently take their defaults.
        let inner = inner.keys().next().map_or("steps", String::as_str);
        return Err(format!(
            "{section} is a whole section; name its fields, in quotes: \"{section}.{inner}\""
        ));
    }
    for (depth, part) in parts.iter().enumerate() {
        let Some(table) = at.as_object_mut() else {
            return Err(format!("{} is no section", parts[..depth].join(".")));
        };
        if depth + 1 == parts.len() {
            replace(table, part, value.clone());
            break;
        }
        at = table
            .get_mut(*part)
            .ok_or_else(|| format!("there is no section {part}"))?;
    }
    serde_json::from_value(fields).map_err(|e| e.to_string())
}

/// Sets a field; of a length in steps or in tokens it takes the other's place.
fn replace(table: &mut Map<String, Value>, field: &str, value: Value) {
    match field {
        "steps" => table.shift_remove("tokens"),
        "tokens" => table.shift_remove("steps"),
        _ => None,
    };
    table.insert(field.to_owned(), value);
}

/// A value as JSON, with numbers as they are written: an f32 that is 0.02 stays
/// 0.02.
pub(crate) fn plain<T: Serialize>(value: &T) -> Value {
    let text = serde_json::to_string(value).expect("settings are plain data");
    serde_json::from_str(&text).expect("it was JSON just now")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Methods of the ablation that still take the searched rate.
    fn searched(field: &str, value: f64) -> Vec<Method> {
        let text = format!(
            "name = \"s\"\ntasks = \"t\"\ndata = \"d\"\nsources = [\"a\"]\ntargets = [\"b\"]\n\
             [search.prompt-tuning]\nlearning_rates = [0.1]\nshots = 4\n\
             [search.metaprompt]\nlearning_rates = [0.1]\nshots = 4\n\
             [[ablation]]\nname = \"one\"\nfield = \"{field}\"\nvalues = [{value}]\n"
        );
        let study = Study::parse(&text, std::path::Path::new("s.toml")).expect("a study");
        let mut all = variants(&study).expect("variants");
        all.remove(1).searched
    }

    #[test]
    fn only_a_methods_own_rate_takes_the_searched_ones_place() {
        let both = [Method::PromptTuning, Method::Metaprompt];
        assert_eq!(searched("distill.learning_rate", 0.5), both);
        assert_eq!(searched("teach.learning_rate", 0.5), both);
        assert_eq!(searched("metaprompt.vector_learning_rate", 0.5), both);
        assert_eq!(
            searched("metaprompt.learning_rate", 0.5),
            [Method::PromptTuning]
        );
    }
}
