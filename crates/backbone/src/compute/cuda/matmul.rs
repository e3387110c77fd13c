//! Dense products with frozen weights through cuBLASLt.
//!
//! cuBLASLt thinks in columns: a row-major `[rows, columns]` matrix is its
//! `columns × rows` one. A weight `[outputs, inputs]` is then `inputs × outputs`,
//! transposed for `x Wᵀ` and as it is for `dy W`.

use super::buffer::Buffer;
use super::device::Device;
use super::profile::Cost;
use crate::compute::Computed;
use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::{
    cublasComputeType_t as Compute, cublasLtHandle_t, cublasLtMatmulAlgo_t,
    cublasLtMatmulAlgoGetHeuristic, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t as Attribute, cublasLtMatmulHeuristicResult_t,
    cublasLtMatmulPreferenceAttributes_t as Preference, cublasLtMatrixLayout_t,
    cublasStatus_t as Status, cudaDataType_t as Type,
};
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

/// A product's descriptors and its algorithm.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    description: cublasLtMatmulDesc_t,
    weight: cublasLtMatrixLayout_t,
    rows: cublasLtMatrixLayout_t,
    result: cublasLtMatrixLayout_t,
    pub(super) algorithm: cublasLtMatmulAlgo_t,
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
        if let Some(recorded) = lock(&self.recorded).as_mut() {
            recorded.push((product, add.is_some()));
        }
        let mut refused = None;
        device.timed(product.name(), product.cost(), || {
            let operands = [result, weight, rows, add.unwrap_or(result)];
            refused = self.launch(device, &plan, operands, add.is_some()).err();
            Ok(())
        })?;
        match refused {
            Some(error) => Err(device.error("a matrix product", &error)),
            None => Ok(()),
        }
    }

    /// `operands` are the addresses of result, weight, rows and what is added.
    pub(super) fn launch(
        &self,
        device: &Device,
        plan: &Plan,
        [result, weight, rows, add]: [u64; 4],
        adds: bool,
    ) -> Result<(), CublasError> {
        let (one, zero) = (1.0f32, 0.0f32);
        let beta = if adds { &one } else { &zero };
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
                add as *const c_void,
                plan.result,
                result as *mut c_void,
                plan.result,
                &raw const plan.algorithm,
                self.workspace.address() as *mut c_void,
                WORKSPACE,
                device.stream().cu_stream().cast(),
            )
        }
    }

    /// Starts to note which products run.
    pub(crate) fn start_recording(&self) {
        *lock(&self.recorded) = Some(Vec::new());
    }

    /// Ends the recording: its products, in order, and whether each adds.
    pub(super) fn finish_recording(&self) -> Vec<(Product, bool)> {
        lock(&self.recorded).take().unwrap_or_default()
    }

    pub(super) fn plan(&self, product: Product) -> Result<Plan, CublasError> {
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
        // SAFETY: the description was made above, and this attribute is a
        // number of this type.
        unsafe {
            result::set_matmul_desc_attribute(
                description,
                Attribute::CUBLASLT_MATMUL_DESC_TRANSA,
                std::ptr::from_ref(&operation).cast(),
                size_of_val(&operation),
            )?;
        }
        let mut plan = Plan {
            description,
            weight,
            rows: input,
            result: output,
            algorithm: cublasLtMatmulAlgo_t { data: [0; 8] },
        };
        plan.algorithm = self.algorithms(&plan, 1)?[0];
        Ok(plan)
    }

    /// The algorithms that cuBLASLt thinks best for a plan, at least one.
    pub(super) fn algorithms(
        &self,
        plan: &Plan,
        most: usize,
    ) -> Result<Vec<cublasLtMatmulAlgo_t>, CublasError> {
        let none = cublasLtMatmulHeuristicResult_t {
            algo: plan.algorithm,
            workspaceSize: 0,
            state: Status::CUBLAS_STATUS_NOT_SUPPORTED,
            wavesCount: 0.0,
            reserved: [0; 4],
        };
        let mut found = vec![none; most];
        let mut count = 0;
        let preference = result::create_matmul_pref()?;
        // SAFETY: the plan's descriptors live, and there is room for as many
        // results as are asked for.
        unsafe {
            result::set_matmul_pref_attribute(
                preference,
                Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                std::ptr::from_ref(&WORKSPACE).cast(),
                size_of_val(&WORKSPACE),
            )?;
            let asked = cublasLtMatmulAlgoGetHeuristic(
                self.handle,
                plan.description,
                plan.weight,
                plan.rows,
                plan.result,
                plan.result,
                preference,
                i32::try_from(most).unwrap_or(i32::MAX),
                found.as_mut_ptr(),
                &raw mut count,
            );
            result::destroy_matmul_pref(preference)?;
            asked.result()?;
        }
        let usable: Vec<_> = found
            .iter()
            .take(usize::try_from(count).unwrap_or(0))
            .filter(|f| f.state == Status::CUBLAS_STATUS_SUCCESS)
            .map(|f| f.algo)
            .collect();
        if usable.is_empty() {
            return Err(CublasError(Status::CUBLAS_STATUS_NOT_SUPPORTED));
        }
        Ok(usable)
    }
}

impl Product {
    fn name(&self) -> &'static str {
        match self.direction {
            Direction::Forward => "product x Wᵀ",
            Direction::Backward => "product dy W",
        }
    }

    pub(super) fn cost(&self) -> Cost {
        let (rows, outputs, inputs) = (self.rows as f64, self.outputs as f64, self.inputs as f64);
        let (from, to) = match self.direction {
            Direction::Forward => (inputs, outputs),
            Direction::Backward => (outputs, inputs),
        };
        let width = match self.result {
            Numbers::Half => 2.0,
            Numbers::Full => 4.0,
        };
        Cost {
            bytes: 2.0 * (rows * from + outputs * inputs) + width * rows * to,
            flops: 2.0 * rows * outputs * inputs,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
