//! Everything in a GGUF file before its tensor data, checked against the file's length.
//!
//! No count in the file is believed: before anything is allocated for `n` things, `n`
//! times their smallest encoding must fit in the bytes that are left.

use std::collections::{BTreeMap, btree_map};
use std::ops::Range;

use super::{GgufProblem, Kind};

const DEFAULT_ALIGNMENT: u64 = 32;
const MOST_DIMENSIONS: usize = 4;
const DEEPEST_ARRAY: usize = 4;

/// A GGUF file's metadata and table of tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Format version, 2 or 3.
    pub version: u32,
    /// Metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// Tensors by their names in the file.
    pub tensors: BTreeMap<String, TensorEntry>,
}

/// One tensor's place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorEntry {
    /// Dimensions, rows first (the file stores them innermost first).
    pub shape: Vec<usize>,
    /// Storage type.
    pub kind: Kind,
    /// Its bytes in the file; within the file's length.
    pub bytes: Range<usize>,
}

/// A metadata value; integers and floats of all widths are widened.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer type.
    Integer(i64),
    /// Any floating-point type.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A string.
    Text(String),
    /// An array.
    Array(Array),
}

/// A metadata array.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Of any integer type.
    Integers(Vec<i64>),
    /// Of any floating-point type.
    Floats(Vec<f64>),
    /// Of booleans.
    Booleans(Vec<bool>),
    /// Of strings.
    Texts(Vec<String>),
    /// Of arrays, which no model of ours uses: checked, then dropped.
    Arrays,
}

impl Header {
    /// Parses the header of the file whose bytes are `file`.
    ///
    /// # Errors
    /// The byte offset and the problem found there.
    pub fn parse(file: &[u8]) -> Result<Self, (usize, GgufProblem)> {
        let mut reader = Reader { file, at: 0 };
        reader.header().map_err(|problem| (reader.at, problem))
    }
}

struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn header(&mut self) -> Result<Header, GgufProblem> {
        if self.array::<4>().ok() != Some(*b"GGUF") {
            self.at = 0;
            return Err(GgufProblem::Magic);
        }
        let version = self.u32()?;
        match version {
            2 | 3 => {}
            // A small number read with its bytes in the other order.
            swapped if swapped.swap_bytes() < 1 << 16 && swapped >= 1 << 16 => {
                return Err(GgufProblem::BigEndian);
            }
            other => return Err(GgufProblem::Version(other)),
        }
        // A tensor has at least an empty name, a dimension count, a type and an offset; a
        // metadata entry an empty key, a type and one byte.
        let tensor_count = self.count("a tensor count", 8 + 4 + 4 + 8)?;
        let key_count = self.count("a metadata count", 8 + 4 + 1)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..key_count {
            let key = self.text("metadata key")?;
            let kind = self.u32()?;
            let value = self.value(kind, 0)?;
            match metadata.entry(key) {
                btree_map::Entry::Vacant(slot) => slot.insert(value),
                btree_map::Entry::Occupied(slot) => {
                    return Err(GgufProblem::DuplicateKey(slot.key().clone()));
                }
            };
        }
        let alignment = alignment(&metadata)?;
        let mut placed = Vec::with_capacity(tensor_count);
        for _ in 0..tensor_count {
            placed.push(self.tensor()?);
        }
        let data_start = (self.at as u64).next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for (name, shape, kind, offset) in placed {
            let entry = self.place(&name, shape, kind, offset, data_start, alignment)?;
            match tensors.entry(name) {
                btree_map::Entry::Vacant(slot) => slot.insert(entry),
                btree_map::Entry::Occupied(slot) => {
                    return Err(GgufProblem::DuplicateTensor(slot.key().clone()));
                }
            };
        }
        Ok(Header {
            version,
            metadata,
            tensors,
        })
    }

    fn tensor(&mut self) -> Result<(String, Vec<usize>, Kind, u64), GgufProblem> {
        let tensor = self.text("tensor name")?;
        let dimension_count = self.u32()? as usize;
        let mut dimensions = Vec::new();
        for _ in 0..dimension_count.min(MOST_DIMENSIONS) {
            dimensions.push(self.u64()?);
        }
        // The number of bits of all values must fit too, hence the eighth.
        let values = dimensions
            .iter()
            .try_fold(1_u64, |product, &n| product.checked_mul(n));
        if !(1..=MOST_DIMENSIONS).contains(&dimension_count)
            || values.is_none_or(|n| n == 0 || n > u64::MAX / 64)
        {
            return Err(GgufProblem::Dimensions { tensor, dimensions });
        }
        let kind = match Kind::from_number(self.u32()?) {
            Ok(kind) => kind,
            Err(found) => {
                return Err(GgufProblem::Kind {
                    tensor,
                    found,
                    readable: Kind::READABLE,
                });
            }
        };
        let offset = self.u64()?;
        // The product of the dimensions fits 64 bits, so each of them does.
        let shape = dimensions.iter().rev().map(|&n| n as usize).collect();
        Ok((tensor, shape, kind, offset))
    }

    fn place(
        &self,
        name: &str,
        shape: Vec<usize>,
        kind: Kind,
        offset: u64,
        data_start: u64,
        alignment: u64,
    ) -> Result<TensorEntry, GgufProblem> {
        let tensor = || name.to_owned();
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(kind.block) {
            return Err(GgufProblem::PartialBlock {
                tensor: tensor(),
                row,
                block: kind.block,
                kind: kind.name,
            });
        }
        if !offset.is_multiple_of(alignment) {
            return Err(GgufProblem::Misaligned {
                tensor: tensor(),
                offset,
                alignment,
            });
        }
        let size = kind.bytes_of(shape.iter().product()) as u64;
        let start = data_start.saturating_add(offset);
        let end = start.saturating_add(size);
        if end > self.file.len() as u64 {
            return Err(GgufProblem::TensorOutside {
                tensor: tensor(),
                dimensions: shape,
                end,
                length: self.file.len(),
            });
        }
        // Both are at most the length of a slice.
        Ok(TensorEntry {
            shape,
            kind,
            bytes: start as usize..end as usize,
        })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, GgufProblem> {
        Ok(match kind {
            0..=5 | 10 | 11 => Value::Integer(self.integer(kind)?),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Boolean(self.boolean()?),
            8 => Value::Text(self.text("string value")?),
            9 => Value::Array(self.values(depth + 1)?),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(GgufProblem::ValueType(other)),
        })
    }

    fn values(&mut self, depth: usize) -> Result<Array, GgufProblem> {
        if depth > DEEPEST_ARRAY {
            return Err(GgufProblem::Nesting(DEEPEST_ARRAY));
        }
        let kind = self.u32()?;
        let smallest = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            other => return Err(GgufProblem::ValueType(other)),
        };
        let n = self.count("an array length", smallest)?;
        Ok(match kind {
            6 => Array::Floats(
                (0..n)
                    .map(|_| Ok(f64::from(f32::from_le_bytes(self.array()?))))
                    .collect::<Result<_, _>>()?,
            ),
            7 => Array::Booleans((0..n).map(|_| self.boolean()).collect::<Result<_, _>>()?),
            8 => Array::Texts(
                (0..n)
                    .map(|_| self.text("string value"))
                    .collect::<Result<_, _>>()?,
            ),
            9 => {
                for _ in 0..n {
                    self.values(depth + 1)?;
                }
                Array::Arrays
            }
            12 => Array::Floats(
                (0..n)
                    .map(|_| Ok(f64::from_le_bytes(self.array()?)))
                    .collect::<Result<_, _>>()?,
            ),
            _ => Array::Integers(
                (0..n)
                    .map(|_| self.integer(kind))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    fn integer(&mut self, kind: u32) -> Result<i64, GgufProblem> {
        Ok(match kind {
            0 => i64::from(u8::from_le_bytes(self.array()?)),
            1 => i64::from(i8::from_le_bytes(self.array()?)),
            2 => i64::from(u16::from_le_bytes(self.array()?)),
            3 => i64::from(i16::from_le_bytes(self.array()?)),
            4 => i64::from(self.u32()?),
            5 => i64::from(i32::from_le_bytes(self.array()?)),
            10 => {
                let n = self.u64()?;
                i64::try_from(n).map_err(|_| GgufProblem::Integer(n))?
            }
            11 => i64::from_le_bytes(self.array()?),
            other => return Err(GgufProblem::ValueType(other)),
        })
    }

    fn boolean(&mut self) -> Result<bool, GgufProblem> {
        match self.array::<1>()?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(GgufProblem::Boolean(other)),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<String, GgufProblem> {
        let length = self.count("a string length", 1)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| GgufProblem::NotUtf8(what))
    }

    /// A count of things of which each takes at least `smallest` bytes.
    fn count(&mut self, what: &'static str, smallest: usize) -> Result<usize, GgufProblem> {
        let count = self.u64()?;
        let remaining = self.file.len() - self.at;
        match usize::try_from(count) {
            Ok(n) if n <= remaining / smallest => Ok(n),
            _ => Err(GgufProblem::Count {
                what,
                count,
                remaining,
            }),
        }
    }

    fn u32(&mut self) -> Result<u32, GgufProblem> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufProblem> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufProblem> {
        let bytes = self.file[self.at..]
            .first_chunk()
            .ok_or(GgufProblem::Truncated)?;
        self.at += N;
        Ok(*bytes)
    }

    fn take(&mut self, n: usize) -> Result<&[u8], GgufProblem> {
        let bytes = self.file[self.at..]
            .get(..n)
            .ok_or(GgufProblem::Truncated)?;
        self.at += n;
        Ok(bytes)
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, GgufProblem> {
    let alignment = match metadata.get("general.alignment") {
        None => DEFAULT_ALIGNMENT,
        Some(Value::Integer(n)) => u64::try_from(*n).unwrap_or(0),
        Some(_) => 0,
    };
    if alignment.is_power_of_two() && (8..=1 << 16).contains(&alignment) {
        Ok(alignment)
    } else {
        Err(GgufProblem::Alignment(alignment))
    }
}
