//! Cells of a spreadsheet as text.

use calamine::{DataRef, ExcelDateTime};

/// What a cell holds.
pub(crate) enum Value {
    Text(String),
    /// A formula without a result, such as `#N/A`.
    Error,
}

/// A cell's content as text.
pub(crate) fn value(data: &DataRef<'_>) -> Value {
    Value::Text(match data {
        DataRef::Int(number) => number.to_string(),
        // Ids are numbers without a fraction.
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(yes) => yes.to_string(),
        DataRef::DateTime(time) => date(time),
        DataRef::Error(_) => return Value::Error,
        DataRef::Empty => String::new(),
    })
}

/// As ISO 8601; a duration as its number of days.
fn date(time: &ExcelDateTime) -> String {
    // Excel's own range: beyond it there is no date to write.
    let days = time.as_f64();
    if time.is_duration() || !(0.0..2_958_466.0).contains(&days) {
        return days.to_string();
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    match (hour, minute, second) {
        (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
    }
}

/// As spreadsheets name cells: `B7`.
pub(crate) fn cell_name(column: u32, row: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.reverse();
    format!("{}{}", String::from_iter(letters), row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_named_as_spreadsheets_do() {
        let names = [
            (0, 0),
            (25, 6),
            (26, 6),
            (701, 0),
            (702, 9),
            (16383, 1_048_575),
        ];
        let names = names.map(|(column, row)| cell_name(column, row));
        assert_eq!(names, ["A1", "Z7", "AA7", "ZZ1", "AAA10", "XFD1048576"]);
    }

    #[test]
    fn numbers_that_are_whole_have_no_fraction() {
        let text = |data: DataRef<'_>| match value(&data) {
            Value::Text(text) => text,
            Value::Error => "error".to_owned(),
        };
        assert_eq!(text(DataRef::Float(12.0)), "12");
        assert_eq!(text(DataRef::Float(0.5)), "0.5");
        assert_eq!(text(DataRef::Bool(true)), "true");
    }
}
