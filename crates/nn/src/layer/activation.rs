//! Activations as layers, for use in a row of layers; elsewhere the methods of
//! [`Var`] read better.

use wengert_core::{Real, Tensor, Var};

use super::{Layer, check_channels, not_empty, per_channel};
use crate::{Module, Param};

/// `1 / (1 + exp(-x))`, the paper's activation (1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Sigmoid;

/// The hyperbolic tangent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Tanh;

/// `max(x, 0)`, the paper's (31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Relu;

/// `x` where positive, else `slope * x`; the paper's section 8 has the slope 0.01.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct LeakyRelu(
    /// The slope.
    pub f64,
);

/// `ln(1 + exp(x))`, a smooth [`Relu`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Softplus;

/// Exponentials along an axis, divided by their sum (the paper's section 7.3).
///
/// For training a classifier, leave it out and give its input to
/// [`cross_entropy`](crate::loss::cross_entropy).
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Softmax(
    /// The axis; negative numbers count from the end.
    pub isize,
);

/// The logarithm of [`Softmax`], without underflow.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct LogSoftmax(
    /// The axis; negative numbers count from the end.
    pub isize,
);

/// [`Softmax`] of the negative: the smallest has the largest share.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Softmin(
    /// The axis; negative numbers count from the end.
    pub isize,
);

/// `max(x, 0)`, and 6 at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Relu6;

/// `x` where positive, else `alpha (e^x - 1)` (Clevert et al., 2016).
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Elu(
    /// The negative of the limit to the left.
    pub f64,
);

/// [`Elu`] with a scale and an `alpha` that keep mean 0 and variance 1 (Klambauer et al.,
/// 2017).
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Selu;

/// `x` where positive, else `alpha (e^(x / alpha) - 1)` (Barron, 2017).
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Celu(
    /// The negative of the limit to the left.
    pub f64,
);

/// `x` times the probability that a normal variable is at most `x` (Hendrycks and Gimpel,
/// 2016).
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Gelu;

/// [`Gelu`], approximated by a hyperbolic tangent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct GeluTanh;

/// `x` times its [`Sigmoid`], also called swish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Silu;

/// `x tanh(ln(1 + e^x))` (Misra, 2019).
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Mish;

/// `x / (1 + |x|)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Softsign;

/// The logarithm of [`Sigmoid`], without underflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct LogSigmoid;

/// `x`, cut off at -1 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Hardtanh;

/// `x / 6 + 1/2`, cut off at 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Hardsigmoid;

/// `x` times its [`Hardsigmoid`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Hardswish;

/// `x - tanh x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Tanhshrink;

/// `x`, brought nearer to 0 by a width, and 0 where that would change the sign.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Softshrink(
    /// The width.
    pub f64,
);

/// `x`, and 0 where it is within a width of 0.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Hardshrink(
    /// The width.
    pub f64,
);

/// The first half along an axis times the [`Sigmoid`] of the second (Dauphin et al., 2017).
///
/// Panics if the extent of the axis is odd.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Glu(
    /// The axis; negative numbers count from the end.
    pub isize,
);

/// A [`LeakyRelu`] whose slope is learnt (He et al., 2015): one, or one for each channel of
/// `[batch, channels, ..]`. The weight starts with 0.25, as in PyTorch.
#[derive(Clone, Debug, Module)]
pub struct Prelu<T: Real> {
    /// The slope, of shape `[1]` or `[channels]`.
    pub weight: Param<T>,
}

impl<T: Real> Prelu<T> {
    /// One slope for all, or one for each of `channels` channels.
    ///
    /// # Panics
    /// If there are no channels.
    #[track_caller]
    pub fn new(channels: usize) -> Self {
        not_empty("Prelu", &[("channels", channels)]);
        Self { weight: Param::named("weight", Tensor::full([channels], T::from_f64(0.25))) }
    }
}

impl<T: Real> Layer<T> for Prelu<T> {
    /// # Panics
    /// If the input has another number of channels.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let (weight, slopes) = (self.weight.on(x.tape()), self.weight.len());
        let slope = if slopes == 1 {
            weight
        } else {
            check_channels("a rectifier", x, slopes);
            per_channel(weight, x.rank())
        };
        // As of a [`LeakyRelu`], the derivative at 0 is the slope.
        let zero = x.tape().constant(T::zero());
        x.greater(zero).select(x, slope * x.minimum(zero))
    }
}

macro_rules! layers {
    ($($layer:ident: $forward:expr),* $(,)?) => {$(
        impl<T: Real> Layer<T> for $layer {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let forward: fn(&Self, Var<'t, T>) -> Var<'t, T> = $forward;
                forward(self, x)
            }
        }
    )*};
}

layers! {
    Sigmoid: |_, x| x.sigmoid(),
    Tanh: |_, x| x.tanh(),
    Relu: |_, x| x.relu(),
    LeakyRelu: |layer, x| x.leaky_relu(layer.0),
    Softplus: |_, x| x.softplus(),
    Softmax: |layer, x| x.softmax(layer.0),
    LogSoftmax: |layer, x| x.log_softmax(layer.0),
    Softmin: |layer, x| (-x).softmax(layer.0),
    Relu6: |_, x| x.clamp(0.0, 6.0),
    Elu: |layer, x| x.elu(layer.0),
    Selu: |_, x| x.selu(),
    Celu: |layer, x| x.celu(layer.0),
    Gelu: |_, x| x.gelu(),
    GeluTanh: |_, x| x.gelu_tanh(),
    Silu: |_, x| x.silu(),
    Mish: |_, x| x.mish(),
    Softsign: |_, x| x.softsign(),
    LogSigmoid: |_, x| x.log_sigmoid(),
    Hardtanh: |_, x| x.hardtanh(),
    Hardsigmoid: |_, x| x.hardsigmoid(),
    Hardswish: |_, x| x.hardswish(),
    Tanhshrink: |_, x| x - x.tanh(),
    Softshrink: |layer, x| {
        let width = T::from_f64(layer.0);
        (x - width).relu() - (-x - width).relu()
    },
    Hardshrink: |layer, x| {
        let is_near = x.abs().less_equal(x.tape().constant(T::from_f64(layer.0)));
        x.masked_fill(is_near, 0.0)
    },
    Glu: |layer, x| {
        match x.chunk(layer.0, 2)[..] {
            [first, second] if first.shape() == second.shape() => first * second.sigmoid(),
            _ => panic!("a gate has halves of an axis of even extent, not {}", x.describe()),
        }
    },
}

#[cfg(test)]
mod tests {
    use wengert_core::Tape;

    use super::*;

    #[test]
    fn each_layer_is_its_function() {
        let tape = Tape::new();
        let x = tape.constant([-1.0, 2.0]);
        let of = |layer: &dyn Layer<f64>| layer.forward(x).value().to_vec();
        let e = f64::exp;
        let close = |a: Vec<f64>, b: [f64; 2]| {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15), "{a:?} {b:?}");
        };
        close(of(&Sigmoid), [1.0 / (1.0 + e(1.0)), 1.0 / (1.0 + e(-2.0))]);
        close(of(&Tanh), [f64::tanh(-1.0), f64::tanh(2.0)]);
        close(of(&Relu), [0.0, 2.0]);
        close(of(&LeakyRelu(0.01)), [-0.01, 2.0]);
        close(of(&Softplus), [(1.0 + e(-1.0)).ln(), (1.0 + e(2.0)).ln()]);
        close(of(&Softmax(-1)), [1.0 / (1.0 + e(3.0)), 1.0 / (1.0 + e(-3.0))]);
    }
}
