//! Dropout: elements that are left out by chance while training.
//!
//! A layer holds the chance and nothing else. Whether it acts is a property of the
//! recording, and so is the generator it draws from: see
//! [`Tape::train`](wengert_core::Tape::train).

use wengert_core::random::Distribution;
use wengert_core::{Real, Shape, Tape, Var};

use super::Layer;
use crate::Module;

/// Sets each element to 0 with a chance `p` while training, and divides the others by `1 -
/// p`, so that nothing is left to do afterwards (the paper's section 7.2 with the scaling
/// of MatConvNet: "inverted"). Outside of training it is the identity.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::{Dropout, Layer};
///
/// let (dropout, tape) = (Dropout::new(0.25), Tape::<f64>::new());
/// let x = tape.constant(Tensor::ones([1000]));
/// assert_eq!(dropout.forward(x).value(), x.value());
/// tape.train(1);
/// let y = dropout.forward(x);
/// assert!(y.value().iter().all(|y| y == 0.0 || y == 1.0 / 0.75));
/// assert!((y.mean().item() - 1.0).abs() < 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Dropout {
    p: f64,
}

/// As [`Dropout`], of whole channels of `[batch, channels, ..]`, whose elements depend on
/// each other too much for single ones to be missed: PyTorch's `Dropout1d`, `2d` and `3d`.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct ChannelDropout {
    p: f64,
}

/// A chance below 1: what is left has to be scaled up.
#[track_caller]
fn checked(p: f64) -> f64 {
    assert!((0.0..1.0).contains(&p), "elements are left out with a chance from 0 up to 1, not {p}");
    p
}

impl Dropout {
    /// With a chance `p` to be left out.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[track_caller]
    pub fn new(p: f64) -> Self {
        Self { p: checked(p) }
    }

    /// Whether it leaves anything out in a recording.
    pub(super) fn acts_on<T: Real>(&self, tape: &Tape<T>) -> bool {
        acts(self.p, tape)
    }
}

/// Whether elements are left out with a chance `p` in a recording.
fn acts<T: Real>(p: f64, tape: &Tape<T>) -> bool {
    p > 0.0 && tape.is_training()
}

impl ChannelDropout {
    /// With a chance `p` to be left out.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[track_caller]
    pub fn new(p: f64) -> Self {
        Self { p: checked(p) }
    }
}

/// The elements times a mask of some shape, in training. What is left out is chosen away, so that
/// it does not matter if it, or its adjoint, is infinite.
#[track_caller]
fn masked<T: Real>(x: Var<'_, T>, p: f64, shape: Shape) -> Var<'_, T> {
    if acts(p, x.tape()) {
        let mask = x.tape().sample(Distribution::Dropout(p), shape);
        mask.select(x * mask, x.tape().constant(T::zero()))
    } else {
        x
    }
}

impl<T: Real> Layer<T> for Dropout {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        masked(x, self.p, x.shape())
    }
}

impl<T: Real> Layer<T> for ChannelDropout {
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        assert!(x.rank() >= 2, "channels have axes [batch, channels, ..], not {}", x.describe());
        let shape = x.shape();
        let mask = shape.iter().enumerate().map(|(axis, &n)| if axis < 2 { n } else { 1 });
        masked(x, self.p, mask.collect())
    }
}
