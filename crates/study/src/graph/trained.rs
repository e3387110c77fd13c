//! The cells that train something.

use super::build::{At, Builder, Choice};
use super::{Plan, Role, Work};
use crate::StudyError;
use crate::prepare::Prepared;
use crate::spec::{Method, Shots, Study};

impl Builder<'_, '_, '_> {
    /// The teachers and their distillation; gives the addresses of both.
    pub(super) fn metaprompt(
        &mut self,
        study: &Study,
        at: At,
    ) -> Result<(String, Vec<String>), StudyError> {
        let mut teachers = Vec::new();
        let mut sources = Vec::new();
        for name in &study.sources {
            let source = self.prepared(at.variant, name)?;
            teachers.push(self.teacher(&source, at)?);
            sources.push(source);
        }
        let views: Vec<&Prepared> = sources.iter().map(|s| &**s).collect();
        let needs: Vec<(Role, String)> = teachers
            .iter()
            .map(|t| (Role::Teacher, t.clone()))
            .collect();
        let stages = self.lab.stages(at.variant, at.seed);
        let described = stages.describe_distillation(&views)?;
        let more = stages.distill_config(&views)?;
        let config = stages.training_config("distill", &described, &needs, false, more);
        let plan = Plan::training(self.lab.backbone, &described.planned, &described.settings);
        let metaprompt = self.add(config, "", at, Work::Distill, needs, plan);
        Ok((metaprompt, teachers))
    }

    fn teacher(&mut self, source: &Prepared, at: At) -> Result<String, StudyError> {
        let stages = self.lab.stages(at.variant, at.seed);
        let described = stages.describe_teacher(source)?;
        let more = stages.initial_config(source)?;
        let config = stages.training_config("teach", &described, &[], false, more);
        let plan = Plan::training(self.lab.backbone, &described.planned, &described.settings);
        let task = source.name().to_owned();
        let words = source.name();
        Ok(self.add(config, words, at, Work::Teach { task }, Vec::new(), plan))
    }

    /// A training run on a target. Rates that are searched for come from the
    /// cell that chooses them, unless `rate` is a candidate.
    pub(super) fn train(
        &mut self,
        method: Method,
        name: &str,
        shots: Shots,
        mut needs: Vec<(Role, String)>,
        rate: Option<f32>,
        at: At,
    ) -> Result<String, StudyError> {
        let target = self.prepared(at.variant, name)?;
        let varied = &self.lab.variants[at.variant];
        let chosen = match rate {
            None if varied.searched.contains(&method) => self.rate_for(method, shots),
            _ => None,
        };
        needs.extend(chosen.map(|choice| (Role::Rate, choice.cell.clone())));
        let mut study = self.lab.study(at.variant).clone();
        if let Some(rate) = rate {
            method.set_rate(&mut study, rate);
        }
        let stages = crate::Stages {
            study: &study,
            backbone: self.lab.backbone,
            seed: at.seed,
        };
        let described = stages.describe_training(method, &target, shots)?;
        let mut more = stages.method_config(method, &target)?;
        if let (Some(_), Some(fields)) = (rate, more.as_object_mut()) {
            // A candidate also measures its development loss.
            fields.insert("candidate".into(), true.into());
        }
        let searched = chosen.is_some();
        let config = stages.training_config("train", &described, &needs, searched, more);
        let (backbone, planned) = (self.lab.backbone, &described.planned);
        let plan = match method {
            Method::Full => Plan::weights(backbone, planned, study.full.optimizer),
            Method::Lora => Plan::low_rank(backbone, planned, &study.lora.options()),
            _ => Plan::training(backbone, planned, &described.settings),
        };
        let words = format!("{}-{name}-{}", method.id(), shots.name());
        let task = name.to_owned();
        let work = Work::Train {
            method,
            task,
            shots,
            rate,
        };
        Ok(self.add(config, &words, at, work, needs, plan))
    }

    /// The choice of a method's rate with so many examples, else with the next
    /// smaller number, else with the smallest.
    fn rate_for(&self, method: Method, shots: Shots) -> Option<&Choice> {
        let of_method = || self.rates.iter().filter(|c| c.method == method);
        let below = of_method().filter(|c| c.shots <= shots);
        below
            .max_by_key(|c| c.shots)
            .or_else(|| of_method().min_by_key(|c| c.shots))
    }
}
