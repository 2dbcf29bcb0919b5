//! Activations as layers, for use in a row of layers; elsewhere the methods of
//! [`Var`] read better.

use wengert_core::{Real, Var};

use super::Layer;
use crate::Module;

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
