//! Products with Jacobians and Hessians, which are never formed.

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;
use crate::var::inputs::{constants, record};
use crate::var::{Function, Inputs};

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
    let _mode = tape.mode(false);
    let tangent = y.jvp(&tangents);
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
    let _mode = tape.mode(false);
    let adjoints = y.vjp(tape.constant(cotangent), &vars);
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
    y.assert_scalar("hvp", "`gauss_newton_product` with a loss");
    let gradients = y.grad_of(&vars);
    let tangents: Vec<_> = vars.into_iter().zip(constants(&tape, &v)).collect();
    let _mode = tape.mode(false);
    let products = tape.tangents_of(&gradients, &tangents);
    x.collect(&mut products.into_iter().map(|product| product.value()))
}

/// The Gauss-Newton matrix of a loss `l(f(x))` at `x` times a direction `v` arranged
/// like `x`: `J' H J v`, with the Jacobian `J` of `f` and the Hessian `H` of `l` at
/// `f(x)`. For a convex loss it has no negative eigenvalue, and it leaves out the
/// Hessian's part with second derivatives of `f` (Schraudolph, "Fast curvature matrix-vector
/// products for second-order gradient descent", Neural Computation 14, 2002).
///
/// ```
/// use wengert_core::{Tensor, gauss_newton_product};
///
/// // The loss |y|^2 has the Hessian 2 I, so this is 2 J' J v.
/// let (x, v) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 1.0]));
/// let product = gauss_newton_product(|x| x * x, |y| (y * y).sum(), &x, &v);
/// assert_eq!(product.to_vec(), [8.0, 32.0]);
/// ```
///
/// # Panics
/// If the loss has more than one element, or the shapes of `v` are not those of
/// `x`.
#[track_caller]
pub fn gauss_newton_product<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    loss: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    x: I,
    v: I,
) -> I::Tensors {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    let [slope] = loss(y).grad([y]);
    let tangents: Vec<_> = vars.iter().copied().zip(constants(&tape, &v)).collect();
    let _mode = tape.mode(false);
    let tangent = y.jvp(&tangents);
    let products = y.vjp(slope.jvp(&[(y, tangent)]), &vars);
    x.collect(&mut products.into_iter().map(|product| product.value()))
}

/// The empirical Fisher matrix at `x` times a direction `v` arranged like `x`:
/// `J' J v / n`, where `f` gives `n` log-likelihoods, one for each observation, and `J` has
/// their gradients as rows. (Martens, "New insights and perspectives on the natural
/// gradient method", JMLR 21, 2020, section 11, tells it from the true Fisher matrix, which
/// is [`gauss_newton_product`] with the negative log-likelihood as loss, where the network
/// gives natural parameters.)
///
/// ```
/// use wengert_core::{Tensor, fisher_product};
///
/// // Two observations with the gradients 2 x and 0.
/// let (x, v) = (Tensor::from(3.0), Tensor::from(1.0));
/// let product = fisher_product(|x| x * x * x.tape().constant([1.0, 0.0]), &x, &v);
/// assert_eq!(product.item(), 18.0);
/// ```
///
/// # Panics
/// If the shapes of `v` are not those of `x`.
#[track_caller]
pub fn fisher_product<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: I,
    v: I,
) -> I::Tensors {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    let tangents: Vec<_> = vars.iter().copied().zip(constants(&tape, &v)).collect();
    let _mode = tape.mode(false);
    let tangent = y.jvp(&tangents);
    let products = y.vjp(tangent / y.elements() as f64, &vars);
    x.collect(&mut products.into_iter().map(|product| product.value()))
}
