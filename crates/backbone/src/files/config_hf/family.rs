//! The families of decoders, and how each differs from LLaMA's.

/// One `model_type` of transformers.
pub(super) struct Family {
    /// Its name in `config.json`.
    pub(super) model_type: &'static str,
    /// What transformers takes for the fields that a file leaves out.
    pub(super) defaults: Defaults,
    pub(super) attention_bias: AttentionBias,
    /// Whether `mlp_bias` is one of its fields.
    pub(super) mlp_bias: bool,
    pub(super) query_key_norm: bool,
    pub(super) sinks: bool,
    /// Whether experts stand in place of the gated MLP.
    pub(super) experts: bool,
    pub(super) sight: FamilySight,
}

/// Values of fields that a file leaves out.
pub(super) struct Defaults {
    /// `num_key_value_heads`; `None`: as many as query heads.
    pub(super) kv_heads: Option<usize>,
    /// `head_dim`; `None`: the hidden size over the query heads.
    pub(super) head_dim: Option<usize>,
    pub(super) max_positions: usize,
    pub(super) rms_norm_eps: f64,
    pub(super) theta: f64,
    pub(super) tied_embeddings: bool,
    /// `sliding_window`, where the family has windows.
    pub(super) window: Option<usize>,
    /// Whether positions are scaled by gpt-oss's YaRN where no rule is given.
    pub(super) yarn: bool,
}

/// Which projections of the attention have biases.
pub(super) enum AttentionBias {
    None,
    QueryKeyValue,
    /// All four, where `attention_bias` is true; the value is its default.
    Field(bool),
}

/// What the layers of a family see where `layer_types` doesn't say.
pub(super) enum FamilySight {
    /// All see everything.
    Full,
    /// All have the window.
    Window,
    /// Those from `max_window_layers` on have it, where `use_sliding_window` is true.
    LastLayers,
    /// Those without rotary positions have it, where `use_sliding_window` is true;
    /// `no_rope_layers` or `no_rope_layer_interval` says which these are.
    WithoutPositions,
    /// Every second one has it, beginning with the first.
    Alternating,
}

const LLAMA: Defaults = Defaults {
    kv_heads: None,
    head_dim: None,
    max_positions: 2048,
    rms_norm_eps: 1e-6,
    theta: 10_000.0,
    tied_embeddings: false,
    window: None,
    yarn: false,
};

const QWEN: Defaults = Defaults {
    kv_heads: Some(32),
    max_positions: 32_768,
    window: Some(4096),
    ..LLAMA
};

const PLAIN: Family = Family {
    model_type: "llama",
    defaults: LLAMA,
    attention_bias: AttentionBias::None,
    mlp_bias: false,
    query_key_norm: false,
    sinks: false,
    experts: false,
    sight: FamilySight::Full,
};

static FAMILIES: [Family; 6] = [
    Family {
        attention_bias: AttentionBias::Field(false),
        mlp_bias: true,
        ..PLAIN
    },
    Family {
        model_type: "mistral",
        defaults: Defaults {
            kv_heads: Some(8),
            max_positions: 131_072,
            window: Some(4096),
            ..LLAMA
        },
        sight: FamilySight::Window,
        ..PLAIN
    },
    Family {
        model_type: "qwen2",
        defaults: QWEN,
        attention_bias: AttentionBias::QueryKeyValue,
        sight: FamilySight::LastLayers,
        ..PLAIN
    },
    Family {
        model_type: "qwen3",
        defaults: Defaults {
            head_dim: Some(128),
            ..QWEN
        },
        attention_bias: AttentionBias::Field(false),
        query_key_norm: true,
        sight: FamilySight::LastLayers,
        ..PLAIN
    },
    Family {
        model_type: "smollm3",
        defaults: Defaults {
            kv_heads: Some(4),
            max_positions: 32_768,
            theta: 2_000_000.0,
            tied_embeddings: true,
            ..LLAMA
        },
        attention_bias: AttentionBias::Field(false),
        mlp_bias: true,
        sight: FamilySight::WithoutPositions,
        ..PLAIN
    },
    Family {
        model_type: "gpt_oss",
        defaults: Defaults {
            kv_heads: Some(8),
            head_dim: Some(64),
            max_positions: 131_072,
            rms_norm_eps: 1e-5,
            theta: 150_000.0,
            window: Some(128),
            yarn: true,
            ..LLAMA
        },
        attention_bias: AttentionBias::Field(true),
        sinks: true,
        experts: true,
        sight: FamilySight::Alternating,
        ..PLAIN
    },
];

/// Names of [`FAMILIES`], for messages.
pub(super) const NAMES: &str = "`llama`, `mistral`, `qwen2`, `qwen3`, `smollm3` and `gpt_oss`";

/// The family of a `model_type`.
pub(super) fn named(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.model_type == model_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_lists_every_family() {
        for family in &FAMILIES {
            assert!(NAMES.contains(&format!("`{}`", family.model_type)));
        }
        assert_eq!(NAMES.matches('`').count(), 2 * FAMILIES.len());
    }
}
