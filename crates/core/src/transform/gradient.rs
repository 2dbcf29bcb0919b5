//! Gradients of closures.

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::var::inputs::{record, taken_in};
use crate::var::{Function, FunctionAux, Inputs};

/// The gradient of a scalar function at `x`.
///
/// ```
/// use wengert_core::{Tensor, grad};
///
/// let (w, b) = (Tensor::from([1.0, 2.0]), Tensor::from(0.5));
/// let [gw, gb] = grad(|[w, b]| (w * w).sum() * b, [&w, &b]);
/// assert_eq!(gw.to_vec(), [1.0, 2.0]);
/// assert_eq!(gb.item(), 5.0);
/// ```
///
/// The closure is written in place. One that is kept in a variable, for several uses, goes through
/// [`func`]:
///
/// ```
/// use wengert_core::{Tensor, func, grad, hessian};
///
/// let f = func(|x| (x.sin() * x).sum()); // and not `let f = |x| ..`
/// let x = Tensor::from([1.0, 2.0]);
/// assert_eq!(grad(f, &x).shape()[..], [2]);
/// assert_eq!(hessian(f, &x).shape()[..], [2, 2]);
/// ```
///
/// # Panics
/// If the function's value has more than one element.
#[doc(alias("gradient", "derivative"))]
#[track_caller]
pub fn grad<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> I::Tensors {
    value_and_grad(f, x).1
}

/// The value and the gradient of a scalar function at `x`, from one evaluation.
///
/// # Panics
/// If the function's value has more than one element.
#[doc(alias = "grad_and_value")]
#[track_caller]
pub fn value_and_grad<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: I,
) -> (T, I::Tensors) {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    differentiated(y, &vars, &x)
}

/// As [`value_and_grad`], for a function that gives something beside its value, in a pair: a
/// prediction, a count, whatever the caller wants to have from the same evaluation.
///
/// ```
/// use wengert_core::{Tensor, value_and_grad_aux};
///
/// let (x, target) = (Tensor::from([1.0, 2.0]), Tensor::from([2.0, 2.0]));
/// let (loss, slope, prediction) = value_and_grad_aux(
///     |w| {
///         let prediction = w * &x;
///         ((prediction - &target).square().sum(), prediction.value())
///     },
///     &Tensor::from(2.0),
/// );
/// assert_eq!((loss, slope.item()), (4.0, 8.0));
/// assert_eq!(prediction.to_vec(), [2.0, 4.0]);
/// ```
///
/// # Panics
/// As [`value_and_grad`].
#[doc(alias("grad_and_value", "value_and_grad", "has_aux"))]
#[track_caller]
pub fn value_and_grad_aux<T: Real, I: Inputs<T>, A>(
    f: impl for<'t> FunctionAux<'t, T, I, A>,
    x: I,
) -> (T, I::Tensors, A) {
    let tape = Tape::new();
    let (list, vars) = taken_in(&tape, &x);
    let (y, aux) = f(vars);
    let (value, gradients) = differentiated(y, &list, &x);
    (value, gradients, aux)
}

/// The value of what was recorded, and its gradients in the arrangement of the inputs.
#[track_caller]
fn differentiated<'t, T: Real, I: Inputs<T>>(
    y: Var<'t, T>,
    vars: &[Var<'t, T>],
    x: &I,
) -> (T, I::Tensors) {
    y.assert_scalar("grad", "`vjp` or `jacobian`");
    if !y.is_active() {
        // A constant function has a gradient too, and what was made constant is refused.
        let gradients = y.grad_of(vars);
        return (y.item(), x.collect(&mut gradients.into_iter().map(|gradient| gradient.value())));
    }
    let gradients = y.backward();
    let gradients = x.collect(&mut vars.iter().map(|&var| gradients.wrt(var)));
    (y.item(), gradients)
}

/// A closure kept in a variable, for use with several transforms.
///
/// Rust infers that a closure works for tapes of any lifetime only where it is
/// passed to a function that says so; this is that function. Without it, `let f = |x| x.sin();` is an
/// error ("type annotations needed"), and with a type for `x` it is another ("implementation of
/// `Function` is not general enough").
///
/// ```
/// use wengert_core::{Tensor, func, grad, hvp};
///
/// let f = func(|x| (x.sin() * x).sum());
/// let x = Tensor::from([1.0, 2.0]);
/// let g = grad(f, &x);
/// let h = hvp(f, &x, &Tensor::from([1.0, 0.0]));
/// # assert_eq!(h.at(&[1]), 0.0_f64);
/// ```
pub fn func<T: Real, F: for<'t> Fn(Var<'t, T>) -> Var<'t, T>>(f: F) -> F {
    f
}

/// As [`func`], for a closure of several inputs, given as an array.
///
/// ```
/// use wengert_core::{Tensor, func_n, grad, hvp};
///
/// let f = func_n(|[w, b]| (w * w).sum() * b);
/// let (w, b) = (Tensor::from([1.0, 2.0]), Tensor::from(0.5));
/// let [gw, _] = grad(f, [&w, &b]);
/// let [hw, _] = hvp(f, [&w, &b], [&w, &Tensor::from(0.0)]);
/// assert_eq!(gw, hw); // quadratic in w
/// ```
pub fn func_n<T: Real, const N: usize, F: for<'t> Fn([Var<'t, T>; N]) -> Var<'t, T>>(f: F) -> F {
    f
}
