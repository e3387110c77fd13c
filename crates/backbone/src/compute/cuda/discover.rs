//! Finding GPUs, and saying why one can't be used.

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute};

/// Oldest compute capability with bf16 tensor cores and asynchronous copies.
pub(super) const OLDEST: (i32, i32) = (8, 0);

/// Why no GPU can be used.
pub(crate) struct Unusable {
    /// Whether there is one.
    pub(crate) gpu: bool,
    pub(crate) problem: String,
}

impl Unusable {
    fn new(gpu: bool, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Unusable { gpu, problem }
    }
}

/// Whether the first GPU can be used.
pub(crate) fn available() -> Result<(), Unusable> {
    count()?;
    let old = |e| Unusable::new(true, message(e));
    let device = result::device::get(0).map_err(old)?;
    let of = |attribute| {
        // SAFETY: `device` was got just now.
        unsafe { result::device::get_attribute(device, attribute) }.map_err(old)
    };
    let capability = (
        of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    );
    if capability < OLDEST {
        return Err(Unusable::new(true, too_old("the GPU", capability)));
    }
    Ok(())
}

pub(super) fn too_old(name: &str, (major, minor): (i32, i32)) -> String {
    format!("{name} has compute capability {major}.{minor}, and 8.0 (Ampere) or newer is needed")
}

/// Number of GPUs, at least one.
pub(super) fn count() -> Result<usize, Unusable> {
    // SAFETY: this only tries to load a library.
    let driver = unsafe { sys::is_culib_present() };
    if !driver {
        return Err(Unusable::new(
            false,
            "no NVIDIA driver (libcuda) is installed",
        ));
    }
    let devices = result::init()
        .and_then(|()| result::device::get_count())
        .map_err(|e| {
            // Any other reason means that a card is there and its driver isn't well.
            let none = [
                sys::CUresult::CUDA_ERROR_NO_DEVICE,
                sys::CUresult::CUDA_ERROR_STUB_LIBRARY,
            ];
            Unusable::new(
                !none.contains(&e.0),
                format!("the NVIDIA driver: {}", message(e)),
            )
        })?;
    if devices == 0 {
        return Err(Unusable::new(false, "the NVIDIA driver finds no GPU"));
    }
    // SAFETY: these functions only try to load a library.
    let (nvrtc, blas) = unsafe {
        (
            cudarc::nvrtc::sys::is_culib_present(),
            cudarc::cublaslt::sys::is_culib_present(),
        )
    };
    for (present, library, package) in [
        (nvrtc, "libnvrtc", "nvidia-cuda-nvrtc"),
        (blas, "libcublasLt", "nvidia-cublas"),
    ] {
        if !present {
            let problem = format!(
                "a GPU is here but {library} is not; install the CUDA toolkit or PyPI's {package} and put its folder on LD_LIBRARY_PATH"
            );
            return Err(Unusable::new(true, problem));
        }
    }
    Ok(usize::try_from(devices).unwrap_or(0))
}

pub(super) fn message(error: DriverError) -> String {
    let name = error.error_name().ok().and_then(|n| n.to_str().ok());
    let text = error.error_string().ok().and_then(|n| n.to_str().ok());
    match (name, text) {
        (Some(name), Some(text)) => format!("{text} ({name})"),
        _ => format!("{error:?}"),
    }
}

/// The CUDA version that the driver is made for, as 1000 · major + 10 · minor.
pub(super) fn driver_version() -> Result<i32, DriverError> {
    let mut version = 0;
    // SAFETY: one number is written.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(version)
}
