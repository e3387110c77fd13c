//! From a study to its cells.

use super::{Cell, Graph, Placed, Plan, Recipe, Role, Subject, Work, address, folder};
use crate::lab::Lab;
use crate::prepare::Prepared;
use crate::results::Place;
use crate::spec::{Method, Shots, Study};
use crate::{Observer, StudyError, demonstrations};
use serde_json::Value;
use std::collections::HashSet;
use std::rc::Rc;

/// The cells of a study, in the order in which one process runs them: seed by
/// seed, so that a part of the study is whole early, then its ablations.
///
/// # Errors
/// When a task or its corpus is wrong, or a method isn't in this version.
pub(crate) fn build(lab: &mut Lab<'_>, observer: &mut dyn Observer) -> Result<Graph, StudyError> {
    let mut builder = Builder {
        lab,
        observer,
        graph: Graph::default(),
        known: HashSet::new(),
        rates: Vec::new(),
    };
    builder.all()?;
    Ok(builder.graph)
}

struct Builder<'l, 'b, 'o> {
    lab: &'l mut Lab<'b>,
    observer: &'o mut dyn Observer,
    graph: Graph,
    /// Addresses of the cells so far.
    known: HashSet<String>,
    /// The cells that choose rates.
    rates: Vec<(Method, String)>,
}

/// One seed of one variant.
#[derive(Clone, Copy)]
struct At {
    variant: usize,
    seed: u64,
}

impl Builder<'_, '_, '_> {
    fn all(&mut self) -> Result<(), StudyError> {
        // Everything that is wrong with a corpus is found before the first step.
        for name in self.names() {
            self.prepared(0, &name)?;
        }
        self.search()?;
        for variant in 0..self.lab.variants.len() {
            let study = self.lab.study(variant).clone();
            for seed in self.lab.variants[variant].seeds.clone() {
                self.seed(&study, At { variant, seed })?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let study = self.lab.study(0);
        let sources = study.sources.iter();
        sources.chain(&study.targets).cloned().collect()
    }

    fn prepared(&mut self, variant: usize, task: &str) -> Result<Rc<Prepared>, StudyError> {
        self.lab.prepared(variant, task, self.observer)
    }

    /// All cells of one seed.
    fn seed(&mut self, study: &Study, at: At) -> Result<(), StudyError> {
        let adapts = study.methods.iter().any(|m| m.needs_metaprompt());
        let evaluate = &study.evaluate;
        let metaprompt = if adapts || evaluate.sources || evaluate.transfer {
            let seed = study.metaprompt_seed(at.seed);
            Some(self.metaprompt(study, At { seed, ..at })?)
        } else {
            None
        };
        if let Some((metaprompt, teachers)) = metaprompt.as_ref().filter(|_| evaluate.sources) {
            for (index, source) in study.sources.iter().enumerate() {
                self.source(source, index, metaprompt, &teachers[index], at)?;
            }
        }
        let metaprompt = metaprompt.map(|(metaprompt, _)| metaprompt);
        for target in &study.targets {
            self.target(study, target, metaprompt.as_deref(), at)?;
        }
        Ok(())
    }

    /// The teachers and their distillation; gives the addresses of both.
    fn metaprompt(&mut self, study: &Study, at: At) -> Result<(String, Vec<String>), StudyError> {
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
        let metaprompt = self.add(config, String::new(), at, Work::Distill, needs, plan);
        Ok((metaprompt, teachers))
    }

    fn teacher(&mut self, source: &Prepared, at: At) -> Result<String, StudyError> {
        let stages = self.lab.stages(at.variant, at.seed);
        let described = stages.describe_teacher(source)?;
        let more = stages.initial_config(source)?;
        let config = stages.training_config("teach", &described, &[], false, more);
        let plan = Plan::training(self.lab.backbone, &described.planned, &described.settings);
        let task = source.name().to_owned();
        let words = task.clone();
        Ok(self.add(config, words, at, Work::Teach { task }, Vec::new(), plan))
    }

    /// What teachers and metaprompt are worth on a source.
    fn source(
        &mut self,
        name: &str,
        index: usize,
        metaprompt: &str,
        teacher: &str,
        at: At,
    ) -> Result<(), StudyError> {
        let metaprompt = vec![(Role::Metaprompt, metaprompt.to_owned())];
        let teacher = vec![(Role::Adapter, teacher.to_owned())];
        for (id, shots, subject, needs) in [
            ("instruction", Shots::NONE, Subject::Bare, Vec::new()),
            ("teacher", Shots::FULL, Subject::Trained, teacher),
            (
                "own-vectors",
                Shots::FULL,
                Subject::Source(index),
                metaprompt,
            ),
        ] {
            self.evaluate(name, id, shots, subject, needs, at)?;
        }
        Ok(())
    }

    fn target(
        &mut self,
        study: &Study,
        name: &str,
        metaprompt: Option<&str>,
        at: At,
    ) -> Result<(), StudyError> {
        let begins_with = |method: Method| {
            let need = metaprompt.filter(|_| method.needs_metaprompt());
            Vec::from_iter(need.map(|m| (Role::Metaprompt, m.to_owned())))
        };
        for &method in study.methods.iter().filter(|m| !m.trains()) {
            let (shots, subject) = match method {
                Method::Demonstrations => (
                    Shots::Count(study.demonstrations.k),
                    Subject::Demonstrations,
                ),
                Method::MetapromptZero => (Shots::NONE, Subject::Shared),
                _ => (Shots::NONE, Subject::Bare),
            };
            self.evaluate(name, method.id(), shots, subject, begins_with(method), at)?;
        }
        let mut adapted = None;
        for &shots in study.shots.iter().filter(|s| **s != Shots::NONE) {
            for &method in study.methods.iter().filter(|m| m.trains()) {
                let trained = self.train(method, name, shots, begins_with(method), None, at)?;
                if (method, shots) == (Method::Metaprompt, Shots::FULL) {
                    adapted = Some(trained.clone());
                }
                let needs = vec![(Role::Adapter, trained)];
                self.evaluate(name, method.id(), shots, Subject::Trained, needs, at)?;
            }
        }
        match (adapted, metaprompt) {
            (Some(adapted), Some(metaprompt)) if study.evaluate.transfer => {
                self.transfer(name, metaprompt, adapted, at)
            }
            _ => Ok(()),
        }
    }

    /// A training run on a target. Rates that are searched for come from the
    /// cell that chooses them, unless `rate` is a candidate.
    fn train(
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
            None if varied.searched.contains(&method) => {
                self.rates.iter().find(|(m, _)| *m == method)
            }
            _ => None,
        };
        needs.extend(chosen.map(|(_, digest)| (Role::Rate, digest.clone())));
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
        let plan = Plan::training(self.lab.backbone, &described.planned, &described.settings);
        let words = format!("{}-{name}-{}", method.id(), shots.name());
        let task = name.to_owned();
        let work = Work::Train {
            method,
            task,
            shots,
            rate,
        };
        Ok(self.add(config, words, at, work, needs, plan))
    }

    /// An evaluation and its place in the tables.
    fn evaluate(
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
            Subject::Demonstrations => study.demonstrations.max_tokens,
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
        let config = stages.evaluation_config(&task, subject, &shown, &needs);
        let words = match subject {
            Subject::Trained => format!("{method}-{name}-{}", shots.name()),
            _ => format!("{method}-{name}"),
        };
        let work = Work::Evaluate {
            task: name.to_owned(),
            subject,
        };
        let digest = self.add(config, words, at, work, needs, plan);
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

    fn transfer(
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
        self.add(
            config,
            name.to_owned(),
            at,
            Work::Transfer { task },
            needs,
            plan,
        );
        Ok(())
    }

    /// The candidates of every searched method, and the cell that chooses.
    fn search(&mut self) -> Result<(), StudyError> {
        let study = self.lab.study(0).clone();
        let at = At {
            variant: 0,
            seed: study.first_seed(),
        };
        for (&method, search) in &study.search {
            let begin = if method.needs_metaprompt() {
                let (metaprompt, _) = self.metaprompt(&study, at)?;
                vec![(Role::Metaprompt, metaprompt)]
            } else {
                Vec::new()
            };
            let targets = if search.targets.is_empty() {
                &study.targets
            } else {
                &search.targets
            };
            let mut needs = Vec::new();
            for &rate in &search.learning_rates {
                for target in targets {
                    let run =
                        self.train(method, target, search.shots, begin.clone(), Some(rate), at)?;
                    needs.push((Role::Candidate, run));
                }
            }
            let rates = &search.learning_rates;
            let stages = self.lab.stages(0, at.seed);
            let config = stages.choice_config(method, rates, &needs);
            let work = Work::Choose {
                method,
                rates: rates.clone(),
            };
            let words = method.id().to_owned();
            let chosen = self.add(config, words, at, work, needs, Plan::default());
            self.rates.push((method, chosen));
        }
        Ok(())
    }

    /// Adds a cell, unless it is there; gives its address.
    fn add(
        &mut self,
        config: Value,
        words: String,
        at: At,
        work: Work,
        needs: Vec<(Role, String)>,
        plan: Plan,
    ) -> String {
        let digest = address(&config);
        if self.known.insert(digest.clone()) {
            self.graph.cells.push(Cell {
                folder: folder(work.kind(), &words, &digest),
                digest: digest.clone(),
                config,
                recipe: Recipe {
                    variant: at.variant,
                    seed: at.seed,
                    work,
                    needs,
                },
                plan,
            });
        }
        digest
    }
}
