//! Why a processor could not do its work.

/// Why a processor could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The device's memory is too small for what was asked.
    #[error(
        "{device} is out of memory: {plan}; {:.2} GB more were asked for, {:.2} of {:.2} GB are free; lower the batch size or the longest example, free the device of other programs, or use --device cpu",
        gigabytes(bytes),
        gigabytes(free),
        gigabytes(total)
    )]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes asked for.
        bytes: usize,
        /// Bytes free at that moment.
        free: usize,
        /// Bytes of the device.
        total: usize,
        /// What the work needs as a whole.
        plan: String,
    },
    /// The device runs a model, but can't do this with it.
    #[error("{device} can't {what}; {instead}")]
    Unsupported {
        /// The device.
        device: String,
        /// What was asked.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// The device or one of its libraries refused an operation.
    #[error("{device} failed at {operation}: {problem}")]
    Device {
        /// The device.
        device: String,
        /// What it was doing.
        operation: &'static str,
        /// What its driver said.
        problem: String,
    },
}

impl ComputeError {
    /// Says what the work as a whole needs, where memory was short.
    pub(crate) fn planned(mut self, of: impl FnOnce() -> String) -> Self {
        if let ComputeError::OutOfMemory { plan, .. } = &mut self {
            *plan = of();
        }
        self
    }
}

fn gigabytes(bytes: &usize) -> f64 {
    *bytes as f64 / 1e9
}
