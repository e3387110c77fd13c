//! From packed blocks to f32, the same values to the last bit as a tensor that
//! is unpacked when it is loaded has.
//!
//! The layouts are the format's (ggml's `block_q4_0` and so on); each function
//! takes one block. Products and sums are not fused, since the format's own
//! definition isn't.

use super::PackedKind;
use crate::layers::vector::vectorized;

vectorized! {
    /// Unpacks whole blocks; `values` has exactly their number of values.
    pub(crate) fn unpack(kind: PackedKind, bytes: &[u8], values: &mut [f32]) {
        match kind {
            PackedKind::Bf16 => blocks(bytes, values, bf16_values),
            PackedKind::F16 => blocks(bytes, values, f16_values),
            PackedKind::Q4_0 => blocks(bytes, values, q4_0),
            PackedKind::Q4_1 => blocks(bytes, values, q4_1),
            PackedKind::Q5_0 => blocks(bytes, values, q5_0),
            PackedKind::Q5_1 => blocks(bytes, values, q5_1),
            PackedKind::Q8_0 => blocks(bytes, values, q8_0),
            PackedKind::Q4K => blocks(bytes, values, q4_k),
            PackedKind::Q5K => blocks(bytes, values, q5_k),
            PackedKind::Q6K => blocks(bytes, values, q6_k),
        }
    }
}

#[inline(always)]
fn blocks<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    block: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let ((from, rest), (to, none)) = (bytes.as_chunks(), values.as_chunks_mut());
    assert!(from.len() == to.len() && rest.is_empty() && none.is_empty());
    for (from, to) in from.iter().zip(to) {
        block(from, to);
    }
}

/// A finite half-precision number.
#[inline(always)]
fn half(bytes: &[u8], at: usize) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    // With the exponent's bits in place the value is 2^112 too small, which also
    // holds for numbers below the normal ones.
    let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(size.to_bits() | (bits & 0x8000) << 16)
}

#[inline(always)]
fn bf16_values(bytes: &[u8; 64], values: &mut [f32; 32]) {
    for (value, &pair) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = f32::from_bits(u32::from(u16::from_le_bytes(pair)) << 16);
    }
}

#[inline(always)]
fn f16_values(bytes: &[u8; 64], values: &mut [f32; 32]) {
    for (value, pair) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = half(pair, 0);
    }
}

#[inline(always)]
fn q8_0(bytes: &[u8; 34], values: &mut [f32; 32]) {
    let d = half(bytes, 0);
    for (value, &q) in values.iter_mut().zip(&bytes[2..]) {
        *value = f32::from(q.cast_signed()) * d;
    }
}

/// The quants of a 4-bit block.
#[inline(always)]
fn four_bits(bytes: &[u8], values: &mut [f32; 32], value: impl Fn(f32) -> f32) {
    let bytes: &[u8; 16] = bytes.first_chunk().expect("16 bytes of a block");
    for j in 0..16 {
        values[j] = value(f32::from(bytes[j] & 15));
        values[j + 16] = value(f32::from(bytes[j] >> 4));
    }
}

#[inline(always)]
fn q4_0(bytes: &[u8; 18], values: &mut [f32; 32]) {
    let d = half(bytes, 0);
    four_bits(&bytes[2..], values, |q| (q - 8.0) * d);
}

#[inline(always)]
fn q4_1(bytes: &[u8; 20], values: &mut [f32; 32]) {
    let (d, m) = (half(bytes, 0), half(bytes, 2));
    four_bits(&bytes[4..], values, |q| q * d + m);
}

/// The quants of a 5-bit block: four bits in `low`, the fifth in `high`.
#[inline(always)]
fn five_bits(high: &[u8], low: &[u8], values: &mut [f32; 32], value: impl Fn(f32) -> f32) {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    for j in 0..16 {
        let fifth = |bit: usize| (high >> bit & 1) * 16;
        let q = u32::from(low[j]);
        values[j] = value((q & 15 | fifth(j)) as f32);
        values[j + 16] = value((q >> 4 | fifth(j + 16)) as f32);
    }
}

#[inline(always)]
fn q5_0(bytes: &[u8; 22], values: &mut [f32; 32]) {
    let d = half(bytes, 0);
    five_bits(&bytes[2..6], &bytes[6..], values, |q| (q - 16.0) * d);
}

#[inline(always)]
fn q5_1(bytes: &[u8; 24], values: &mut [f32; 32]) {
    let (d, m) = (half(bytes, 0), half(bytes, 2));
    five_bits(&bytes[4..8], &bytes[8..], values, |q| q * d + m);
}

/// The 6-bit scale and minimum of 32 values, of the eight in 12 bytes: the first
/// four are the low bits of a byte each, the others have their two high bits in
/// the high ones of those.
#[inline(always)]
fn scale_and_minimum(scales: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = if group < 4 {
        (scales[group] & 63, scales[group + 4] & 63)
    } else {
        let low = scales[group + 4];
        (
            low & 15 | scales[group - 4] >> 6 << 4,
            low >> 4 | scales[group] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(minimum))
}

#[inline(always)]
fn q4_k(bytes: &[u8; 144], values: &mut [f32; 256]) {
    let (d, least) = (half(bytes, 0), half(bytes, 2));
    for (group, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&bytes[4..16], group);
        let (d, m) = (d * scale, least * minimum);
        let shift = 4 * (group as u32 % 2);
        for (value, &q) in values.iter_mut().zip(&bytes[16 + group / 2 * 32..][..32]) {
            *value = d * f32::from(q >> shift & 15) - m;
        }
    }
}

#[inline(always)]
fn q5_k(bytes: &[u8; 176], values: &mut [f32; 256]) {
    let (d, least) = (half(bytes, 0), half(bytes, 2));
    let fifths = &bytes[16..48];
    for (group, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&bytes[4..16], group);
        let (d, m) = (d * scale, least * minimum);
        let shift = 4 * (group as u32 % 2);
        let low = &bytes[48 + group / 2 * 32..][..32];
        for ((value, &q), &fifth) in values.iter_mut().zip(low).zip(fifths) {
            let q = (q >> shift & 15) + (fifth >> group & 1) * 16;
            *value = d * f32::from(q) - m;
        }
    }
}

#[inline(always)]
fn q6_k(bytes: &[u8; 210], values: &mut [f32; 256]) {
    let d = half(bytes, 208);
    let (low, high, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
    for (group, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        // Four groups share 64 bytes of low bits and 32 of high ones.
        let (of_four, half_of_block) = (group as u32 % 4, group / 4);
        let low = &low[64 * half_of_block + 32 * (of_four as usize % 2)..];
        let (low, high) = (quarter(low), quarter(&high[32 * half_of_block..]));
        let (low_shift, high_shift) = (4 * (of_four / 2), 2 * of_four);
        let of_sixteen = |half: usize| f32::from(scales[2 * group + half].cast_signed()) * d;
        let scales = [of_sixteen(0), of_sixteen(1)];
        for j in 0..32 {
            let q = low[j] >> low_shift & 15 | (high[j] >> high_shift & 3) << 4;
            values[j] = f32::from(q) - 32.0;
        }
        for (values, scale) in values.as_chunks_mut::<16>().0.iter_mut().zip(scales) {
            values.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

#[inline(always)]
fn quarter(bytes: &[u8]) -> &[u8; 32] {
    bytes.first_chunk().expect("32 bytes of a block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::gguf::Kind;
    use crate::files::packed::noise::random_bytes;

    /// The numbers of the kinds in the format.
    const NUMBERS: [(u32, PackedKind); 10] = [
        (30, PackedKind::Bf16),
        (1, PackedKind::F16),
        (2, PackedKind::Q4_0),
        (3, PackedKind::Q4_1),
        (6, PackedKind::Q5_0),
        (7, PackedKind::Q5_1),
        (8, PackedKind::Q8_0),
        (12, PackedKind::Q4K),
        (13, PackedKind::Q5K),
        (14, PackedKind::Q6K),
    ];

    #[test]
    fn values_are_those_of_tensors_unpacked_when_loaded() {
        const BLOCKS: usize = 50;
        for (number, kind) in NUMBERS {
            let mut bytes = random_bytes(BLOCKS * kind.block_bytes(), number);
            // Whatever the bytes are, but no infinities: their exponents lose a bit.
            let scales: &[usize] = match kind {
                PackedKind::Q4_0 | PackedKind::Q5_0 | PackedKind::Q8_0 => &[1],
                PackedKind::Q6K => &[209],
                PackedKind::Bf16 | PackedKind::F16 => &[],
                _ => &[1, 3],
            };
            for block in bytes.chunks_exact_mut(kind.block_bytes()) {
                scales.iter().for_each(|&at| block[at] &= 0xbf);
                if scales.is_empty() {
                    block.iter_mut().skip(1).step_by(2).for_each(|b| *b &= 0xbf);
                }
                assert!(kind.is_finite(block), "{kind}");
            }
            let mut values = vec![f32::NAN; BLOCKS * kind.block()];
            unpack(kind, &bytes, &mut values);
            let format = Kind::from_number(number).expect("it is readable");
            assert_eq!(format.name, kind.name());
            assert_eq!(kind.bytes_of(values.len()), bytes.len());
            let mut want = vec![0.0; values.len()];
            format.unpack(&bytes, &mut want).expect("whole blocks");
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&values), bits(&want), "{kind}");
        }
    }

    #[test]
    fn infinite_scales_are_seen() {
        for kind in PackedKind::ALL {
            let mut block = vec![0u8; kind.block_bytes()];
            assert!(kind.is_finite(&block));
            let last = if kind == PackedKind::Q6K { 209 } else { 1 };
            block[last] = 0x7c;
            if kind == PackedKind::Bf16 {
                block[..2].copy_from_slice(&[0x80, 0x7f]);
            }
            assert!(!kind.is_finite(&block), "{kind}");
        }
    }
}
