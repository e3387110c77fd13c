//! Blocks of noise: what stands for weights that nobody has.

use super::PackedKind;
use half::{bf16, f16};

/// Turns blocks of random bytes into blocks whose values have about this standard
/// deviation and a mean near zero: the quants stay, the scales are set.
pub(in crate::files) fn set_scales(kind: PackedKind, blocks: &mut [u8], deviation: f32) {
    // Scales and minimums of 32 out of 63 for each group of a block of 256.
    const EACH: f32 = 32.0;
    const SCALES: [u8; 12] = [0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0, 0, 0, 0];
    // All n values of an integer are equally likely.
    let spread = |n: f32| ((n * n - 1.0) / 12.0).sqrt();
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    for block in blocks.chunks_exact_mut(kind.block_bytes()) {
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        match kind {
            PackedKind::Bf16 | PackedKind::F16 => {
                for pair in block.as_chunks_mut::<2>().0 {
                    let uniform = f32::from(u16::from_le_bytes(*pair)) / 65_536.0 - 0.5;
                    let value = uniform * 12f32.sqrt() * deviation;
                    *pair = if kind == PackedKind::F16 {
                        half(value)
                    } else {
                        bf16::from_f32(value).to_le_bytes()
                    };
                }
            }
            PackedKind::Q4_0 => put(0, &half(deviation / spread(16.0))),
            PackedKind::Q5_0 => put(0, &half(deviation / spread(32.0))),
            PackedKind::Q8_0 => put(0, &half(deviation / spread(256.0))),
            PackedKind::Q4_1 | PackedKind::Q5_1 => {
                let n = if kind == PackedKind::Q4_1 { 16.0 } else { 32.0 };
                let d = deviation / spread(n);
                put(0, &half(d));
                put(2, &half(-d * (n - 1.0) / 2.0));
            }
            PackedKind::Q4K | PackedKind::Q5K => {
                let n = if kind == PackedKind::Q4K { 16.0 } else { 32.0 };
                let d = deviation / spread(n) / EACH;
                put(0, &half(d));
                put(2, &half(d * (n - 1.0) / 2.0));
                put(4, &SCALES);
            }
            PackedKind::Q6K => {
                put(192, &[EACH as u8; 16]);
                put(208, &half(deviation / spread(64.0) / EACH));
            }
        }
    }
}

#[cfg(test)]
impl super::Packed {
    /// A matrix of random blocks with a standard deviation of a half.
    pub(crate) fn noise(kind: PackedKind, shape: [usize; 2], seed: u32) -> Self {
        let mut bytes = random_bytes(kind.bytes_of(shape[0] * shape[1]), seed);
        set_scales(kind, &mut bytes, 0.5);
        super::Packed::new(kind, shape, super::Bytes::Own(bytes.into()), None)
            .expect("the scales are finite")
    }
}

/// Reproducible bytes.
#[cfg(test)]
pub(super) fn random_bytes(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| byte()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::packed::unpack::unpack;

    #[test]
    fn values_spread_as_asked() {
        const BLOCKS: usize = 64;
        for kind in PackedKind::ALL {
            let mut bytes = random_bytes(BLOCKS * kind.block_bytes(), 5);
            set_scales(kind, &mut bytes, 0.02);
            let mut values = vec![0.0; BLOCKS * kind.block()];
            unpack(kind, &bytes, &mut values);
            let n = values.len() as f32;
            let mean = values.iter().sum::<f32>() / n;
            let deviation = (values.iter().map(|v| v * v).sum::<f32>() / n).sqrt();
            assert!(mean.abs() < 0.004, "{kind}: mean {mean}");
            assert!((deviation - 0.02).abs() < 0.002, "{kind}: {deviation}");
        }
    }
}
