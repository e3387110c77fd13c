//! The architectures of GGUF files that can be read.

/// One value of `general.architecture`, which is also the prefix of its keys.
#[derive(Debug)]
pub(in crate::files) struct Architecture {
    pub(in crate::files) name: &'static str,
    /// Whether a head's rotary pairs lie side by side in the rows of queries and keys;
    /// otherwise in the head's two halves, as in Hugging Face's files.
    pub(in crate::files) interleaved: bool,
    /// Whether each head's queries and keys have norms.
    pub(in crate::files) query_key_norm: bool,
    /// Every so many layers, one doesn't rotate by positions. No key says it.
    pub(in crate::files) without_positions: Option<usize>,
}

const LLAMA: Architecture = Architecture {
    name: "llama",
    interleaved: true,
    query_key_norm: false,
    without_positions: None,
};

static ARCHITECTURES: [Architecture; 4] = [
    LLAMA,
    Architecture {
        name: "qwen2",
        interleaved: false,
        ..LLAMA
    },
    Architecture {
        name: "qwen3",
        interleaved: false,
        query_key_norm: true,
        ..LLAMA
    },
    Architecture {
        name: "smollm3",
        without_positions: Some(4),
        ..LLAMA
    },
];

/// What to say of other architectures.
pub(in crate::files) const SUPPORTED: &str = "`llama` (with Mistral), `qwen2`, `qwen3` and `smollm3` in GGUF files; gpt-oss is read from a \
     Hugging Face directory";

impl Architecture {
    pub(in crate::files) fn named(name: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|a| a.name == name)
    }
}
