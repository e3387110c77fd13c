//! A short identity of a backbone's weights.

use sha2::{Digest, Sha256};

use super::{Config, LayerAttention, TensorSource};

/// Bytes taken from each end of a tensor.
const SAMPLE: usize = 4096;

/// The identity that adapters store to name the backbone they were made for: 64
/// hexadecimal digits of SHA-256 over, in this order,
///
/// 1. the configuration's numbers (not its name, special tokens or context length);
/// 2. for each tensor that the configuration uses, in the order of
///    [`Config::tensors`]: its name, shape and storage type, and the first and last
///    4,096 bytes of it as stored.
///
/// It takes milliseconds even for a large backbone, since a few kilobytes of each tensor
/// are read. Any training or conversion changes it, and so does another quantization,
/// since an adapter is made for exact weights; sharding, file names and metadata do not.
/// It is no protection against someone who changes weights between the samples on purpose.
pub(super) fn fingerprint(config: &Config, tensors: &dyn TensorSource) -> String {
    let mut hash = Sha256::new();
    // Debug output of floats is exact (shortest round trip), and the list is ours.
    let numbers = format!(
        "llama {} {} {} {} {} {} {} {:?} {:?} {}",
        config.vocab_size,
        config.hidden_size,
        config.intermediate_size,
        config.layers,
        config.heads,
        config.kv_heads,
        config.head_dim,
        config.rms_norm_eps,
        config.rope,
        config.tied_embeddings,
    );
    hash.update(numbers.as_bytes());
    hash.update(beyond_llama(config).as_bytes());
    for (name, _) in config.tensors() {
        let (Some(info), Some(bytes)) = (tensors.info(&name), tensors.raw(&name)) else {
            continue;
        };
        hash.update(format!("\n{name} {:?} {} ", info.shape, info.dtype).as_bytes());
        let sample = bytes.len().min(SAMPLE);
        hash.update(&bytes[..sample]);
        hash.update(&bytes[bytes.len() - sample..]);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What makes a configuration another decoder than LLaMA's; empty for LLaMA's, so
/// that identities from before there were others stay what they were.
fn beyond_llama(config: &Config) -> String {
    let full = config.attention.iter().all(|a| *a == LayerAttention::FULL);
    if full && !config.query_key_norm && !config.sinks && config.experts.is_none() {
        return String::new();
    }
    let (norm, sinks) = (config.query_key_norm, config.sinks);
    format!(
        " {:?} {norm} {sinks} {:?}",
        config.attention, config.experts
    )
}
