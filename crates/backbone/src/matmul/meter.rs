//! How long the threads spend in products, while somebody asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

static RUNNING: AtomicBool = AtomicBool::new(false);
static NANOSECONDS: AtomicU64 = AtomicU64::new(0);
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// What all threads did in products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metered {
    /// Their time, added up, in seconds.
    pub(crate) seconds: f64,
    /// Floating-point operations.
    pub(crate) flops: f64,
}

/// Starts from zero.
pub(crate) fn start() {
    NANOSECONDS.store(0, Ordering::Relaxed);
    OPERATIONS.store(0, Ordering::Relaxed);
    RUNNING.store(true, Ordering::Relaxed);
}

/// Ends what [`start`] began.
pub(crate) fn finish() -> Metered {
    RUNNING.store(false, Ordering::Relaxed);
    Metered {
        seconds: NANOSECONDS.load(Ordering::Relaxed) as f64 / 1e9,
        flops: OPERATIONS.load(Ordering::Relaxed) as f64,
    }
}

/// Runs one thread's part of a product.
#[inline]
pub(super) fn metered(operations: usize, work: impl FnOnce()) {
    if !RUNNING.load(Ordering::Relaxed) {
        return work();
    }
    let start = Instant::now();
    work();
    NANOSECONDS.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    OPERATIONS.fetch_add(operations as u64, Ordering::Relaxed);
}
