//! Files as text, and text as lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::CorpusError;

/// No public clinical corpus has a larger single file; a larger one is a
/// mistake (a model's weights, a log) that would only exhaust the memory.
pub(crate) const MAX_FILE_BYTES: u64 = 512 << 20;

/// A whole file as UTF-8 without its byte-order mark. Line ends stay as they
/// are: standoff offsets count them.
pub(crate) fn read_text(path: &Path) -> Result<String, CorpusError> {
    let io = |e| CorpusError::io(path, e);
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let too_large = |bytes| CorpusError::TooLarge {
        path: path.to_owned(),
        bytes,
        limit: MAX_FILE_BYTES,
    };
    if length > MAX_FILE_BYTES {
        return Err(too_large(length));
    }
    // Room for one byte more, so that the end is seen without another look.
    let mut bytes = Vec::with_capacity(length as usize + 1);
    let mut limited = (&mut file).take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        // A pipe, or a file that grew.
        return Err(too_large(bytes.len() as u64));
    }
    let mut text = String::from_utf8(bytes).map_err(|e| CorpusError::NotUtf8 {
        path: path.to_owned(),
        offset: e.utf8_error().valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// A file's name without folder and extension, for ids.
pub(crate) fn stem(file: &Path) -> String {
    file.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A line of a text, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: usize,
    /// Byte at which it begins.
    pub(crate) start: usize,
    /// Its content.
    pub(crate) text: &'a str,
}

/// The lines of a text, divided at LF, CRLF or a lone CR. (`str::lines` sees a
/// file with old Macintosh line ends as one line.)
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..)?;
        if rest.is_empty() {
            return None;
        }
        number += 1;
        let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes()).unwrap_or(rest.len());
        let line = Line {
            number,
            start,
            text: &rest[..end],
        };
        let ends = &rest.as_bytes()[end..];
        start += end
            + match ends {
                [b'\r', b'\n', ..] => 2,
                [] => 0,
                _ => 1,
            };
        Some(line)
    })
}

/// Text of a field, put in order: LF line ends, no empty lines, no white space
/// at either end of a line, one blank for a run of them. For fields that no
/// offset points into.
pub(crate) fn tidy(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for line in raw.split(['\n', '\r']) {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(first);
        for word in words {
            out.push(' ');
            out.push_str(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_lf_crlf_or_cr() {
        let found: Vec<_> = lines("a\nb\r\nc\rd\n\ne")
            .map(|l| (l.number, l.start, l.text))
            .collect();
        assert_eq!(
            found,
            [
                (1, 0, "a"),
                (2, 2, "b"),
                (3, 5, "c"),
                (4, 7, "d"),
                (5, 9, ""),
                (6, 10, "e")
            ]
        );
        assert_eq!(lines("").count(), 0);
        assert_eq!(lines("\r").map(|l| l.text).collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn tidy_keeps_words_and_lines() {
        assert_eq!(tidy(" a  b \r\n\r\n c\td\n"), "a b\nc d");
        assert_eq!(tidy("\n \r"), "");
    }
}
