//! Tensor names: GGUF's and Hugging Face's.

/// Parts of a layer: GGUF's name and Hugging Face's, without `.weight` or `.bias`.
const LAYER_PARTS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Hugging Face's name of the tensor that a GGUF file calls `gguf`.
pub(super) fn hugging_face(gguf: &str) -> Option<String> {
    match gguf {
        "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
        "output_norm.weight" => return Some("model.norm.weight".to_owned()),
        "output.weight" => return Some("lm_head.weight".to_owned()),
        _ => {}
    }
    let (layer, part) = gguf.strip_prefix("blk.")?.split_once('.')?;
    // Only the canonical spelling, so that no two names map to one.
    let layer: usize = layer
        .parse()
        .ok()
        .filter(|n: &usize| n.to_string() == layer)?;
    let (part, suffix) = part
        .rsplit_once('.')
        .filter(|(_, suffix)| matches!(*suffix, "weight" | "bias"))?;
    let (_, name) = LAYER_PARTS.iter().find(|(of_gguf, _)| *of_gguf == part)?;
    Some(format!("model.layers.{layer}.{name}.{suffix}"))
}

/// Whether this tensor (a Hugging Face name) is a norm of each head's queries or keys.
pub(super) fn is_head_norm(name: &str) -> bool {
    name.ends_with(".self_attn.q_norm.weight") || name.ends_with(".self_attn.k_norm.weight")
}

/// Whether the rows of this tensor (a Hugging Face name) are stored in rotary-pair order
/// where an architecture has that: those of the query and key projections are.
pub(super) fn is_interleaved(name: &str) -> bool {
    let part = name
        .strip_suffix(".weight")
        .or_else(|| name.strip_suffix(".bias"));
    part.is_some_and(|part| {
        part.ends_with(".self_attn.q_proj") || part.ends_with(".self_attn.k_proj")
    })
}

/// The row in a GGUF file that holds Hugging Face's row `row` of a query or key
/// projection.
///
/// Hugging Face rotates dimension `i` of a head together with `i + head_dim/2`; GGUF's
/// LLaMA rotates neighbours `2i` and `2i + 1`, so the file's rows are interleaved.
pub(super) fn interleaved_row(row: usize, head_dim: usize) -> usize {
    let (head, within) = (row / head_dim, row % head_dim);
    let half = head_dim / 2;
    let (second_half, pair) = (within / half, within % half);
    head * head_dim + 2 * pair + second_half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_is_a_permutation_within_each_head() {
        // Head 1 of width 6: halves (6,7,8) and (9,10,11) come from pairs (6,7), (8,9), (10,11).
        let rows: Vec<usize> = (6..12).map(|row| interleaved_row(row, 6)).collect();
        assert_eq!(rows, [6, 8, 10, 7, 9, 11]);
    }

    #[test]
    fn only_canonical_layer_numbers_map() {
        assert_eq!(
            hugging_face("blk.3.ffn_up.weight").as_deref(),
            Some("model.layers.3.mlp.up_proj.weight")
        );
        assert_eq!(
            hugging_face("blk.0.attn_q.bias").as_deref(),
            Some("model.layers.0.self_attn.q_proj.bias")
        );
        for name in [
            "blk.03.ffn_up.weight",
            "blk.+3.ffn_up.weight",
            "blk.3.ffn_up",
            "blk.3.attn_sinks.weight",
        ] {
            assert_eq!(hugging_face(name), None, "{name}");
        }
    }
}
