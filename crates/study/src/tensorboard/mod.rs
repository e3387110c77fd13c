//! TensorBoard event files: the losses of a training run where people look for
//! them, while it goes on.

mod records;

use crate::StudyError;
use crate::metrics::{Line, lines_from};
use records::{events, head};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a step waits at most before it is in the file. TensorBoard itself
/// looks every few seconds.
const FLUSH: Duration = Duration::from_secs(2);

/// Follows the metrics of a cell with event files in its folder: one for each
/// time that its training is taken up, since whoever reads a file reads on from
/// where it was. Cells that train nothing get none.
pub(crate) struct EventFile {
    folder: PathBuf,
    /// The file, once there is a step, with its path.
    file: Option<(PathBuf, File)>,
    /// Bytes of the metrics that are in it.
    read: u64,
    /// Steps that were done when the training was taken up.
    resumed: u64,
    wrote: Instant,
    /// What went wrong first.
    error: Option<StudyError>,
}

impl EventFile {
    pub(crate) fn new(folder: &Path) -> Self {
        EventFile {
            folder: folder.to_owned(),
            file: None,
            read: 0,
            resumed: 0,
            wrote: Instant::now(),
            error: None,
        }
    }

    /// The training goes on after a step.
    pub(crate) fn resumed(&mut self, step: u64) {
        self.resumed = step;
    }

    /// Something was measured.
    pub(crate) fn measured(&mut self) {
        if self.file.is_none() || self.wrote.elapsed() >= FLUSH {
            self.write();
        }
    }

    /// Writes what is left, and says what went wrong.
    pub(crate) fn finish(mut self) -> Result<(), StudyError> {
        self.write();
        self.error.map_or(Ok(()), Err)
    }

    fn write(&mut self) {
        self.wrote = Instant::now();
        if self.error.is_none() {
            self.error = self.follow().err();
        }
    }

    /// Appends the lines of the metrics that are new.
    fn follow(&mut self) -> Result<(), StudyError> {
        let (mut lines, read) = lines_from(&self.folder, self.read)?;
        self.read = read;
        if lines.is_empty() {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0.0, |d| d.as_secs_f64());
        let (path, file) = match &mut self.file {
            Some(open) => open,
            none => {
                // What files of earlier processes hold needs no repetition.
                let goes_on = self.resumed > 0 && holds_events(&self.folder)?;
                if goes_on {
                    lines.retain(|l| step(l) > self.resumed);
                }
                let Some(first) = lines.first().map(step) else {
                    return Ok(());
                };
                let after = if goes_on { self.resumed } else { 0 };
                let name = format!("events.out.tfevents.{after:010}.metaprompt");
                let path = self.folder.join(name);
                let mut file = File::create(&path).map_err(StudyError::file(&path))?;
                let head = head(now, goes_on.then_some(first));
                file.write_all(&head).map_err(StudyError::file(&path))?;
                none.insert((path, file))
            }
        };
        file.write_all(&events(&lines, now))
            .map_err(StudyError::file(path))
    }
}

fn step(line: &Line) -> u64 {
    match line {
        Line::Step { step, .. } | Line::Development { step, .. } => *step,
    }
}

/// Whether a cell's folder has event files.
fn holds_events(folder: &Path) -> Result<bool, StudyError> {
    let entries = std::fs::read_dir(folder).map_err(StudyError::file(folder))?;
    for entry in entries {
        let name = entry.map_err(StudyError::file(folder))?.file_name();
        if name.to_string_lossy().contains("tfevents") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    fn append(folder: &Path, steps: std::ops::Range<u64>) {
        let path = folder.join("metrics.jsonl");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("metrics");
        for step in steps {
            writeln!(
                file,
                "{{\"step\": {step}, \"loss\": 0.5, \"seconds\": 1.0}}"
            )
            .expect("a line");
        }
    }

    /// The event files of a folder and the numbers of their records.
    fn files(folder: &Path) -> Vec<(String, usize)> {
        let entries = std::fs::read_dir(folder).expect("folder");
        let paths = entries.map(|e| e.expect("entry").path());
        let mut files: Vec<(String, usize)> = paths
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?.to_owned();
                let name = name.strip_prefix("events.out.tfevents.")?.to_owned();
                let (bytes, mut at, mut count) = (std::fs::read(&path).ok()?, 0, 0);
                while at < bytes.len() {
                    let length = bytes[at..at + 8].try_into().expect("8 bytes");
                    at += u64::from_le_bytes(length) as usize + 16;
                    count += 1;
                }
                Some((name, count))
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn steps_are_there_while_training_goes_on_and_once_after_it_was_resumed() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        let mut events = EventFile::new(folder);
        events.measured();
        assert_eq!(files(folder), []);
        append(folder, 1..4);
        events.measured();
        let first = || "0000000000.metaprompt".to_owned();
        assert_eq!(files(folder), [(first(), 1 + 3)]);
        append(folder, 4..6);
        events.write();
        // Half a line is left for later.
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.join("metrics.jsonl"))
            .and_then(|mut f| f.write_all(b"{\"step\": 6,"))
            .expect("half a line");
        events.finish().expect("written");
        assert_eq!(files(folder), [(first(), 1 + 5)]);

        // Killed, and gone on from a checkpoint after step 3.
        std::fs::remove_file(folder.join("metrics.jsonl")).expect("metrics");
        append(folder, 1..5);
        let mut events = EventFile::new(folder);
        events.resumed(3);
        events.measured();
        append(folder, 5..6);
        events.finish().expect("written");
        let second = "0000000003.metaprompt".to_owned();
        // Version, beginning at step 4, steps 4 and 5.
        assert_eq!(files(folder), [(first(), 6), (second, 2 + 2)]);

        // Asked for only when it was taken up again: all steps.
        let late = tempfile::tempdir().expect("folder");
        append(late.path(), 1..5);
        let mut events = EventFile::new(late.path());
        events.resumed(3);
        events.finish().expect("written");
        assert_eq!(files(late.path()), [(first(), 1 + 4)]);
    }
}
