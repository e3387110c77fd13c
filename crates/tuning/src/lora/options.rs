//! How large a LoRA is, and where it sits.

use metaprompt_backbone::files::Config;
use metaprompt_backbone::model::Module;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Rank, scale, dropout and targets, with PEFT's names for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraOptions {
    /// `r`, at least one.
    pub rank: usize,
    /// `α`: the change is scaled by `α/r`.
    pub alpha: f32,
    /// Share of a layer's inputs that `A` doesn't see in a training pass, from 0
    /// to below 1. What examples share is computed once, so it loses the same
    /// inputs for all of them.
    pub dropout: f32,
    /// The linear layers that are adapted, in every block (`q_proj` …); none
    /// named (the default) means all that the model has.
    #[serde(serialize_with = "names", deserialize_with = "modules")]
    pub targets: Vec<Module>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        LoraOptions {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: Vec::new(),
        }
    }
}

impl LoraOptions {
    /// `α/r`.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    /// The linear layers that are adapted in every block of a model.
    #[must_use]
    pub fn modules(&self, config: &Config) -> Vec<Module> {
        match &*self.targets {
            [] => Module::of(config),
            named => named.to_vec(),
        }
    }

    /// Numbers that are trained on a model.
    #[must_use]
    pub fn trainable(&self, config: &Config) -> usize {
        let modules = self.modules(config).into_iter();
        let each = modules.map(|module| module.shape(config).iter().sum::<usize>());
        config.layers * self.rank * each.sum::<usize>()
    }

    /// The first field that no LoRA can have, and what is wrong with it.
    #[must_use]
    pub fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let repeated = |m: &Module| self.targets.iter().filter(|&t| t == m).count() > 1;
        if self.rank == 0 {
            Some(("rank", "is 0, wanted at least 1"))
        } else if !self.alpha.is_finite() {
            Some(("alpha", "is not a number"))
        } else if !(0.0..1.0).contains(&self.dropout) {
            Some(("dropout", "is not from 0 to below 1"))
        } else if self.targets.iter().any(repeated) {
            Some(("targets", "names a linear layer twice"))
        } else {
            None
        }
    }
}

fn names<S: Serializer>(targets: &[Module], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(targets.iter().map(|module| module.name()))
}

fn modules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Module>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let module = |name: &String| {
        Module::named(name).ok_or_else(|| {
            let known: Vec<_> = Module::ALL.iter().map(|m| m.name()).collect();
            let known = known.join(", ");
            D::Error::custom(format!(
                "`{name}` is no linear layer; wanted some of {known}"
            ))
        })
    };
    names.iter().map(module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_no_lora_can_have_are_named() {
        let good = LoraOptions::default();
        assert_eq!(good.contradiction(), None);
        let bad = [
            (
                "rank",
                LoraOptions {
                    rank: 0,
                    ..good.clone()
                },
            ),
            (
                "alpha",
                LoraOptions {
                    alpha: f32::NAN,
                    ..good.clone()
                },
            ),
            (
                "dropout",
                LoraOptions {
                    dropout: 1.0,
                    ..good.clone()
                },
            ),
            (
                "targets",
                LoraOptions {
                    targets: vec![Module::Up; 2],
                    ..good.clone()
                },
            ),
        ];
        for (field, options) in bad {
            assert_eq!(options.contradiction().map(|c| c.0), Some(field));
        }
    }

    #[test]
    fn targets_are_written_by_their_names() {
        let text = r#"{"rank":4,"targets":["q_proj","down_proj"]}"#;
        let options: LoraOptions = serde_json::from_str(text).expect("valid");
        assert_eq!(options.targets, [Module::Query, Module::Down]);
        assert_eq!((options.rank, options.alpha), (4, 32.0));
        let again = serde_json::to_string(&options).expect("JSON");
        assert_eq!(
            serde_json::from_str::<LoraOptions>(&again).expect("valid"),
            options
        );
        let error = serde_json::from_str::<LoraOptions>(r#"{"targets":["router"]}"#);
        let error = error.expect_err("there is none").to_string();
        assert!(
            error.contains("`router`") && error.contains("q_proj"),
            "{error}"
        );
    }
}
