//! A loaded model's weights by the names of checkpoints: reading them, replacing
//! them, and their gradients, layer by layer.

use super::Pass;
use super::decoder::{Decoder, Feed, Layer};
use super::engine::{Recorded, Work};
use super::low_rank::{Tuned, Tuning};
use super::manner::Manner;
use super::module::Module;
use super::tuned_backward::{LayerGradients, LayerPass};
use crate::buffer::zeroed;
use crate::compute::{ComputeError, Computed, Tune};
use crate::files::Config;
use crate::forest::Input;
use crate::layers::head::{Label, LabelLosses};

/// Takes the gradients of a model's weights as the backward pass makes them:
/// those of one layer at a time, the last layer first.
pub trait WeightTrainer {
    /// The losses, before any gradient; `false` ends the step there.
    fn begin(&mut self, losses: &LabelLosses) -> bool;

    /// The gradient of a tensor, which no part of the pass reads any more; its
    /// new values, if it has any.
    fn gradient(&mut self, name: &str, gradient: Vec<f32>) -> Option<&[f32]>;
}

/// Where a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Embedding,
    Output,
    FinalNorm,
    Layer(usize, Part),
}

/// Where in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    AttentionNorm,
    MlpNorm,
    /// Of the heads' queries (0) or keys (1).
    HeadNorm(usize),
    Weight(Module),
    Bias(Module),
}

impl Place {
    fn of(name: &str) -> Option<Self> {
        match name {
            "model.embed_tokens.weight" => return Some(Place::Embedding),
            "lm_head.weight" => return Some(Place::Output),
            "model.norm.weight" => return Some(Place::FinalNorm),
            _ => {}
        }
        let (layer, name) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let part = match name {
            "input_layernorm.weight" => Part::AttentionNorm,
            "post_attention_layernorm.weight" => Part::MlpNorm,
            "self_attn.q_norm.weight" => Part::HeadNorm(0),
            "self_attn.k_norm.weight" => Part::HeadNorm(1),
            _ => {
                let (path, kind) = name.rsplit_once('.')?;
                let module = Module::ALL.into_iter().find(|m| m.path() == path)?;
                match kind {
                    "weight" => Part::Weight(module),
                    "bias" => Part::Bias(module),
                    _ => return None,
                }
            }
        };
        Some(Place::Layer(layer.parse().ok()?, part))
    }
}

impl<B: Tune> Decoder<B> {
    /// Says whether the weights can be read or, more than that, replaced.
    pub(super) fn check_weights(&self, replaced: bool) -> Computed<()> {
        self.backend.check_tuning()?;
        let refuse = |what, instead| {
            Err(ComputeError::Unsupported {
                device: self.backend.describe(),
                what,
                instead,
            })
        };
        if self.config.experts.is_some() {
            return refuse(
                "train, merge or save the weights of a model with experts",
                "use LoRA or a method that trains soft prompts",
            );
        }
        let plain = |layer: &Layer<B>| {
            let linear = |module| {
                self.backend
                    .is_plain(layer.linear(module).expect("no experts"))
            };
            Module::ALL.into_iter().all(linear)
        };
        if !replaced {
            return Ok(());
        }
        if !self.backend.is_plain(&self.output) || !self.layers.iter().all(plain) {
            return refuse(
                "train weights that stay packed",
                "load the backbone without --weights packed, or use LoRA",
            );
        }
        Ok(())
    }

    /// A tensor's values, row-major.
    pub(super) fn tensor(&self, name: &str) -> Computed<Option<Vec<f32>>> {
        let backend = &self.backend;
        let rows = self.config.vocab_size;
        let values = match Place::of(name) {
            Some(Place::Embedding) => backend.linear_rows(self.table(), 0, rows)?,
            Some(Place::Output) => backend.linear_rows(&self.output, 0, rows)?,
            Some(Place::FinalNorm) => backend.vector_values(&self.final_norm)?,
            Some(Place::Layer(index, part)) => {
                let Some(layer) = self.layers.get(index) else {
                    return Ok(None);
                };
                let linear = |module| layer.linear(module);
                match part {
                    Part::AttentionNorm => backend.vector_values(&layer.attention_norm)?,
                    Part::MlpNorm => backend.vector_values(&layer.mlp_norm)?,
                    Part::HeadNorm(which) => match &layer.head_norms {
                        Some(norms) => backend.vector_values(&norms[which])?,
                        None => return Ok(None),
                    },
                    Part::Weight(module) => match linear(module) {
                        Some(linear) => {
                            let (first, rows) = part_of(&self.config, module);
                            backend.linear_rows(linear, first, rows)?
                        }
                        None => return Ok(None),
                    },
                    Part::Bias(module) => {
                        let bias = linear(module).map(|linear| backend.bias(linear));
                        match bias.transpose()?.flatten() {
                            Some(bias) => {
                                let (first, rows) = part_of(&self.config, module);
                                bias[first..first + rows].to_vec()
                            }
                            None => return Ok(None),
                        }
                    }
                }
            }
            None => return Ok(None),
        };
        Ok(Some(values))
    }

    /// Replaces a tensor's values.
    ///
    /// # Panics
    /// When there is no such tensor, or it has another size.
    pub(super) fn set_tensor(&mut self, name: &str, values: &[f32]) -> Computed<()> {
        let (backend, config) = (&self.backend, &self.config);
        let place = Place::of(name).expect("a tensor of the model");
        match place {
            Place::Embedding => {
                let table = self.embedding.as_mut().unwrap_or(&mut self.output);
                backend.set_rows(table, 0, values)
            }
            Place::Output => backend.set_rows(&mut self.output, 0, values),
            Place::FinalNorm => set_vector(backend, &mut self.final_norm, values),
            Place::Layer(index, part) => {
                let layer = &mut self.layers[index];
                match part {
                    Part::AttentionNorm => set_vector(backend, &mut layer.attention_norm, values),
                    Part::MlpNorm => set_vector(backend, &mut layer.mlp_norm, values),
                    Part::HeadNorm(which) => {
                        let norms = layer.head_norms.as_mut().expect("norms of heads");
                        set_vector(backend, &mut norms[which], values)
                    }
                    Part::Weight(module) => {
                        let (first, _) = part_of(config, module);
                        backend.set_rows(layer.linear_mut(module), first, values)
                    }
                    Part::Bias(module) => {
                        let (first, _) = part_of(config, module);
                        backend.set_bias(layer.linear_mut(module), first, values)
                    }
                }
            }
        }
    }

    /// A training step of the weights, whose gradients go to `trainer` one
    /// tensor after the other.
    pub(super) fn weight_step(
        &mut self,
        work: Work<'_>,
        labels: &[Label],
        manner: &Manner,
        trainer: &mut dyn WeightTrainer,
    ) -> Computed<LabelLosses> {
        let (backend, eps) = (&self.backend, self.config.rms_norm_eps);
        let pass: Pass<'_> = work.pass;
        let Recorded {
            mut store,
            tape,
            hidden,
            losses,
            d_hidden,
        } = self.record(work, labels, None, manner, Tuning::Weights)?;
        let losses = backend.read_losses(losses)?;
        if !trainer.begin(&losses) {
            return Ok(losses);
        }
        let mut table = backend.output_gradient(&self.output, &hidden, labels)?;
        drop(hidden);
        let norm = backend.norm_gradient(&d_hidden, &tape.last, eps)?;
        let mut dx = {
            let weight = &self.final_norm;
            backend.rms_norm_backward(None, &d_hidden, &tape.last, weight, eps)?
        };
        drop(d_hidden);
        if self.embedding.is_some() {
            self.give(trainer, "lm_head.weight", table)?;
            table = zeroed(self.config.vocab_size * self.config.hidden_size);
        }
        self.give(trainer, "model.norm.weight", norm)?;
        let kept = store.layers.iter_mut().zip(tape.layers).enumerate().rev();
        for (index, (kv, kept)) in kept {
            let of_layer = LayerPass {
                layer: &self.layers[index],
                kept,
                kv,
                layouts: self.layouts(pass, &tape.layouts, tape.selection.as_ref(), index),
                rows: pass.call.rows(),
                tuned: Tuned::Weights,
            };
            let mut gradients = LayerGradients::default();
            dx = self.layer_backward(of_layer, dx, &mut gradients)?;
            for (name, gradient) in gradients.weights {
                self.give(trainer, &format!("model.layers.{index}.{name}"), gradient)?;
            }
        }
        // A tied table has gradients from both of its uses.
        let d = self.config.hidden_size;
        let d_inputs = self.backend.download_stream(&dx)?;
        for (input, dx) in work.inputs.iter().zip(d_inputs.chunks_exact(d)) {
            if let Input::Token(token) = *input {
                let at = token as usize * d;
                crate::layers::vector::add(&mut table[at..at + d], dx);
            }
        }
        self.give(trainer, "model.embed_tokens.weight", table)?;
        Ok(losses)
    }

    /// Gives a gradient to the trainer, and takes the new values.
    fn give(
        &mut self,
        trainer: &mut dyn WeightTrainer,
        name: &str,
        gradient: Vec<f32>,
    ) -> Computed<()> {
        match trainer.gradient(name, gradient) {
            Some(values) => self.set_tensor(name, values),
            None => Ok(()),
        }
    }
}

impl<B: Tune> Layer<B> {
    /// The product that a linear layer is part of.
    fn linear(&self, module: Module) -> Option<&B::Linear> {
        Some(match (module, &self.feed) {
            (Module::Query, _) => &self.query,
            (Module::Key | Module::Value, _) => &self.key_value,
            (Module::Output, _) => &self.attention_output,
            (Module::Gate | Module::Up, Feed::Gated { gate_up, .. }) => gate_up,
            (Module::Down, Feed::Gated { down, .. }) => down,
            (_, Feed::Mixture { .. }) => return None,
        })
    }

    fn linear_mut(&mut self, module: Module) -> &mut B::Linear {
        match (module, &mut self.feed) {
            (Module::Query, _) => &mut self.query,
            (Module::Key | Module::Value, _) => &mut self.key_value,
            (Module::Output, _) => &mut self.attention_output,
            (Module::Gate | Module::Up, Feed::Gated { gate_up, .. }) => gate_up,
            (Module::Down, Feed::Gated { down, .. }) => down,
            (_, Feed::Mixture { .. }) => unreachable!("experts' weights are not replaced"),
        }
    }
}

/// Rows of a linear layer in the product that it is part of: the first, and how
/// many.
fn part_of(config: &Config, module: Module) -> (usize, usize) {
    (module.first_column(config), module.shape(config)[0])
}

fn set_vector<B: Tune>(backend: &B, vector: &mut B::Vector, values: &[f32]) -> Computed<()> {
    *vector = backend.vector(values.to_vec())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Checkpoint;
    use std::path::Path;

    #[test]
    fn every_tensor_of_a_configuration_has_its_place() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        for name in ["llama-untied", "llama-biases", "qwen3"] {
            let checkpoint = Checkpoint::open(&fixtures.join(name)).expect(name);
            let mut places = Vec::new();
            for (tensor, _) in checkpoint.config.tensors() {
                let place = Place::of(&tensor).expect(&tensor);
                assert!(!places.contains(&place), "{tensor}");
                places.push(place);
            }
        }
        for other in [
            "model.layers.x.self_attn.q_proj.weight",
            "model.layers.0.mlp.router.bias",
        ] {
            assert_eq!(Place::of(other), None);
        }
    }
}
