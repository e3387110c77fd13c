//! NVIDIA GPUs: bf16 storage, f32 accumulation.
//!
//! Nothing of CUDA is needed to build or to run elsewhere: the driver, NVRTC
//! (which compiles `kernels/*.cu` for the card at hand) and cuBLASLt are loaded
//! when a device is opened. All work of a device goes to one stream, in order.
//!
//! The files: `device` (memory, copies, launches), `kernels` (compiling and
//! keeping them), `matmul` (dense products), `plan` (who attends to whom, as
//! arrays), `attention`, `head` and `backend` (the operations),
//! `profile` (what each kernel takes), `roofline` (what the device can do).

// Calls into the driver and its libraries are foreign functions, and kernels
// take raw device addresses. Each unsafe block says why its addresses are good.
#![allow(unsafe_code)]

mod attention;
mod backend;
mod device;
mod head;
pub(crate) mod kernels;
mod matmul;
mod plan;
mod profile;
mod roofline;
#[cfg(test)]
mod tests;

pub(crate) use backend::Cuda;
pub(crate) use device::available;
