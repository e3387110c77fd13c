//! A decoder without its processor's types: what the rest of the program uses.

use super::Pass;
use super::decoder::Decoder;
use super::forward::{KvStore, Tape};
use super::low_rank::{ChangeError, Changes, LowRankChange, Tuning};
use super::manner::Manner;
use super::memory;
use super::prefix::KeyValuePrefix;
use super::weights::WeightTrainer;
use crate::compute::{Backend, ComputeError, Computed, Memory, Profile, Tune};
use crate::forest::{Forest, Input, NodeId};
use crate::layers::head::{Distillation, Label, LabelLosses};
use crate::layers::low_rank::LowRankGradient;

/// Rows to run: a pass with its input embeddings.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Which rows, and whose hidden states are wanted.
    pub pass: Pass<'a>,
    /// The embedding of every call row.
    pub inputs: &'a [Input],
    /// The soft prompts that the inputs name, `[m_p, d]` each.
    pub prompts: &'a [&'a [f32]],
}

/// What a training step gives.
pub(crate) struct Gradients {
    pub(crate) losses: LabelLosses,
    /// At the input embeddings of the wanted rows, `[wanted, d]`.
    pub(crate) inputs: Vec<f32>,
    /// Of the changes, in their order.
    pub(crate) changes: Vec<LowRankGradient>,
}

/// See [`super::Model`], which passes these on.
pub(crate) trait Engine: Send + Sync {
    fn embeddings(&self, tokens: &[u32]) -> Computed<Vec<f32>>;

    fn changes(&self, given: &[LowRankChange<'_>]) -> Result<Changes, ChangeError>;

    fn check_weights(&self, replaced: bool) -> Computed<()>;

    fn tensor(&self, name: &str) -> Computed<Option<Vec<f32>>>;

    fn set_tensor(&mut self, name: &str, values: &[f32]) -> Computed<()>;

    fn weight_step(
        &mut self,
        work: Work<'_>,
        labels: &[Label],
        manner: &Manner,
        trainer: &mut dyn WeightTrainer,
    ) -> Computed<LabelLosses>;

    fn losses(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        manner: &Manner,
    ) -> Computed<LabelLosses>;

    fn gradients(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
        manner: &Manner,
    ) -> Computed<Gradients>;

    fn runner<'m>(&'m self, manner: &'m Manner) -> Box<dyn Runner + 'm>;

    fn describe(&self) -> String;

    fn numbers(&self) -> &'static str;

    fn memory(&self) -> Computed<Option<Memory>>;

    fn start_profile(&self) -> Computed<()>;

    fn finish_profile(&self) -> Computed<Option<Profile>>;
}

/// Forward passes over a growing forest: the key/value cache and the hidden
/// states of the last pass, on the model's processor.
pub trait Runner {
    /// Runs rows and remembers the hidden states of the wanted ones.
    ///
    /// # Errors
    /// When the processor can't (see [`ComputeError`]).
    fn run(&mut self, work: Work<'_>) -> Result<(), ComputeError>;

    /// Makes a prefix that fits the model the keys and values of a node, which
    /// no pass runs.
    ///
    /// # Errors
    /// When the processor can't.
    ///
    /// # Panics
    /// When the node has another number of positions.
    fn place(
        &mut self,
        forest: &Forest,
        node: NodeId,
        prefix: &KeyValuePrefix,
    ) -> Result<(), ComputeError>;

    /// Final hidden states of the last run's wanted rows, `[outputs, d]`.
    ///
    /// # Errors
    /// When the processor can't.
    fn hidden(&self) -> Result<Vec<f32>, ComputeError>;

    /// Logits of the last run's wanted rows, `[outputs, vocabulary]`.
    ///
    /// # Errors
    /// When the processor can't.
    fn logits(&self) -> Result<Vec<f32>, ComputeError>;

    /// Log-likelihood of each label's token; `row` counts in the wanted rows.
    ///
    /// # Errors
    /// When the processor can't.
    fn log_likelihood(&self, labels: &[Label]) -> Result<Vec<f32>, ComputeError>;

    /// The most likely next token of each wanted row, the first of equals.
    ///
    /// # Errors
    /// When the processor can't.
    fn most_likely(&self) -> Result<Vec<u32>, ComputeError>;
}

struct DecoderRunner<'d, B: Tune> {
    decoder: &'d Decoder<B>,
    manner: &'d Manner,
    store: KvStore<B>,
    hidden: Option<B::Tensor>,
}

impl<B: Tune> DecoderRunner<'_, B> {
    fn of_last_run(&self) -> &B::Tensor {
        self.hidden.as_ref().expect("rows were run before")
    }
}

impl<B: Tune> Runner for DecoderRunner<'_, B> {
    fn run(&mut self, work: Work<'_>) -> Computed<()> {
        self.hidden = None;
        let backend = &self.decoder.backend;
        let x = backend.embed(self.decoder.table(), work.inputs, work.prompts)?;
        let (decoder, manner) = (self.decoder, self.manner);
        let store = &mut self.store;
        let ran = decoder.forward(work.pass, x, store, None, manner.pinned, manner.tuning());
        let (hidden, _) = ran.map_err(|e| self.decoder.planned(e, work, false))?;
        self.hidden = Some(hidden);
        Ok(())
    }

    fn place(&mut self, forest: &Forest, node: NodeId, prefix: &KeyValuePrefix) -> Computed<()> {
        assert_eq!(forest.range(node).len(), prefix.positions());
        self.decoder.place(forest, node, prefix, &mut self.store)
    }

    fn hidden(&self) -> Computed<Vec<f32>> {
        self.decoder.backend.download(self.of_last_run())
    }

    fn logits(&self) -> Computed<Vec<f32>> {
        let Decoder {
            backend, output, ..
        } = self.decoder;
        backend.logits(output, self.of_last_run())
    }

    fn log_likelihood(&self, labels: &[Label]) -> Computed<Vec<f32>> {
        let Decoder {
            backend, output, ..
        } = self.decoder;
        backend.log_likelihood(output, self.of_last_run(), labels)
    }

    fn most_likely(&self) -> Computed<Vec<u32>> {
        let Decoder {
            backend, output, ..
        } = self.decoder;
        backend.most_likely(output, self.of_last_run())
    }
}

/// A forward pass that a backward pass follows.
pub(super) struct Recorded<B: Backend> {
    pub(super) store: KvStore<B>,
    pub(super) tape: Tape<B>,
    /// Final hidden states of the wanted rows, `[outputs, d]`.
    pub(super) hidden: B::Tensor,
    /// Not yet read: reading waits for the processor.
    pub(super) losses: B::Losses,
    /// The losses' gradient at the hidden states.
    pub(super) d_hidden: B::Tensor,
}

impl<B: Tune> Decoder<B> {
    /// Says what the work needs as a whole, where memory was short.
    fn planned(&self, error: ComputeError, work: Work<'_>, recorded: bool) -> ComputeError {
        let rows = work.pass.forest.rows();
        error.planned(|| memory::plan(&self.config, self.weight_bytes, rows, recorded))
    }

    /// A forward pass to the losses, with all that its backward pass needs.
    pub(super) fn record(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        manner: &Manner,
        tuning: Tuning<'_>,
    ) -> Computed<Recorded<B>> {
        let backend = &self.backend;
        let x = backend.embed(self.table(), work.inputs, work.prompts)?;
        let mut store = KvStore::new();
        let (level, pinned) = (Some(manner.recompute), manner.pinned);
        let (hidden, tape) = self.forward(work.pass, x, &mut store, level, pinned, tuning)?;
        let (losses, d_hidden) =
            backend.head_loss(&self.output, &hidden, labels, distillation, true)?;
        let (Some(tape), Some(d_hidden)) = (tape, d_hidden) else {
            unreachable!("a recorded pass has a tape, a loss with gradient has one");
        };
        Ok(Recorded {
            store,
            tape,
            hidden,
            losses,
            d_hidden,
        })
    }

    fn step(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
        manner: &Manner,
    ) -> Computed<Gradients> {
        let (backend, tuning) = (&self.backend, manner.tuning());
        let recorded = self.record(work, labels, distillation, manner, tuning)?;
        let Recorded {
            mut store,
            tape,
            losses,
            d_hidden,
            ..
        } = recorded;
        let (dx, changes) = match tuning {
            Tuning::Nothing => {
                let dx = self.backward(work.pass, &mut store, tape, &d_hidden, wanted)?;
                (dx, Vec::new())
            }
            Tuning::LowRank(_) | Tuning::Weights => {
                let back = self.backward_changed(work.pass, &mut store, tape, &d_hidden, tuning);
                let (dx, changes) = back?;
                (backend.truncate(dx, wanted), changes)
            }
        };
        // Reading waits for the processor: only now, when it has all its work.
        Ok(Gradients {
            losses: backend.read_losses(losses)?,
            inputs: backend.download_stream(&dx)?,
            changes,
        })
    }
}

impl<B: Tune> Engine for Decoder<B> {
    fn embeddings(&self, tokens: &[u32]) -> Computed<Vec<f32>> {
        self.backend.weight_rows(self.table(), tokens)
    }

    fn check_weights(&self, replaced: bool) -> Computed<()> {
        Decoder::check_weights(self, replaced)
    }

    fn tensor(&self, name: &str) -> Computed<Option<Vec<f32>>> {
        Decoder::tensor(self, name)
    }

    fn set_tensor(&mut self, name: &str, values: &[f32]) -> Computed<()> {
        Decoder::set_tensor(self, name, values)
    }

    fn weight_step(
        &mut self,
        work: Work<'_>,
        labels: &[Label],
        manner: &Manner,
        trainer: &mut dyn WeightTrainer,
    ) -> Computed<LabelLosses> {
        Decoder::weight_step(self, work, labels, manner, trainer)
            .map_err(|e| self.planned(e, work, true))
    }

    fn changes(&self, given: &[LowRankChange<'_>]) -> Result<Changes, ChangeError> {
        self.backend.check_tuning()?;
        Changes::new(&self.config, given)
    }

    fn losses(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        manner: &Manner,
    ) -> Computed<LabelLosses> {
        let losses = || {
            let backend = &self.backend;
            let x = backend.embed(self.table(), work.inputs, work.prompts)?;
            let (mut store, tuning) = (KvStore::new(), manner.tuning());
            let (hidden, _) =
                self.forward(work.pass, x, &mut store, None, manner.pinned, tuning)?;
            let (losses, _) =
                backend.head_loss(&self.output, &hidden, labels, distillation, false)?;
            backend.read_losses(losses)
        };
        losses().map_err(|e| self.planned(e, work, false))
    }

    fn gradients(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
        manner: &Manner,
    ) -> Computed<Gradients> {
        let step = || self.step(work, labels, distillation, wanted, manner);
        self.backend
            .within(step)
            .map_err(|e| self.planned(e, work, true))
    }

    fn runner<'m>(&'m self, manner: &'m Manner) -> Box<dyn Runner + 'm> {
        Box::new(DecoderRunner {
            decoder: self,
            manner,
            store: KvStore::new(),
            hidden: None,
        })
    }

    fn describe(&self) -> String {
        self.backend.describe()
    }

    fn numbers(&self) -> &'static str {
        B::NUMBERS
    }

    fn memory(&self) -> Computed<Option<Memory>> {
        self.backend.memory()
    }

    fn start_profile(&self) -> Computed<()> {
        self.backend.start_profile()
    }

    fn finish_profile(&self) -> Computed<Option<Profile>> {
        self.backend.finish_profile()
    }
}
