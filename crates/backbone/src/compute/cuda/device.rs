//! A GPU: its memory, copies to and from it, kernel launches.

use super::buffer::{Arg, Buffer, Grid};
use super::discover::{OLDEST, count, driver_version, message, too_old};
use super::kernels::Kernels;
use super::profile::{Cost, Profile};
use crate::compute::{ComputeError, Computed, Memory};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{
    self, CUdevice_attribute_enum as Attribute, CUevent_flags,
    CUfunction_attribute_enum as FunctionAttribute, CUmemPool_attribute as Pool,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
};
use std::ffi::c_void;
use std::fmt::Display;
use std::sync::Arc;

/// First CUDA whose driver has the function that kernels are timed with.
const TIMING_DRIVER: i32 = 12080;

/// A GPU with its stream and its compiled kernels.
pub(crate) struct Device {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    name: String,
    capability: (i32, i32),
    multiprocessors: usize,
    kernels: Kernels,
    pub(crate) profile: Profile,
}

impl Device {
    /// Opens GPU number `ordinal`.
    pub(crate) fn open(ordinal: usize) -> Computed<Self> {
        let failed = |operation: &'static str, problem: String| ComputeError::Device {
            device: format!("cuda:{ordinal}"),
            operation,
            problem,
        };
        let devices = count().map_err(|e| failed("looking for it", e.problem))?;
        if ordinal >= devices {
            let problem = format!("there are {devices} GPUs, numbered from 0");
            return Err(failed("looking for it", problem));
        }
        let opened = || -> Result<_, DriverError> {
            let context = CudaContext::new(ordinal)?;
            // SAFETY: one stream does everything, in order, so no event is
            // needed to order one use of a buffer after another.
            unsafe { context.disable_event_tracking() };
            let stream = context.new_stream()?;
            let name = format!("{} (cuda:{ordinal})", context.name()?);
            let capability = context.compute_capability()?;
            let multiprocessors =
                context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
            keep_freed_memory(&context)?;
            Ok((context, stream, name, capability, multiprocessors))
        };
        let (context, stream, name, capability, multiprocessors) =
            opened().map_err(|e| failed("opening it", message(e)))?;
        if capability < OLDEST {
            return Err(failed("opening it", too_old(&name, capability)));
        }
        let kernels = Kernels::load(&context, &name, capability, super::kernels::COMMON, &[])?;
        Ok(Device {
            context,
            stream,
            name,
            capability,
            multiprocessors: usize::try_from(multiprocessors).unwrap_or(1),
            kernels,
            profile: Profile::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    pub(crate) fn stream(&self) -> &CudaStream {
        &self.stream
    }

    /// Compiles further kernels with these macros set.
    pub(crate) fn compile(
        &self,
        sources: &[(&'static str, &'static str)],
        macros: &[(&str, usize)],
    ) -> Computed<Kernels> {
        Kernels::load(&self.context, &self.name, self.capability, sources, macros)
    }

    /// An error of this device.
    pub(crate) fn error(&self, operation: &'static str, problem: &dyn Display) -> ComputeError {
        ComputeError::Device {
            device: self.name.clone(),
            operation,
            problem: problem.to_string(),
        }
    }

    pub(crate) fn driver<T>(
        &self,
        operation: &'static str,
        result: Result<T, DriverError>,
    ) -> Computed<T> {
        result.map_err(|e| self.error(operation, &message(e)))
    }

    /// Memory whose content is whatever was there before.
    pub(crate) fn alloc<T: DeviceRepr>(&self, len: usize) -> Computed<Buffer<T>> {
        // A kernel over nothing may still be given an address.
        let room = len.max(1);
        // SAFETY: every kernel and copy writes its whole output before
        // anything reads it; this is what the tests with poisoned memory check.
        let slice = unsafe { self.stream.alloc::<T>(room) }.map_err(|e| {
            if e.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                let (free, total) = self.context.mem_get_info().unwrap_or((0, 0));
                ComputeError::OutOfMemory {
                    device: self.name.clone(),
                    bytes: room * size_of::<T>(),
                    free,
                    total,
                    plan: "an allocation failed".to_owned(),
                }
            } else {
                self.error("allocating memory", &message(e))
            }
        })?;
        let address = slice.device_ptr(&self.stream).0;
        #[cfg(test)]
        self.poison(address, room * size_of::<T>());
        Ok(Buffer { slice, address })
    }

    /// Refuses what can't fit, before any of it is made.
    pub(crate) fn check_room(&self, bytes: u64) -> Computed<()> {
        let memory = self.memory()?;
        if bytes <= memory.free {
            return Ok(());
        }
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Err(ComputeError::OutOfMemory {
            device: self.name.clone(),
            bytes: size(bytes),
            free: size(memory.free),
            total: size(memory.total),
            plan: String::new(),
        })
    }

    /// Fills new memory with NaNs, so that a value nobody wrote is seen.
    #[cfg(test)]
    fn poison(&self, address: u64, bytes: usize) {
        // SAFETY: the allocation is that large.
        let filled =
            unsafe { result::memset_d8_async(address, 0xff, bytes, self.stream.cu_stream()) };
        filled.expect("memory can be filled");
    }

    /// Copies values to new memory of the device.
    pub(crate) fn upload<T: DeviceRepr>(&self, values: &[T]) -> Computed<Buffer<T>> {
        let buffer = self.alloc(values.len())?;
        if !values.is_empty() {
            self.driver("copying to it", self.context.bind_to_thread())?;
            // SAFETY: the buffer has the values' length; the driver has staged
            // pageable memory by the time that this call returns.
            let copied = unsafe {
                result::memcpy_htod_async(buffer.address, values, self.stream.cu_stream())
            };
            self.driver("copying to it", copied)?;
        }
        Ok(buffer)
    }

    /// The first `len` values, after all work before it is done.
    pub(crate) fn download<T: DeviceRepr + Default + Clone>(
        &self,
        buffer: &Buffer<T>,
        len: usize,
    ) -> Computed<Vec<T>> {
        assert!(len <= buffer.len(), "a download within its buffer");
        let mut values = vec![T::default(); len];
        if len > 0 {
            self.driver("copying from it", self.context.bind_to_thread())?;
            // SAFETY: the buffer holds at least `len` values, and the stream is
            // waited for before anyone reads them.
            let copied = unsafe {
                result::memcpy_dtoh_async(&mut values, buffer.address, self.stream.cu_stream())
            };
            self.driver("copying from it", copied)?;
        }
        self.synchronize()?;
        Ok(values)
    }

    /// Copies `bytes` within the device.
    pub(crate) fn copy(&self, to: u64, from: u64, bytes: usize) -> Computed<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.driver("copying", self.context.bind_to_thread())?;
        // SAFETY: callers name ranges of live buffers.
        let copied = unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream.cu_stream()) };
        self.driver("copying", copied)
    }

    /// Fills `bytes` at an address with zeros.
    pub(crate) fn zero(&self, at: u64, bytes: usize) -> Computed<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.driver("clearing memory", self.context.bind_to_thread())?;
        // SAFETY: callers name ranges of live buffers.
        let filled = unsafe { result::memset_d8_async(at, 0, bytes, self.stream.cu_stream()) };
        self.driver("clearing memory", filled)
    }

    /// Lets a kernel have this much shared memory.
    pub(crate) fn allow_shared_memory(
        &self,
        function: &CudaFunction,
        bytes: usize,
    ) -> Computed<()> {
        let attribute = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.driver(
            "giving a kernel shared memory",
            function.set_attribute(attribute, bytes),
        )
    }

    /// Whether the driver times events as this program asks it to.
    pub(crate) fn check_timing(&self) -> Computed<()> {
        let driver = self.driver("asking for its driver's version", driver_version())?;
        if driver >= TIMING_DRIVER {
            return Ok(());
        }
        Err(self.error("timing kernels", &"its driver is older than CUDA 12.8"))
    }

    /// Waits for all work.
    pub(crate) fn synchronize(&self) -> Computed<()> {
        self.driver("running a kernel", self.stream.synchronize())
    }

    /// Does `work` on the stream, timed while a recording is on.
    pub(crate) fn timed(
        &self,
        name: &'static str,
        cost: Cost,
        work: impl FnOnce() -> Result<(), DriverError>,
    ) -> Computed<()> {
        let done = self
            .profile
            .timed(&self.context, &self.stream, name, cost, work);
        self.driver(name, done)
    }

    /// Seconds that the device takes for what `work` gives it.
    pub(crate) fn seconds(&self, work: impl FnOnce() -> Computed<()>) -> Computed<f64> {
        let event = || {
            let event = self
                .context
                .new_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
            self.driver("timing", event)
        };
        let (start, end) = (event()?, event()?);
        self.driver("timing", start.record(&self.stream))?;
        work()?;
        self.driver("timing", end.record(&self.stream))?;
        self.synchronize()?;
        Ok(f64::from(self.driver("timing", start.elapsed_ms(&end))?) / 1e3)
    }

    /// Launches one of the kernels that every model uses.
    pub(crate) fn launch(&self, name: &'static str, grid: Grid, args: &[Arg]) -> Computed<()> {
        self.launch_function(name, self.kernels.get(name), grid, args)
    }

    /// Launches a kernel; a grid without blocks does nothing.
    pub(crate) fn launch_function(
        &self,
        name: &'static str,
        function: &CudaFunction,
        grid: Grid,
        args: &[Arg],
    ) -> Computed<()> {
        if grid.blocks.0 == 0 || grid.blocks.1 == 0 {
            return Ok(());
        }
        let size = |n: usize| u32::try_from(n).expect("a grid within 2^32");
        let config = LaunchConfig {
            grid_dim: (size(grid.blocks.0), size(grid.blocks.1), 1),
            block_dim: (size(grid.threads), 1, 1),
            shared_mem_bytes: size(grid.shared_bytes),
        };
        let mut launch = self.stream.launch_builder(function);
        for arg in args {
            match arg {
                Arg::Address(address) => launch.arg(address),
                Arg::Int(value) => launch.arg(value),
                Arg::Float(value) => launch.arg(value),
            };
        }
        self.timed(name, grid.cost, || {
            // SAFETY: the arguments are those of the kernel's signature, in its
            // order; addresses are of live buffers of the sizes that it
            // documents.
            unsafe { launch.launch(config) }.map(|_| ())
        })
    }

    pub(crate) fn memory(&self) -> Computed<Memory> {
        let mut peak = 0u64;
        let mut read = || -> Result<(usize, usize), DriverError> {
            // Without a pool nothing is counted.
            if self.context.has_async_alloc() {
                // SAFETY: the attribute is a 64-bit number.
                unsafe {
                    let pool = result::device::get_default_mem_pool(self.context.cu_device())?;
                    result::mem_pool::get_attribute(
                        pool,
                        Pool::CU_MEMPOOL_ATTR_USED_MEM_HIGH,
                        std::ptr::from_mut(&mut peak).cast::<c_void>(),
                    )?;
                }
            }
            self.context.mem_get_info()
        };
        let (free, total) = self.driver("reading its memory", read())?;
        Ok(Memory {
            peak,
            free: free as u64,
            total: total as u64,
        })
    }
}

/// Lets the driver's memory pool keep what is freed: a step's memory is the
/// next step's.
fn keep_freed_memory(context: &CudaContext) -> Result<(), DriverError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut threshold = u64::MAX;
    // SAFETY: the attribute is a 64-bit number.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device())?;
        result::mem_pool::set_attribute(
            pool,
            Pool::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            std::ptr::from_mut(&mut threshold).cast::<c_void>(),
        )
    }
}
