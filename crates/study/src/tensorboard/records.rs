//! The bytes of event files.
//!
//! A file is a row of records, each its length, the masked CRC32C of the
//! length, the data and the masked CRC32C of the data (TensorFlow's
//! `record_writer`). The data is an `Event` message with a time, a step and
//! scalar summaries, written here in protocol buffers' wire format.

use crate::metrics::Line;

/// Fields of `Event`.
const WALL_TIME: u32 = 1;
const STEP: u32 = 2;
const FILE_VERSION: u32 = 3;
const SUMMARY: u32 = 5;
const SESSION_LOG: u32 = 7;
/// Fields of `Summary` and `Summary.Value`.
const VALUE: u32 = 1;
const TAG: u32 = 1;
const SIMPLE_VALUE: u32 = 2;
/// The field of `SessionLog`, and its value for a beginning.
const STATUS: u32 = 1;
const START: u64 = 1;

/// What a file begins with at a time. `from` is the first step of a run that is
/// taken up again: what other files say of it and of later steps is out of date.
pub(super) fn head(time: f64, from: Option<u64>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut version = Vec::new();
    double(&mut version, WALL_TIME, time);
    bytes(&mut version, FILE_VERSION, b"brain.Event:2");
    record(&mut file, &version);
    if let Some(step) = from {
        let mut log = Vec::new();
        key(&mut log, STATUS, 0);
        varint(&mut log, START);
        let mut event = of_step(time, step);
        bytes(&mut event, SESSION_LOG, &log);
        record(&mut file, &event);
    }
    file
}

/// The records of lines of which the last one was written at a time.
pub(super) fn events(lines: &[Line], ended: f64) -> Vec<u8> {
    let of = |line: &Line| match line {
        Line::Step { seconds, .. } => *seconds,
        Line::Development { .. } => 0.0,
    };
    let mut time = ended - lines.iter().map(of).sum::<f64>();
    let mut file = Vec::new();
    for line in lines {
        time += of(line);
        let (step, values) = match line {
            Line::Step { step, values, .. } => (*step, values.clone()),
            Line::Development { step, loss } => (*step, vec![("dev_loss".to_owned(), *loss)]),
        };
        let mut summary = Vec::new();
        for (name, value) in values {
            let mut of_value = Vec::new();
            bytes(&mut of_value, TAG, name.as_bytes());
            key(&mut of_value, SIMPLE_VALUE, 5);
            of_value.extend((value as f32).to_le_bytes());
            bytes(&mut summary, VALUE, &of_value);
        }
        let mut event = of_step(time, step);
        bytes(&mut event, SUMMARY, &summary);
        record(&mut file, &event);
    }
    file
}

/// The beginning of an `Event`.
fn of_step(time: f64, step: u64) -> Vec<u8> {
    let mut event = Vec::new();
    double(&mut event, WALL_TIME, time);
    key(&mut event, STEP, 0);
    varint(&mut event, step);
    event
}

fn record(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend(data);
    file.extend(masked(data).to_le_bytes());
}

/// TensorFlow's masked CRC32C: rotated and shifted, so that a checksum of data
/// with checksums in it isn't a fixed point.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// A field's number and wire type.
fn key(message: &mut Vec<u8>, field: u32, wire: u32) {
    varint(message, u64::from(field << 3 | wire));
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn double(message: &mut Vec<u8>, field: u32, value: f64) {
    key(message, field, 1);
    message.extend(value.to_le_bytes());
}

fn bytes(message: &mut Vec<u8>, field: u32, value: &[u8]) {
    key(message, field, 2);
    varint(message, value.len() as u64);
    message.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_tensorflows() {
        // crc32c("123456789"), as every catalogue of checksums has it.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        // The length 24 of a version record, from a file that TensorFlow wrote.
        assert_eq!(masked(&24u64.to_le_bytes()), 0x224b_7fa3);
    }

    #[test]
    fn records_hold_their_steps_and_values() {
        let lines = [
            Line::Step {
                step: 300,
                seconds: 2.0,
                values: vec![("loss".into(), 0.5)],
            },
            Line::Development {
                step: 300,
                loss: 0.25,
            },
        ];
        let mut file = head(8.0, Some(300));
        file.extend(events(&lines, 10.0));
        let mut at = 0;
        let mut records = Vec::new();
        while at < file.len() {
            let length = u64::from_le_bytes(file[at..at + 8].try_into().expect("8 bytes")) as usize;
            let data = &file[at + 12..at + 12 + length];
            let sum = &file[at + 12 + length..at + 16 + length];
            assert_eq!(sum, masked(data).to_le_bytes());
            records.push(data);
            at += 16 + length;
        }
        assert_eq!(records.len(), 4);
        assert!(records[0].ends_with(b"brain.Event:2"));
        // A session log (field 7) of two bytes: its status is that it starts.
        let started = records.remove(1);
        assert_eq!(
            started[9..],
            [STEP as u8 * 8, 0xac, 0x02, 7 << 3 | 2, 2, 8, 1]
        );
        // time (1 + 8 bytes), step (key, 300 as a varint), summary.
        assert_eq!(records[1][9..12], [STEP as u8 * 8, 0xac, 0x02]);
        assert_eq!(records[1][1..9], 10f64.to_le_bytes());
        assert!(records[1].ends_with(&0.5f32.to_le_bytes()));
        assert!(records[2].ends_with(&0.25f32.to_le_bytes()));
        let has = |data: &[u8], name: &[u8]| data.windows(name.len()).any(|w| w == name);
        assert!(has(records[1], b"loss") && has(records[2], b"dev_loss"));
    }
}
