//! The layer that is linear in each of two inputs.

use rand::Rng;
use wengert_core::{Real, Shape, Var};

use super::not_empty;
use crate::{Module, Param, init};

/// `y_o = b_o + sum over i, j of w_oij a_i b_j`.
///
/// From `[.., left]` and `[.., right]`, whose leading axes broadcast, to `[.., outputs]`.
/// The weight has shape `[outputs, left, right]` and the bias `[outputs]`, as in PyTorch.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::Bilinear;
/// use wengert_nn::random::seeded;
///
/// let mut layer = Bilinear::new(2, 2, 1, &mut seeded(1)).without_bias();
/// layer.weight.set(Tensor::new([1, 2, 2], vec![1.0, 0.0, 0.0, 2.0]));
/// let tape = Tape::new();
/// let y = layer.forward(tape.constant([3.0, 4.0]), tape.constant([5.0, 6.0]));
/// assert_eq!(y.value().to_vec(), [3.0 * 5.0 + 2.0 * 4.0 * 6.0]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Bilinear<T: Real> {
    /// The weight, of shape `[outputs, left, right]`.
    pub weight: Param<T>,
    /// The bias, of shape `[outputs]`, if there is one.
    pub bias: Option<Param<T>>,
}

impl<T: Real> Bilinear<T> {
    /// A layer with weight and bias uniform within `1 / sqrt(left)` of 0, as in PyTorch.
    ///
    /// # Panics
    /// If an extent is 0.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(left: usize, right: usize, outputs: usize, rng: &mut R) -> Self {
        not_empty("Bilinear", &[("left", left), ("right", right), ("outputs", outputs)]);
        let bound = 1.0 / (left as f64).sqrt();
        Self {
            weight: Param::named(
                "weight",
                init::uniform([outputs, left, right], -bound, bound, rng),
            ),
            bias: Some(Param::named("bias", init::uniform([outputs], -bound, bound, rng))),
        }
    }

    /// The layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The form of two inputs.
    ///
    /// # Panics
    /// If their last axes are not `left` and `right`, or the others do not broadcast.
    #[track_caller]
    pub fn forward<'t>(&self, a: Var<'t, T>, b: Var<'t, T>) -> Var<'t, T> {
        let (tape, weight) = (a.tape(), self.weight.shape());
        let (outputs, left, right) = (weight[0], weight[1], weight[2]);
        assert!(
            a.shape().ends_with(&[left]) && b.shape().ends_with(&[right]),
            "a bilinear form of [.., {left}] and [.., {right}]\n  left: {}\n  right: {}",
            a.describe(),
            b.describe()
        );
        // All products of two elements as one vector, which one matrix takes.
        let products = a.unsqueeze(-1) * b.unsqueeze(-2);
        let shape = products.shape();
        let lead = shape[..shape.rank() - 2].iter().copied();
        let products = products.reshape(lead.chain([left * right]).collect::<Shape>());
        let weight = self.weight.on(tape).reshape([outputs, left * right]);
        let y = if products.rank() == 1 {
            weight.matmul(products)
        } else {
            products.matmul(weight.transpose())
        };
        self.bias.as_ref().map_or(y, |bias| y + bias.on(tape))
    }
}
