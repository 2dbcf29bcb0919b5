//! Is a derivative right?
//!
//! A check compares a derivative with what the function itself does nearby. It
//! looks not at one difference quotient but at the *rate* at which the remainder
//! of Taylor's formula falls with the step, which separates an error of a few per
//! cent in one term from a strongly curved function. Beside that, forward and
//! reverse mode must give the same number, and so must two ways to the second
//! derivative. All directions and cotangents are random, and repeat.
//!
//! Of a function on a tape:
//!
//! - [`gradient`]: the tape's derivatives
//! - [`against`], [`jvp`], [`vjp`], [`jacobian`], [`hessian`]: one written by hand
//! - [`through_double`]: those of a function in single precision, through double precision
//! - [`parameters`]: those of a model, parameter by parameter (`check::module` of the crate of
//!   networks)
//! - [`op`] and [`ops`]: an op of yours on all of its samples, or all of the
//!   [registry](crate::op::registry)
//! - [`program`]: whether a compiled program gives the bits of its recording
//! - [`diagnose`]: what is unhealthy about a recording, whether its derivatives are right or not
//!
//! Of a function of slices, which knows no tape: [`plain`]. References to compare with:
//! [`reference`](mod@reference).
//!
//! ```
//! use wengert_core::{Tensor, check};
//!
//! let x = Tensor::from([0.5, -1.0]);
//! check::gradient(|x| (x.sin() * x).sum(), &x).assert();
//!
//! let report = check::against(|x| (x * x).sum(), |x| x.map(|x| -2.0 * x), &x);
//! assert!(!report.is_right());
//! assert!(report.to_string().contains("likely cause: sign"));
//! ```
//!
//! *Invariant*: a check uses what every user can use: it records, sweeps, and
//! evaluates elsewhere. It knows no op by name.

mod evidence;
mod judge;
mod ops;
mod report;
mod subjects;

use crate::op::{Operation, SampleSet};
use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;
use crate::var::{Function, Inputs};

pub use evidence::cause::Cause;
pub use evidence::comparison::{Comparison, Entry, Part};
pub use evidence::identity::Identity;
pub use evidence::options::Options;
pub use evidence::rate::{Rate, Rung};
pub use evidence::verdict::Verdict;
pub use ops::{Finding, OpReport};
pub use report::Report;
pub use subjects::health::{Diagnosis, Symptom, SymptomKind, diagnose};
pub use subjects::parameters::{ParameterReport, ParametersReport};
pub use subjects::program::{ProgramReport, program};
pub use subjects::{plain, reference};

/// Checks the tape's derivatives of a function at `x`: the gradient by its rate,
/// forward against reverse mode, and the second derivative.
///
/// The function's value may have any shape; it is contracted with a random
/// cotangent. For `f32` the differences are taken in `f32`, and a report says how
/// small an error they can show; [`through_double`] shows smaller ones. If the derivatives are
/// wrong, the report names the operation whose rule is.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let (w, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([0.1, 0.2]));
/// check::gradient(|[w, b]| (w.matmul(b) + b).tanh(), [&w, &b]).assert();
/// ```
pub fn gradient<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> Report {
    Options::default().gradient(f, x)
}

/// Checks a gradient of a scalar function that was written by hand: by its rate,
/// and entry by entry against the tape's.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// check::against(|x| (x * x).sum(), |x| x.map(|x| 2.0 * x), &x).assert();
/// ```
///
/// # Panics
/// If the gradient has another shape than `x`, or the function's value more than
/// one element.
#[track_caller]
pub fn against<T: Real, I: Inputs<T> + Copy>(
    f: impl for<'t> Function<'t, T, I>,
    by_hand: impl Fn(I) -> I::Tensors,
    x: I,
) -> Report {
    Options::default().against(f, by_hand, x)
}

/// Checks a product with a Jacobian that was written by hand: `by_hand(x, v)` gives `J v`.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([1.0, 2.0]);
/// check::jvp(|x| x * x, |x, v| x.zip_map(v, |x, v| 2.0 * x * v), &x).assert();
/// ```
///
/// # Panics
/// If the tangent has another shape than the value.
#[track_caller]
pub fn jvp<T: Real, I: Inputs<T> + Copy>(
    f: impl for<'t> Function<'t, T, I>,
    by_hand: impl Fn(I, &I::Tensors) -> Tensor<T>,
    x: I,
) -> Report {
    Options::default().jvp(f, by_hand, x)
}

/// Checks a product with a transposed Jacobian that was written by hand: `by_hand(x, w)` gives
/// `J' w`.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([1.0, 2.0]);
/// check::vjp(|x| x * x, |x, w| x.zip_map(w, |x, w| 2.0 * x * w), &x).assert();
/// ```
///
/// # Panics
/// If an adjoint has another shape than its input.
#[track_caller]
pub fn vjp<T: Real, I: Inputs<T> + Copy>(
    f: impl for<'t> Function<'t, T, I>,
    by_hand: impl Fn(I, &Tensor<T>) -> I::Tensors,
    x: I,
) -> Report {
    Options::default().vjp(f, by_hand, x)
}

/// Checks a Jacobian that was written by hand, one block for each input, as
/// [`jacobian`](crate::transform::jacobian) gives it.
///
/// ```
/// use wengert_core::{Tensor, check, concat};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let by_hand = |x: &Tensor<f64>| {
///     let x = x.to_vec();
///     Tensor::from([[x[1], x[0]], [1.0, 1.0]])
/// };
/// check::jacobian(
///     |x| {
///         let (a, b) = (x.slice(0, ..1), x.slice(0, 1..));
///         concat(&[a * b, a + b], 0)
///     },
///     by_hand,
///     &x,
/// )
/// .assert();
/// ```
///
/// # Panics
/// If a block has not the value's shape followed by its input's.
#[track_caller]
pub fn jacobian<T: Real, I: Inputs<T> + Copy>(
    f: impl for<'t> Function<'t, T, I>,
    by_hand: impl Fn(I) -> I::Tensors,
    x: I,
) -> Report {
    Options::default().jacobian(f, by_hand, x)
}

/// Checks a Hessian that was written by hand, of the input's shape twice.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let by_hand = |x: &Tensor<f64>| {
///     let x = x.to_vec();
///     Tensor::from([[6.0 * x[0], 0.0], [0.0, 6.0 * x[1]]])
/// };
/// check::hessian(|x| (x * x * x).sum(), by_hand, &x).assert();
/// ```
///
/// # Panics
/// If it has another shape, or the function's value more than one element.
#[track_caller]
pub fn hessian<T: Real>(
    f: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    by_hand: impl Fn(&Tensor<T>) -> Tensor<T>,
    x: &Tensor<T>,
) -> Report {
    Options::default().hessian(f, by_hand, x)
}

/// Checks the tape's gradient of a function in single precision through the same function in
/// double precision, at the same point: differences in double precision show errors that those in
/// single precision drown. The gradient may be off by a thousand roundings.
///
/// ```
/// use wengert_core::{Real, Tensor, Var, check};
///
/// fn f<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
///     (x.sin() * x).sum()
/// }
/// let x = Tensor::from([0.5_f32, -1.0]);
/// check::through_double(f::<f32>, f::<f64>, &x, &x.cast()).assert();
/// ```
///
/// # Panics
/// If the inputs differ in number or shape, or the values in shape.
#[track_caller]
pub fn through_double<I: Inputs<f32>, J: Inputs<f64>>(
    single: impl for<'t> Function<'t, f32, I>,
    double: impl for<'t> Function<'t, f64, J>,
    x: I,
    wide: J,
) -> Report {
    Options::default().through_double(single, double, x, wide)
}

/// Checks the tape's derivatives of a model with respect to each of its parameters, which are kept
/// outside of tapes under [keys](Tape::parameter): a name, a key and the value of each.
/// `loss` records the model.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let (w, b) = (Tensor::from([1.0, 2.0]), Tensor::from(0.5));
/// let report = check::parameters(
///     &[("weight".to_owned(), 1, w.clone()), ("bias".to_owned(), 2, b.clone())],
///     |tape| (tape.parameter(1, &w).square().sum() + tape.parameter(2, &b)).exp(),
/// );
/// assert!(report.is_right(), "{report}");
/// ```
pub fn parameters<T: Real>(
    named: &[(String, u64, Tensor<T>)],
    loss: impl for<'t> Fn(&'t Tape<T>) -> Var<'t, T>,
) -> ParametersReport {
    Options::default().parameters(named, loss)
}

/// Stops unless a gradient is right: that of a tape, or one that is written by hand for a function
/// of slices.
///
/// ```
/// use wengert_core::{Tensor, assert_gradient};
///
/// // The tape's.
/// assert_gradient!(|x| (x.sin() * x).sum(), &Tensor::from([0.5, -1.0]));
/// // One's own.
/// fn cost(x: &[f64]) -> f64 {
///     x.iter().map(|x| x * x).sum()
/// }
/// fn gradient(x: &[f64]) -> Vec<f64> {
///     x.iter().map(|x| 2.0 * x).collect()
/// }
/// assert_gradient!(cost, gradient, &[0.5, -1.0]);
/// ```
///
/// # Panics
/// With the report, if the gradient is not right.
#[macro_export]
macro_rules! assert_gradient {
    ($f:expr, $x:expr $(,)?) => {
        $crate::check::gradient($f, $x).assert()
    };
    ($f:expr, $gradient:expr, $x:expr $(,)?) => {
        $crate::check::plain::gradient($f, $gradient, $x).assert()
    };
}

/// Checks an op of any family on all of its samples. The parameters are those of
/// the samples.
///
/// What it checks: the shape rule and the evaluation, forward against reverse
/// mode, the rates of both, second derivatives in all four orders of the modes,
/// one operand in two places, operands that are transposed, sliced, reversed or
/// stretched views, recorded against fast sweeps, `f32` against `f64`, the error
/// samples, and that no class of shapes is left out.
///
/// ```
/// use wengert_core::{check, op::Sin};
///
/// check::op(Sin).assert();
/// ```
pub fn op<O, Family>(op: O) -> OpReport
where
    O: Operation<f64, Family> + Operation<f32, Family>,
{
    let _ = op;
    let singles = <O as Operation<f32, Family>>::sample_set();
    samples(&<O as Operation<f64, Family>>::sample_set(), Some(&singles))
}

/// Checks an op, as [`op`] does, on given samples; with the same
/// samples in single precision, also `f32` against `f64`.
pub fn samples(samples: &SampleSet<f64>, singles: Option<&SampleSet<f32>>) -> OpReport {
    ops::run(samples, singles, Options::default().seed, false)
}

/// As [`samples`], up to the first finding: for tests of the harness, which want to know whether
/// it objects and not how often.
pub fn first_finding(
    samples: &SampleSet<f64>,
    singles: Option<&SampleSet<f32>>,
) -> Option<Finding> {
    ops::run(samples, singles, Options::default().seed, true).findings.pop()
}

/// Checks all ops of the [registry](crate::op::registry).
// Programs share what a library has compiled unless it is optimised fully. So the ops are
// compiled here, once for all programs, where that is so, and else where they are asked for.
#[cfg_attr(any(not(debug_assertions), test), inline)]
pub fn ops() -> Vec<OpReport> {
    let singles = crate::op::registry::ops::<f32>();
    let entries = crate::op::registry::ops::<f64>().into_iter().zip(&singles);
    entries.map(|(entry, single)| samples(&entry.samples, Some(&single.samples))).collect()
}
