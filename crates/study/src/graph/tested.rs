//! The cells that test something, and their places in the tables.

use super::build::{At, Builder};
use super::{Placed, Plan, Role, Subject, Work};
use crate::results::Place;
use crate::spec::{Method, Shots};
use crate::{StudyError, demonstrations};

impl Builder<'_, '_, '_> {
    /// An evaluation and its place in the tables.
    pub(super) fn evaluate(
        &mut self,
        name: &str,
        method: &str,
        shots: Shots,
        subject: Subject,
        needs: Vec<(Role, String)>,
        at: At,
    ) -> Result<(), StudyError> {
        let task = self.prepared(at.variant, name)?;
        let encoder = self.lab.encoder(at.variant)?;
        let study = self.lab.study(at.variant);
        let shown = match subject {
            Subject::Demonstrations => {
                demonstrations::choose(&encoder, &task, &study.demonstrations, at.seed)?
            }
            _ => Vec::new(),
        };
        let before = match subject {
            Subject::Bare => 0,
            Subject::Demonstrations => {
                let context = self.lab.backbone.model.config().max_positions;
                study.demonstrations.max_tokens.min(context)
            }
            _ => study.prompt.length,
        };
        let generated = !task.task.manifest.is_closed();
        let plan = Plan::answers(
            self.lab.backbone,
            &task.test,
            before,
            generated,
            &study.evaluate,
        );
        let stages = self.lab.stages(at.variant, at.seed);
        let config = stages.evaluation_config("evaluate", &task, subject, &shown, &needs);
        let words = match subject {
            Subject::Trained => format!("{method}-{name}-{}", shots.name()),
            _ => format!("{method}-{name}"),
        };
        let work = Work::Evaluate {
            task: name.to_owned(),
            subject,
        };
        let digest = self.add(config, &words, at, work, needs, plan);
        let place = Place {
            task: name.to_owned(),
            method: method.to_owned(),
            shots,
            variant: self.lab.variants[at.variant].label.clone(),
        };
        let again = |p: &Placed| p.digest == digest && p.place == place;
        if !self.graph.placed.iter().any(again) {
            self.graph.placed.push(Placed {
                digest,
                place,
                seed: at.seed,
            });
        }
        Ok(())
    }

    /// The answers of a candidate to the development examples; gives the cell's
    /// address. It has no place in the tables.
    pub(super) fn develop(
        &mut self,
        name: &str,
        method: Method,
        shots: Shots,
        candidate: String,
        at: At,
    ) -> Result<String, StudyError> {
        let task = self.prepared(at.variant, name)?.on_dev();
        let study = self.lab.study(at.variant);
        if task.test.is_empty() {
            let of_dev = task.splits.iter().find(|s| s.split == "dev");
            return Err(StudyError::NoExamples {
                task: name.to_owned(),
                split: "dev".into(),
                skipped: of_dev.map_or(0, |s| s.skipped),
                limit: study.limits.max_tokens,
            });
        }
        let generated = !task.task.manifest.is_closed();
        let before = study.prompt.length;
        let backbone = self.lab.backbone;
        let plan = Plan::answers(backbone, &task.test, before, generated, &study.evaluate);
        let needs = vec![(Role::Adapter, candidate)];
        let stages = self.lab.stages(at.variant, at.seed);
        let config = stages.evaluation_config("develop", &task, Subject::Trained, &[], &needs);
        let words = format!("{}-{name}-{}", method.id(), shots.name());
        let task = name.to_owned();
        Ok(self.add(config, &words, at, Work::Develop { task }, needs, plan))
    }

    pub(super) fn transfer(
        &mut self,
        name: &str,
        metaprompt: &str,
        adapted: String,
        at: At,
    ) -> Result<(), StudyError> {
        let task = self.prepared(at.variant, name)?;
        let needs = vec![
            (Role::Metaprompt, metaprompt.to_owned()),
            (Role::Adapter, adapted),
        ];
        let stages = self.lab.stages(at.variant, at.seed);
        let config = stages.transfer_config(&task, &needs);
        let tokens = task.dev.iter().map(|e| e.tokens.context.len()).sum();
        let prompts = self.lab.study(at.variant).sources.len() + 1;
        let plan = Plan::losses(self.lab.backbone, tokens, prompts);
        let task = name.to_owned();
        self.add(config, name, at, Work::Transfer { task }, needs, plan);
        Ok(())
    }
}
