//! Memory for time in a training step.

use std::fmt;
use std::str::FromStr;

/// What a training step keeps of its forward pass, and what it computes again
/// on the way back: less memory for more time. The results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Nothing is computed again: fastest.
    #[default]
    None,
    /// The gate and up values of the MLPs: about half the activations, a
    /// quarter more arithmetic.
    Mlp,
    /// All but the inputs of the layers: the least memory, about two fifths
    /// more arithmetic.
    Layer,
}

impl Recompute {
    /// All of them, the fastest first.
    pub const ALL: [Recompute; 3] = [Recompute::None, Recompute::Mlp, Recompute::Layer];
}

impl fmt::Display for Recompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Recompute::None => "none",
            Recompute::Mlp => "mlp",
            Recompute::Layer => "layer",
        })
    }
}

impl FromStr for Recompute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL
            .into_iter()
            .find(|level| level.to_string() == text);
        known.ok_or_else(|| format!("`{text}` is not a level: none, mlp or layer"))
    }
}
