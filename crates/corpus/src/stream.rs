//! Large text files, read piece by piece: checked to be UTF-8, without a
//! byte-order mark, and with a limit on the length of a record.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{CorpusError, Place};

/// No corpus has a longer line or record; a longer one is a quote that isn't
/// closed, or another kind of file.
pub(crate) const MAX_RECORD_BYTES: u64 = 64 << 20;

const MARK: &[u8] = "\u{feff}".as_bytes();

/// The bytes of a text file.
pub(crate) struct TextFile {
    file: io::Chain<io::Cursor<Vec<u8>>, File>,
    /// Offset in the file of what is read next.
    at: usize,
    /// The beginning of a character whose rest hasn't been read yet.
    tail: Vec<u8>,
    budget: Budget,
}

/// How many bytes may still be read before the present record has to end.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Rc<Cell<u64>>);

impl Budget {
    /// A record has ended.
    pub(crate) fn renew(&self) {
        self.0.set(MAX_RECORD_BYTES);
    }

    fn spend(&self, bytes: usize) -> Result<(), Stop> {
        let left = self.0.get().checked_sub(bytes as u64);
        self.0.set(left.ok_or(Stop::LongRecord)?);
        Ok(())
    }
}

/// Why reading stops, inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("not UTF-8 at byte {0}")]
    NotUtf8(usize),
    #[error("a record is too long")]
    LongRecord,
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        Self::other(stop)
    }
}

impl TextFile {
    pub(crate) fn open(path: &Path) -> Result<Self, CorpusError> {
        let open = || {
            let mut file = File::open(path)?;
            let mut start = Vec::new();
            file.by_ref()
                .take(MARK.len() as u64)
                .read_to_end(&mut start)?;
            Ok((file, start))
        };
        let (file, mut start) = open().map_err(|e| CorpusError::io(path, e))?;
        let at = if start == MARK {
            start.clear();
            MARK.len()
        } else {
            0
        };
        let budget = Budget(Rc::default());
        budget.renew();
        Ok(Self {
            file: io::Cursor::new(start).chain(file),
            at,
            tail: Vec::new(),
            budget,
        })
    }

    /// For whoever knows where records end.
    pub(crate) fn budget(&self) -> Budget {
        self.budget.clone()
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let start = self.at - self.tail.len();
        let mut joined = std::mem::take(&mut self.tail);
        joined.extend_from_slice(bytes);
        self.at += bytes.len();
        if let Err(error) = std::str::from_utf8(&joined) {
            let valid = error.valid_up_to();
            if error.error_len().is_some() || bytes.is_empty() {
                return Err(Stop::NotUtf8(start + valid));
            }
            self.tail = joined.split_off(valid);
        }
        Ok(())
    }
}

impl Read for TextFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let count = self.file.read(out)?;
        self.budget.spend(count)?;
        self.check(&out[..count])?;
        Ok(count)
    }
}

/// What went wrong while reading at a place.
pub(crate) fn stream_error(place: Place, error: io::Error) -> CorpusError {
    let stop = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Stop>());
    match stop {
        Some(Stop::NotUtf8(offset)) => CorpusError::NotUtf8 {
            path: place.file,
            offset: *offset,
        },
        Some(Stop::LongRecord) => CorpusError::LongRecord {
            place,
            limit: MAX_RECORD_BYTES,
        },
        None => CorpusError::io(&place.file, error),
    }
}

/// The lines of a text file, which end in LF, CRLF or CR.
pub(crate) struct LineFile {
    file: BufReader<TextFile>,
    path: PathBuf,
    number: usize,
    after_cr: bool,
}

impl LineFile {
    pub(crate) fn open(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self {
            file: BufReader::with_capacity(1 << 16, TextFile::open(path)?),
            path: path.to_owned(),
            number: 0,
            after_cr: false,
        })
    }

    /// The next line with its number from 1, without its line end.
    pub(crate) fn next_line(&mut self) -> Result<Option<(usize, String)>, CorpusError> {
        let place = Place::line(&self.path, self.number + 1);
        let line = self.read_line().map_err(|e| stream_error(place, e))?;
        self.file.get_ref().budget.renew();
        Ok(line.map(|line| {
            self.number += 1;
            (self.number, line)
        }))
    }

    /// How many lines the file has, after reading the rest.
    pub(crate) fn count(&mut self) -> Result<usize, CorpusError> {
        while self.next_line()?.is_some() {}
        Ok(self.number)
    }

    fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut any = false;
        loop {
            let mut chunk = self.file.fill_buf()?;
            let mut skipped = 0;
            if self.after_cr && !chunk.is_empty() {
                self.after_cr = false;
                skipped = usize::from(chunk[0] == b'\n');
                chunk = &chunk[skipped..];
            }
            if chunk.is_empty() && skipped == 0 {
                break;
            }
            let end = chunk.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let taken = &chunk[..end.unwrap_or(chunk.len())];
            line.extend_from_slice(taken);
            any |= !chunk.is_empty();
            self.after_cr = end.is_some_and(|end| chunk[end] == b'\r');
            let used = skipped + taken.len() + usize::from(end.is_some());
            self.file.consume(used);
            if end.is_some() {
                break;
            }
        }
        // Whole characters only, as line ends are ASCII.
        let text = |line| String::from_utf8(line).map_err(io::Error::other);
        any.then(|| text(line)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &[u8]) -> Result<Vec<String>, CorpusError> {
        let dir = tempfile::TempDir::new().expect("folder");
        let path = dir.path().join("a");
        std::fs::write(&path, content).expect("file");
        let mut file = LineFile::open(&path)?;
        let mut lines = Vec::new();
        while let Some((number, line)) = file.next_line()? {
            lines.push(line);
            assert_eq!(number, lines.len());
        }
        Ok(lines)
    }

    #[test]
    fn lines_end_in_lf_crlf_or_cr() {
        let found = lines("\u{feff}a\nb\r\nc\rd\n\n\u{b5}e".as_bytes()).expect("reads");
        assert_eq!(found, ["a", "b", "c", "d", "", "\u{b5}e"]);
        assert_eq!(lines(b"").expect("reads"), [""; 0]);
        assert_eq!(lines(b"\r\n").expect("reads"), [""]);
        // A line end across the border of two buffers.
        let long = "x".repeat((1 << 16) - 1);
        let found = lines(format!("{long}\r\n\u{20ac}").as_bytes()).expect("reads");
        assert_eq!(found, [long.as_str(), "\u{20ac}"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_located() {
        for (content, at) in [
            (&b"a\xffb"[..], 1),
            (b"\xef\xbb\xbfab\xc3", 5),
            (b"\xc3", 0),
        ] {
            let error = lines(content).expect_err("not UTF-8");
            assert!(matches!(error, CorpusError::NotUtf8 { offset, .. } if offset == at));
        }
        let split = [b'x'; (1 << 16) - 1].iter().chain("\u{20ac}".as_bytes());
        let split: Vec<u8> = split.copied().collect();
        assert_eq!(lines(&split).expect("reads")[0].len(), (1 << 16) + 2);
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let long = vec![b'x'; (MAX_RECORD_BYTES + (1 << 17)) as usize];
        let error = lines(&long).expect_err("too long");
        assert!(matches!(error, CorpusError::LongRecord { .. }), "{error}");
    }
}
