//! How each kind of cell is run.

mod tested;
mod trained;

use crate::graph::{Recipe, Role, Work};
use crate::lab::Lab;
use crate::outcome::Outcome;
use crate::prepare::Prepared;
use crate::stages::MODEL;
use crate::store::Store;
use crate::{Observer, StudyError, memory};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::{Backbone, Device};
use metaprompt_tuning::adapter::{Adapter, Kind};
use metaprompt_tuning::prompt::Decomposed;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What one cell works with.
pub(crate) struct Execution<'x, 'b> {
    pub(crate) lab: &'x mut Lab<'b>,
    pub(crate) store: &'x Store,
    pub(crate) recipe: &'x Recipe,
    /// The cell's folder.
    pub(crate) folder: &'x Path,
    pub(crate) observer: &'x mut dyn Observer,
}

impl Execution<'_, '_> {
    /// Runs the cell.
    pub(crate) fn run(mut self) -> Result<Outcome, StudyError> {
        memory::begin();
        match &self.recipe.work {
            Work::Teach { task } => self.teach(task),
            Work::Distill => self.distill(),
            Work::Train {
                method,
                task,
                shots,
                rate,
            } => self.train(*method, task, *shots, *rate),
            Work::Choose { method, rates, by } => self.choose(*method, rates, *by),
            Work::Evaluate { task, subject } => {
                let task = self.prepared(task)?;
                self.evaluate(&task, *subject)
            }
            Work::Develop { task } => self.develop(task),
            Work::Transfer { task } => self.transfer(task),
        }
    }

    fn prepared(&mut self, task: &str) -> Result<Rc<Prepared>, StudyError> {
        self.lab.prepared(self.recipe.variant, task, self.observer)
    }

    /// Folders of the needed cells of a role, in their order.
    fn needed(&self, role: Role) -> Result<Vec<PathBuf>, StudyError> {
        let needed = self.recipe.needed(role);
        needed.map(|cell| self.store.folder_of(cell)).collect()
    }

    /// Outcomes of the needed cells of a role.
    fn outcomes(&self, role: Role) -> Result<Vec<Outcome>, StudyError> {
        let needed = self.recipe.needed(role);
        needed
            .map(|cell| {
                let folder = self.store.folder_of(cell)?;
                let missing = || StudyError::Damaged {
                    path: folder.clone(),
                    problem: "it has no outcome, though it is done".into(),
                };
                Outcome::load(&folder, cell)?.ok_or_else(missing)
            })
            .collect()
    }

    /// Adapters of the needed cells of a role.
    fn adapters(&self, role: Role) -> Result<Vec<(PathBuf, Adapter)>, StudyError> {
        let folders = self.needed(role)?.into_iter();
        folders
            .map(|folder| {
                let path = folder.join("adapter");
                let adapter = Adapter::load(&path)?;
                adapter.check_backbone(&path, self.lab.backbone)?;
                Ok((path, adapter))
            })
            .collect()
    }

    /// The model of the needed cell, if all of its weights were trained.
    fn trained_model(&self) -> Result<Option<Model>, StudyError> {
        let folder = self.needed(Role::Adapter)?.pop();
        let Some(path) = folder.map(|f| f.join(MODEL)).filter(|p| p.is_dir()) else {
            return Ok(None);
        };
        // It was trained on the CPU, so it is there that it fits.
        Ok(Some(Backbone::open(&path, Device::Cpu)?.model))
    }

    /// The metaprompt that the cell needs, if it needs one.
    fn metaprompt(&self) -> Result<Option<Decomposed>, StudyError> {
        match self.adapters(Role::Metaprompt)?.pop() {
            None => Ok(None),
            Some((path, adapter)) => match adapter.kind {
                Kind::Multitask(metaprompt) => Ok(Some(*metaprompt)),
                _ => Err(StudyError::AdapterTask {
                    path,
                    problem: "it is not a multitask prompt".into(),
                }),
            },
        }
    }
}
