//! What kernels are given: memory, arguments, and how they are cut into blocks.

use super::profile::Cost;
use cudarc::driver::CudaSlice;

/// Memory of `T` values on a device.
pub(crate) struct Buffer<T> {
    pub(super) slice: CudaSlice<T>,
    pub(super) address: u64,
}

impl<T> Buffer<T> {
    /// Where it begins on the device.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    pub(crate) fn len(&self) -> usize {
        self.slice.len()
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// A device address (0 is null).
    Address(u64),
    Int(i32),
    Float(f32),
}

impl<T> From<&Buffer<T>> for Arg {
    fn from(buffer: &Buffer<T>) -> Self {
        Arg::Address(buffer.address)
    }
}

impl<T> From<Option<&Buffer<T>>> for Arg {
    fn from(buffer: Option<&Buffer<T>>) -> Self {
        Arg::Address(buffer.map_or(0, Buffer::address))
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Self {
        Arg::Int(i32::try_from(value).expect("a size within 2^31"))
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Self {
        Arg::Float(value)
    }
}

/// How a kernel is cut into blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) blocks: (usize, usize),
    pub(crate) threads: usize,
    pub(crate) shared_bytes: usize,
    pub(crate) cost: Cost,
}

impl Grid {
    pub(crate) fn new(blocks: usize, threads: usize) -> Self {
        Grid {
            blocks: (blocks, 1),
            threads,
            shared_bytes: 0,
            cost: Cost::default(),
        }
    }

    /// Notes how many bytes the kernel must read and write.
    pub(crate) fn moving(mut self, bytes: usize) -> Self {
        self.cost.bytes = bytes as f64;
        self
    }
}
