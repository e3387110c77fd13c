//! What a processor says of itself.

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Most that was ever in use.
    pub peak: u64,
    /// Free now.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// All runs of one kernel in a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelTime {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub calls: usize,
    /// How long in all, on the device.
    pub seconds: f64,
    /// Bytes that it must at least read and write.
    pub bytes: f64,
    /// Floating-point operations of its matrix products.
    pub flops: f64,
}

/// The fastest that a device does what kernels are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// A large copy, bytes read plus bytes written, per second.
    pub copy_bytes_per_second: f64,
    /// A large square matrix product, operations per second.
    pub product_flops_per_second: f64,
}

/// What a recording measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// By kernel, the longest first.
    pub kernels: Vec<KernelTime>,
    /// From the start of the first kernel to the end of the last, in seconds.
    pub span: f64,
    /// The matrix products by themselves.
    pub products: Products,
    /// The device's own limits.
    pub ceilings: Ceilings,
}

/// The matrix products of a recording by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Products {
    /// The same list run again with nothing in between, on a device.
    Replayed {
        /// Seconds.
        alone: f64,
        /// Seconds, each with the fastest of the library's algorithms.
        best: f64,
    },
    /// Timed where they ran, on a processor's threads.
    Metered {
        /// Share of all threads' time between first and last operation.
        share: f64,
        /// Floating-point operations.
        flops: f64,
        /// Operations per second while all threads are in products.
        flops_per_second: f64,
    },
}
