//! Taylor coefficients of closures along curves.

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;
use crate::var::inputs::{constants, record};
use crate::var::{Function, Inputs};

/// The Taylor coefficients of `t -> f(x + t v)` up to a degree: `k!` times the `k`-th
/// is the derivative of order `k` along `v` (G&W, chapter 13). The first is
/// `f(x)`, and each has its shape.
///
/// One sweep whose cost grows with the square of the degree, where nesting `k`
/// forward sweeps costs `2^k`. [`Var::taylor`] gives the coefficients as variables, to
/// be differentiated or compiled.
///
/// ```
/// use wengert_core::{Tensor, taylor};
///
/// // 1 / (1 - t) = 1 + t + t^2 + ...
/// let y = taylor(|x| 1.0 / (1.0 - x), &Tensor::from(0.0), &Tensor::from(1.0), 4);
/// assert!(y.iter().all(|y| y.item() == 1.0) && y.len() == 5);
/// ```
///
/// At a kink, the curve stays on the piece that the derivative's convention chooses at `t = 0`. Where
/// a function has no Taylor series, such as `x^2.5` at 0, coefficients are infinite or NaN from the
/// first on that does not exist.
///
/// # Panics
/// If the shapes of `v` are not those of `x`.
#[doc(alias = "jet")]
#[track_caller]
pub fn taylor<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: I,
    v: I,
    degree: usize,
) -> Vec<Tensor<T>> {
    taylor_along(f, x, &[v], degree)
}

/// The Taylor coefficients of `t -> f(x + t c_1 + t^2 c_2 + ...)` up to a degree, where
/// `c_1, c_2, ...` are the given coefficients of a curve.
///
/// ```
/// use wengert_core::{Tensor, taylor_along};
///
/// // (2 + t^2)^2 = 4 + 4 t^2 + t^4
/// let [zero, one] = [0.0, 1.0].map(Tensor::from);
/// let y = taylor_along(|x| x * x, &Tensor::from(2.0), &[&zero, &one], 4);
/// let y: Vec<f64> = y.iter().map(Tensor::item).collect();
/// assert_eq!(y, [4.0, 0.0, 4.0, 0.0, 1.0]);
/// ```
///
/// # Panics
/// If the shapes of a coefficient are not those of `x`.
#[track_caller]
pub fn taylor_along<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: I,
    curve: &[I],
    degree: usize,
) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    let curve: Vec<Vec<Var<'_, T>>> = curve.iter().map(|c| constants(&tape, c)).collect();
    let of_input = |i: usize| curve.iter().map(|c| c[i]).collect::<Vec<_>>();
    let curves: Vec<_> = (0..vars.len()).map(of_input).collect();
    let curves: Vec<_> =
        vars.into_iter().zip(&curves).map(|(x, curve)| (x, curve.as_slice())).collect();
    let _mode = tape.mode(false);
    let coefficients = y.taylor(&curves, degree);
    coefficients.into_iter().map(|coefficient| coefficient.value()).collect()
}
