//! A trained tensor with its gradient and its optimizer state.

use crate::moments::{Moments, OptimizerState};
use std::borrow::Cow;

/// One tensor of a method, always f32.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name as in the adapter's file.
    pub name: Cow<'static, str>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub value: Vec<f32>,
    /// Gradient of the present step; empty where gradients never exist together.
    pub gradient: Vec<f32>,
    /// Peak learning rate; 0 leaves the tensor as it is.
    pub learning_rate: f32,
    /// The optimizer's state.
    pub(crate) moments: Moments,
}

impl Parameter {
    /// A parameter with zero moments.
    ///
    /// # Panics
    /// When the number of values is not the shape's.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        shape: Vec<usize>,
        value: Vec<f32>,
        learning_rate: f32,
    ) -> Self {
        let gradient = vec![0.0; value.len()];
        let state = OptimizerState::F32;
        let parameter = Self::without_gradient(name, shape, value, learning_rate, state);
        Parameter {
            gradient,
            ..parameter
        }
    }

    /// A parameter whose gradient is there only while it is used, with zero
    /// moments held as `state`.
    ///
    /// # Panics
    /// As [`Parameter::new`].
    pub(crate) fn without_gradient(
        name: impl Into<Cow<'static, str>>,
        shape: Vec<usize>,
        value: Vec<f32>,
        learning_rate: f32,
        state: OptimizerState,
    ) -> Self {
        let name = name.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            value.len(),
            "shape of {name}"
        );
        Parameter {
            name,
            shape,
            gradient: Vec::new(),
            moments: Moments::zeros(value.len(), state),
            value,
            learning_rate,
        }
    }

    /// Bytes of the optimizer's state.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.moments.bytes()
    }

    /// Numbers that training changes.
    #[must_use]
    pub fn trainable(&self) -> usize {
        if self.learning_rate > 0.0 {
            self.value.len()
        } else {
            0
        }
    }
}
