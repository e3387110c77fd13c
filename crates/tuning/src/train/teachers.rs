//! Teachers' final hidden states: constants of a distillation, computed when
//! an example is first drawn and kept in memory and in a file of the run.
//!
//! The file is a list of records (task, example, count as `u32`, then the
//! values as `f32`, little-endian). A checkpoint notes how many bytes of it
//! are valid, so a resumed run reads back exactly the states that the first
//! one used, whatever batch they were computed in.

use super::TrainError;
use super::sampling::Draw;
use crate::TaskData;
use crate::files::{from_bytes, to_bytes};
use crate::objective::{Item, hidden_states};
use metaprompt_backbone::model::Model;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Frozen teacher prompts, one per task, and what they have said so far.
pub struct Teachers {
    prompts: Vec<Vec<f32>>,
    states: HashMap<Draw, Vec<f32>>,
    file: Option<(PathBuf, File)>,
    bytes: u64,
}

impl Teachers {
    /// Teachers with these prompts (`[m, d]` each), in the tasks' order.
    #[must_use]
    pub fn new(prompts: Vec<Vec<f32>>) -> Self {
        Teachers {
            prompts,
            states: HashMap::new(),
            file: None,
            bytes: 0,
        }
    }

    /// The prompts.
    #[must_use]
    pub fn prompts(&self) -> &[Vec<f32>] {
        &self.prompts
    }

    /// A teacher's hidden states for an example, if computed.
    #[must_use]
    pub fn state(&self, draw: Draw) -> Option<&[f32]> {
        self.states.get(&draw).map(Vec::as_slice)
    }

    /// Valid bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Opens the run's file and reads back its first `bytes` bytes; what
    /// follows them is forgotten.
    pub(crate) fn open(&mut self, path: &Path, bytes: u64) -> Result<(), TrainError> {
        let damaged = |problem: &str| TrainError::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        };
        if bytes > 0 {
            let content = std::fs::read(path).map_err(TrainError::file(path))?;
            let valid = usize::try_from(bytes).ok().and_then(|n| content.get(..n));
            let mut rest =
                valid.ok_or_else(|| damaged("it is shorter than its checkpoint says"))?;
            while !rest.is_empty() {
                let (draw, state, after) =
                    record(rest).ok_or_else(|| damaged("a record is cut off"))?;
                self.states.insert(draw, state);
                rest = after;
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path);
        let mut file = file.map_err(TrainError::file(path))?;
        file.set_len(bytes).map_err(TrainError::file(path))?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))
            .map_err(TrainError::file(path))?;
        self.file = Some((path.to_owned(), file));
        self.bytes = bytes;
        Ok(())
    }

    /// Makes sure that the file's content is on the disk.
    pub(crate) fn sync(&self) -> Result<(), TrainError> {
        match &self.file {
            Some((path, file)) => file.sync_data().map_err(TrainError::file(path)),
            None => Ok(()),
        }
    }

    /// Computes the states of those draws that have none yet.
    ///
    /// # Errors
    /// When the file can't be written or the model's processor can't.
    pub fn prepare(
        &mut self,
        model: &Model,
        tasks: &[TaskData],
        draws: &[Draw],
    ) -> Result<(), TrainError> {
        let mut missing: Vec<Draw> = draws
            .iter()
            .copied()
            .filter(|d| !self.states.contains_key(d))
            .collect();
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
        let states = hidden_states(model, &prompts, &items)?;
        for (draw, state) in missing.into_iter().zip(states) {
            if let Some((path, file)) = &mut self.file {
                let mut record = Vec::with_capacity(12 + 4 * state.len());
                for head in [draw.task, draw.example, state.len()] {
                    record.extend((head as u32).to_le_bytes());
                }
                record.extend(to_bytes(&state));
                file.write_all(&record).map_err(TrainError::file(path))?;
                self.bytes += record.len() as u64;
            }
            self.states.insert(draw, state);
        }
        Ok(())
    }
}

/// Splits the first record off.
fn record(bytes: &[u8]) -> Option<(Draw, Vec<f32>, &[u8])> {
    let word = |i: usize| -> Option<usize> {
        let bytes = bytes.get(4 * i..4 * i + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let (task, example, count) = (word(0)?, word(1)?, word(2)?);
    let values = bytes.get(12..12 + count.checked_mul(4)?)?;
    let state = from_bytes(values);
    Some((Draw { task, example }, state, &bytes[12 + 4 * count..]))
}
