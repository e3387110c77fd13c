//! What decides a cell's result, as JSON: settings as the trainer takes them,
//! digests of data and first values, no paths.

use super::{Role, Subject};
use crate::StudyError;
use crate::encode::EncodedExample;
use crate::json::extend;
use crate::prepare::Prepared;
use crate::spec::{ChosenBy, Method, PromptInit, Study, plain};
use crate::stages::{Described, Stages};
use metaprompt_scoring::{Case, Rule};
use metaprompt_tuning::{Digest, Example, OptimizerState};
use serde_json::{Value, json};

/// Grows when a cell of the same settings would have another result or other
/// files.
const FORMAT: u32 = 1;

impl Stages<'_> {
    /// What all cells' configurations begin with.
    fn begin(&self, kind: &str, needs: &[(Role, String)]) -> Value {
        json!({
            "format": FORMAT,
            "kind": kind,
            "backbone": self.backbone.fingerprint,
            "numbers": self.backbone.model.numbers(),
            "needs": needs,
        })
    }

    /// A training run's configuration. `searched`: its rates are those of the
    /// cell that chooses them.
    pub(super) fn training_config(
        &self,
        kind: &str,
        described: &Described,
        needs: &[(Role, String)],
        searched: bool,
        more: Value,
    ) -> Value {
        let mut config = self.begin(kind, needs);
        let rates = if searched {
            Value::Null
        } else {
            plain(&described.rates)
        };
        let data: Vec<Value> = described
            .tasks
            .iter()
            .map(|t| {
                json!({
                    "task": t.name, "train": t.train.len(), "dev": t.dev.len(),
                    "digest": of_examples(t.train.iter().chain(&t.dev)),
                })
            })
            .collect();
        extend(
            &mut config,
            json!({
                "stage": described.stage,
                "settings": plain(&described.settings.deciding()),
                "learning_rates": rates,
                "mixing": described.mixing,
                "data": data,
                "chat_template": self.study.chat_template,
            }),
        );
        extend(&mut config, more);
        config
    }

    /// The prompt that a task starts from.
    pub(super) fn initial_config(&self, task: &Prepared) -> Result<Value, StudyError> {
        let init = match &self.study.prompt.init {
            // The digest stands for it.
            PromptInit::Adapter(_) => json!("adapter"),
            other => plain(other),
        };
        let values = self.initial_prompt(&task.task)?;
        let mut prompt = json!({
            "length": self.study.prompt.length, "init": init,
            "digest": Digest::default().values(&values).hex(),
        });
        if self.study.prompt.pinned {
            // Left out by default: cells of earlier studies keep their addresses.
            extend(&mut prompt, json!({ "pinned": true }));
        }
        Ok(json!({ "prompt": prompt }))
    }

    /// What of `[distill]` the trainer's settings don't hold.
    pub(super) fn distill_config(&self, sources: &[&Prepared]) -> Result<Value, StudyError> {
        let distill = &self.study.distill;
        let mut config = self.initial_config(sources[0])?;
        extend(
            &mut config,
            plain(&json!({
                "rank": distill.rank, "shared_init": distill.shared_init,
                "vectors": distill.vectors,
            })),
        );
        extend(
            &mut config,
            json!({ "vector_noise": plain(&distill.vector_noise) }),
        );
        Ok(config)
    }

    /// What of a method's section the trainer's settings don't hold.
    pub(super) fn method_config(
        &self,
        method: Method,
        target: &Prepared,
    ) -> Result<Value, StudyError> {
        match method {
            Method::PromptTuning => self.initial_config(target),
            Method::Metaprompt | Method::MetapromptVectors => Ok(json!({
                "source_vectors": self.study.metaprompt.source_vectors,
            })),
            Method::Lora => Ok(json!({ "lora": plain(&self.study.lora.options()) })),
            // The default is left out: cells of earlier studies keep their
            // addresses.
            Method::Full if self.study.full.optimizer != OptimizerState::F32 => {
                Ok(json!({ "optimizer": self.study.full.optimizer }))
            }
            _ => Ok(json!({})),
        }
    }

    /// The configuration of a choice among rates.
    pub(super) fn choice_config(
        &self,
        method: Method,
        rates: &[f32],
        by: ChosenBy,
        needs: &[(Role, String)],
    ) -> Value {
        let mut config = self.begin("choose", needs);
        extend(
            &mut config,
            json!({ "method": method, "learning_rates": plain(&rates) }),
        );
        // The default is left out: cells of earlier studies keep their addresses.
        if !by.is_loss() {
            extend(&mut config, json!({ "by": by }));
        }
        config
    }

    /// The configuration of an evaluation; of its test examples, `kind` is
    /// `evaluate`.
    pub(super) fn evaluation_config(
        &self,
        kind: &str,
        task: &Prepared,
        subject: Subject,
        shown: &[EncodedExample],
        needs: &[(Role, String)],
    ) -> Value {
        let mut config = self.begin(kind, needs);
        let evaluate = &self.study.evaluate;
        let test = task.test.iter().map(|e| &e.tokens);
        // Where an answer is one of a closed set, nothing is generated.
        let generated = !task.task.manifest.is_closed();
        let max_new_tokens = generated.then_some(evaluate.max_new_tokens);
        extend(
            &mut config,
            json!({
                "task": task.name(), "subject": subject,
                "rule": Rule::of(&task.task.manifest), "words": task.task.label_words(),
                "batch": evaluate.batch, "max_new_tokens": max_new_tokens,
                "normalise": evaluate.normalise, "chat_template": self.study.chat_template,
                "test": { "examples": task.test.len(), "digest": of_examples(test) },
                "gold": of_cases(task), "stop": task.task.stop(),
            }),
        );
        if subject == Subject::Demonstrations {
            let shown = shown.iter().map(|e| &e.tokens);
            extend(&mut config, json!({ "demonstrations": of_examples(shown) }));
        }
        config
    }

    /// The configuration of a row of the transfer matrix.
    pub(super) fn transfer_config(&self, task: &Prepared, needs: &[(Role, String)]) -> Value {
        let mut config = self.begin("transfer", needs);
        let dev = task.dev.iter().map(|e| &e.tokens);
        extend(
            &mut config,
            json!({
                "task": task.name(), "dev": { "examples": task.dev.len(), "digest": of_examples(dev) },
            }),
        );
        config
    }
}

/// The resolved study without the places of its files, which may be reached by
/// other paths.
pub(crate) fn without_places(study: &Study) -> Value {
    let mut study = plain(study);
    if let Some(fields) = study.as_object_mut() {
        for place in ["tasks", "data", "backbone"] {
            fields.shift_remove(place);
        }
        if let Some(init) = fields["prompt"]["init"].as_object_mut() {
            init.shift_remove("adapter");
        }
    }
    study
}

/// Tells apart what answers are scored against: a reader or a manifest may
/// change it without changing a token.
fn of_cases(task: &Prepared) -> String {
    let end: &[u8] = &[0xff];
    let add = |all: Digest, case: &Case<'_>| {
        let known = json!([case.gold, case.document, case.source, case.alternatives]);
        all.bytes(known.to_string().into_bytes())
            .bytes(end.iter().copied())
    };
    let cases = task.cases();
    cases.iter().fold(Digest::default(), add).hex()
}

/// Tells sets of examples apart.
fn of_examples<'e>(examples: impl Iterator<Item = &'e Example>) -> String {
    let end: &[u32] = &[u32::MAX];
    examples
        .fold(Digest::default(), |all, e| {
            all.tokens(&e.context)
                .tokens(end)
                .tokens(&e.target)
                .tokens(end)
        })
        .hex()
}
