//! From a study to its cells.

use super::{Cell, Graph, Plan, Recipe, Role, Subject, Work, address, folder};
use crate::lab::Lab;
use crate::prepare::Prepared;
use crate::spec::{ChosenBy, Method, Search, Shots, Study};
use crate::{Observer, StudyError};
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

pub(super) struct Builder<'l, 'b, 'o> {
    pub(super) lab: &'l mut Lab<'b>,
    observer: &'o mut dyn Observer,
    pub(super) graph: Graph,
    /// Addresses of the cells so far.
    known: HashSet<String>,
    /// The cells that choose rates.
    pub(super) rates: Vec<Choice>,
}

/// A cell that chooses a method's rate with a number of examples.
pub(super) struct Choice {
    pub(super) method: Method,
    pub(super) shots: Shots,
    pub(super) cell: String,
}

/// One seed of one variant.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) variant: usize,
    pub(super) seed: u64,
}

impl Builder<'_, '_, '_> {
    fn all(&mut self) -> Result<(), StudyError> {
        // Everything that is wrong with a corpus is found before the first step.
        self.lab.study(0).can_be_run()?;
        for variant in 0..self.lab.variants.len() {
            for name in self.names(variant) {
                self.prepared(variant, &name)?;
            }
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

    fn names(&self, variant: usize) -> Vec<String> {
        let study = self.lab.study(variant);
        let sources = study.sources.iter();
        sources.chain(&study.targets).cloned().collect()
    }

    pub(super) fn prepared(
        &mut self,
        variant: usize,
        task: &str,
    ) -> Result<Rc<Prepared>, StudyError> {
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
            for &shots in &search.shots {
                self.choice(method, shots, search, targets, &begin, at)?;
            }
        }
        Ok(())
    }

    /// The candidates of a method with a number of examples, and the cell that
    /// chooses among them.
    fn choice(
        &mut self,
        method: Method,
        shots: Shots,
        search: &Search,
        targets: &[String],
        begin: &[(Role, String)],
        at: At,
    ) -> Result<(), StudyError> {
        let mut needs = Vec::new();
        let (rates, by) = (&search.learning_rates, search.by);
        for &rate in rates {
            for target in targets {
                let run = self.train(method, target, shots, begin.to_vec(), Some(rate), at)?;
                let compared = match by {
                    ChosenBy::Loss => run,
                    ChosenBy::Score => self.develop(target, method, shots, run, at)?,
                };
                needs.push((Role::Candidate, compared));
            }
        }
        let stages = self.lab.stages(at.variant, at.seed);
        let config = stages.choice_config(method, rates, by, &needs);
        let words = format!("{}-{}", method.id(), shots.name());
        let work = Work::Choose {
            method,
            rates: rates.clone(),
            by,
        };
        let cell = self.add(config, &words, at, work, needs, Plan::default());
        self.rates.push(Choice {
            method,
            shots,
            cell,
        });
        Ok(())
    }

    /// Adds a cell, unless it is there; gives its address.
    pub(super) fn add(
        &mut self,
        config: Value,
        words: &str,
        at: At,
        work: Work,
        needs: Vec<(Role, String)>,
        plan: Plan,
    ) -> String {
        let digest = address(&config);
        if self.known.insert(digest.clone()) {
            self.graph.cells.push(Cell {
                folder: folder(work.kind(), words, &digest),
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
