//! Products with Jacobians and Hessians, which are never formed.

use super::inputs::{Function, Inputs, constants, record};
use crate::{Real, Tape, Tensor};

/// The value of a function at `x`, and its Jacobian times a direction `v`
/// arranged like `x`: the tangent, at the cost of about two evaluations.
///
/// ```
/// use wengert_core::{Tensor, jvp};
///
/// let (y, tangent) = jvp(|x| x * x, &Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 10.0]));
/// assert_eq!(y.to_vec(), [1.0, 4.0]);
/// assert_eq!(tangent.to_vec(), [2.0, 40.0]);
/// ```
///
/// # Panics
/// If the shapes of `v` are not those of `x`.
#[track_caller]
pub fn jvp<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: I,
    v: I,
) -> (Tensor<T>, Tensor<T>) {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    let tangents: Vec<_> = vars.into_iter().zip(constants(&tape, &v)).collect();
    let tangent = tape.without_gradients(|| y.jvp(&tangents));
    (y.value(), tangent.value())
}

/// The value of a function at `x`, and a cotangent of the value times its
/// Jacobian: the adjoints of the inputs, at the cost of a few evaluations.
///
/// ```
/// use wengert_core::{Tensor, vjp};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let (_, adjoint) = vjp(|x| x * x, &x, &Tensor::from([1.0, 10.0]));
/// assert_eq!(adjoint.to_vec(), [2.0, 40.0]);
/// ```
///
/// # Panics
/// If the cotangent's shape is not that of the value.
#[track_caller]
pub fn vjp<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: I,
    cotangent: &Tensor<T>,
) -> (Tensor<T>, I::Tensors) {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    let adjoints = tape.without_gradients(|| y.vjp(tape.constant(cotangent), &vars));
    (y.value(), x.collect(&mut adjoints.into_iter().map(|adjoint| adjoint.value())))
}

/// The Hessian of a scalar function at `x` times a direction `v` arranged like
/// `x`: the tangent of the gradient, forward over reverse (G&W, section 5.2).
///
/// ```
/// use wengert_core::{Tensor, hvp};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let product = hvp(|x| (x * x * x).sum(), &x, &Tensor::from([1.0, 1.0]));
/// assert_eq!(product.to_vec(), [6.0, 12.0]);
/// ```
///
/// # Panics
/// If the function's value has more than one element, or the shapes of `v` are
/// not those of `x`.
#[track_caller]
pub fn hvp<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I, v: I) -> I::Tensors {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    let gradients = y.grad_of(&vars);
    let tangents: Vec<_> = vars.into_iter().zip(constants(&tape, &v)).collect();
    let products = tape.without_gradients(|| tape.tangents_of(&gradients, &tangents));
    x.collect(&mut products.into_iter().map(|product| product.value()))
}
