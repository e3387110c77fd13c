//! The dynamic map of 8-bit numbers (Dettmers et al. 2022, "8-bit Optimizers
//! via Block-wise Quantization", arXiv 2110.02861, section 2.1): seven powers
//! of ten, each with twice the values of the one below it, so that small numbers
//! keep their order of magnitude and large ones some digits.

use std::sync::LazyLock;

/// Powers of ten, of which the largest is 1.
const DECADES: u32 = 7;

/// Bits of the mantissa that find a number's neighbourhood. With seven no
/// neighbourhood of either map has two borders in it (the tests look).
const MANTISSA: u32 = 7;

/// Bits of the smallest number that has a neighbourhood: 2⁻²⁴, below which
/// everything is nearest to zero.
const SMALLEST: u32 = (127 - 24) << 23;

/// Bits of 1.
const ONE: u32 = 127 << 23;

/// Magnitudes from 0 to 1, and what finds the nearest one.
pub(super) struct Map {
    /// Ascending; the first is 0, the last 1.
    magnitudes: Vec<f32>,
    /// Borders between them, and one that nothing reaches.
    borders: Vec<f32>,
    /// Place of the magnitude nearest to the beginning of each neighbourhood.
    first: Vec<u8>,
}

impl Map {
    /// For numbers of both signs: 129 magnitudes, of which 127 are there
    /// negative as well.
    pub(super) fn signed() -> &'static Map {
        static SIGNED: LazyLock<Map> = LazyLock::new(|| Map::new(0));
        &SIGNED
    }

    /// For numbers that are not negative: 256 magnitudes.
    pub(super) fn unsigned() -> &'static Map {
        static UNSIGNED: LazyLock<Map> = LazyLock::new(|| Map::new(1));
        &UNSIGNED
    }

    /// `more` bits for the values of each power of ten: from the smallest on
    /// `1, 2, 4 …` times `2^more`.
    fn new(more: u32) -> Self {
        let mut magnitudes = vec![0.0];
        for decade in 0..DECADES {
            let power = 10f64.powi(decade as i32 + 1 - DECADES as i32);
            let values = 1u32 << (decade + more);
            let share = 0.9 / f64::from(values);
            // The middles of equal parts of 0.1 to 1.
            let middle = |i: u32| (power * (0.1 + share * (f64::from(i) + 0.5))) as f32;
            magnitudes.extend((0..values).map(middle));
        }
        magnitudes.push(1.0);
        let middle = |pair: &[f32]| ((f64::from(pair[0]) + f64::from(pair[1])) / 2.0) as f32;
        let mut borders: Vec<f32> = magnitudes.windows(2).map(middle).collect();
        borders.push(f32::INFINITY);
        let shift = 23 - MANTISSA;
        let places = SMALLEST >> shift..=ONE >> shift;
        let first = places.map(|place| {
            let begins = f32::from_bits(place << shift);
            borders.partition_point(|&border| border < begins) as u8
        });
        Map {
            first: first.collect(),
            magnitudes,
            borders,
        }
    }

    /// Place of the magnitude nearest to `x`, which is from 0 to 1.
    pub(super) fn nearest(&self, x: f32) -> u8 {
        let bits = x.to_bits().clamp(SMALLEST, ONE);
        let first = self.first[((bits - SMALLEST) >> (23 - MANTISSA)) as usize];
        first + u8::from(x > self.borders[usize::from(first)])
    }

    /// All magnitudes, ascending.
    pub(super) fn magnitudes(&self) -> &[f32] {
        &self.magnitudes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maps_are_those_of_the_paper() {
        let (signed, unsigned) = (Map::signed(), Map::unsigned());
        // Both signs, one zero and 1 make 256 codes.
        assert_eq!(signed.magnitudes.len(), 129);
        assert_eq!(unsigned.magnitudes.len(), 256);
        for map in [signed, unsigned] {
            assert!(map.magnitudes.is_sorted());
            assert_eq!(map.magnitudes[0], 0.0);
            assert_eq!(map.magnitudes.last(), Some(&1.0));
        }
        assert!((signed.magnitudes[1] - 0.55e-6).abs() < 1e-12);
        assert!((unsigned.magnitudes[1] - 0.325e-6).abs() < 1e-12);
        assert!((unsigned.magnitudes[254] - (1.0 - 0.45 / 128.0)).abs() < 1e-6);
    }

    #[test]
    fn the_nearest_is_found_at_every_magnitude_and_on_both_sides_of_every_border() {
        for map in [Map::signed(), Map::unsigned()] {
            for (i, &x) in map.magnitudes.iter().enumerate() {
                assert_eq!(usize::from(map.nearest(x)), i, "{x}");
            }
            for (i, &border) in map.borders[..map.borders.len() - 1].iter().enumerate() {
                let above = f32::from_bits(border.to_bits() + 1);
                assert_eq!(usize::from(map.nearest(border)), i, "{border}");
                assert_eq!(usize::from(map.nearest(above)), i + 1, "above {border}");
            }
        }
    }

    #[test]
    fn no_neighbourhood_has_two_borders() {
        for map in [Map::signed(), Map::unsigned()] {
            let steps = map.first.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(steps.max() <= Some(1));
        }
    }
}
