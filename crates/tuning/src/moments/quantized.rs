//! Numbers in 8 bits, a scale for each block of them.

use super::map::Map;

/// Values that share a scale. The paper takes 2,048; its authors' library has
/// gone down to 256 since. A large number spoils fewer others so, for scales
/// that cost 1.6% of an f32 instead of 0.2% (measured in the log).
pub(crate) const BLOCK: usize = 256;

/// Zeros in 8 bits, until something else is put in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantized {
    pub(crate) codes: Vec<u8>,
    pub(crate) scales: Vec<f32>,
}

impl Quantized {
    pub(super) fn zeros(values: usize) -> Self {
        Quantized {
            codes: vec![0; values],
            scales: vec![0.0; values.div_ceil(BLOCK)],
        }
    }
}

/// Which numbers are written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Of both signs. The scale is the number farthest from zero with its sign,
    /// so that this one is exact: one sign of the map only has a 1.
    Signed,
    /// Not negative. What isn't zero doesn't become zero: a second moment of
    /// zero below a first one that isn't makes an update of any size ("the
    /// zero-point problem", Li et al. 2023, arXiv 2309.01507).
    Unsigned,
}

impl Kind {
    /// Writes a block's values as codes; their scale.
    pub(super) fn encode(self, values: &[f32], codes: &mut [u8]) -> f32 {
        let farther = |a: f32, &b: &f32| if b.abs() > a.abs() { b } else { a };
        let scale = values.iter().fold(0.0, farther);
        if scale == 0.0 {
            codes.fill(0);
            return 0.0;
        }
        for (code, &value) in codes.iter_mut().zip(values) {
            // A quotient, not a product with the inverse, which may be infinite.
            let x = value / scale;
            *code = match self {
                Kind::Signed => {
                    let place = Map::signed().nearest(x.abs());
                    // Codes 0 to 128 are the magnitudes, 129 to 255 the negative
                    // ones of places 1 to 127.
                    match (x < 0.0, place) {
                        (true, 1..) => 128 + place.min(127),
                        _ => place,
                    }
                }
                Kind::Unsigned => Map::unsigned().nearest(x).max(u8::from(value > 0.0)),
            };
        }
        scale
    }

    /// Reads a block's values.
    pub(super) fn decode(self, codes: &[u8], scale: f32, values: &mut [f32]) {
        for (value, &code) in values.iter_mut().zip(codes) {
            let place = usize::from(code);
            *value = scale
                * match self {
                    Kind::Signed if place > 128 => -Map::signed().magnitudes()[place - 128],
                    Kind::Signed => Map::signed().magnitudes()[place],
                    Kind::Unsigned => Map::unsigned().magnitudes()[place],
                };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(kind: Kind, values: &[f32]) -> Vec<f32> {
        let mut codes = vec![7; values.len()];
        let scale = kind.encode(values, &mut codes);
        let mut back = vec![f32::NAN; values.len()];
        kind.decode(&codes, scale, &mut back);
        back
    }

    fn all(kind: Kind, scale: f32) -> Vec<f32> {
        let codes: Vec<u8> = (0..=255).collect();
        let mut values = vec![0.0; 256];
        kind.decode(&codes, scale, &mut values);
        values
    }

    #[test]
    fn every_code_is_a_number_of_its_own_that_comes_back_exactly() {
        for (kind, scale) in [
            (Kind::Signed, 0.37),
            (Kind::Signed, -0.37),
            (Kind::Unsigned, 3e-9),
        ] {
            let values = all(kind, scale);
            assert_eq!(there_and_back(kind, &values), values);
            let mut sorted = values.clone();
            sorted.sort_by(f32::total_cmp);
            assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn zero_stays_zero_and_the_largest_is_exact() {
        assert_eq!(there_and_back(Kind::Signed, &[0.0; 5]), [0.0; 5]);
        assert_eq!(there_and_back(Kind::Unsigned, &[0.0; 5]), [0.0; 5]);
        let back = there_and_back(Kind::Signed, &[0.0, -0.123, 1e-3, 0.0]);
        assert_eq!((back[0], back[1], back[3]), (0.0, -0.123, 0.0));
        let back = there_and_back(Kind::Unsigned, &[0.0, 1e-30, 0.123]);
        assert_eq!((back[0], back[2]), (0.0, 0.123));
        // Far below the smallest code, but not nothing.
        assert!(back[1] > 0.0 && back[1] < 1e-7 * 0.5);
    }

    #[test]
    fn errors_are_at_most_half_a_gap() {
        for (kind, scale) in [(Kind::Signed, -2.5f32), (Kind::Unsigned, 2.5)] {
            let mut codes = all(kind, scale);
            codes.sort_by(f32::total_cmp);
            let mut values: Vec<f32> = (1..4000i32)
                .map(|i| scale * 0.997f32.powi(i) * if i % 2 == 0 { -1.0 } else { 1.0 })
                .collect();
            if let Kind::Unsigned = kind {
                values.iter_mut().for_each(|v| *v = v.abs());
            }
            values.push(scale);
            let smallest = 0.325e-6 * 2.5;
            for (&value, back) in values.iter().zip(there_and_back(kind, &values)) {
                let at = codes.partition_point(|&code| code < value);
                let near = [at.saturating_sub(1), at.min(codes.len() - 1)];
                let best = near
                    .map(|i| (codes[i] - value).abs())
                    .into_iter()
                    .fold(f32::INFINITY, f32::min);
                let error = (back - value).abs();
                let upwards = matches!(kind, Kind::Unsigned) && value < smallest / 2.0;
                assert!(
                    error <= best * 1.0001 || (upwards && error <= smallest),
                    "{value} became {back}"
                );
                // Down to a hundredth of the largest within a sixth.
                let within = value.abs() / 6.0;
                assert!(
                    value.abs() < 2.5e-2 || error <= within,
                    "{value} became {back}"
                );
            }
        }
    }

    #[test]
    fn numbers_at_the_end_of_f32_do_no_harm() {
        for values in [[1e-45, 0.0, 3e-45], [f32::MAX, 1.0, 0.0]] {
            for kind in [Kind::Signed, Kind::Unsigned] {
                let back = there_and_back(kind, &values);
                assert!(back.iter().all(|v| v.is_finite()), "{back:?}");
            }
        }
    }
}
