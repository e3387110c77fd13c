//! Inverse frequencies of the rotary embedding, with the long-context rules.

use crate::files::{Rope, RopeScaling};

/// `[head_dim / 2]` inverse frequencies `θ^(-2i/h)` after scaling, computed in
/// f32 as the reference implementation computes them.
pub(crate) fn inverse_frequencies(rope: &Rope, head_dim: usize) -> Vec<f32> {
    let base: Vec<f32> = (0..head_dim / 2)
        .map(|i| 1.0 / (rope.theta as f32).powf((2 * i) as f32 / head_dim as f32))
        .collect();
    match &rope.scaling {
        RopeScaling::None => base,
        RopeScaling::Linear { factor } => base.iter().map(|f| f / *factor as f32).collect(),
        RopeScaling::Factors(factors) => base.iter().zip(factors).map(|(f, by)| f / by).collect(),
        &RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            let context = original_max_position_embeddings as f64;
            base.iter()
                .map(|&f| {
                    let frequency = f64::from(f);
                    let wavelength = 2.0 * std::f64::consts::PI / frequency;
                    let scaled = if wavelength < context / high_freq_factor {
                        frequency
                    } else if wavelength > context / low_freq_factor {
                        frequency / factor
                    } else {
                        let smooth = (context / wavelength - low_freq_factor)
                            / (high_freq_factor - low_freq_factor);
                        (1.0 - smooth) * frequency / factor + smooth * frequency
                    };
                    scaled as f32
                })
                .collect()
        }
    }
}
