//! Tiles in plain Rust, for processors without a kernel of their own.

use super::kernel::{Kernel, Operands, Tile, UNIT, tiles};

pub(super) static PORTABLE: Kernel = Kernel {
    name: "portable",
    units: 1,
    tiles: &[tiles!(portable, 1, [1 2 3 4])],
};

unsafe fn portable<const ROWS: usize, const UNITS: usize>(o: Operands) {
    const {
        assert!(
            UNITS == 1,
            "a unit fills the registers of a small processor"
        );
    }
    let mut sums = [[0.0f32; UNIT]; ROWS];
    for k in 0..o.depth {
        // SAFETY: the caller vouches for every address (see [`Tile`]); a row of
        // a unit is 16 values.
        let right: [f32; UNIT] = unsafe { o.b.add(k * o.b_depth).cast::<[f32; UNIT]>().read() };
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let left = unsafe { *o.a.add(row * o.a_row + k * o.a_depth) };
            for (sum, right) in sums.iter_mut().zip(right) {
                // Fused where that is an instruction, else it would be a call.
                *sum = if cfg!(target_feature = "fma") || cfg!(target_arch = "aarch64") {
                    left.mul_add(right, *sum)
                } else {
                    *sum + left * right
                };
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: as above; nobody else uses the output's values.
        let out = unsafe { &mut *o.out.add(row * o.out_row).cast::<[f32; UNIT]>() };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if o.accumulate { *out + sum } else { *sum };
        }
    }
}
