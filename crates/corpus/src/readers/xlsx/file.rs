//! Opens a spreadsheet only after its archive is known to be of a sensible
//! size: a small file can unpack to more than any memory.

use std::fs;
use std::io::{self, Cursor, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use calamine::{Reader, Xlsx, XlsxError};
use zip::ZipArchive;

use crate::error::{CorpusError, Place};
use crate::readers::xlsx::Sheet;

/// The most bytes of a spreadsheet, packed.
const MAX_PACKED: u64 = 64 << 20;
/// The most bytes of all that is in it.
const MAX_UNPACKED: u64 = 128 << 20;
/// The most bytes that one packed byte may become, once there are many of
/// them: repetitive sheets reach about 100.
const MAX_RATIO: u64 = 400;
/// Below this the ratio doesn't matter.
const SMALL: u64 = 8 << 20;
/// Spreadsheets have a few dozen parts.
const MAX_PARTS: usize = 10_000;
/// How many sheets a message names.
const SHOWN: usize = 20;

/// A workbook in memory.
pub(crate) type Workbook = Xlsx<Cursor<Vec<u8>>>;

/// Reads a workbook, and says which sheet is meant.
pub(crate) fn open(file: &Path, sheet: &Sheet) -> Result<(Workbook, String), CorpusError> {
    let bytes = fs::metadata(file)
        .map_err(|e| CorpusError::io(file, e))?
        .len();
    if bytes > MAX_PACKED {
        return Err(CorpusError::TooLarge {
            path: file.to_owned(),
            bytes,
            limit: MAX_PACKED,
        });
    }
    let bytes = fs::read(file).map_err(|e| CorpusError::io(file, e))?;
    check_size(&bytes).map_err(|problem| CorpusError::malformed(Place::file(file), problem))?;
    let workbook: Workbook = guarded(file, None, || Xlsx::new(Cursor::new(bytes)))?;
    let names = workbook.sheet_names();
    let name = match sheet {
        Sheet::Name(name) => names.iter().find(|known| *known == name),
        Sheet::Number(number) => number.checked_sub(1).and_then(|i| names.get(i)),
    };
    let shown: Vec<String> = names.iter().take(SHOWN).map(|n| shown_name(n)).collect();
    match name {
        Some(name) => Ok((workbook, name.clone())),
        None => Err(CorpusError::malformed(
            Place::file(file),
            format!(
                "has no sheet {sheet}; set `reader.sheet` to one of: {}",
                shown.join(", ")
            ),
        )),
    }
}

/// As spreadsheets limit it.
fn shown_name(name: &str) -> String {
    name.chars().take(31).collect()
}

/// Unpacks everything once without keeping it: the sizes that an archive
/// states of itself may be wrong.
fn check_size(bytes: &[u8]) -> Result<(), String> {
    let not_a_spreadsheet = "isn't an .xlsx spreadsheet, or is damaged".to_owned();
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else {
        return Err(not_a_spreadsheet);
    };
    if archive.len() > MAX_PARTS {
        return Err(format!(
            "has over {MAX_PARTS} parts, which no spreadsheet has"
        ));
    }
    let packed = bytes.len() as u64;
    let most = MAX_UNPACKED.min((packed * MAX_RATIO).max(SMALL));
    let mut unpacked = 0;
    for i in 0..archive.len() {
        let Ok(part) = archive.by_index(i) else {
            return Err(not_a_spreadsheet);
        };
        let left = most - unpacked;
        match io::copy(&mut part.take(left + 1), &mut io::sink()) {
            Ok(size) if size > left => {
                return Err(format!("unpacks to over {most} bytes, so it isn't read"));
            }
            Ok(size) => unpacked += size,
            Err(_) => return Err(not_a_spreadsheet),
        }
    }
    Ok(())
}

/// Calls the library. It panics on some damaged files (cells named by a
/// hundred letters overflow its arithmetic); that is an error like others.
pub(crate) fn guarded<T>(
    file: &Path,
    row: Option<usize>,
    call: impl FnOnce() -> Result<T, XlsxError>,
) -> Result<T, CorpusError> {
    // Nothing that a panic leaves half done is used again.
    let problem = match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        // The library's messages may quote cells, so they aren't shown.
        Ok(Err(XlsxError::Password)) => "is protected by a password; remove it",
        Ok(Err(_)) | Err(_) => {
            "isn't a well-formed spreadsheet; open it and save it as .xlsx again"
        }
    };
    let place = Place {
        line: row,
        ..Place::file(file)
    };
    Err(CorpusError::malformed(place, problem))
}
