//! What a configuration says about rotary position embeddings.

/// Rotary position embedding: base and scaling rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base `θ`: pair `i` of a head turns by `θ^(-2i/head_dim)` per position before scaling.
    pub theta: f64,
    /// How these frequencies are changed for longer contexts.
    pub scaling: RopeScaling,
}

/// Scaling rules of the rotary frequencies.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Frequencies as they are.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// LLaMA 3.1's rule: long wavelengths divided by `factor`, short ones kept, a
    /// smooth passage between.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length before the extension.
        original_max_position_embeddings: usize,
    },
    /// YaRN (Peng et al. 2023, arXiv 2309.00071): frequencies that turn often within
    /// the original context are kept, those that turn seldom divided by `factor`, with
    /// a ramp between; cosines and sines are multiplied by `attention_factor`.
    Yarn {
        /// The divisor.
        factor: f64,
        /// Turns within the original context above which a frequency is kept.
        beta_fast: f64,
        /// Turns below which it is divided.
        beta_slow: f64,
        /// Context length before the extension.
        original_max_position_embeddings: usize,
        /// Whether the ramp's ends are rounded to whole dimensions.
        truncate: bool,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
    },
    /// One divisor for each of the `head_dim / 2` frequencies: how GGUF files store the
    /// `llama3` rule (tensor `rope_freqs.weight`).
    Factors(Vec<f32>),
}

impl Rope {
    pub(super) fn contradiction(&self, head_dim: usize) -> Option<(&'static str, String)> {
        // YaRN divides by the base's logarithm.
        if matches!(self.scaling, RopeScaling::Yarn { .. }) && self.theta <= 1.0 {
            let problem = format!("is {}, wanted more than 1 for YaRN", self.theta);
            return Some(("rope_theta", problem));
        }
        self.scaling.contradiction(head_dim)
    }
}

impl RopeScaling {
    fn contradiction(&self, head_dim: usize) -> Option<(&'static str, String)> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        match self {
            Self::None => None,
            Self::Linear { factor } => (!positive(*factor))
                .then(|| ("factor", format!("is {factor}, wanted a positive number"))),
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                if !positive(*factor) {
                    Some(("factor", format!("is {factor}, wanted a positive number")))
                } else if !positive(*low_freq_factor) {
                    Some((
                        "low_freq_factor",
                        format!("is {low_freq_factor}, wanted a positive number"),
                    ))
                } else if !high_freq_factor.is_finite() || high_freq_factor <= low_freq_factor {
                    let problem = format!(
                        "is {high_freq_factor}, wanted more than low_freq_factor {low_freq_factor}"
                    );
                    Some(("high_freq_factor", problem))
                } else if *original_max_position_embeddings == 0 {
                    Some((
                        "original_max_position_embeddings",
                        "is 0, wanted a positive number".to_owned(),
                    ))
                } else {
                    None
                }
            }
            Self::Yarn {
                factor,
                beta_fast,
                beta_slow,
                original_max_position_embeddings,
                attention_factor,
                truncate: _,
            } => {
                let numbers = [
                    ("factor", *factor),
                    ("beta_slow", *beta_slow),
                    ("beta_fast", *beta_fast),
                    ("attention_factor", *attention_factor),
                    (
                        "original_max_position_embeddings",
                        *original_max_position_embeddings as f64,
                    ),
                ];
                let wrong = numbers.into_iter().find(|&(_, x)| !positive(x));
                if let Some((field, x)) = wrong {
                    Some((field, format!("is {x}, wanted a positive number")))
                } else if beta_fast <= beta_slow {
                    let problem = format!("is {beta_fast}, wanted more than beta_slow {beta_slow}");
                    Some(("beta_fast", problem))
                } else {
                    None
                }
            }
            Self::Factors(factors) => {
                if factors.len() != head_dim / 2 {
                    let problem = format!(
                        "has {} values, wanted head_dim / 2 = {}",
                        factors.len(),
                        head_dim / 2
                    );
                    Some(("rope_freqs.weight", problem))
                } else if !factors.iter().all(|&x| positive(f64::from(x))) {
                    Some((
                        "rope_freqs.weight",
                        "has a value that is not a positive number".to_owned(),
                    ))
                } else {
                    None
                }
            }
        }
    }
}
