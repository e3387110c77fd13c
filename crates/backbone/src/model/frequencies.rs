//! Frequencies of the rotary embedding, with the long-context rules.

use crate::files::{Rope, RopeScaling};
use crate::layers::rotary::Frequencies;

/// Frequencies and magnitude of a model's rotary embedding.
pub(crate) fn frequencies(rope: &Rope, head_dim: usize) -> Frequencies {
    let magnitude = match rope.scaling {
        RopeScaling::Yarn {
            attention_factor, ..
        } => attention_factor as f32,
        _ => 1.0,
    };
    Frequencies {
        inverse: inverse_frequencies(rope, head_dim),
        magnitude,
    }
}

/// `[head_dim / 2]` inverse frequencies `θ^(-2i/h)` after scaling, computed in
/// f32 as the reference implementation computes them.
fn inverse_frequencies(rope: &Rope, head_dim: usize) -> Vec<f32> {
    let base: Vec<f32> = (0..head_dim / 2)
        .map(|i| 1.0 / (rope.theta as f32).powf((2 * i) as f32 / head_dim as f32))
        .collect();
    match &rope.scaling {
        RopeScaling::None => base,
        RopeScaling::Linear { factor } => base.iter().map(|f| f / *factor as f32).collect(),
        RopeScaling::Factors(factors) => base.iter().zip(factors).map(|(f, by)| f / by).collect(),
        &RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            original_max_position_embeddings,
            truncate,
            attention_factor: _,
        } => {
            // The pair that turns so often within the original context.
            let pair = |turns: f64| {
                let context = original_max_position_embeddings as f64;
                let at = (context / (turns * 2.0 * std::f64::consts::PI)).ln();
                head_dim as f64 * at / (2.0 * rope.theta.ln())
            };
            let (mut low, mut high) = (pair(beta_fast), pair(beta_slow));
            if truncate {
                (low, high) = (low.floor(), high.ceil());
            }
            let (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
            // The reference implementation avoids a ramp of no width so.
            let width = if low == high { 0.001 } else { high - low };
            let scaled = |(i, &f): (usize, &f32)| {
                let divided = (((i as f64 - low) / width) as f32).clamp(0.0, 1.0);
                let kept = 1.0 - divided;
                f / factor as f32 * (1.0 - kept) + f * kept
            };
            base.iter().enumerate().map(scaled).collect()
        }
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
