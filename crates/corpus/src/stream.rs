//! Large tables, read piece by piece: checked to be UTF-8, without a
//! byte-order mark, and with a limit on the length of a record. The reader of
//! tables finds the lines itself; for other files there is `line_reader`.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use crate::error::{CorpusError, Place};
use crate::text::open;

/// No corpus has a longer line or record; a longer one is a quote that isn't
/// closed, or another kind of file.
pub(crate) const MAX_RECORD_BYTES: u64 = 16 << 20;

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
        let mut file = open(path)?;
        let mut begin = || {
            let mut start = Vec::new();
            file.by_ref()
                .take(MARK.len() as u64)
                .read_to_end(&mut start)?;
            Ok(start)
        };
        let mut start = begin().map_err(|e| CorpusError::io(path, e))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<String, CorpusError> {
        let dir = tempfile::TempDir::new().expect("folder");
        let path = dir.path().join("a");
        std::fs::write(&path, content).expect("file");
        let mut text = String::new();
        let mut file = TextFile::open(&path)?;
        match file.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(stream_error(Place::file(&path), error)),
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_located() {
        assert_eq!(
            read("\u{feff}a\u{b5}".as_bytes()).expect("reads"),
            "a\u{b5}"
        );
        for (content, at) in [
            (&b"a\xffb"[..], 1),
            (b"\xef\xbb\xbfab\xc3", 5),
            (b"\xc3", 0),
        ] {
            let error = read(content).expect_err("not UTF-8");
            assert!(matches!(error, CorpusError::NotUtf8 { offset, .. } if offset == at));
        }
    }

    #[test]
    fn a_record_without_end_is_refused_before_it_fills_the_memory() {
        let long = vec![b'x'; MAX_RECORD_BYTES as usize + 1];
        let error = read(&long).expect_err("too long");
        assert!(matches!(error, CorpusError::LongRecord { .. }), "{error}");
    }
}
