//! Tensors that stay packed in memory as they are in their file.

mod kind;
pub(super) mod noise;
mod plan;
mod unpack;

pub use kind::PackedKind;
pub use plan::PackedWeights;

use memmap2::Mmap;
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How a backbone's linear layers are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// Unpacked to the processor's numbers when they are loaded: the fastest.
    #[default]
    Unpacked,
    /// As they are in the file, where its number type is one of [`PackedKind`];
    /// each product unpacks what it is about to use.
    Packed,
}

impl std::str::FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "unpacked" => Ok(Weights::Unpacked),
            "packed" => Ok(Weights::Packed),
            _ => Err(format!(
                "`{text}` is no way to hold weights; use unpacked or packed"
            )),
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weights::Unpacked => "unpacked",
            Weights::Packed => "packed",
        })
    }
}

/// A `[rows, columns]` matrix whose rows are whole packed blocks.
#[derive(Clone)]
pub struct Packed {
    kind: PackedKind,
    rows: usize,
    columns: usize,
    bytes: Bytes,
    /// Where a row lies among the stored ones, if not at its own number.
    place: Option<RowPlace>,
}

/// Given a row, the stored row that it is.
pub(super) type RowPlace = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// Packed blocks, row by row.
#[derive(Clone)]
pub(super) enum Bytes {
    /// A part of a file: its pages are memory that the system can drop and read
    /// again.
    File(Arc<Mmap>, Range<usize>),
    /// Made here.
    Own(Arc<[u8]>),
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Bytes::File(file, range) => &file[range.clone()],
            Bytes::Own(bytes) => bytes,
        }
    }
}

impl Packed {
    /// A matrix of these bytes, or the index of its first value that isn't finite.
    ///
    /// # Panics
    /// When the bytes are not whole blocks of this shape.
    pub(super) fn new(
        kind: PackedKind,
        [rows, columns]: [usize; 2],
        bytes: Bytes,
        place: Option<RowPlace>,
    ) -> Result<Self, usize> {
        assert!(columns.is_multiple_of(kind.block()), "rows of whole blocks");
        assert_eq!(bytes.all().len(), kind.bytes_of(rows * columns), "{kind}");
        let packed = Packed {
            kind,
            rows,
            columns,
            bytes,
            place,
        };
        let bad = (0..rows).into_par_iter().find_map_first(|row| {
            let mut blocks = packed.row(row).chunks_exact(kind.block_bytes());
            let block = blocks.position(|block| !kind.is_finite(block))?;
            Some(row * columns + block * kind.block())
        });
        bad.map_or(Ok(packed), Err)
    }

    /// How its values are stored.
    #[must_use]
    pub fn kind(&self) -> PackedKind {
        self.kind
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row's blocks.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u8] {
        assert!(row < self.rows);
        let stored = self.place.as_ref().map_or(row, |place| place(row));
        let width = self.kind.bytes_of(self.columns);
        &self.bytes.all()[stored * width..(stored + 1) * width]
    }

    /// Values of a row from column `first` on, whole blocks of them.
    ///
    /// # Panics
    /// When they are not whole blocks of the row.
    pub(crate) fn unpack(&self, row: usize, first: usize, values: &mut [f32]) {
        debug_assert!(first.is_multiple_of(self.kind.block()));
        let bytes = self.kind.bytes_of(first)..self.kind.bytes_of(first + values.len());
        unpack::unpack(self.kind, &self.row(row)[bytes], values);
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {}]", self.kind, self.rows, self.columns)
    }
}
