//! Learning-rate schedule: linear warm-up, then linear decay to zero.

/// Share of the peak rate by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Steps of warm-up.
    pub warmup: u64,
    /// Steps in all.
    pub total: u64,
}

impl Schedule {
    /// The factor of step `step`, counted from 0, as in transformers'
    /// `get_linear_schedule_with_warmup` (whose very first step has rate 0).
    #[must_use]
    pub fn factor(&self, step: u64) -> f32 {
        if step < self.warmup {
            return step as f32 / self.warmup as f32;
        }
        let left = self.total.saturating_sub(step) as f32;
        left / (self.total.saturating_sub(self.warmup)).max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_and_decays() {
        let schedule = Schedule {
            warmup: 2,
            total: 10,
        };
        let factors: Vec<f32> = (0..11).map(|s| schedule.factor(s)).collect();
        assert_eq!(
            factors,
            [
                0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0
            ]
        );
    }
}
