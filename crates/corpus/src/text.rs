//! Files as text, and text as lines.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use crate::error::{CorpusError, Place};

/// The largest file that is read as a whole. A larger one is a mistake (a
/// model's weights, a log), or exhausts the memory once it is taken apart.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A whole file without its byte-order mark: UTF-8, or UTF-16 where the mark
/// says so (as Praat and old tools of Windows write it). Line ends stay as they
/// are: standoff offsets count them.
pub(crate) fn read_text(path: &Path) -> Result<String, CorpusError> {
    read_text_within(path, MAX_FILE_BYTES)
}

/// Opens a file. A pipe isn't one: opening it would wait for a writer.
pub(crate) fn open(path: &Path) -> Result<File, CorpusError> {
    let io = |e| CorpusError::io(path, e);
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        let problem = "it is a folder, a pipe or a device";
        return Err(io(Error::new(ErrorKind::InvalidInput, problem)));
    }
    File::open(path).map_err(io)
}

/// As [`read_text`], with a limit of its own.
pub(crate) fn read_text_within(path: &Path, most: u64) -> Result<String, CorpusError> {
    let io = |e| CorpusError::io(path, e);
    let mut file = open(path)?;
    let length = file.metadata().map_err(io)?.len();
    let too_large = |bytes| CorpusError::TooLarge {
        path: path.to_owned(),
        bytes,
        limit: most,
    };
    if length > most {
        return Err(too_large(length));
    }
    // Room for one byte more, so that the end is seen without another look.
    let mut bytes = Vec::with_capacity(length as usize + 1);
    let mut limited = (&mut file).take(most + 1);
    limited.read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        // It grew.
        return Err(too_large(bytes.len() as u64));
    }
    if let [first @ (0xff | 0xfe), second @ (0xff | 0xfe), rest @ ..] = &bytes[..]
        && first != second
    {
        return utf16(rest, *first == 0xff, path);
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

/// The text of a file in UTF-16, without its mark.
fn utf16(bytes: &[u8], little_end_first: bool, path: &Path) -> Result<String, CorpusError> {
    let unit = |pair: &[u8; 2]| match little_end_first {
        true => u16::from_le_bytes(*pair),
        false => u16::from_be_bytes(*pair),
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(unit)).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => {
            let problem = "begins with the mark of UTF-16, but isn't UTF-16 as a whole; is it \
                           cut off? Convert the file to UTF-8";
            Err(CorpusError::malformed(Place::file(path), problem))
        }
    }
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
    fn a_mark_says_that_a_file_is_utf16() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("n.txt");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("file");
            read_text(&path)
        };
        assert_eq!(
            read(b"\xff\xfea\0\xb5\0\x3d\xd8\0\xde").expect("reads"),
            "aµ\u{1f600}"
        );
        assert_eq!(read(b"\xfe\xff\0a\0\n").expect("reads"), "a\n");
        assert_eq!(read(b"\xff\xfe").expect("reads"), "");
        assert_eq!(read(b"\xef\xbb\xbfa").expect("reads"), "a");
        for bad in [&b"\xff\xfea"[..], b"\xff\xfe\x3d\xd8", b"\xfe\xff\0a\xd8"] {
            let error = read(bad).expect_err("cut off").to_string();
            assert!(
                error.contains("n.txt") && error.contains("UTF-16"),
                "{error}"
            );
        }
        let error = read(b"a\xff\xfe").expect_err("another encoding");
        assert!(matches!(error, CorpusError::NotUtf8 { offset: 1, .. }));
    }

    #[test]
    fn tidy_keeps_words_and_lines() {
        assert_eq!(tidy(" a  b \r\n\r\n c\td\n"), "a b\nc d");
        assert_eq!(tidy("\n \r"), "");
    }
}
