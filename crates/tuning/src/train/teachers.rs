//! Teachers' final hidden states: constants of a distillation, computed when
//! an example is first drawn and kept for when it is drawn again.

use super::TrainError;
use super::sampling::Draw;
use super::states::States;
use crate::TaskData;
use crate::objective::{Item, hidden_states};
use metaprompt_backbone::model::Model;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Frozen teacher prompts, one per task, and what they have said so far. One
/// thread may look states up while another computes new ones.
pub struct Teachers {
    prompts: Vec<Vec<f32>>,
    /// See [`Teachers::with_pinned_positions`].
    pinned: usize,
    states: Mutex<States>,
}

impl Teachers {
    /// Teachers with these prompts (`[m, d]` each), in the tasks' order.
    #[must_use]
    pub fn new(prompts: Vec<Vec<f32>>) -> Self {
        Teachers {
            prompts,
            pinned: 0,
            states: Mutex::new(States::new()),
        }
    }

    /// Teachers of which so many positions stay visible beyond sliding windows,
    /// whatever the student's do: as they were taught.
    #[must_use]
    pub fn with_pinned_positions(mut self, positions: usize) -> Self {
        self.pinned = positions;
        self
    }

    /// The prompts.
    #[must_use]
    pub fn prompts(&self) -> &[Vec<f32>] {
        &self.prompts
    }

    /// A teacher's hidden states for an example (`[targets, d]`), if computed.
    ///
    /// # Errors
    /// When they are on disk and can't be read.
    pub fn state(&self, draw: Draw) -> Result<Option<Arc<[f32]>>, TrainError> {
        self.states().get(draw)
    }

    /// No state is ever half changed, so one that a panic left is whole.
    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Valid bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.states().bytes()
    }

    /// Opens the run's file and takes in its first `bytes` bytes; what follows
    /// them is forgotten. At most `limit` bytes of states stay in memory.
    pub(crate) fn open(
        &self,
        path: &Path,
        bytes: u64,
        limit: u64,
        model: &Model,
        tasks: &[TaskData],
    ) -> Result<(), TrainError> {
        let hidden_size = model.config().hidden_size;
        self.states().open(path, bytes, limit, |draw| {
            let example = tasks.get(draw.task)?.train.get(draw.example)?;
            Some(example.target.len() * hidden_size)
        })
    }

    /// Makes sure that the file's content is on the disk.
    pub(crate) fn sync(&self) -> Result<(), TrainError> {
        self.states().sync()
    }

    /// Computes the states of those draws that have none yet.
    ///
    /// # Errors
    /// When the file can't be written or the model's processor can't.
    pub fn prepare(
        &self,
        model: &Model,
        tasks: &[TaskData],
        draws: &[Draw],
    ) -> Result<(), TrainError> {
        let mut missing = draws.to_vec();
        {
            let states = self.states();
            missing.retain(|draw| !states.contains(*draw));
        }
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let prompts: Vec<&[f32]> = self.prompts.iter().map(Vec::as_slice).collect();
        let items: Vec<Item<'_>> = missing
            .iter()
            .map(|d| Item {
                prompt: Some(d.task),
                example: &tasks[d.task].train[d.example],
                teacher: None,
            })
            .collect();
        let model = model.clone().with_pinned_positions(self.pinned);
        let computed = hidden_states(&model, &prompts, &items)?;
        let mut states = self.states();
        for (draw, state) in missing.into_iter().zip(computed) {
            states.insert(draw, state)?;
        }
        Ok(())
    }
}
