//! Damage to files, reproducible from a seed, and how much memory reading what is
//! left of them takes.
#![allow(dead_code, reason = "each test binary uses a part of it")]
// A global allocator can't be written without it; this one counts and passes on.
#![allow(unsafe_code)]

use serde_json::{Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both exist while one is copied to the other.
        add(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

fn add(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(held, Relaxed);
}

/// Reads damaged files one after the other: `read` gets the number of each and says
/// whether it was accepted. Nothing may panic, or hold more than `most` bytes beside
/// what was held before. Gives how many were accepted.
pub(crate) fn each(count: u64, most: usize, mut read: impl FnMut(u64, &mut Damage) -> bool) -> u64 {
    // The counters are the whole program's.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut accepted, mut largest) = (0, 0);
    for number in 0..count {
        let mut damage = Damage(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let before = HELD.load(Relaxed);
        MOST.store(before, Relaxed);
        let read = catch_unwind(AssertUnwindSafe(|| read(number, &mut damage)));
        let used = MOST.load(Relaxed).saturating_sub(before);
        let Ok(read) = read else {
            panic!("damage number {number} panics");
        };
        assert!(used <= most, "damage number {number} takes {used} bytes");
        largest = largest.max(used);
        accepted += u64::from(read);
    }
    eprintln!("{accepted} of {count} accepted, at most {largest} bytes held");
    accepted
}

/// A source of damage.
pub(crate) struct Damage(u64);

/// Numbers that lengths, offsets and counts lie with.
const LIES: [u64; 14] = [
    0,
    1,
    7,
    255,
    1 << 16,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 61,
    (1 << 62) + 1,
    i64::MAX as u64,
    u64::MAX - 7,
    u64::MAX,
];

impl Damage {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea & Flood 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn lie(&mut self, length: usize) -> u64 {
        match self.below(LIES.len() + 3) {
            0 => length as u64,
            1 => length as u64 + 1,
            2 => self.next(),
            other => LIES[other - 3],
        }
    }

    /// Damages bytes in one to three places, most often before `header`.
    pub(crate) fn bytes(&mut self, bytes: &mut Vec<u8>, header: usize) {
        for _ in 0..=self.below(3) {
            let length = bytes.len();
            if length == 0 {
                return;
            }
            let within = match self.below(5) {
                0 => length,
                _ => header.min(length),
            };
            let at = self.below(within);
            match self.below(9) {
                0 | 1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes[at] = self.next() as u8,
                3 => {
                    let lie = self.lie(length).to_le_bytes();
                    let end = (at + 8).min(length);
                    bytes[at..end].copy_from_slice(&lie[..end - at]);
                }
                4 => {
                    let lie = (self.lie(length) as u32).to_le_bytes();
                    let end = (at + 4).min(length);
                    bytes[at..end].copy_from_slice(&lie[..end - at]);
                }
                5 => bytes.truncate(at),
                6 => {
                    let end = (at + self.below(64)).min(length);
                    bytes.drain(at..end);
                }
                // A piece of itself, put in or written over.
                7 => {
                    let piece = self.piece(bytes);
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let piece = self.piece(bytes);
                    let end = (at + piece.len()).min(length);
                    bytes[at..end].copy_from_slice(&piece[..end - at]);
                }
            }
        }
    }

    fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let from = self.below(bytes.len());
        let to = (from + 1 + self.below(48)).min(bytes.len());
        bytes[from..to].to_vec()
    }

    /// Damages one to three values of a JSON document, wherever they are in it.
    pub(crate) fn json(&mut self, document: &mut Value) {
        for _ in 0..=self.below(3) {
            self.within(document);
        }
    }

    fn within(&mut self, at: &mut Value) {
        // A container may be damaged itself.
        let stop = self.below(6) == 0;
        match at {
            Value::Object(fields) if !fields.is_empty() && !stop => {
                let index = self.below(fields.len());
                let key = fields.keys().nth(index).cloned().unwrap_or_default();
                match self.below(12) {
                    0 => drop(fields.remove(&key)),
                    1 => {
                        let value = fields.remove(&key).unwrap_or_default();
                        fields.insert(format!("{key}x"), value);
                    }
                    _ => self.within(&mut fields[&key]),
                }
            }
            Value::Array(values) if !values.is_empty() && !stop => {
                let index = self.below(values.len());
                match self.below(8) {
                    0 => drop(values.remove(index)),
                    1 => values.push(values[index].clone()),
                    _ => self.within(&mut values[index]),
                }
            }
            value => *value = self.value(value),
        }
    }

    fn value(&mut self, old: &Value) -> Value {
        if let (Some(n), 0..=2) = (old.as_u64(), self.below(8)) {
            return match self.below(3) {
                0 => json!(n.wrapping_add(1)),
                1 => json!(n.wrapping_mul(2)),
                _ => json!(n / 2),
            };
        }
        match self.below(12) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(-1),
            3 => json!(0.5),
            4 => json!(1e308),
            5 => json!(""),
            6 => json!("F64"),
            7 => json!([]),
            8 => json!({}),
            9 => json!([old, old]),
            _ => json!(self.lie(4096)),
        }
    }
}
