//! A whole study in a folder that can be left and taken up again at any moment:
//! its cells are planned, run by one or more workers, and collected.

use crate::collect::{Collected, collect, tasks};
use crate::graph::{Graph, build, without_places};
use crate::lab::Lab;
use crate::results::Results;
use crate::spec::{Study, plain};
use crate::status::of_cells;
use crate::store::{RunNote, Store};
use crate::worker::work;
use crate::{Observer, Report, Status, StudyError, WorkOptions};
use metaprompt_backbone::Backbone;
use metaprompt_tuning::write_atomically;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;

/// A study that has begun in a folder.
pub struct Run<'b> {
    lab: Lab<'b>,
    store: Store,
    graph: Graph,
    id: i64,
}

/// What a run found, at its end or before.
pub struct Finished {
    /// The table for the terminal and for programs.
    pub report: Report,
    /// Everything that a report shows.
    pub results: Results,
    /// Cells that failed or were skipped, with the reason.
    pub failed: Vec<(String, String)>,
}

/// Runs a study in `folder` in this process, from where it was left.
///
/// # Errors
/// When a task or its corpus is wrong, or the folder can't be used. Cells that
/// fail are in [`Finished::failed`]; what is done stays done.
pub fn run(
    study: &Study,
    backbone: &Backbone,
    folder: &Path,
    options: WorkOptions,
    observer: &mut dyn Observer,
) -> Result<Finished, StudyError> {
    let mut run = Run::begin(study, backbone, folder, observer)?;
    run.work(options, observer)?;
    run.finish(observer)
}

impl<'b> Run<'b> {
    /// Reads the corpora, resolves all settings, and enters the study's cells
    /// into the folder's database.
    ///
    /// # Errors
    /// As [`run`].
    pub fn begin(
        study: &Study,
        backbone: &'b Backbone,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Self, StudyError> {
        let mut lab = Lab::new(study, backbone)?;
        let graph = build(&mut lab, observer)?;
        let tasks = tasks(&mut lab, observer)?;
        let mut store = Store::open(folder)?;
        let note = note(study, backbone);
        leave_notes(study, &note, folder)?;
        let (id, remarks) = store.enter(study, &note, &graph, &tasks)?;
        for remark in remarks {
            observer.note(&remark);
        }
        let run = Run {
            lab,
            store,
            graph,
            id,
        };
        let cells = run.status()?.cells;
        if cells.done > 0 {
            let (done, all) = (cells.done, cells.all());
            observer.note(&format!("{done} of {all} cells were done before"));
        }
        Ok(run)
    }

    /// Its number in the folder's database, for workers in other processes.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// How far it has come.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn status(&self) -> Result<Status, StudyError> {
        Ok(of_cells(&self.store.cells(self.id)?))
    }

    /// Bytes that the largest cell plans to take beside the backbone's weights.
    #[must_use]
    pub fn largest(&self) -> u64 {
        let memory = self.graph.cells.iter().map(|c| c.plan.memory);
        memory.max().unwrap_or(0)
    }

    /// Runs cells in this process until none is left.
    ///
    /// # Errors
    /// When the folder's database can't be used.
    pub fn work(
        &mut self,
        options: WorkOptions,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        work(&mut self.lab, &mut self.store, self.id, options, observer)
    }

    /// Collects what the cells found, and writes the report.
    ///
    /// # Errors
    /// When files of cells can't be read or the report can't be written.
    pub fn finish(mut self, observer: &mut dyn Observer) -> Result<Finished, StudyError> {
        let Collected { finished, renewed } =
            collect(&mut self.lab, &self.graph, &self.store, self.id, observer)?;
        for (folder, outcome) in renewed {
            outcome.save(&folder)?;
            self.store.done(&outcome.cell, &outcome)?;
        }
        let folder = self.store.folder();
        finished.report.save(folder)?;
        let path = folder.join("results.json");
        let text = format!("{:#}\n", json!(finished.results));
        write_atomically(&path, text.as_bytes()).map_err(StudyError::file(&path))?;
        Ok(finished)
    }
}

/// Runs cells of a run that another process began, until none is left.
///
/// # Errors
/// When the folder holds no such run, or its database can't be used.
pub fn work_on(
    folder: &Path,
    id: i64,
    backbone: &Backbone,
    options: WorkOptions,
    observer: &mut dyn Observer,
) -> Result<(), StudyError> {
    let mut store = Store::open(folder)?;
    let study = store.study(&store.note_of(id)?)?;
    let mut lab = Lab::new(&study, backbone)?;
    work(&mut lab, &mut store, id, options, observer)
}

/// The resolved study of a run in a folder.
///
/// # Errors
/// As [`work_on`].
pub fn resolved(folder: &Path, id: i64) -> Result<Study, StudyError> {
    let store = Store::open(folder)?;
    store.study(&store.note_of(id)?)
}

fn note(study: &Study, backbone: &Backbone) -> RunNote {
    let numbers = backbone.model.numbers();
    let identity = json!([without_places(study), backbone.fingerprint, numbers]);
    let digest = Sha256::digest(identity.to_string().as_bytes());
    RunNote {
        digest: digest.iter().map(|b| format!("{b:02x}")).collect(),
        study: plain(study).to_string(),
        backbone: backbone.name().to_owned(),
        fingerprint: backbone.fingerprint.clone(),
        environment: json!({
            "metaprompt": env!("CARGO_PKG_VERSION"),
            "system": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "threads": metaprompt_backbone::matmul::threads(),
            "backbone": backbone.name(),
            "device": backbone.model.device(),
        }),
    }
}

/// Writes the resolved study and the environment beside the database, for
/// people.
fn leave_notes(study: &Study, note: &RunNote, folder: &Path) -> Result<(), StudyError> {
    let study = json!({ "study": plain(study), "backbone": note.fingerprint });
    for (name, value) in [
        ("study.json", &study),
        ("environment.json", &note.environment),
    ] {
        let path = folder.join(name);
        write_atomically(&path, format!("{value:#}\n").as_bytes())
            .map_err(StudyError::file(&path))?;
    }
    Ok(())
}
