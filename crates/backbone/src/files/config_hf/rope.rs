//! Rotary settings, in both of transformers' spellings: `rope_parameters`, or
//! `rope_theta` and `rope_scaling`.

use super::family::Defaults;
use super::fields::Fields;
use crate::files::LoadError;
use crate::files::rope::{Rope, RopeScaling};

/// The rules that are supported, for messages.
const RULES: &str = "`default`, `linear`, `llama3` and `yarn`";

/// The rotary embedding of a model made for `max_positions`.
pub(super) fn read(
    fields: &Fields<'_>,
    defaults: &Defaults,
    max_positions: usize,
) -> Result<Rope, LoadError> {
    whole_heads(fields)?;
    let outer_theta = fields.number("rope_theta")?.unwrap_or(defaults.theta);
    let rules = match fields.inside("rope_parameters")? {
        None => fields.inside("rope_scaling")?,
        rules => rules,
    };
    let Some(rules) = rules else {
        return Ok(Rope {
            theta: outer_theta,
            scaling: if defaults.yarn {
                gpt_oss_yarn()
            } else {
                RopeScaling::None
            },
        });
    };
    whole_heads(&rules)?;
    if let Some((kind, _)) = rules.map.iter().find(|(_, rule)| rule.is_object()) {
        return Err(rules.wrong(
            kind,
            "is a rule for some of the layers, only one for all is supported",
        ));
    }
    let theta = rules.number("rope_theta")?.unwrap_or(outer_theta);
    let kind = rules
        .text("rope_type")?
        .or(rules.text("type")?)
        .unwrap_or("default");
    let scaling = match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: rules.needed_number("factor")?,
        },
        "llama3" => RopeScaling::Llama3 {
            factor: rules.needed_number("factor")?,
            low_freq_factor: rules.needed_number("low_freq_factor")?,
            high_freq_factor: rules.needed_number("high_freq_factor")?,
            original_max_position_embeddings: rules
                .needed_size("original_max_position_embeddings")?,
        },
        "yarn" => yarn(fields, &rules, max_positions)?,
        other => {
            return Err(LoadError::UnsupportedRope {
                path: fields.path.to_owned(),
                found: other.to_owned(),
                supported: RULES,
            });
        }
    };
    Ok(Rope { theta, scaling })
}

/// Refuses heads of which only a part is rotated.
fn whole_heads(fields: &Fields<'_>) -> Result<(), LoadError> {
    const FIELD: &str = "partial_rotary_factor";
    match fields.number(FIELD)? {
        Some(part) if part != 1.0 => {
            Err(fields.wrong(FIELD, &format!("is {part}, only 1 is supported")))
        }
        _ => Ok(()),
    }
}

fn yarn(
    fields: &Fields<'_>,
    rules: &Fields<'_>,
    max_positions: usize,
) -> Result<RopeScaling, LoadError> {
    const ORIGINAL: &str = "original_max_position_embeddings";
    let original = match fields.size(ORIGINAL)? {
        None => rules.size(ORIGINAL)?,
        original => original,
    };
    let factor = rules.needed_number("factor")?;
    let scales = (rules.number("mscale")?, rules.number("mscale_all_dim")?);
    let attention_factor = match (rules.number("attention_factor")?, scales) {
        (Some(given), _) => given,
        // Transformers takes these two only together, and not when one is zero.
        (None, (Some(scale), Some(all))) if scale != 0.0 && all != 0.0 => {
            magnitude(factor, scale) / magnitude(factor, all)
        }
        (None, _) => magnitude(factor, 1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        beta_fast: rules.number("beta_fast")?.unwrap_or(32.0),
        beta_slow: rules.number("beta_slow")?.unwrap_or(1.0),
        original_max_position_embeddings: original.unwrap_or(max_positions),
        truncate: rules.switch("truncate", true)?,
        attention_factor,
    })
}

/// What the paper multiplies cosines and sines by.
fn magnitude(factor: f64, scale: f64) -> f64 {
    if factor <= 1.0 {
        1.0
    } else {
        0.1 * scale * factor.ln() + 1.0
    }
}

/// What transformers takes for gpt-oss where the file gives no rule.
fn gpt_oss_yarn() -> RopeScaling {
    RopeScaling::Yarn {
        factor: 32.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position_embeddings: 4096,
        truncate: false,
        attention_factor: magnitude(32.0, 1.0),
    }
}
