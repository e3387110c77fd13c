//! NVIDIA GPUs: bf16 storage, f32 accumulation.
//!
//! Nothing of CUDA is needed to build or to run elsewhere: the driver, NVRTC
//! (which compiles `kernels/*.cu` for the card at hand) and cuBLASLt are loaded
//! when a device is opened. All work of a device goes to one stream, in order.
//!
//! The files: `discover` and `device` (finding a card, memory, copies,
//! launches), `buffer` and `tensor` (what is worked on), `kernels` (compiling
//! and keeping them), `matmul` (dense products), `packed` (weights that stay so),
//! `plan` and `layout` (who attends to whom, as arrays here and on the device),
//! `attention_kernels` (their variants and sizes), `attention`, `experts`,
//! `grouped`, `mixture`, `head` and `backend` (the operations), `profile` and
//! `roofline` (what they take, and what the card can do), `unproven` (what no
//! card has run yet).

// Calls into the driver and its libraries are foreign functions, and kernels
// take raw device addresses. Each unsafe block says why its addresses are good.
#![allow(unsafe_code)]

mod attention;
mod attention_kernels;
mod backend;
mod buffer;
mod device;
mod discover;
mod experts;
mod grouped;
mod head;
pub(crate) mod kernels;
mod layout;
mod matmul;
mod mixture;
mod packed;
mod plan;
mod profile;
mod roofline;
mod tensor;
#[cfg(test)]
mod tests;
mod unproven;

pub(crate) use backend::Cuda;
pub(crate) use discover::available;
pub(crate) use unproven::unproven;
