//! Where a step's time goes, operation by operation.

use crate::compute::measure::{Ceilings, KernelTime, Products, Profile};
use crate::matmul::{Kernel, Left, Out, Panels, Threads, Write, meter, multiply};
use rayon::prelude::*;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

/// Notes operations while a recording runs. Operations follow one another, each
/// on all threads.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Option<Recording>>);

#[derive(Debug)]
struct Recording {
    start: Instant,
    operations: Vec<KernelTime>,
}

impl Recorder {
    pub(super) fn start(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Recording {
            start: Instant::now(),
            operations: Vec::new(),
        });
        meter::start();
    }

    /// Runs an operation that needs `flops` operations in products and reads and
    /// writes at least so many values.
    pub(super) fn run<T>(
        &self,
        name: &'static str,
        cost: impl FnOnce() -> (f64, usize),
        work: impl FnOnce() -> T,
    ) -> T {
        let running = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running().is_none() {
            return work();
        }
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        if let Some(recording) = running().as_mut() {
            let (flops, values) = cost();
            let known = recording.operations.iter().position(|o| o.name == name);
            let at = known.unwrap_or_else(|| {
                let name = name.to_owned();
                recording.operations.push(KernelTime {
                    name,
                    ..KernelTime::default()
                });
                recording.operations.len() - 1
            });
            let operation = &mut recording.operations[at];
            operation.calls += 1;
            operation.seconds += seconds;
            operation.flops += flops;
            operation.bytes += (values * size_of::<f32>()) as f64;
        }
        result
    }

    pub(super) fn finish(&self) -> Option<Profile> {
        let recording = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        let metered = meter::finish();
        let span = recording.start.elapsed().as_secs_f64();
        let mut kernels = recording.operations;
        kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let threads = rayon::current_num_threads() as f64;
        Some(Profile {
            kernels,
            span,
            products: Products::Metered {
                share: metered.seconds / (threads * span),
                flops: metered.flops,
                flops_per_second: threads * metered.flops / metered.seconds.max(1e-9),
            },
            ceilings: Ceilings {
                copy_bytes_per_second: copy_ceiling(),
                product_flops_per_second: product_ceiling(),
            },
        })
    }
}

/// The fastest of some runs, in seconds.
fn fastest(mut work: impl FnMut()) -> f64 {
    let runs = (0..7).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    runs.fold(f64::INFINITY, f64::min)
}

/// A copy that no cache holds, on all threads.
fn copy_ceiling() -> f64 {
    const VALUES: usize = 1 << 25;
    let from = vec![1.0f32; VALUES];
    let mut to = vec![0.0f32; VALUES];
    let seconds = fastest(|| {
        let parts = to.par_chunks_mut(1 << 16).zip(from.par_chunks(1 << 16));
        parts.for_each(|(to, from)| to.copy_from_slice(from));
    });
    (2 * VALUES * size_of::<f32>()) as f64 / seconds
}

/// A large product with packed weights, on all threads.
fn product_ceiling() -> f64 {
    const SIZE: usize = 1536;
    let kernel = Kernel::best();
    let rows = SIZE * rayon::current_num_threads();
    let weight = Panels::transposed(kernel, &vec![0.5; SIZE * SIZE], SIZE, SIZE);
    let stride = SIZE + 16;
    let x = vec![0.5; rows * stride];
    let mut y = vec![0.0; rows * SIZE];
    let seconds = fastest(|| {
        let left = Left::rows(&x, rows, SIZE, stride);
        let mut out = Out::new(&mut y, rows, SIZE, SIZE);
        multiply(
            kernel,
            &mut out,
            Write::Replace,
            left,
            weight.right(),
            Threads::Pool,
        );
    });
    2.0 * (rows * SIZE * SIZE) as f64 / seconds
}
