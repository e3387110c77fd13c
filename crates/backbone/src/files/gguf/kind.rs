//! The storage types of GGUF tensors and how they are unpacked.

use std::borrow::Cow;

use candle_core::CpuStorage;
use candle_core::quantized::GgmlDType;

use crate::files::safetensors_source::FloatKind;

/// A storage type that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name as the GGUF tools print it.
    pub name: &'static str,
    /// Values in one block (1 for plain floating point).
    pub block: usize,
    /// Bytes of one block.
    pub block_bytes: usize,
    unpacker: Unpacker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unpacker {
    Plain(FloatKind),
    Blocks(GgmlDType),
}

impl Kind {
    /// Names of all readable types, for messages.
    pub const READABLE: &'static str =
        "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K and Q6_K";

    /// The type with this number in the format.
    ///
    /// # Errors
    /// The type's name (or number) when it exists but cannot be read.
    pub fn from_number(number: u32) -> Result<Self, String> {
        let plain = |name, kind: FloatKind| Kind {
            name,
            block: 1,
            block_bytes: kind.width(),
            unpacker: Unpacker::Plain(kind),
        };
        let blocks = |name, kind: GgmlDType| Kind {
            name,
            block: kind.block_size(),
            block_bytes: kind.type_size(),
            unpacker: Unpacker::Blocks(kind),
        };
        let unreadable = match number {
            0 => return Ok(plain("F32", FloatKind::F32)),
            1 => return Ok(plain("F16", FloatKind::F16)),
            2 => return Ok(blocks("Q4_0", GgmlDType::Q4_0)),
            3 => return Ok(blocks("Q4_1", GgmlDType::Q4_1)),
            6 => return Ok(blocks("Q5_0", GgmlDType::Q5_0)),
            7 => return Ok(blocks("Q5_1", GgmlDType::Q5_1)),
            8 => return Ok(blocks("Q8_0", GgmlDType::Q8_0)),
            10 => return Ok(blocks("Q2_K", GgmlDType::Q2K)),
            11 => return Ok(blocks("Q3_K", GgmlDType::Q3K)),
            12 => return Ok(blocks("Q4_K", GgmlDType::Q4K)),
            13 => return Ok(blocks("Q5_K", GgmlDType::Q5K)),
            14 => return Ok(blocks("Q6_K", GgmlDType::Q6K)),
            30 => return Ok(plain("BF16", FloatKind::Bf16)),
            9 => "Q8_1",
            15 => "Q8_K",
            16 => "IQ2_XXS",
            17 => "IQ2_XS",
            18 => "IQ3_XXS",
            19 => "IQ1_S",
            20 => "IQ4_NL",
            21 => "IQ3_S",
            22 => "IQ2_S",
            23 => "IQ4_XS",
            24 => "I8",
            25 => "I16",
            26 => "I32",
            27 => "I64",
            28 => "F64",
            29 => "IQ1_M",
            34 => "TQ1_0",
            35 => "TQ2_0",
            39 => "MXFP4",
            other => return Err(format!("number {other}")),
        };
        Err(unreadable.to_owned())
    }

    /// Bytes that `values` values take; `values` must be whole blocks.
    #[must_use]
    pub fn bytes_of(self, values: usize) -> usize {
        values / self.block * self.block_bytes
    }

    /// Unpacks whole blocks into `values`.
    ///
    /// # Errors
    /// The reason, when bytes and values don't match or the unpacker refuses them.
    pub(in crate::files) fn unpack(self, bytes: &[u8], values: &mut [f32]) -> Result<(), String> {
        if !values.len().is_multiple_of(self.block) || bytes.len() != self.bytes_of(values.len()) {
            return Err(format!(
                "{} bytes do not hold {} values",
                bytes.len(),
                values.len()
            ));
        }
        match self.unpacker {
            Unpacker::Plain(kind) => kind.unpack(bytes, values),
            Unpacker::Blocks(kind) => {
                // candle casts the bytes to its block types, which are aligned to two and
                // asserted to be; file offsets guarantee it, and this keeps it an error.
                if !bytes
                    .as_ptr()
                    .addr()
                    .is_multiple_of(align_of::<half::f16>())
                {
                    return Err("its bytes are not aligned".to_owned());
                }
                let unpacked = kind
                    .from_data(Cow::Borrowed(bytes))
                    .dequantize(values.len());
                match unpacked.map_err(|error| error.to_string())? {
                    CpuStorage::F32(unpacked) => values.copy_from_slice(&unpacked),
                    _ => return Err("the unpacker gave another type than f32".to_owned()),
                }
            }
        }
        Ok(())
    }
}
