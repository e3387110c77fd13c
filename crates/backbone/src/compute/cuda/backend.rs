//! The operations of [`Backend`] on a GPU.

use super::attention::{Attended, KeysValues};
use super::attention_kernels::{Attention, Variant};
use super::buffer::{Arg, Buffer, Grid};
use super::device::Device;
use super::experts::Experts;
use super::grouped::ExpertKernels;
use super::head::DeviceLosses;
use super::layout::Layout;
use super::matmul::{Direction, Numbers, Products};
use super::mixture::Routed;
use super::packed::Unpacked;
use super::roofline;
use super::tensor::{
    Linear, Stream, Tensor, Weight, chunk_grid, gate_grid, halves, ints, norm_grid, row_grid,
};
use crate::compute::{
    Backend, Ceilings, Computed, Keep, Kind, Memory, Mixture, Products as ProductTimes, Profile,
    Wanted,
};
use crate::files::{Packed, PackedWeights};
use crate::forest::{Call, Forest, Input};
use crate::layers::attention::Shape;
use crate::layers::experts::ExpertWeights;
use crate::layers::head::{Distillation, Label, LabelLosses};
use half::bf16;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Widest row that the norm kernels hold in registers.
const WIDEST_ROW: usize = 16384;

/// A GPU as a backend.
pub(crate) struct Cuda {
    pub(crate) device: Device,
    pub(super) products: Products,
    pub(super) unpacked: Unpacked,
    /// By [`Variant`].
    attention: [OnceLock<Attention>; 2],
    /// For weights in bf16, and for packed ones.
    pub(super) experts: [OnceLock<ExpertKernels>; 2],
}

impl Cuda {
    /// Opens GPU number `ordinal` and compiles its kernels.
    pub(crate) fn open(ordinal: usize) -> Computed<Self> {
        let device = Device::open(ordinal)?;
        Ok(Cuda {
            products: Products::new(&device)?,
            unpacked: Unpacked::default(),
            attention: Default::default(),
            experts: Default::default(),
            device,
        })
    }

    /// The attention kernels, compiled when they are first asked for: a model
    /// has one shape of heads.
    pub(crate) fn attention(&self, shape: Shape, variant: Variant) -> Computed<&Attention> {
        let compiled = &self.attention[variant as usize];
        if let Some(attention) = compiled.get() {
            return Ok(attention);
        }
        let made = Attention::new(&self.device, shape, variant)?;
        Ok(compiled.get_or_init(|| made))
    }
}

impl Backend for Cuda {
    const NUMBERS: &'static str = "bf16";
    const BYTES_PER_WEIGHT: u64 = 2;
    // A layer of a large model is a gigabyte of f32 before it is rounded.
    const LAYERS_AT_ONCE: usize = 4;

    type Tensor = Tensor;
    type Stream = Stream;
    type Kept = Tensor;
    type Linear = Linear;
    type Vector = Buffer<f32>;
    type Experts = Experts;
    type Routed = Routed;
    type KeysValues = KeysValues;
    type Layout = Layout;
    type Attended = Attended;
    type Losses = DeviceLosses;

    fn check(
        &self,
        shape: Shape,
        kinds: &[Kind],
        widths: &[usize],
        weight_bytes: u64,
    ) -> Computed<()> {
        self.device.check_room(weight_bytes)?;
        let problem = if let Some(width) = widths.iter().find(|w| !w.is_multiple_of(8)) {
            format!("a width of {width} is not a multiple of 8")
        } else if widths[0] > WIDEST_ROW {
            format!("a hidden size of {} is above {WIDEST_ROW}", widths[0])
        } else if !shape.head_dim.is_multiple_of(8) || shape.head_dim > 256 {
            let h = shape.head_dim;
            format!("a head size of {h} is not a multiple of 8 up to 256")
        } else if shape.heads / shape.kv_heads > 16 {
            let group = shape.heads / shape.kv_heads;
            format!("{group} query heads for each key/value head are above 16")
        } else {
            for kind in kinds {
                self.attention(shape, Variant::of(kind))?;
            }
            return Ok(());
        };
        let problem = format!("{problem}, which its kernels need; use --device cpu");
        Err(self.device.error("preparing for this backbone", &problem))
    }

    fn linear(
        &self,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        outputs: usize,
        inputs: usize,
    ) -> Computed<Linear> {
        Ok(Linear {
            weight: Weight::Half(self.device.upload(&halves(&weight))?),
            bias: bias.map(|bias| self.device.upload(&bias)).transpose()?,
            outputs,
            inputs,
        })
    }

    fn packed_linear(&self, parts: Vec<Packed>, bias: Option<Vec<f32>>) -> Computed<Linear> {
        self.upload_packed(&parts, bias)
    }

    fn room_to_unpack(weights: &PackedWeights) -> u64 {
        Self::BYTES_PER_WEIGHT * weights.largest_layer
    }

    fn vector(&self, values: Vec<f32>) -> Computed<Buffer<f32>> {
        self.device.upload(&values)
    }

    fn weight_rows(&self, layer: &Linear, rows: &[u32]) -> Computed<Vec<f32>> {
        let inputs: Vec<Input> = rows.iter().map(|&row| Input::Token(row)).collect();
        self.download_stream(&self.embed(layer, &inputs, &[])?)
    }

    fn upload(&self, values: &[f32], columns: usize) -> Computed<Tensor> {
        Ok(Tensor {
            buffer: self.device.upload(&halves(values))?.into(),
            rows: values.len() / columns,
            columns,
        })
    }

    fn download(&self, x: &Tensor) -> Computed<Vec<f32>> {
        let values = self.device.download(&*x.buffer, x.len())?;
        let wide = |&bits: &u16| bf16::from_bits(bits).to_f32();
        Ok(values.par_iter().with_min_len(1 << 16).map(wide).collect())
    }

    fn download_stream(&self, x: &Stream) -> Computed<Vec<f32>> {
        self.device.download(&x.buffer, x.len())
    }

    fn embed(&self, table: &Linear, inputs: &[Input], prompts: &[&[f32]]) -> Computed<Stream> {
        let d = table.inputs;
        for input in inputs {
            let known = match *input {
                Input::Token(token) => (token as usize) < table.outputs,
                Input::Soft { prompt, index } => (index + 1) * d <= prompts[prompt].len(),
            };
            assert!(known, "{input:?} is outside its table");
        }
        let mut firsts = Vec::with_capacity(prompts.len());
        let mut rows = 0;
        for prompt in prompts {
            firsts.push(rows);
            rows += prompt.len() / d;
        }
        let places: Vec<i32> = inputs
            .iter()
            .map(|input| match *input {
                Input::Token(token) => token.cast_signed(),
                Input::Soft { prompt, index } => -1 - ints([firsts[prompt] + index])[0],
            })
            .collect();
        let x = self.stream(inputs.len(), d)?;
        let prompts = self.device.upload(&prompts.concat())?;
        let places = self.device.upload(&places)?;
        let grid = row_grid(x.rows, d).moving(6 * x.len());
        self.with_weight(table, |weight| {
            let args = [
                (&x).into(),
                (&places).into(),
                Arg::Address(weight),
                (&prompts).into(),
                x.rows.into(),
                d.into(),
            ];
            self.device.launch("embed", grid, &args)
        })?;
        Ok(x)
    }

    fn layout(&self, shape: Shape, forest: &Forest, call: &Call, kind: &Kind) -> Computed<Layout> {
        self.whole_layout(shape, forest, call, kind)
    }

    fn select(
        &self,
        whole: &Layout,
        shape: Shape,
        forest: &Forest,
        call: &Call,
        rows: &[usize],
        kind: &Kind,
    ) -> Computed<Layout> {
        self.selected_layout(whole, shape, forest, call, rows, kind)
    }

    fn reserve(&self, store: &mut KeysValues, shape: Shape, rows: usize) -> Computed<()> {
        self.reserve_store(store, shape, rows)
    }

    fn rms_norm(
        &self,
        x: &mut Stream,
        weight: &Buffer<f32>,
        eps: f32,
        kept: bool,
    ) -> Computed<Tensor> {
        let y = self.tensor(x.rows, x.columns)?;
        // A restored stream has its copy already.
        let copies = kept && x.copy.is_none();
        if copies {
            x.copy = Some(self.tensor(x.rows, x.columns)?);
        }
        let copy = x.copy.as_ref().filter(|_| copies);
        let args = [
            (&y).into(),
            copy.map_or(Arg::Address(0), Arg::from),
            (&*x).into(),
            weight.into(),
            eps.into(),
            x.rows.into(),
            x.columns.into(),
        ];
        let bytes = if copies { 8 } else { 6 };
        let grid = norm_grid(x.rows, x.columns).moving(bytes * x.len());
        self.device.launch("rms_norm", grid, &args)?;
        Ok(y)
    }

    fn keep(&self, x: Stream) -> Tensor {
        x.copy().share()
    }

    fn rms_norm_backward(
        &self,
        residual: Option<Stream>,
        dy: &Tensor,
        x: &Tensor,
        weight: &Buffer<f32>,
        eps: f32,
    ) -> Computed<Stream> {
        let mut dx = match residual {
            Some(dx) => dx,
            None => {
                let dx = self.stream(dy.rows, dy.columns)?;
                self.device
                    .zero(dx.buffer.address(), size_of::<f32>() * dx.len())?;
                dx
            }
        };
        let copy = self.tensor(dx.rows, dx.columns)?;
        let args = [
            (&dx).into(),
            (&copy).into(),
            dy.into(),
            x.into(),
            weight.into(),
            eps.into(),
            dx.rows.into(),
            dx.columns.into(),
        ];
        let grid = norm_grid(dx.rows, dx.columns).moving(14 * dx.len());
        self.device.launch("rms_norm_backward_add", grid, &args)?;
        dx.copy = Some(copy);
        Ok(dx)
    }

    fn forward(&self, layer: &Linear, x: &Tensor) -> Computed<Tensor> {
        let y = self.tensor(x.rows, layer.outputs)?;
        self.product(
            Direction::Forward,
            layer,
            x,
            y.address(),
            Numbers::Half,
            None,
        )?;
        self.add_bias(layer, "add_bias", (&y).into(), y.rows, 2 * y.len())?;
        Ok(y)
    }

    fn forward_add(&self, layer: &Linear, x: &Tensor, residual: &Stream) -> Computed<Stream> {
        let y = self.stream(x.rows, layer.outputs)?;
        let (to, add) = (y.buffer.address(), Some(residual.buffer.address()));
        self.product(Direction::Forward, layer, x, to, Numbers::Full, add)?;
        self.add_bias(
            layer,
            "add_bias_to_stream",
            (&y).into(),
            y.rows,
            4 * y.len(),
        )?;
        Ok(y)
    }

    fn backward(&self, layer: &Linear, dy: &Tensor) -> Computed<Tensor> {
        let dx = self.tensor(dy.rows, layer.inputs)?;
        self.product(
            Direction::Backward,
            layer,
            dy,
            dx.address(),
            Numbers::Half,
            None,
        )?;
        Ok(dx)
    }

    fn backward_stream(&self, layer: &Linear, dy: &Stream) -> Computed<Tensor> {
        self.backward(layer, dy.copy())
    }

    fn backward_add(&self, layer: &Linear, dy: &Tensor, dx: &mut Tensor) -> Computed<()> {
        let to = dx.address();
        self.product(Direction::Backward, layer, dy, to, Numbers::Half, Some(to))
    }

    fn swiglu(&self, gate_up: &Tensor) -> Computed<Tensor> {
        let a = self.tensor(gate_up.rows, gate_up.columns / 2)?;
        let args = [(&a).into(), gate_up.into(), a.rows.into(), a.columns.into()];
        let grid = gate_grid(&a).moving(6 * a.len());
        self.device.launch("swiglu", grid, &args)?;
        Ok(a)
    }

    fn swiglu_backward(&self, gate_up: Tensor, da: &Tensor) -> Computed<Tensor> {
        let args = [
            (&gate_up).into(),
            (&gate_up).into(),
            da.into(),
            da.rows.into(),
            da.columns.into(),
        ];
        self.device.launch(
            "swiglu_backward",
            gate_grid(da).moving(10 * da.len()),
            &args,
        )?;
        Ok(gate_up)
    }

    fn head_norm(
        &self,
        x: &Tensor,
        weight: &Buffer<f32>,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<Tensor> {
        let y = self.tensor(x.rows, x.columns)?;
        let args = [
            (&y).into(),
            x.into(),
            weight.into(),
            eps.into(),
            x.rows.into(),
            x.columns.into(),
            heads.into(),
            shape.head_dim.into(),
        ];
        let grid = Grid::new(x.rows, 256).moving(4 * x.len());
        self.device.launch("head_norm", grid, &args)?;
        Ok(y)
    }

    fn head_norm_backward(
        &self,
        dy: &mut Tensor,
        x: &Tensor,
        weight: &Buffer<f32>,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<()> {
        let args = [
            (&*dy).into(),
            x.into(),
            weight.into(),
            eps.into(),
            dy.rows.into(),
            dy.columns.into(),
            heads.into(),
            shape.head_dim.into(),
        ];
        let grid = Grid::new(dy.rows, 256).moving(6 * dy.rows * heads * shape.head_dim);
        self.device.launch("head_norm_backward", grid, &args)
    }

    fn experts(&self, weights: ExpertWeights) -> Computed<Experts> {
        self.upload_experts(&weights)
    }

    fn mix(
        &self,
        weights: &Mixture<'_, Self>,
        x: &mut Stream,
        kept: Keep,
    ) -> Computed<(Option<Routed>, Stream)> {
        self.mix_rows(weights, x, kept)
    }

    fn mix_backward(
        &self,
        weights: &Mixture<'_, Self>,
        dx: Stream,
        x: &Tensor,
        routed: Option<Routed>,
    ) -> Computed<Stream> {
        self.mix_gradients(weights, dx, x, routed)
    }

    fn restore(&self, kept: &Tensor) -> Computed<Stream> {
        let mut x = self.stream(kept.rows, kept.columns)?;
        let args = [(&x).into(), kept.into(), x.len().into()];
        let grid = chunk_grid(x.len()).moving(6 * x.len());
        self.device.launch("from_bf16", grid, &args)?;
        x.copy = Some(kept.share());
        Ok(x)
    }

    fn store_keys_values(
        &self,
        shape: Shape,
        layout: &Layout,
        rows: &Tensor,
        store: &mut KeysValues,
    ) -> Computed<()> {
        self.store_rows(shape, layout, rows, store)
    }

    fn attend(
        &self,
        shape: Shape,
        layout: &Layout,
        queries: Tensor,
        store: &KeysValues,
        sinks: Option<&Buffer<f32>>,
    ) -> Computed<(Tensor, Attended)> {
        self.attend_forward(shape, layout, queries, store, sinks)
    }

    fn attend_backward(
        &self,
        shape: Shape,
        layout: &Layout,
        attended: Attended,
        store: &KeysValues,
        d_values: &Tensor,
        wanted: Wanted,
    ) -> Computed<(Tensor, Tensor)> {
        self.attend_gradients(shape, layout, &attended, store, d_values, wanted)
    }

    fn gather(&self, x: &Tensor, rows: &[usize]) -> Computed<Tensor> {
        self.gather_rows(x, rows)
    }

    fn gather_stream(&self, x: &Stream, rows: &[usize]) -> Computed<Stream> {
        assert!(rows.iter().all(|&row| row < x.rows), "rows to gather");
        let y = self.stream(rows.len(), x.columns)?;
        let rows = self.device.upload(&ints(rows.iter().copied()))?;
        self.move_rows("gather_rows", &y, x, &rows)?;
        Ok(y)
    }

    fn scatter(&self, x: &Stream, rows: &[usize], total: usize) -> Computed<Stream> {
        let y = self.stream(total, x.columns)?;
        let mut source = vec![-1i32; total];
        assert_eq!(rows.len(), x.rows, "a place for every row");
        for (i, &row) in rows.iter().enumerate() {
            source[row] = ints([i])[0];
        }
        let source = self.device.upload(&source)?;
        self.move_rows("scatter_rows", &y, x, &source)?;
        Ok(y)
    }

    fn add_rows(&self, y: &mut Tensor, x: &Tensor, rows: &[usize]) -> Computed<()> {
        assert_eq!(rows.len(), x.rows, "a place for every row");
        assert!(rows.iter().all(|&row| row < y.rows), "rows to add to");
        let rows = self.device.upload(&ints(rows.iter().copied()))?;
        let args = [
            (&*y).into(),
            x.into(),
            (&rows).into(),
            x.rows.into(),
            x.columns.into(),
        ];
        self.device.launch(
            "add_rows",
            row_grid(x.rows, x.columns).moving(6 * x.len()),
            &args,
        )
    }

    fn truncate(&self, mut x: Stream, rows: usize) -> Stream {
        x.rows = rows;
        x
    }

    fn head_loss(
        &self,
        output: &Linear,
        hidden: &Tensor,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        gradient: bool,
    ) -> Computed<(DeviceLosses, Option<Tensor>)> {
        self.losses_at(output, hidden, labels, distillation, gradient)
    }

    fn read_losses(&self, losses: DeviceLosses) -> Computed<LabelLosses> {
        self.download_losses(&losses)
    }

    fn logits(&self, output: &Linear, hidden: &Tensor) -> Computed<Vec<f32>> {
        let logits = self.logits_of(output, hidden)?;
        self.device.download(&logits, hidden.rows * output.outputs)
    }

    fn log_likelihood(
        &self,
        output: &Linear,
        hidden: &Tensor,
        labels: &[Label],
    ) -> Computed<Vec<f32>> {
        self.log_likelihood_at(output, hidden, labels)
    }

    fn most_likely(&self, output: &Linear, hidden: &Tensor) -> Computed<Vec<u32>> {
        self.most_likely_tokens(output, hidden)
    }

    fn describe(&self) -> String {
        self.device.name().to_owned()
    }

    fn memory(&self) -> Computed<Option<Memory>> {
        self.device.memory().map(Some)
    }

    fn start_profile(&self) -> Computed<()> {
        self.device.check_timing()?;
        self.device.profile.start();
        self.products.start_recording();
        Ok(())
    }

    fn finish_profile(&self) -> Computed<Option<Profile>> {
        self.device.synchronize()?;
        let kernels = self.device.profile.finish();
        let (kernels, span) = self.device.driver("timing", kernels)?;
        let list = self.products.finish_recording();
        let alone = roofline::alone(&self.device, &self.products, &list)?;
        Ok(Some(Profile {
            kernels,
            span,
            products: ProductTimes::Replayed {
                alone: alone.chosen,
                best: alone.best,
            },
            ceilings: Ceilings {
                copy_bytes_per_second: roofline::copy_ceiling(&self.device)?,
                product_flops_per_second: roofline::product_ceiling(&self.device, &self.products)?,
            },
        }))
    }
}
