//! A run as its folder's database knows it, whoever runs it and however far:
//! how it is going, and the report of what is done.

use crate::collect::{Collected, collect};
use crate::graph::without_places;
use crate::lab::Lab;
use crate::run::Finished;
use crate::spec::Study;
use crate::status::of_cells;
use crate::store::{FILE, RunNote, Store};
use crate::{Observer, Status, StudyError};
use metaprompt_backbone::Backbone;
use std::path::Path;

/// A run that has begun, perhaps in another process.
pub struct Recorded {
    store: Store,
    id: i64,
    note: RunNote,
}

impl Recorded {
    /// The last run in a folder, if there is one.
    ///
    /// # Errors
    /// When the folder's database can't be read.
    pub fn last(folder: &Path) -> Result<Option<Self>, StudyError> {
        Self::find(folder, None)
    }

    /// The run of a study in a folder: that of this very study, or the last one
    /// of its name.
    ///
    /// # Errors
    /// As [`Self::last`].
    pub fn of(study: &Study, folder: &Path) -> Result<Option<Self>, StudyError> {
        Self::find(folder, Some(study))
    }

    fn find(folder: &Path, study: Option<&Study>) -> Result<Option<Self>, StudyError> {
        if !folder.join(FILE).is_file() {
            return Ok(None);
        }
        let store = Store::open(folder)?;
        let mut newest = None;
        for id in store.runs(study.map(|s| &*s.name))? {
            let note = store.note_of(id)?;
            if study.is_none_or(|study| is_of(&note, study)) {
                return Ok(Some(Recorded { store, id, note }));
            }
            newest.get_or_insert((id, note));
        }
        Ok(newest.map(|(id, note)| Recorded { store, id, note }))
    }

    /// Whether it is a run of this very study, wherever its files are.
    #[must_use]
    pub fn is_of(&self, study: &Study) -> bool {
        is_of(&self.note, study)
    }

    /// Digest of its resolved study and its backbone.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.note.digest
    }

    /// The study with everything resolved.
    ///
    /// # Errors
    /// [`StudyError::Damaged`] when it can't be read.
    pub fn study(&self) -> Result<Study, StudyError> {
        self.store.study(&self.note)
    }

    /// How far it has come.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn status(&self) -> Result<Status, StudyError> {
        Ok(of_cells(&self.store.cells(self.id)?))
    }

    /// What its cells found so far. `study` is the run's own, with the places of
    /// its files as they are now; nothing in the folder is changed.
    ///
    /// # Errors
    /// When the backbone is another one, or a corpus or a cell's files can't be
    /// read.
    pub fn collect(
        &self,
        study: &Study,
        backbone: &Backbone,
        observer: &mut dyn Observer,
    ) -> Result<Finished, StudyError> {
        if backbone.fingerprint != self.note.fingerprint {
            return Err(StudyError::OtherBackbone {
                folder: self.store.folder().to_owned(),
                backbone: self.note.backbone.clone(),
            });
        }
        let mut lab = Lab::new(study, backbone)?;
        let graph = self.store.graph(self.id)?;
        let Collected { finished, .. } = collect(&mut lab, &graph, &self.store, self.id, observer)?;
        Ok(finished)
    }
}

fn is_of(note: &RunNote, study: &Study) -> bool {
    let found = serde_json::from_str::<Study>(&note.study);
    found.is_ok_and(|found| without_places(&found) == without_places(study))
}
