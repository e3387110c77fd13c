//! Experts, and how their weights are packed.

use super::family::Family;
use super::fields::Fields;
use crate::files::LoadError;
use crate::files::experts::Experts;

/// The experts of a family that has them.
pub(super) fn of_family(
    fields: &Fields<'_>,
    family: &Family,
) -> Result<Option<Experts>, LoadError> {
    let packed = packed(fields, family)?;
    if !family.experts {
        return Ok(None);
    }
    Ok(Some(Experts {
        count: fields.needed_size("num_local_experts")?,
        active: fields.size("num_experts_per_tok")?.unwrap_or(4),
        alpha: fields.number("swiglu_alpha")?.unwrap_or(1.702) as f32,
        limit: fields.number("swiglu_limit")?.unwrap_or(7.0) as f32,
        packed,
    }))
}

/// Modules that MXFP4 never packs, by the last part of their names.
const NEVER_PACKED: [&str; 11] = [
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "router",
    "input_layernorm",
    "post_attention_layernorm",
    "norm",
    "embed_tokens",
    "lm_head",
];

/// Whether the experts' weights are MXFP4 blocks and scales; every other kind of
/// packing is refused.
fn packed(fields: &Fields<'_>, family: &Family) -> Result<bool, LoadError> {
    const FIELD: &str = "quantization_config";
    let Some(packing) = fields.inside(FIELD)? else {
        return Ok(false);
    };
    match packing.text("quant_method")? {
        Some("mxfp4") if family.experts => {}
        method => {
            let method = method.map_or(String::new(), |method| format!(" `{method}`"));
            let problem = format!(
                "says that the weights are packed by a quantizer{method}; only `mxfp4` of `gpt_oss` is \
                 supported: take the unquantized checkpoint or a GGUF file"
            );
            return Err(fields.wrong(FIELD, &problem));
        }
    }
    const KEPT: &str = "modules_to_not_convert";
    for module in packing.list(KEPT)?.unwrap_or_default() {
        let last = module.as_str().and_then(|name| name.rsplit('.').next());
        if !last.is_some_and(|last| NEVER_PACKED.contains(&last)) {
            let problem = format!(
                "has {module}; a checkpoint whose experts are packed in part only is not supported"
            );
            return Err(packing.wrong(KEPT, &problem));
        }
    }
    Ok(true)
}
