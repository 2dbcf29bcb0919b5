//! The fully connected layer.

use rand::Rng;
use wengert_core::{Real, Tensor, Var};

use super::{Layer, not_empty};
use crate::{Module, Param, init};

/// The map `W x + b`: the paper's (19), `z = W a + b`, before the activation.
///
/// The weight has shape `[outputs, inputs]` and the bias `[outputs]`, as in the paper
/// and in PyTorch. The input is a vector of shape `[inputs]`, or any number of them:
/// of shape `[.., inputs]`, it gives `[.., outputs]`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, Linear};
///
/// let layer = Linear::from_parts([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0.1, 0.2, 0.3]);
/// let tape = Tape::new();
/// let one = layer.forward(tape.constant([1.0, 0.0]));
/// assert_eq!(one.value().to_vec(), [1.1, 3.2, 5.3]);
/// let batch = layer.forward(tape.constant([[1.0, 0.0], [0.0, 1.0]]));
/// assert_eq!(batch.value().to_vec(), [1.1, 3.2, 5.3, 2.1, 4.2, 6.3]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Linear<T: Real> {
    /// The weight, of shape `[outputs, inputs]`.
    pub weight: Param<T>,
    /// The bias, of shape `[outputs]`, if there is one.
    pub bias: Option<Param<T>>,
}

impl<T: Real> Linear<T> {
    /// A layer with weight and bias uniform within `1 / sqrt(inputs)` of 0, as in
    /// PyTorch.
    ///
    /// # Panics
    /// If there are no inputs or no outputs.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(inputs: usize, outputs: usize, rng: &mut R) -> Self {
        not_empty("Linear", &[("inputs", inputs), ("outputs", outputs)]);
        let bound = 1.0 / (inputs as f64).sqrt();
        Self {
            weight: Param::named("weight", init::uniform([outputs, inputs], -bound, bound, rng)),
            bias: Some(Param::named("bias", init::uniform([outputs], -bound, bound, rng))),
        }
    }

    /// A layer with a given weight, of shape `[outputs, inputs]`, and bias, of shape
    /// `[outputs]`.
    ///
    /// # Panics
    /// If the shapes are not of this kind.
    #[track_caller]
    pub fn from_parts(weight: impl Into<Tensor<T>>, bias: impl Into<Tensor<T>>) -> Self {
        let (weight, bias) = (weight.into(), bias.into());
        assert!(
            weight.shape().rank() == 2 && bias.shape()[..] == weight.shape()[..1],
            "a weight of shape {} and a bias of shape {} are not [outputs, inputs] and [outputs]",
            weight.shape(),
            bias.shape()
        );
        Self { weight: Param::named("weight", weight), bias: Some(Param::named("bias", bias)) }
    }

    /// The layer without its bias: `W x`.
    ///
    /// ```
    /// # use wengert_nn::{Linear, Module, random::seeded};
    /// let layer = Linear::<f64>::new(2, 3, &mut seeded(1)).without_bias();
    /// assert_eq!(layer.parameter_count(), 6);
    /// ```
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The extent of the last axis that `forward` takes.
    pub fn inputs(&self) -> usize {
        self.weight.shape()[1]
    }

    /// The extent of the last axis that `forward` gives.
    pub fn outputs(&self) -> usize {
        self.weight.shape()[0]
    }
}

impl<T: Real> Layer<T> for Linear<T> {
    /// `W x + b` for every vector along the last axis.
    ///
    /// # Panics
    /// If the last axis has not [`inputs`](Linear::inputs) elements.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let weight = self.weight.on(x.tape());
        let product = x.matmul_transposed(weight);
        match &self.bias {
            Some(bias) => product + bias.on(x.tape()),
            None => product,
        }
    }
}
