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
    /// The matrix products alone, back to back, in seconds.
    pub products_alone: f64,
    /// The same, each with the fastest of the library's algorithms.
    pub products_best: f64,
    /// The device's own limits.
    pub ceilings: Ceilings,
}
