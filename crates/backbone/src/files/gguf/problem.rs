//! What can be wrong in a GGUF header.

/// Why a GGUF header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufProblem {
    /// The file does not begin with `GGUF`.
    #[error("the file does not begin with the letters GGUF; it is another kind of file or damaged")]
    Magic,
    /// A big-endian file.
    #[error("the file is big-endian; convert the model again for little-endian machines")]
    BigEndian,
    /// A version that is not read.
    #[error(
        "version {0} is not supported, only 2 and 3 are; convert the model again with a current tool"
    )]
    Version(u32),
    /// The file ends inside its header.
    #[error("the file ends inside its header; it was cut short, fetch it again")]
    Truncated,
    /// A count or length is larger than the rest of the file could hold.
    #[error(
        "{what} of {count} cannot fit the {remaining} bytes that follow; the file is damaged or cut short"
    )]
    Count {
        /// What is counted.
        what: &'static str,
        /// The count in the file.
        count: u64,
        /// Bytes from here to the end of the file.
        remaining: usize,
    },
    /// A key or tensor name, or a string value, is not UTF-8.
    #[error("a {0} is not UTF-8; the file is damaged")]
    NotUtf8(&'static str),
    /// A value type that the format does not define.
    #[error("value type {0} does not exist; the file is damaged")]
    ValueType(u32),
    /// A boolean that is neither 0 nor 1.
    #[error("a true-or-false value is {0}; the file is damaged")]
    Boolean(u8),
    /// Arrays of arrays of arrays.
    #[error("arrays are nested more than {0} deep; the file is damaged")]
    Nesting(usize),
    /// An integer beyond what any field may hold.
    #[error("the integer {0} is out of range")]
    Integer(u64),
    /// A metadata key occurs twice.
    #[error("the metadata key `{0}` occurs twice")]
    DuplicateKey(String),
    /// A tensor name occurs twice.
    #[error("the tensor `{0}` occurs twice")]
    DuplicateTensor(String),
    /// `general.alignment` is unusable.
    #[error("general.alignment is {0}, wanted a power of two from 8 to 65,536")]
    Alignment(u64),
    /// A tensor has no, too many, empty or overflowing dimensions.
    #[error(
        "the tensor `{tensor}` has dimensions {dimensions:?}, wanted one to four that are positive"
    )]
    Dimensions {
        /// The tensor's name in the file.
        tensor: String,
        /// Its dimensions as stored, innermost first.
        dimensions: Vec<u64>,
    },
    /// A tensor's storage type is not readable.
    #[error(
        "the tensor `{tensor}` has storage type {found}; readable are {readable}: take another quantization"
    )]
    Kind {
        /// The tensor's name in the file.
        tensor: String,
        /// The type's name, or its number where it is unknown.
        found: String,
        /// The types that can be read.
        readable: &'static str,
    },
    /// Rows of a quantized tensor are not whole blocks.
    #[error(
        "the tensor `{tensor}` has rows of {row} values, not a multiple of the {block} of a {kind} block"
    )]
    PartialBlock {
        /// The tensor's name in the file.
        tensor: String,
        /// Values in a row.
        row: usize,
        /// Values in a block.
        block: usize,
        /// The storage type.
        kind: &'static str,
    },
    /// A tensor's data does not begin at a multiple of the alignment.
    #[error(
        "the tensor `{tensor}` begins at offset {offset}, not a multiple of the alignment {alignment}"
    )]
    Misaligned {
        /// The tensor's name in the file.
        tensor: String,
        /// Its offset in the data section.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// A tensor's data lies beyond the end of the file.
    #[error(
        "the tensor `{tensor}` of dimensions {dimensions:?} ends at byte {end}, but the file has only {length}; \
         it was cut short, fetch it again"
    )]
    TensorOutside {
        /// The tensor's name in the file.
        tensor: String,
        /// Its dimensions, rows first.
        dimensions: Vec<usize>,
        /// Where its data would end.
        end: u64,
        /// The file's length in bytes.
        length: usize,
    },
}
