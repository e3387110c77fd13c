//! A file's lines, one at a time, for formats whose files may be larger than
//! what should be in memory at once.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::error::{CorpusError, Place};
use crate::stream::MAX_RECORD_BYTES;
use crate::text::open;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads UTF-8 lines that end in LF, CRLF or a lone CR, without a byte-order
/// mark at the start of the file.
pub(crate) struct LineReader<R = BufReader<File>> {
    input: R,
    path: PathBuf,
    line: Vec<u8>,
    number: usize,
    /// Bytes of the file before the line.
    start: usize,
    /// Bytes of the file that are read.
    read: usize,
    /// The last line ended in CR, so an LF next to it is of the same line end.
    after_cr: bool,
    limit: usize,
}

impl LineReader {
    pub(crate) fn open(path: &Path) -> Result<Self, CorpusError> {
        let input = BufReader::with_capacity(64 << 10, open(path)?);
        Ok(Self::new(input, path, MAX_RECORD_BYTES as usize))
    }
}

impl<R: BufRead> LineReader<R> {
    fn new(input: R, path: &Path, limit: usize) -> Self {
        Self {
            input,
            path: path.to_owned(),
            line: Vec::new(),
            number: 0,
            start: 0,
            read: 0,
            after_cr: false,
            limit,
        }
    }

    /// The next line with its number from 1; none at the end of the file.
    pub(crate) fn next_line(&mut self) -> Result<Option<(usize, &str)>, CorpusError> {
        if !self.fill()? {
            return Ok(None);
        }
        self.number += 1;
        let mark = match self.number {
            1 if self.line.starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
            _ => 0,
        };
        match std::str::from_utf8(&self.line) {
            Ok(line) => Ok(Some((self.number, &line[mark..]))),
            Err(error) => Err(CorpusError::NotUtf8 {
                path: self.path.clone(),
                offset: self.start + error.valid_up_to(),
            }),
        }
    }

    /// How many lines the file has, after reading the rest.
    pub(crate) fn count(&mut self) -> Result<usize, CorpusError> {
        while self.next_line()?.is_some() {}
        Ok(self.number)
    }

    /// Reads the bytes of a line; false when there is none left.
    fn fill(&mut self) -> Result<bool, CorpusError> {
        self.line.clear();
        let mut any = false;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CorpusError::io(&self.path, error)),
            };
            if bytes.is_empty() {
                return Ok(any);
            }
            if self.after_cr {
                self.after_cr = false;
                if bytes.starts_with(b"\n") {
                    self.skip(1);
                    continue;
                }
            }
            if !any {
                any = true;
                self.start = self.read;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.unwrap_or(bytes.len());
            if self.line.len() + taken > self.limit {
                return Err(CorpusError::LongRecord {
                    place: Place::line(&self.path, self.number + 1),
                    limit: self.limit as u64,
                });
            }
            self.line.extend_from_slice(&bytes[..taken]);
            self.after_cr = end.is_some_and(|end| bytes[end] == b'\r');
            self.skip(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.read += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::lines;

    fn all(bytes: &[u8], buffer: usize, limit: usize) -> Result<Vec<(usize, String)>, CorpusError> {
        let input = BufReader::with_capacity(buffer, bytes);
        let mut reader = LineReader::new(input, Path::new("f"), limit);
        let mut found = Vec::new();
        while let Some((number, line)) = reader.next_line()? {
            found.push((number, line.to_owned()));
        }
        Ok(found)
    }

    #[test]
    fn the_same_lines_as_of_a_whole_text_whatever_the_buffer() {
        for text in [
            "",
            "\n",
            "a",
            "a\n",
            "a\nb\r\nc\rd\n\ne",
            "\r\r\n\n\r",
            "µ€\r\n\r\né",
        ] {
            let whole: Vec<_> = lines(text)
                .map(|line| (line.number, line.text.to_owned()))
                .collect();
            for buffer in 1..6 {
                let found = all(text.as_bytes(), buffer, 99).expect("lines");
                assert_eq!(found, whole, "{text:?} by {buffer}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let found = all("\u{feff}a\n\u{feff}".as_bytes(), 2, 99).expect("lines");
        assert_eq!(found, [(1, "a".to_owned()), (2, "\u{feff}".to_owned())]);
    }

    #[test]
    fn long_lines_and_bad_bytes_are_located() {
        let error = all(b"ab\nabcd\n", 2, 3).expect_err("too long");
        let CorpusError::LongRecord { place, limit: 3 } = error else {
            panic!("{error}")
        };
        assert_eq!(place.line, Some(2));
        assert!(all(b"abc\nabc", 2, 3).is_ok());
        let error = all(b"ab\r\nc\xffd", 2, 99).expect_err("not UTF-8");
        assert!(matches!(error, CorpusError::NotUtf8 { offset: 5, .. }));
    }
}
