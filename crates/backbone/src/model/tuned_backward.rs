//! The backward pass of layers that are changed or trained: beside the gradient
//! of its input, a layer gives those of its changes or of its weights. What a
//! linear layer reads is computed again where that is cheap (norms, the MLP's
//! activation) and was kept otherwise (what attention gave).

use super::Pass;
use super::decoder::{Decoder, Layer};
use super::feed::{Half, Inside};
use super::forward::{Attended, Inner, KvStore, LayerTape, Layouts, Tape};
use super::low_rank::{Tuned, Tuning};
use super::module::Module;
use crate::compute::{Backend, Computed, Mlp, Tune, Wanted};
use crate::layers::low_rank::LowRankGradient;

/// Gradients inside a layer.
#[derive(Default)]
pub(super) struct LayerGradients {
    /// Of changes, with their places.
    pub(super) changes: Vec<(usize, LowRankGradient)>,
    /// Of tensors, by their names within the layer.
    pub(super) weights: Vec<(String, Vec<f32>)>,
}

/// What a layer's backward pass works on.
pub(super) struct LayerPass<'a, B: Backend> {
    pub(super) layer: &'a Layer<B>,
    pub(super) kept: LayerTape<B>,
    pub(super) kv: &'a mut B::KeysValues,
    pub(super) layouts: Layouts<'a, B>,
    /// Rows of the pass.
    pub(super) rows: usize,
    pub(super) tuned: Tuned<'a>,
}

impl<B: Tune> Decoder<B> {
    /// [`Decoder::backward`] through changed layers: the gradient at all input
    /// embeddings, `[T, d]`, and those of the changes, in their order.
    pub(super) fn backward_changed(
        &self,
        pass: Pass<'_>,
        store: &mut KvStore<B>,
        tape: Tape<B>,
        d_hidden: &B::Tensor,
        tuning: Tuning<'_>,
    ) -> Computed<(B::Stream, Vec<LowRankGradient>)> {
        let eps = self.config.rms_norm_eps;
        let norm = &self.final_norm;
        let mut dx = (self.backend).rms_norm_backward(None, d_hidden, &tape.last, norm, eps)?;
        let mut gradients = match tuning {
            Tuning::LowRank(changes) => vec![LowRankGradient::default(); changes.count],
            Tuning::Nothing | Tuning::Weights => Vec::new(),
        };
        let kept = self.layers.iter().zip(&mut store.layers).zip(tape.layers);
        for (index, ((layer, kv), kept)) in kept.enumerate().rev() {
            let selection = tape.selection.as_ref();
            let of_layer = LayerPass {
                layer,
                kept,
                kv,
                layouts: self.layouts(pass, &tape.layouts, selection, index),
                rows: pass.call.rows(),
                tuned: tuning.layer(index),
            };
            let mut inside = LayerGradients::default();
            dx = self.layer_backward(of_layer, dx, &mut inside)?;
            for (place, gradient) in inside.changes {
                gradients[place] = gradient;
            }
        }
        Ok((dx, gradients))
    }

    /// From the gradient after a layer to the one before it.
    pub(super) fn layer_backward(
        &self,
        of: LayerPass<'_, B>,
        dx: B::Stream,
        gradients: &mut LayerGradients,
    ) -> Computed<B::Stream> {
        let LayerPass {
            layer,
            kept: LayerTape { input, inner },
            kv,
            layouts,
            rows,
            tuned,
        } = of;
        let inner = match inner {
            Some(inner) => inner,
            None => self.again(layer, &input, kv, &layouts, rows, tuned)?,
        };
        let Inner {
            attended,
            middle,
            inside,
        } = inner;
        let dx = match self.half(layer) {
            Half::Gated(mlp) => {
                let gate_up = match inside {
                    Some(Inside::GateUp(gate_up)) => Some(gate_up),
                    _ => None,
                };
                self.mlp_backward(&mlp, dx, &middle, gate_up, tuned, gradients)?
            }
            // Experts have no changes.
            Half::Mixture(_) => self.feed_backward(layer, dx, &middle, inside)?,
        };
        drop(middle);
        let of = LayerPass {
            layer,
            kept: LayerTape { input, inner: None },
            kv,
            layouts,
            rows,
            tuned,
        };
        self.attention_backward(of, attended, dx, gradients)
    }

    /// From the gradient after an MLP's residual sum to the one before it.
    fn mlp_backward(
        &self,
        mlp: &Mlp<'_, B>,
        dx: B::Stream,
        x: &B::Kept,
        gate_up: Option<B::Tensor>,
        tuned: Tuned<'_>,
        gradients: &mut LayerGradients,
    ) -> Computed<B::Stream> {
        let backend = &self.backend;
        let mut restored = backend.restore(x)?;
        let normed = backend.rms_norm(&mut restored, mlp.norm, mlp.eps, true)?;
        drop(restored);
        let gate_up = match gate_up {
            Some(gate_up) => gate_up,
            None => self.gate_up(mlp, &normed, tuned)?,
        };
        let mut d_activated = backend.backward_stream(mlp.down, &dx)?;
        if tuned.weights() || tuned.changes(&[Module::Down]) {
            let (activated, dy) = (backend.swiglu(&gate_up)?, backend.as_tensor(&dx)?);
            let of = [Module::Down];
            self.inside(
                tuned,
                &of,
                mlp.down,
                &activated,
                &dy,
                &mut d_activated,
                gradients,
            )?;
        }
        let d_gate_up = backend.swiglu_backward(gate_up, &d_activated)?;
        drop(d_activated);
        let mut d_normed = backend.backward(mlp.gate_up, &d_gate_up)?;
        let of = [Module::Gate, Module::Up];
        self.inside(
            tuned,
            &of,
            mlp.gate_up,
            &normed,
            &d_gate_up,
            &mut d_normed,
            gradients,
        )?;
        drop((normed, d_gate_up));
        if tuned.weights() {
            let values = backend.norm_gradient(&d_normed, x, mlp.eps)?;
            gradients.weight("post_attention_layernorm.weight", values);
        }
        backend.rms_norm_backward(Some(dx), &d_normed, x, mlp.norm, mlp.eps)
    }

    /// From the gradient between a layer's halves to the one before it.
    fn attention_backward(
        &self,
        of: LayerPass<'_, B>,
        attended: Attended<B>,
        dx: B::Stream,
        gradients: &mut LayerGradients,
    ) -> Computed<B::Stream> {
        let LayerPass {
            layer,
            kept: LayerTape { input, .. },
            kv,
            layouts,
            rows,
            tuned,
        } = of;
        let (backend, shape) = (&self.backend, self.attention_shape());
        let eps = self.config.rms_norm_eps;
        let output = &layer.attention_output;
        let mut d_values = backend.backward_stream(output, &dx)?;
        if let Some(values) = &attended.values {
            let dy = backend.as_tensor(&dx)?;
            let of = [Module::Output];
            self.inside(tuned, &of, output, values, &dy, &mut d_values, gradients)?;
        }
        let queries = layouts
            .selected
            .map_or(rows, |(selected, _)| selected.len());
        let layout = layouts.selected.map_or(layouts.whole, |(_, layout)| layout);
        let wanted = Wanted { queries, rows };
        let (mut dq, mut d_kv) =
            backend.attend_backward(shape, layout, attended.attended, kv, &d_values, wanted)?;
        drop(d_values);
        *kv = B::KeysValues::default();
        if let (Some(norms), Some(before)) = (&layer.head_norms, &attended.before_norms) {
            let heads = [shape.heads, shape.kv_heads];
            let names = ["self_attn.q_norm.weight", "self_attn.k_norm.weight"];
            let each = [&mut dq, &mut d_kv].into_iter().zip(before).zip(norms);
            for (((dy, x), norm), (heads, name)) in each.zip(heads.into_iter().zip(names)) {
                if tuned.weights() {
                    let values = backend.head_norm_gradient(dy, x, eps, shape, heads)?;
                    gradients.weight(name, values);
                }
                backend.head_norm_backward(dy, x, norm, eps, shape, heads)?;
            }
        }
        let norm = &layer.attention_norm;
        let mut restored = backend.restore(&input)?;
        let normed = backend.rms_norm(&mut restored, norm, eps, true)?;
        drop(restored);
        let mut d_normed = backend.backward(&layer.key_value, &d_kv)?;
        let of = [Module::Key, Module::Value];
        self.inside(
            tuned,
            &of,
            &layer.key_value,
            &normed,
            &d_kv,
            &mut d_normed,
            gradients,
        )?;
        let residual = match layouts.selected {
            None => {
                backend.backward_add(&layer.query, &dq, &mut d_normed)?;
                let of = [Module::Query];
                self.inside(
                    tuned,
                    &of,
                    &layer.query,
                    &normed,
                    &dq,
                    &mut d_normed,
                    gradients,
                )?;
                dx
            }
            Some((selected, _)) => {
                let some = backend.gather(&normed, selected)?;
                let mut part = backend.backward(&layer.query, &dq)?;
                let of = [Module::Query];
                self.inside(tuned, &of, &layer.query, &some, &dq, &mut part, gradients)?;
                backend.add_rows(&mut d_normed, &part, selected)?;
                backend.scatter(&dx, selected, rows)?
            }
        };
        if tuned.weights() {
            let values = backend.norm_gradient(&d_normed, &input, eps)?;
            gradients.weight("input_layernorm.weight", values);
        }
        backend.rms_norm_backward(Some(residual), &d_normed, &input, norm, eps)
    }

    /// Gradients inside the product `layer` of these linear layers, which read
    /// `x`: `dy` is that of their outputs. Those of `x` through the changes are
    /// added to `dx`.
    #[allow(clippy::too_many_arguments, reason = "each is a tensor of its own")]
    fn inside(
        &self,
        tuned: Tuned<'_>,
        modules: &[Module],
        layer: &B::Linear,
        x: &B::Tensor,
        dy: &B::Tensor,
        dx: &mut B::Tensor,
        gradients: &mut LayerGradients,
    ) -> Computed<()> {
        let backend = &self.backend;
        for change in modules.iter().filter_map(|&module| tuned.change(module)) {
            let low_rank = &change.low_rank;
            let gradient = backend.low_rank_backward(low_rank, change.first, x, dy, dx)?;
            gradients.changes.push((change.place, gradient));
        }
        if !tuned.weights() {
            return Ok(());
        }
        let mut weights = backend.weight_gradient(dy, x)?;
        let bias = backend.bias(layer)?;
        let mut biases = match bias {
            Some(_) => Some(backend.bias_gradient(dy)?),
            None => None,
        };
        // The last module's part first: it is cut off the end.
        for &module in modules.iter().rev() {
            let (first, inputs) = (
                module.first_column(&self.config),
                module.shape(&self.config)[1],
            );
            let values = weights.split_off(first * inputs);
            gradients.weight(&format!("{}.weight", module.path()), values);
            if let Some(biases) = &mut biases {
                gradients.weight(&format!("{}.bias", module.path()), biases.split_off(first));
            }
        }
        Ok(())
    }
}

impl LayerGradients {
    fn weight(&mut self, name: &str, values: Vec<f32>) {
        self.weights.push((name.to_owned(), values));
    }
}
