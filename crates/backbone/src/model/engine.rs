//! A decoder without its processor's types: what the rest of the program uses.

use super::decoder::Decoder;
use super::forward::KvStore;
use super::memory;
use super::{Pass, Recompute};
use crate::compute::{Backend, ComputeError, Computed, Memory, Profile};
use crate::forest::Input;
use crate::layers::head::{Distillation, Label, LabelLosses};

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

/// See [`super::Model`], which passes these on.
pub(crate) trait Engine: Send + Sync {
    fn embeddings(&self, tokens: &[u32]) -> Computed<Vec<f32>>;

    fn losses(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
    ) -> Computed<LabelLosses>;

    fn gradients(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
        recompute: Recompute,
    ) -> Computed<(LabelLosses, Vec<f32>)>;

    fn runner(&self) -> Box<dyn Runner + '_>;

    fn pin(&mut self, positions: usize);

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

struct DecoderRunner<'d, B: Backend> {
    decoder: &'d Decoder<B>,
    store: KvStore<B>,
    hidden: Option<B::Tensor>,
}

impl<B: Backend> DecoderRunner<'_, B> {
    fn of_last_run(&self) -> &B::Tensor {
        self.hidden.as_ref().expect("rows were run before")
    }
}

impl<B: Backend> Runner for DecoderRunner<'_, B> {
    fn run(&mut self, work: Work<'_>) -> Computed<()> {
        self.hidden = None;
        let backend = &self.decoder.backend;
        let x = backend.embed(self.decoder.table(), work.inputs, work.prompts)?;
        let ran = self.decoder.forward(work.pass, x, &mut self.store, None);
        let (hidden, _) = ran.map_err(|e| self.decoder.planned(e, work, false))?;
        self.hidden = Some(hidden);
        Ok(())
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

impl<B: Backend> Decoder<B> {
    /// Says what the work needs as a whole, where memory was short.
    fn planned(&self, error: ComputeError, work: Work<'_>, recorded: bool) -> ComputeError {
        let rows = work.pass.forest.rows();
        error.planned(|| memory::plan(&self.config, self.weight_bytes, rows, recorded))
    }

    fn step(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
        recompute: Recompute,
    ) -> Computed<(LabelLosses, Vec<f32>)> {
        let backend = &self.backend;
        let x = backend.embed(self.table(), work.inputs, work.prompts)?;
        let mut store = KvStore::new();
        let (hidden, tape) = self.forward(work.pass, x, &mut store, Some(recompute))?;
        let (losses, d_hidden) =
            backend.head_loss(&self.output, &hidden, labels, distillation, true)?;
        let (Some(tape), Some(d_hidden)) = (tape, d_hidden) else {
            unreachable!("a recorded pass has a tape, a loss with gradient has one");
        };
        let dx = self.backward(work.pass, &mut store, tape, &d_hidden, wanted)?;
        // Reading waits for the processor: only now, when it has all its work.
        Ok((backend.read_losses(losses)?, backend.download_stream(&dx)?))
    }
}

impl<B: Backend> Engine for Decoder<B> {
    fn embeddings(&self, tokens: &[u32]) -> Computed<Vec<f32>> {
        self.backend.weight_rows(self.table(), tokens)
    }

    fn losses(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
    ) -> Computed<LabelLosses> {
        let losses = || {
            let backend = &self.backend;
            let x = backend.embed(self.table(), work.inputs, work.prompts)?;
            let (hidden, _) = self.forward(work.pass, x, &mut KvStore::new(), None)?;
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
        recompute: Recompute,
    ) -> Computed<(LabelLosses, Vec<f32>)> {
        let step = || self.step(work, labels, distillation, wanted, recompute);
        self.backend
            .within(step)
            .map_err(|e| self.planned(e, work, true))
    }

    fn runner(&self) -> Box<dyn Runner + '_> {
        Box::new(DecoderRunner {
            decoder: self,
            store: KvStore::new(),
            hidden: None,
        })
    }

    fn pin(&mut self, positions: usize) {
        Decoder::pin(self, positions);
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
