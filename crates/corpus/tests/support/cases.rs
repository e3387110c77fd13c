//! How many cases a property is tried on.

use proptest::prelude::ProptestConfig;

/// That many, or as many as the variable `PROPTEST_CASES` says.
pub(crate) fn cases(few: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(few),
    }
}
