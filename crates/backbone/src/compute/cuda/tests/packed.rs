//! Layers whose weights stay packed are those with the same values in bf16.

use super::{cuda, random, stream_values, tensor, values};
use crate::compute::Backend;
use crate::files::{Packed, PackedKind};
use crate::forest::Input;

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_packed_layers() {
    let cuda = cuda();
    let inputs = 512;
    // Small and large layers in turn: they are unpacked to the same memory.
    let mut layers = Vec::new();
    for (index, kind) in PackedKind::ALL.into_iter().enumerate() {
        let rows = [24 + 8 * index, 1000 - 96 * index];
        let parts: Vec<Packed> = [kind, PackedKind::Q8_0]
            .into_iter()
            .zip(rows)
            .map(|(kind, rows)| Packed::noise(kind, [rows, inputs], index as u32))
            .collect();
        let mut weight = vec![0.0; (rows[0] + rows[1]) * inputs];
        let all = parts
            .iter()
            .flat_map(|part| (0..part.rows()).map(move |row| (part, row)));
        for ((part, row), values) in all.zip(weight.chunks_exact_mut(inputs)) {
            part.unpack(row, 0, values);
        }
        let outputs = rows[0] + rows[1];
        let bias = random(outputs, 1);
        let packed = cuda.packed_linear(parts, Some(bias.clone()));
        let plain = cuda.linear(weight, Some(bias), outputs, inputs);
        let both = [packed.expect("it fits"), plain.expect("it fits")];
        layers.push((kind, outputs, both));
    }
    for (kind, outputs, both) in &layers {
        for rows in [1, 70] {
            let (x, dy) = (random(rows * inputs, 2), random(rows * outputs, 3));
            let [packed, plain] = both.each_ref().map(|layer| {
                let y = cuda.forward(layer, &tensor(&cuda, &x, inputs));
                let dx = cuda.backward(layer, &tensor(&cuda, &dy, *outputs));
                [y, dx].map(|t| values(&cuda, &t.expect("it runs")))
            });
            assert_eq!(packed, plain, "{kind}, {rows} rows");
        }
        let tokens = [0, 23, 24, *outputs as u32 - 1].map(Input::Token);
        let [packed, plain] = both.each_ref().map(|layer| {
            let x = cuda.embed(layer, &tokens, &[]).expect("it runs");
            stream_values(&cuda, &x)
        });
        assert_eq!(packed, plain, "{kind}, rows of the weight");
    }
}
