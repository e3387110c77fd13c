//! Metrics as functions of sums.

/// What one example adds to the sums.
pub(crate) type Sums = Vec<f64>;

/// What makes a metric's value of sums.
type Value = Box<dyn Fn(&[f64]) -> f64 + Send + Sync>;

/// A named function of the sums over some examples.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
}

impl Measure {
    pub(crate) fn new(
        name: &'static str,
        value: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            value: Box::new(value),
        }
    }
}

/// How many there are, how many were answered, how many of these are right.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) gold: f64,
    pub(crate) predicted: f64,
    pub(crate) correct: f64,
}

impl Tally {
    /// From three neighbouring sums.
    pub(crate) fn at(sums: &[f64], index: usize) -> Self {
        match sums.get(3 * index..3 * index + 3) {
            Some(&[gold, predicted, correct]) => Self {
                gold,
                predicted,
                correct,
            },
            _ => Self::default(),
        }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self {
            gold: self.gold + other.gold,
            predicted: self.predicted + other.predicted,
            correct: self.correct + other.correct,
        }
    }

    pub(crate) fn precision(self) -> f64 {
        ratio(self.correct, self.predicted)
    }

    pub(crate) fn recall(self) -> f64 {
        ratio(self.correct, self.gold)
    }

    /// The harmonic mean of precision and recall.
    pub(crate) fn f1(self) -> f64 {
        ratio(2.0 * self.correct, self.gold + self.predicted)
    }

    /// Whether it occurs at all, on either side.
    pub(crate) fn occurs(self) -> bool {
        self.gold + self.predicted > 0.0
    }
}

/// A quotient; 0 when there is nothing to divide by.
pub(crate) fn ratio(over: f64, under: f64) -> f64 {
    if under > 0.0 { over / under } else { 0.0 }
}

/// The mean F1 of the tallies that occur.
pub(crate) fn macro_f1(tallies: impl Iterator<Item = Tally>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for tally in tallies.filter(|tally| tally.occurs()) {
        sum += tally.f1();
        count += 1.0;
    }
    ratio(sum, count)
}
