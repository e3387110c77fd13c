//! What a device can do at best: copies, large products, and a step's own
//! products with nothing between them.

use super::buffer::Buffer;
use super::device::Device;
use super::matmul::{Direction, Numbers, Plan, Product, Products};
use crate::compute::Computed;
use half::bf16;
use std::collections::HashMap;

/// Algorithms that are tried for each product.
const CANDIDATES: usize = 8;
/// Weights that products take turns in, so that none stays in the cache.
const WEIGHTS: usize = 4;

/// Seconds of a list of products.
pub(super) struct Alone {
    /// Back to back, with the algorithms that the program uses.
    pub(super) chosen: f64,
    /// Each with the fastest of cuBLASLt's algorithms.
    pub(super) best: f64,
}

/// Runs products (and whether each adds to its result) alone.
pub(super) fn alone(
    device: &Device,
    products: &Products,
    list: &[(Product, bool)],
) -> Computed<Alone> {
    let most = |size: fn(&Product) -> usize| list.iter().map(|(p, _)| size(p)).max();
    let weight = most(|p| p.outputs * p.inputs).unwrap_or(0);
    let side = most(|p| p.rows * p.outputs.max(p.inputs)).unwrap_or(0);
    let weights: Vec<Buffer<u16>> = (0..WEIGHTS)
        .map(|seed| device.upload(&noise(weight, seed as u64)))
        .collect::<Computed<_>>()?;
    let from = device.upload(&noise(side, 9))?;
    let to: Buffer<f32> = device.alloc(side)?;
    let (from, to) = (from.address(), to.address());
    let round = || {
        for (i, &(product, adds)) in list.iter().enumerate() {
            let weight = weights[i % WEIGHTS].address();
            products.run(device, product, to, weight, from, adds.then_some(to))?;
        }
        Ok(())
    };
    round()?;
    let chosen = median(device, 5, round)?;

    // The fastest algorithm of each product, then all of them in the step's
    // order again: single products run at higher clocks than a whole step.
    let failed = |e| device.error("a matrix product", &e);
    let mut fastest: HashMap<(Product, bool), Plan> = HashMap::new();
    for &(product, adds) in list {
        if fastest.contains_key(&(product, adds)) {
            continue;
        }
        let mut plan = products.plan(product).map_err(failed)?;
        let mut best = (f64::INFINITY, plan);
        for algorithm in products.algorithms(&plan, CANDIDATES).map_err(failed)? {
            plan.algorithm = algorithm;
            let turn = || {
                for weight in &weights {
                    let operands = [to, weight.address(), from, to];
                    products
                        .launch(device, &plan, operands, adds)
                        .map_err(failed)?;
                }
                Ok(())
            };
            turn()?;
            let seconds = median(device, 5, turn)?;
            if seconds < best.0 {
                best = (seconds, plan);
            }
        }
        fastest.insert((product, adds), best.1);
    }
    let best_round = || {
        for (i, key) in list.iter().enumerate() {
            let operands = [to, weights[i % WEIGHTS].address(), from, to];
            products
                .launch(device, &fastest[key], operands, key.1)
                .map_err(failed)?;
        }
        Ok(())
    };
    best_round()?;
    let best = median(device, 5, best_round)?;
    Ok(Alone { chosen, best })
}

/// Operations per second of a large square product.
pub(super) fn product_ceiling(device: &Device, products: &Products) -> Computed<f64> {
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
    let once = || products.run(device, product, c.address(), a.address(), b.address(), None);
    once()?;
    Ok(product.cost().flops / median(device, 9, once)?)
}

/// Bytes per second, read and written, of a large copy.
pub(super) fn copy_ceiling(device: &Device) -> Computed<f64> {
    const BYTES: usize = 1 << 30;
    let (from, to): (Buffer<u8>, Buffer<u8>) = (device.alloc(BYTES)?, device.alloc(BYTES)?);
    let once = || device.copy(to.address(), from.address(), BYTES);
    once()?;
    Ok(2.0 * BYTES as f64 / median(device, 9, once)?)
}

fn median(device: &Device, rounds: usize, work: impl Fn() -> Computed<()>) -> Computed<f64> {
    let mut seconds = (0..rounds)
        .map(|_| device.seconds(&work))
        .collect::<Computed<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[rounds / 2])
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
