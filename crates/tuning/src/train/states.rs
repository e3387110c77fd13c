//! Teacher states by example: in memory up to a limit, beyond it on disk only.
//!
//! The file holds all of them, a list of records: task, example and count as
//! `u32`, then the values as `f32`, little-endian. A checkpoint notes how many
//! bytes of it are valid, so a resumed run reads back exactly the states that
//! the first one used, whatever batch they were computed in.

use super::TrainError;
use super::sampling::Draw;
use crate::files::{from_bytes, to_bytes};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a record before its values.
const HEAD: u64 = 12;

/// A state's place.
enum Place {
    Memory(Arc<[f32]>),
    /// Where its values begin in the file, and their number.
    Disk(u64, usize),
}

/// The file; reading has a handle of its own, so that it doesn't move the
/// place where the next record is written.
struct Files {
    path: PathBuf,
    writer: File,
    reader: File,
}

/// All states of a run. Without a file everything stays in memory.
pub(super) struct States {
    places: HashMap<Draw, Place>,
    files: Option<Files>,
    /// Bytes of the file that are written.
    bytes: u64,
    /// Bytes of values in memory, and how many there may be.
    in_memory: u64,
    limit: u64,
}

impl States {
    pub(super) fn new() -> Self {
        States {
            places: HashMap::new(),
            files: None,
            bytes: 0,
            in_memory: 0,
            limit: u64::MAX,
        }
    }

    /// Opens the run's file and takes in its first `bytes` bytes; what follows
    /// them is forgotten. At most `limit` bytes of values stay in memory.
    /// `values` tells how many values an example's state has, if there is such
    /// an example.
    pub(super) fn open(
        &mut self,
        path: &Path,
        bytes: u64,
        limit: u64,
        values: impl Fn(Draw) -> Option<usize>,
    ) -> Result<(), TrainError> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path);
        let mut writer = file.map_err(TrainError::file(path))?;
        let length = writer.metadata().map_err(TrainError::file(path))?.len();
        if length < bytes {
            return Err(damaged(path, "it is shorter than its checkpoint says"));
        }
        writer.set_len(bytes).map_err(TrainError::file(path))?;
        writer
            .seek(SeekFrom::End(0))
            .map_err(TrainError::file(path))?;
        let reader = File::open(path).map_err(TrainError::file(path))?;
        (self.bytes, self.limit) = (0, limit);
        let mut content = BufReader::new(&reader);
        while self.bytes < bytes {
            self.take_in(&mut content, path, bytes, &values)?;
        }
        self.files = Some(Files {
            path: path.to_owned(),
            writer,
            reader,
        });
        Ok(())
    }

    /// Takes in the next record.
    fn take_in(
        &mut self,
        content: &mut BufReader<&File>,
        path: &Path,
        end: u64,
        values: impl Fn(Draw) -> Option<usize>,
    ) -> Result<(), TrainError> {
        let cut_off = || damaged(path, "a record is cut off");
        if end - self.bytes < HEAD {
            return Err(cut_off());
        }
        let mut head = [0; HEAD as usize];
        content
            .read_exact(&mut head)
            .map_err(TrainError::file(path))?;
        let word = |i: usize| {
            u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]) as usize
        };
        let (task, example, count) = (word(0), word(4), word(8));
        let draw = Draw { task, example };
        if values(draw) != Some(count) {
            return Err(damaged(path, "a record fits none of the run's examples"));
        }
        let size = 4 * count as u64;
        if end - self.bytes - HEAD < size {
            return Err(cut_off());
        }
        if self.has_room(size) {
            let mut bytes = vec![0; 4 * count];
            content
                .read_exact(&mut bytes)
                .map_err(TrainError::file(path))?;
            self.in_memory += size;
            self.places
                .insert(draw, Place::Memory(from_bytes(&bytes).into()));
        } else {
            content
                .seek_relative(size as i64)
                .map_err(TrainError::file(path))?;
            self.places
                .insert(draw, Place::Disk(self.bytes + HEAD, count));
        }
        self.bytes += HEAD + size;
        Ok(())
    }

    fn has_room(&self, size: u64) -> bool {
        self.in_memory.saturating_add(size) <= self.limit
    }

    pub(super) fn contains(&self, draw: Draw) -> bool {
        self.places.contains_key(&draw)
    }

    /// An example's state, if there is one.
    pub(super) fn get(&mut self, draw: Draw) -> Result<Option<Arc<[f32]>>, TrainError> {
        match (self.places.get(&draw), &mut self.files) {
            (None, _) => Ok(None),
            (Some(Place::Memory(state)), _) => Ok(Some(Arc::clone(state))),
            (Some(&Place::Disk(offset, count)), Some(files)) => {
                let mut bytes = vec![0; 4 * count];
                files
                    .reader
                    .seek(SeekFrom::Start(offset))
                    .and_then(|_| files.reader.read_exact(&mut bytes))
                    .map_err(TrainError::file(&files.path))?;
                Ok(Some(from_bytes(&bytes).into()))
            }
            (Some(Place::Disk(..)), None) => unreachable!("only a file has places on disk"),
        }
    }

    /// Keeps an example's state, which it must not have yet.
    pub(super) fn insert(&mut self, draw: Draw, state: Vec<f32>) -> Result<(), TrainError> {
        let size = 4 * state.len() as u64;
        let offset = self.bytes + HEAD;
        if let Some(files) = &mut self.files {
            let mut record = Vec::with_capacity((HEAD + size) as usize);
            for head in [draw.task, draw.example, state.len()] {
                record.extend((head as u32).to_le_bytes());
            }
            record.extend(to_bytes(&state));
            files
                .writer
                .write_all(&record)
                .map_err(TrainError::file(&files.path))?;
            self.bytes += record.len() as u64;
        }
        let place = if self.has_room(size) {
            self.in_memory += size;
            Place::Memory(state.into())
        } else {
            Place::Disk(offset, state.len())
        };
        self.places.insert(draw, place);
        Ok(())
    }

    /// Bytes of the file that are written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes sure that the file's content is on the disk.
    pub(super) fn sync(&self) -> Result<(), TrainError> {
        match &self.files {
            Some(files) => files
                .writer
                .sync_data()
                .map_err(TrainError::file(&files.path)),
            None => Ok(()),
        }
    }
}

fn damaged(path: &Path, problem: &str) -> TrainError {
    TrainError::Damaged {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
