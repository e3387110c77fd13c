//! Test support: gradients against central differences.

/// Reproducible values in about (-1, 1).
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Checks `gradient` against central differences of `f` at `x`, value by
/// value, to 1% of the largest gradient (f32 differences carry no more).
pub(crate) fn assert_gradient(x: &[f32], gradient: &[f32], mut f: impl FnMut(&[f32]) -> f32) {
    assert_eq!(x.len(), gradient.len());
    let step = 1e-2;
    let scale = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    assert!(
        scale > 0.0,
        "a gradient that is zero everywhere checks nothing"
    );
    let mut probe = x.to_vec();
    for i in 0..x.len() {
        probe[i] = x[i] + step;
        let up = f(&probe);
        probe[i] = x[i] - step;
        let down = f(&probe);
        probe[i] = x[i];
        let difference = (up - down) / (2.0 * step);
        assert!(
            (difference - gradient[i]).abs() <= 1e-2 * scale,
            "component {i}: difference {difference}, gradient {} (scale {scale})",
            gradient[i]
        );
    }
}
