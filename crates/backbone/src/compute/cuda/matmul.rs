//! Dense products with frozen weights through cuBLASLt.
//!
//! cuBLASLt thinks in columns: a row-major `[rows, columns]` matrix is its
//! `columns × rows` one. A weight `[outputs, inputs]` is then `inputs × outputs`,
//! transposed for `x Wᵀ` and as it is for `dy W`.

use super::device::{Buffer, Device};
use super::profile::Cost;
use crate::compute::Computed;
use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::{
    cublasComputeType_t as Compute, cublasLtHandle_t, cublasLtMatmulAlgo_t, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t as Attribute,
    cublasLtMatmulPreferenceAttributes_t as Preference, cublasLtMatrixLayout_t,
    cudaDataType_t as Type,
};
use half::bf16;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Scratch memory of the products: what NVIDIA advises for Hopper.
const WORKSPACE: usize = 32 << 20;

/// cuBLAS's numbers for an operand as it is, and transposed.
const AS_IT_IS: i32 = 0;
const TRANSPOSED: i32 = 1;

/// Which way a product goes through a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// `x Wᵀ`.
    Forward,
    /// `dy W`.
    Backward,
}

/// Numbers of a product's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Numbers {
    /// bf16.
    Half,
    /// f32.
    Full,
}

/// What a product computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) direction: Direction,
    pub(crate) result: Numbers,
}

/// cuBLASLt with the algorithms that it chose.
pub(crate) struct Products {
    handle: cublasLtHandle_t,
    workspace: Buffer<u8>,
    plans: Mutex<HashMap<Product, Plan>>,
    /// Products of a recording, if one is on, and whether each adds.
    recorded: Mutex<Option<Vec<(Product, bool)>>>,
}

// SAFETY: a cuBLASLt handle may be used from any thread; plans are behind a
// lock and never changed after they are made.
unsafe impl Send for Products {}
unsafe impl Sync for Products {}

#[derive(Clone, Copy)]
struct Plan {
    description: cublasLtMatmulDesc_t,
    weight: cublasLtMatrixLayout_t,
    rows: cublasLtMatrixLayout_t,
    result: cublasLtMatrixLayout_t,
    algorithm: cublasLtMatmulAlgo_t,
}

impl Products {
    pub(crate) fn new(device: &Device) -> Computed<Self> {
        let handle = result::create_handle().map_err(|e| device.error("starting cuBLASLt", &e))?;
        Ok(Products {
            handle,
            workspace: device.alloc(WORKSPACE)?,
            plans: Mutex::default(),
            recorded: Mutex::default(),
        })
    }

    /// `result = rows · weight`, plus what is at `add` where it is given
    /// (which may be `result` itself).
    pub(crate) fn run(
        &self,
        device: &Device,
        product: Product,
        result: u64,
        weight: u64,
        rows: u64,
        add: Option<u64>,
    ) -> Computed<()> {
        if product.rows == 0 {
            return Ok(());
        }
        let plan = self
            .plan(product)
            .map_err(|e| device.error("planning a matrix product", &e))?;
        let (one, zero) = (1.0f32, 0.0f32);
        let beta = if add.is_some() { &one } else { &zero };
        if let Some(recorded) = lock(&self.recorded).as_mut() {
            recorded.push((product, add.is_some()));
        }
        let launch = || {
            // SAFETY: the layouts are those of the product's shapes, and callers
            // give buffers of these shapes; the scalars live through the call.
            unsafe {
                result::matmul(
                    self.handle,
                    plan.description,
                    std::ptr::from_ref(&one).cast(),
                    std::ptr::from_ref(beta).cast(),
                    weight as *const c_void,
                    plan.weight,
                    rows as *const c_void,
                    plan.rows,
                    add.unwrap_or(result) as *const c_void,
                    plan.result,
                    result as *mut c_void,
                    plan.result,
                    &raw const plan.algorithm,
                    self.workspace.address() as *mut c_void,
                    WORKSPACE,
                    device.stream().cu_stream().cast(),
                )
            }
        };
        let mut refused = None;
        device.timed(product.name(), product.cost(), || {
            refused = launch().err();
            Ok(())
        })?;
        match refused {
            Some(error) => Err(device.error("a matrix product", &error)),
            None => Ok(()),
        }
    }

    /// Starts to note which products run.
    pub(crate) fn start_recording(&self) {
        *lock(&self.recorded) = Some(Vec::new());
    }

    /// Ends the recording and runs its products again with nothing between
    /// them, on other numbers; the median seconds of a few rounds.
    pub(crate) fn alone(&self, device: &Device) -> Computed<f64> {
        let products = lock(&self.recorded).take().unwrap_or_default();
        let most = |size: fn(&Product) -> usize| products.iter().map(|(p, _)| size(p)).max();
        let weight = most(|p| p.outputs * p.inputs).unwrap_or(0);
        let side = most(|p| p.rows * p.outputs.max(p.inputs)).unwrap_or(0);
        // Several weights in turn, so that none of them stays in the cache.
        let weights: Vec<Buffer<u16>> = (0..4)
            .map(|seed| device.upload(&noise(weight, seed)))
            .collect::<Computed<_>>()?;
        let from = device.upload(&noise(side, 9))?;
        let to: Buffer<f32> = device.alloc(side)?;
        let round = || {
            for (i, &(product, adds)) in products.iter().enumerate() {
                let (weight, to) = (weights[i % weights.len()].address(), to.address());
                self.run(
                    device,
                    product,
                    to,
                    weight,
                    from.address(),
                    adds.then_some(to),
                )?;
            }
            Ok(())
        };
        round()?;
        let mut seconds = (0..5)
            .map(|_| device.seconds(round))
            .collect::<Computed<Vec<f64>>>()?;
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[2])
    }

    /// Operations per second of a large square product.
    pub(crate) fn ceiling(&self, device: &Device) -> Computed<f64> {
        const SIDE: usize = 8192;
        let [a, b] = [1, 2].map(|seed| device.upload(&noise(SIDE * SIDE, seed)));
        let (a, b) = (a?, b?);
        let c: Buffer<u16> = device.alloc(SIDE * SIDE)?;
        let product = Product {
            rows: SIDE,
            outputs: SIDE,
            inputs: SIDE,
            direction: Direction::Forward,
            result: Numbers::Half,
        };
        let once = || self.run(device, product, c.address(), a.address(), b.address(), None);
        once()?;
        let mut seconds = (0..9)
            .map(|_| device.seconds(once))
            .collect::<Computed<Vec<f64>>>()?;
        seconds.sort_by(f64::total_cmp);
        Ok(product.cost().flops / seconds[4])
    }

    fn plan(&self, product: Product) -> Result<Plan, CublasError> {
        let mut plans = lock(&self.plans);
        if let Some(plan) = plans.get(&product) {
            return Ok(*plan);
        }
        let plan = self.make(product)?;
        plans.insert(product, plan);
        Ok(plan)
    }

    fn make(&self, product: Product) -> Result<Plan, CublasError> {
        let Product {
            rows,
            outputs,
            inputs,
            direction,
            result: numbers,
        } = product;
        let (from, to, operation) = match direction {
            Direction::Forward => (inputs, outputs, TRANSPOSED),
            Direction::Backward => (outputs, inputs, AS_IT_IS),
        };
        let result_type = match numbers {
            Numbers::Half => Type::CUDA_R_16BF,
            Numbers::Full => Type::CUDA_R_32F,
        };
        let layout = |kind, rows: usize, columns: usize| {
            result::create_matrix_layout(kind, rows as u64, columns as u64, rows as i64)
        };
        let description =
            result::create_matmul_desc(Compute::CUBLAS_COMPUTE_32F, Type::CUDA_R_32F)?;
        let weight = layout(Type::CUDA_R_16BF, inputs, outputs)?;
        let input = layout(Type::CUDA_R_16BF, from, rows)?;
        let output = layout(result_type, to, rows)?;
        let preference = result::create_matmul_pref()?;
        // SAFETY: all descriptors were made above; attributes have the types
        // that cuBLASLt documents.
        let algorithm = unsafe {
            result::set_matmul_desc_attribute(
                description,
                Attribute::CUBLASLT_MATMUL_DESC_TRANSA,
                std::ptr::from_ref(&operation).cast(),
                size_of_val(&operation),
            )?;
            result::set_matmul_pref_attribute(
                preference,
                Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                std::ptr::from_ref(&WORKSPACE).cast(),
                size_of_val(&WORKSPACE),
            )?;
            let found = result::get_matmul_algo_heuristic(
                self.handle,
                description,
                weight,
                input,
                output,
                output,
                preference,
            );
            result::destroy_matmul_pref(preference)?;
            found?.algo
        };
        Ok(Plan {
            description,
            weight,
            rows: input,
            result: output,
            algorithm,
        })
    }
}

impl Product {
    fn name(&self) -> &'static str {
        match self.direction {
            Direction::Forward => "product x Wᵀ",
            Direction::Backward => "product dy W",
        }
    }

    fn cost(&self) -> Cost {
        let (rows, outputs, inputs) = (self.rows as f64, self.outputs as f64, self.inputs as f64);
        Cost {
            bytes: 2.0 * (rows * (outputs + inputs) + outputs * inputs),
            flops: 2.0 * rows * outputs * inputs,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// bf16 numbers between -1/16 and 1/16: products of zeros would be faster than
/// real ones.
fn noise(count: usize, seed: u64) -> Vec<u16> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bf16::from_f32(((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) / 16.0).to_bits()
    };
    (0..count).map(|_| next()).collect()
}

impl Drop for Products {
    fn drop(&mut self) {
        let plans = self.plans.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: each was made once and nobody holds them any more. Errors at
        // the end of the program have no one to tell.
        unsafe {
            for plan in plans.values() {
                for layout in [plan.weight, plan.rows, plan.result] {
                    let _ = result::destroy_matrix_layout(layout);
                }
                let _ = result::destroy_matmul_desc(plan.description);
            }
            let _ = result::destroy_handle(self.handle);
        }
    }
}
