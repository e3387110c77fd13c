//! Why a processor could not do its work.

/// Why a processor could not do its work. The CPU never gives one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The device's memory is too small for what was asked.
    #[error(
        "{device} is out of memory: {bytes} bytes more were needed, {free} of {total} bytes are free; lower the batch size or the longest example, or use --device cpu"
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
