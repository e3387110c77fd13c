//! What a configuration says about experts in place of the gated MLP.

/// Values that share a scale in an MXFP4 tensor.
pub(crate) const PACKED_VALUES: usize = 32;

/// The largest scale byte of an MXFP4 tensor: twice as much takes the largest value,
/// 6, out of what an f32 holds, and 255 is no number.
pub(super) const LARGEST_SCALE: u8 = 252;

/// A mixture of gated MLPs, of which a router chooses a few for each token.
#[derive(Debug, Clone, PartialEq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many each token uses.
    pub active: usize,
    /// Factor inside the gate's sigmoid.
    pub alpha: f32,
    /// The gate is at most this, the up value at most this in size.
    pub limit: f32,
    /// Whether the files hold the experts' weights as MXFP4 blocks and scales.
    pub packed: bool,
}

impl Experts {
    /// The tensors of a layer's router and experts, of hidden size `d` and width
    /// `ff`: packed in blocks of 32 values, or in transformers' own layout, which
    /// has the inputs first.
    pub(super) fn tensors(&self, d: usize, ff: usize, mut add: impl FnMut(&str, Vec<usize>)) {
        let count = self.count;
        add("mlp.router.weight", vec![count, d]);
        add("mlp.router.bias", vec![count]);
        for (name, out, input) in [("gate_up", 2 * ff, d), ("down", d, ff)] {
            let name = format!("mlp.experts.{name}_proj");
            if self.packed {
                let blocks = input / PACKED_VALUES;
                let bytes = PACKED_VALUES / 2;
                add(&format!("{name}_blocks"), vec![count, out, blocks, bytes]);
                add(&format!("{name}_scales"), vec![count, out, blocks]);
            } else {
                add(&name, vec![count, input, out]);
            }
            add(&format!("{name}_bias"), vec![count, out]);
        }
    }

    pub(super) fn contradiction(&self, d: usize, ff: usize) -> Option<(&'static str, String)> {
        let positive = |x: f32| x.is_finite() && x > 0.0;
        if self.count == 0 || self.count > 1 << 12 {
            let problem = format!("is {}, wanted 1 to {}", self.count, 1 << 12);
            Some(("num_local_experts", problem))
        } else if self.active == 0 || self.active > self.count {
            let problem = format!("is {}, wanted 1 to {}", self.active, self.count);
            Some(("num_experts_per_tok", problem))
        } else if !positive(self.limit) {
            let problem = format!("is {}, wanted a positive number", self.limit);
            Some(("swiglu_limit", problem))
        } else if !positive(self.alpha) {
            let problem = format!("is {}, wanted a positive number", self.alpha);
            Some(("swiglu_alpha", problem))
        } else if self.packed
            && !(d.is_multiple_of(PACKED_VALUES) && ff.is_multiple_of(PACKED_VALUES))
        {
            let problem = format!(
                "is {d} (intermediate_size {ff}); MXFP4 packs {PACKED_VALUES} values, which must divide both"
            );
            Some(("hidden_size", problem))
        } else {
            None
        }
    }
}
