//! What the decoder asks of a processor, and the processors that give it.
//!
//! [`Backend`] is the list of operations that the passes in [`crate::model`]
//! are written in, each with its forward and its backward. [`Cpu`] is the
//! reference, which [`Cuda`] is tested against.

mod choice;
mod composed;
mod cpu;
mod cuda;
mod error;
mod measure;
mod tune;

pub use choice::Device;
pub(crate) use cpu::{Cpu, memory as cpu_memory};
pub(crate) use cuda::Cuda;
pub use error::ComputeError;
pub use measure::{Ceilings, KernelTime, Memory, Products, Profile};
pub(crate) use tune::Tune;

use crate::files::{Packed, PackedWeights};
use crate::forest::{Call, Forest, Input, Sight};
use crate::layers::attention::Shape;
use crate::layers::experts::ExpertWeights;
use crate::layers::head::{Distillation, Label, LabelLosses};
use crate::layers::rotary::Frequencies;

/// Result of an operation on a processor.
pub(crate) type Computed<T> = Result<T, ComputeError>;

/// What a layer's attention sees, and how positions turn its queries and keys.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) sight: Sight,
    pub(crate) frequencies: Frequencies,
    /// Whether its heads have sinks.
    pub(crate) sinks: bool,
}

impl Kind {
    /// The same with so many first positions visible beyond its window.
    pub(crate) fn with_pinned(&self, pinned: usize) -> Self {
        let mut kind = self.clone();
        kind.sight.pinned = pinned;
        kind
    }
}

/// The weights of a decoder block's attention before the heads, and of its norm.
pub(crate) struct Projections<'a, B: Backend> {
    pub(crate) norm: &'a B::Vector,
    pub(crate) query: &'a B::Linear,
    pub(crate) key_value: &'a B::Linear,
    pub(crate) eps: f32,
}

/// The weights of a decoder block's MLP and of its norm.
pub(crate) struct Mlp<'a, B: Backend> {
    pub(crate) norm: &'a B::Vector,
    pub(crate) gate_up: &'a B::Linear,
    pub(crate) down: &'a B::Linear,
    pub(crate) eps: f32,
}

/// The weights of a decoder block's router, of its experts, and of their norm.
pub(crate) struct Mixture<'a, B: Backend> {
    pub(crate) norm: &'a B::Vector,
    /// The router's logits: `[experts, d]` with a bias.
    pub(crate) router: &'a B::Linear,
    pub(crate) experts: &'a B::Experts,
    pub(crate) eps: f32,
}

/// A processor with its memory.
///
/// The operations on whole parts of a block ([`Backend::project`],
/// [`Backend::mlp`] and their backward passes) are composed of the others; a
/// processor that can do better by going through memory once does so.
///
/// Activations are matrices of one row per token. An operation reads whole
/// tensors, and *writes* its result except where it says that it *adds*.
/// `T` is the number of rows of the call, `N` that of its query rows, `h` the
/// size of a head.
pub(crate) trait Backend: Send + Sync + Sized + 'static {
    /// The numbers that activations are stored in: results in different ones
    /// are close, not equal.
    const NUMBERS: &'static str;
    /// Bytes of a weight that the files don't have packed.
    const BYTES_PER_WEIGHT: u64;
    /// Layers whose weights may be read at the same time.
    const LAYERS_AT_ONCE: usize;

    /// Activations, `[rows, columns]`.
    type Tensor;
    /// Rows of the residual stream, or of its gradient, `[rows, d]`: what many
    /// layers add to, held more exactly where activations are rounded.
    type Stream;
    /// What the backward pass keeps of a stream.
    type Kept;
    /// A frozen linear layer, `y = x Wᵀ + b`.
    type Linear: Send + Sync;
    /// Frozen numbers that stay f32: the weight of a norm, the sinks of heads.
    type Vector: Send + Sync;
    /// The frozen weights of a layer's experts.
    type Experts: Send + Sync;
    /// Keys (rotated) and values of one layer, by store row of the forest.
    type KeysValues: Default;
    /// Places of a call's rows: positions, store rows, who attends to whom.
    type Layout;
    /// What attention's forward pass keeps for its backward pass.
    type Attended;
    /// What the experts' forward pass keeps for their backward pass.
    type Routed;
    /// Losses of labels, not yet read.
    type Losses;

    /// Runs a sequence of operations where it is best started from.
    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        work()
    }

    /// Gets ready for a model with these heads, kinds of attention, row widths
    /// (the hidden size first) and bytes of weights, or says why it can't run it.
    fn check(
        &self,
        shape: Shape,
        kinds: &[Kind],
        widths: &[usize],
        weight_bytes: u64,
    ) -> Computed<()>;

    /// A linear layer from `[outputs, inputs]` weights.
    fn linear(
        &self,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        outputs: usize,
        inputs: usize,
    ) -> Computed<Self::Linear>;

    /// A linear layer from packed matrices, one below the other, that stay so.
    fn packed_linear(&self, parts: Vec<Packed>, bias: Option<Vec<f32>>) -> Computed<Self::Linear>;

    /// Bytes of memory that packed weights are unpacked to, beside them.
    fn room_to_unpack(weights: &PackedWeights) -> u64;

    /// Numbers that stay f32.
    fn vector(&self, values: Vec<f32>) -> Computed<Self::Vector>;

    /// Rows of a linear layer's weight (a token's embedding), `[rows, inputs]`.
    fn weight_rows(&self, layer: &Self::Linear, rows: &[u32]) -> Computed<Vec<f32>>;

    /// A tensor of these values, rounded as activations are.
    fn upload(&self, values: &[f32], columns: usize) -> Computed<Self::Tensor>;

    /// Values of a tensor, row-major.
    fn download(&self, x: &Self::Tensor) -> Computed<Vec<f32>>;

    /// Values of a stream, row-major.
    fn download_stream(&self, x: &Self::Stream) -> Computed<Vec<f32>>;

    /// Input embeddings, `[T, d]`; `prompts[p]` is `[m_p, d]`.
    fn embed(
        &self,
        table: &Self::Linear,
        inputs: &[Input],
        prompts: &[&[f32]],
    ) -> Computed<Self::Stream>;

    /// Says that a pass begins.
    fn start_pass(&self) {}

    /// Layout of a whole call for layers of a kind.
    fn layout(
        &self,
        shape: Shape,
        forest: &Forest,
        call: &Call,
        kind: &Kind,
    ) -> Computed<Self::Layout>;

    /// The same layout with only some call rows (ascending) as queries.
    fn select(
        &self,
        whole: &Self::Layout,
        shape: Shape,
        forest: &Forest,
        call: &Call,
        rows: &[usize],
        kind: &Kind,
    ) -> Computed<Self::Layout>;

    /// Makes room for `rows` store rows.
    fn reserve(&self, store: &mut Self::KeysValues, shape: Shape, rows: usize) -> Computed<()>;

    /// Root-mean-square norm of `x`, which is `kept` afterwards or not.
    fn rms_norm(
        &self,
        x: &mut Self::Stream,
        weight: &Self::Vector,
        eps: f32,
        kept: bool,
    ) -> Computed<Self::Tensor>;

    /// What the backward pass keeps of a stream that was normed.
    fn keep(&self, x: Self::Stream) -> Self::Kept;

    /// `residual` plus the gradient of a norm's input `x`; where there is no
    /// residual branch, the gradient alone.
    fn rms_norm_backward(
        &self,
        residual: Option<Self::Stream>,
        dy: &Self::Tensor,
        x: &Self::Kept,
        weight: &Self::Vector,
        eps: f32,
    ) -> Computed<Self::Stream>;

    /// `x Wᵀ + b`.
    fn forward(&self, layer: &Self::Linear, x: &Self::Tensor) -> Computed<Self::Tensor>;

    /// `residual + x Wᵀ + b`.
    fn forward_add(
        &self,
        layer: &Self::Linear,
        x: &Self::Tensor,
        residual: &Self::Stream,
    ) -> Computed<Self::Stream>;

    /// `dy W`.
    fn backward(&self, layer: &Self::Linear, dy: &Self::Tensor) -> Computed<Self::Tensor>;

    /// `dy W` for the stream's gradient as [`Backend::rms_norm_backward`] gives
    /// it.
    fn backward_stream(&self, layer: &Self::Linear, dy: &Self::Stream) -> Computed<Self::Tensor>;

    /// `dx += dy W`.
    fn backward_add(
        &self,
        layer: &Self::Linear,
        dy: &Self::Tensor,
        dx: &mut Self::Tensor,
    ) -> Computed<()>;

    /// `silu(gate) ∘ up` of `[rows, 2f]`.
    fn swiglu(&self, gate_up: &Self::Tensor) -> Computed<Self::Tensor>;

    /// Gradient of [`Backend::swiglu`]'s input.
    fn swiglu_backward(&self, gate_up: Self::Tensor, da: &Self::Tensor) -> Computed<Self::Tensor>;

    /// Queries (`[T, heads·h]`) and keys with values (`[T, 2·kv_heads·h]`) of the
    /// normed `x`.
    fn project(
        &self,
        weights: &Projections<'_, Self>,
        x: &mut Self::Stream,
        kept: bool,
    ) -> Computed<(Self::Tensor, Self::Tensor)> {
        composed::project(self, weights, x, kept)
    }

    /// `residual` plus the gradient of [`Backend::project`]'s `x`, given those of
    /// what it gave.
    fn project_backward(
        &self,
        weights: &Projections<'_, Self>,
        residual: Self::Stream,
        d_query: &Self::Tensor,
        d_key_value: &Self::Tensor,
        x: &Self::Kept,
    ) -> Computed<Self::Stream> {
        composed::project_backward(self, weights, residual, d_query, d_key_value, x)
    }

    /// The stream after an MLP and its residual sum, given that before it, and
    /// its gate and up values (`[N, 2f]`) where they are `kept`.
    fn mlp(
        &self,
        weights: &Mlp<'_, Self>,
        x: &mut Self::Stream,
        kept: Keep,
    ) -> Computed<(Option<Self::Tensor>, Self::Stream)> {
        composed::mlp(self, weights, x, kept)
    }

    /// From the gradient after an MLP's residual sum to the one before it.
    /// Without `gate_up` it is computed again.
    fn mlp_backward(
        &self,
        weights: &Mlp<'_, Self>,
        dx: Self::Stream,
        x: &Self::Kept,
        gate_up: Option<Self::Tensor>,
    ) -> Computed<Self::Stream> {
        composed::mlp_backward(self, weights, dx, x, gate_up)
    }

    /// RMS norm of each of the first `heads` heads of a row (`weight` is
    /// `[h]`); what follows them in the row stays as it is.
    fn head_norm(
        &self,
        x: &Self::Tensor,
        weight: &Self::Vector,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<Self::Tensor>;

    /// Gradient of [`Backend::head_norm`]'s input `x`, of which the first rows
    /// are wanted, in place of that of its output.
    fn head_norm_backward(
        &self,
        dy: &mut Self::Tensor,
        x: &Self::Tensor,
        weight: &Self::Vector,
        eps: f32,
        shape: Shape,
        heads: usize,
    ) -> Computed<()>;

    /// A layer's experts.
    fn experts(&self, weights: ExpertWeights) -> Computed<Self::Experts>;

    /// The stream after the chosen experts of each row and the residual sum,
    /// given that before them, and what is `kept` for the backward pass.
    fn mix(
        &self,
        weights: &Mixture<'_, Self>,
        x: &mut Self::Stream,
        kept: Keep,
    ) -> Computed<(Option<Self::Routed>, Self::Stream)>;

    /// From the gradient after the experts' residual sum to the one before it.
    /// Without `routed` it is computed again.
    fn mix_backward(
        &self,
        weights: &Mixture<'_, Self>,
        dx: Self::Stream,
        x: &Self::Kept,
        routed: Option<Self::Routed>,
    ) -> Computed<Self::Stream>;

    /// The stream that was kept.
    fn restore(&self, kept: &Self::Kept) -> Computed<Self::Stream>;

    /// Rotates the keys of `[T, 2·kv_heads·h]` rows (keys, then values) and
    /// puts both at the call's store rows.
    fn store_keys_values(
        &self,
        shape: Shape,
        layout: &Self::Layout,
        rows: &Self::Tensor,
        store: &mut Self::KeysValues,
    ) -> Computed<()>;

    /// Rotates the queries (`[N, heads·h]`) and attends; the values, `[N, heads·h]`,
    /// and what the backward pass needs. `sinks` (`[heads]`) are further scores
    /// without values.
    fn attend(
        &self,
        shape: Shape,
        layout: &Self::Layout,
        queries: Self::Tensor,
        store: &Self::KeysValues,
        sinks: Option<&Self::Vector>,
    ) -> Computed<(Self::Tensor, Self::Attended)>;

    /// Gradients of the queries before rotation (`[queries, heads·h]`) and of
    /// the first `wanted` call rows of [`Backend::store_keys_values`]
    /// (`[wanted, 2·kv_heads·h]`), summed over all who attend to them. The call
    /// covers the whole forest.
    fn attend_backward(
        &self,
        shape: Shape,
        layout: &Self::Layout,
        attended: Self::Attended,
        store: &Self::KeysValues,
        d_values: &Self::Tensor,
        wanted: Wanted,
    ) -> Computed<(Self::Tensor, Self::Tensor)>;

    /// Some rows of `x`.
    fn gather(&self, x: &Self::Tensor, rows: &[usize]) -> Computed<Self::Tensor>;

    /// Some rows of a stream.
    fn gather_stream(&self, x: &Self::Stream, rows: &[usize]) -> Computed<Self::Stream>;

    /// `total` rows, zero except `rows` (ascending), which are those of `x`.
    fn scatter(&self, x: &Self::Stream, rows: &[usize], total: usize) -> Computed<Self::Stream>;

    /// Adds the rows of `x` to these (distinct) rows of `y`.
    fn add_rows(&self, y: &mut Self::Tensor, x: &Self::Tensor, rows: &[usize]) -> Computed<()>;

    /// The first `rows` rows.
    fn truncate(&self, x: Self::Stream, rows: usize) -> Self::Stream;

    /// Losses at labelled rows of the final hidden states and, where wanted,
    /// the gradient of their weighted sum.
    fn head_loss(
        &self,
        output: &Self::Linear,
        hidden: &Self::Tensor,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        gradient: bool,
    ) -> Computed<(Self::Losses, Option<Self::Tensor>)>;

    /// Waits for losses and reads them.
    fn read_losses(&self, losses: Self::Losses) -> Computed<LabelLosses>;

    /// Logits of all rows, `[rows, vocabulary]`.
    fn logits(&self, output: &Self::Linear, hidden: &Self::Tensor) -> Computed<Vec<f32>>;

    /// Log-likelihood of each label's token.
    fn log_likelihood(
        &self,
        output: &Self::Linear,
        hidden: &Self::Tensor,
        labels: &[Label],
    ) -> Computed<Vec<f32>>;

    /// The most likely next token of each row, the first of equals.
    fn most_likely(&self, output: &Self::Linear, hidden: &Self::Tensor) -> Computed<Vec<u32>>;

    /// What this processor is, for people.
    fn describe(&self) -> String;

    /// Its memory, where it has its own.
    fn memory(&self) -> Computed<Option<Memory>>;

    /// Starts to note the times of kernels, where it can.
    fn start_profile(&self) -> Computed<()>;

    /// The times since then, the longest first, and how long the matrix
    /// products among them take when nothing else runs between them.
    fn finish_profile(&self) -> Computed<Option<Profile>>;
}

/// What a pass keeps for its backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing: there is none.
    Nothing,
    /// Streams; what is between them is computed again.
    Streams,
    /// Everything that isn't cheap to compute again.
    All,
}

/// How many of the first rows' gradients are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Query rows.
    pub(crate) queries: usize,
    /// Call rows whose keys and values count.
    pub(crate) rows: usize,
}
