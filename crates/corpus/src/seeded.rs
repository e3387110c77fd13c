//! Random order that depends on a seed and on ids, and on nothing else: not on
//! the order of files, the platform or the version of a random-number crate.

use sha2::{Digest, Sha256};

/// A pseudo-random number for an id. `purpose` keeps draws apart that use one
/// seed.
pub(crate) fn rank(seed: u64, purpose: &str, id: &str) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    // Lengths, so that no two inputs run together to the same bytes.
    hasher.update((purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(id.as_bytes());
    let digest = hasher.finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}
