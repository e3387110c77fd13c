//! Attention over the forest on the GPU.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::layout::{Layout, Rotation};
use super::profile::Cost;
use super::tensor::{Tensor, row_grid};
use crate::compute::{Computed, Wanted};
use crate::layers::attention::Shape;

/// Keys and values of one layer, `[rows, kv_heads, h]` each.
#[derive(Default)]
pub(crate) struct KeysValues {
    buffers: Option<[Buffer<u16>; 2]>,
    rows: usize,
}

/// See [`crate::compute::Backend::Attended`].
pub(crate) struct Attended {
    /// Rotated, `[N, heads, h]`.
    queries: Tensor,
    /// `[N, heads, h]`.
    values: Tensor,
    /// `[heads, N]`.
    log_sums: Buffer<f32>,
}

impl Cuda {
    /// Room for `rows` store rows; what is there stays. Answers reserve all of
    /// their rows at once, so a cache moves a few times at most.
    pub(crate) fn reserve_store(
        &self,
        store: &mut KeysValues,
        shape: Shape,
        rows: usize,
    ) -> Computed<()> {
        if rows <= store.rows && store.buffers.is_some() {
            return Ok(());
        }
        let width = shape.kv_heads * shape.head_dim;
        let grown = [
            self.device.alloc::<u16>(rows * width)?,
            self.device.alloc::<u16>(rows * width)?,
        ];
        if let Some(buffers) = &store.buffers {
            for (to, from) in grown.iter().zip(buffers) {
                let bytes = store.rows * width * size_of::<u16>();
                if bytes > 0 {
                    self.device.copy(to.address(), from.address(), bytes)?;
                }
            }
        }
        *store = KeysValues {
            buffers: Some(grown),
            rows,
        };
        Ok(())
    }

    pub(crate) fn store_rows(
        &self,
        shape: Shape,
        layout: &Layout,
        rows: &Tensor,
        store: &KeysValues,
    ) -> Computed<()> {
        let [keys, values] = store.buffers();
        let places = &layout.rows;
        let args = [
            keys.into(),
            values.into(),
            rows.into(),
            (&places.rotation.cos).into(),
            (&places.rotation.sin).into(),
            (&places.store_rows).into(),
            places.count.into(),
            shape.kv_heads.into(),
            shape.head_dim.into(),
        ];
        let width = shape.kv_heads * shape.head_dim;
        let grid = row_grid(places.count, width).moving(4 * rows.len());
        self.device.launch("store_keys_values", grid, &args)
    }

    fn rotate(&self, x: &Tensor, rotation: &Rotation, shape: Shape) -> Computed<()> {
        let args = [
            x.into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            x.rows.into(),
            shape.heads.into(),
            shape.head_dim.into(),
        ];
        let grid = row_grid(x.rows, shape.heads * shape.head_dim).moving(4 * x.len());
        self.device.launch("rotate_queries", grid, &args)
    }

    pub(crate) fn attend_forward(
        &self,
        shape: Shape,
        layout: &Layout,
        queries: Tensor,
        store: &KeysValues,
        sinks: Option<&Buffer<f32>>,
    ) -> Computed<(Tensor, Attended)> {
        let attention = self.attention(shape, layout.variant())?;
        let sizes = attention.sizes;
        if sinks.is_some() && layout.sight.is_none() {
            let problem = "a layer has sinks, and the layout is of a kind without them";
            return Err(self.device.error("attention", &problem));
        }
        self.rotate(&queries, layout.query_rotation(), shape)?;
        let values = self.tensor(layout.queries, queries.columns)?;
        let log_sums = self.device.alloc(shape.heads * layout.queries)?;
        let [keys, of_keys] = store.buffers();
        let blocks = (layout.tile_count, shape.kv_heads);
        let (q, out): (Arg, Arg) = ((&queries).into(), (&values).into());
        let (keys, of_keys): (Arg, Arg) = (keys.into(), of_keys.into());
        let (tiles, ranges): (Arg, Arg) = ((&layout.tiles).into(), (&layout.ranges).into());
        // A training step's backward pass needs the sums, which decoding
        // doesn't compute; its calls never cover a forest of single rows only.
        if layout.single_queries && layout.blocks.is_none() {
            let mut args = vec![out, q, keys, of_keys, tiles, ranges, shape.kv_heads.into()];
            if layout.sight.is_some() {
                args.push(sinks.into());
            }
            let grid = Grid {
                blocks,
                threads: sizes.decode_threads,
                shared_bytes: sizes.decode_bytes,
                cost: layout.cost(shape, 2, 1),
            };
            attention.launch(&self.device, "attention_decode", grid, &args)?;
        } else {
            let mut args = vec![
                out,
                (&log_sums).into(),
                q,
                keys,
                of_keys,
                tiles,
                ranges,
                (&layout.visible).into(),
                layout.queries.into(),
                shape.kv_heads.into(),
            ];
            if let Some(sight) = &layout.sight {
                args.extend([sight.hidden(), sight.pinned.into(), sinks.into()]);
            }
            let grid = Grid {
                blocks,
                threads: sizes.threads,
                shared_bytes: sizes.forward_bytes,
                cost: layout.cost(shape, 2, 1),
            };
            attention.launch(&self.device, "attention_forward", grid, &args)?;
        }
        let kept = Attended {
            queries,
            values: values.share(),
            log_sums,
        };
        Ok((values, kept))
    }

    pub(crate) fn attend_gradients(
        &self,
        shape: Shape,
        layout: &Layout,
        attended: &Attended,
        store: &KeysValues,
        d_values: &Tensor,
        wanted: Wanted,
    ) -> Computed<(Tensor, Tensor)> {
        let attention = self.attention(shape, layout.variant())?;
        let (sizes, device) = (attention.sizes, &self.device);
        let Some(key_blocks) = &layout.blocks else {
            return Err(device.error("attention's backward pass", &"its call has a cache"));
        };
        let [keys, values] = store.buffers();
        let rotation = layout.query_rotation();
        let mut dq = self.tensor(layout.queries, shape.heads * shape.head_dim)?;
        let deltas: Buffer<f32> = device.alloc(shape.heads * layout.queries)?;
        let mut args = vec![
            (&dq).into(),
            (&deltas).into(),
            (&attended.queries).into(),
            keys.into(),
            values.into(),
            (&attended.values).into(),
            d_values.into(),
            (&attended.log_sums).into(),
            (&layout.tiles).into(),
            (&layout.ranges).into(),
            (&layout.visible).into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            layout.queries.into(),
            shape.kv_heads.into(),
        ];
        if let Some(sight) = &layout.sight {
            args.extend([sight.hidden(), sight.pinned.into()]);
        }
        let grid = Grid {
            blocks: (layout.tile_count, shape.kv_heads),
            threads: sizes.threads,
            shared_bytes: sizes.backward_queries_bytes,
            cost: layout.cost(shape, 3, 2),
        };
        attention.launch(device, "attention_backward_queries", grid, &args)?;

        let host = &key_blocks.host;
        let partial = host.partials * shape.kv_heads * sizes.block_keys * shape.head_dim;
        let d_keys: Buffer<f32> = device.alloc(partial)?;
        let d_of_keys: Buffer<f32> = device.alloc(partial)?;
        let width = shape.kv_heads * shape.head_dim;
        let mut d_kv = self.tensor(layout.rows.count, 2 * width)?;
        let rotation = &layout.rows.rotation;
        let mut args = vec![
            (&d_kv).into(),
            (&d_keys).into(),
            (&d_of_keys).into(),
            (&attended.queries).into(),
            keys.into(),
            values.into(),
            d_values.into(),
            (&attended.log_sums).into(),
            (&deltas).into(),
            (&layout.tiles).into(),
            (&layout.visible).into(),
            (&key_blocks.items).into(),
            (&key_blocks.entries).into(),
            (&key_blocks.slots).into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            layout.queries.into(),
            shape.kv_heads.into(),
            (2 * width).into(),
            width.into(),
        ];
        if let Some(sight) = &layout.sight {
            args.push(sight.hidden());
        }
        let grid = Grid {
            blocks: (host.items.len(), shape.kv_heads),
            threads: sizes.threads,
            shared_bytes: sizes.backward_keys_bytes,
            cost: layout.cost(shape, 4, 2),
        };
        attention.launch(device, "attention_backward_keys", grid, &args)?;

        let args = [
            (&d_kv).into(),
            (&d_keys).into(),
            (&d_of_keys).into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            (&key_blocks.shared).into(),
            shape.kv_heads.into(),
            (2 * width).into(),
            width.into(),
        ];
        let grid = Grid {
            blocks: (host.shared.len(), shape.kv_heads),
            threads: 256,
            shared_bytes: 0,
            cost: Cost {
                bytes: 8.0 * partial as f64,
                flops: 0.0,
            },
        };
        attention.launch(device, "attention_backward_reduce", grid, &args)?;
        d_kv.rows = wanted.rows;
        dq.rows = wanted.queries;
        Ok((dq, d_kv))
    }
}

impl KeysValues {
    fn buffers(&self) -> [&Buffer<u16>; 2] {
        let [keys, values] = self.buffers.as_ref().expect("a store is reserved first");
        [keys, values]
    }
}
