//! Traces of closures.

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::trace::Trace;
use crate::var::inputs::{constants, taken_in};
use crate::var::{Function, Inputs};

/// The evaluation trace of a function at `x`: each value downwards, each adjoint upwards, with formulas,
/// numbers and source lines. Inputs are called `x`, or `x1`, `x2`, .. in order, and the value `y`,
/// unless the function [names](Var::named) them. Of a tape that is at hand,
/// see [`Tape::trace`].
///
/// ```
/// use wengert_core::{Tensor, trace};
///
/// let (x1, x2) = (Tensor::from(1.5), Tensor::from(0.5));
/// let trace = trace(|[x1, x2]| (x1 / x2).sin(), [&x1, &x2]);
/// println!("{trace}");
/// assert_eq!(trace.rows()[2].formula.to_string(), "x1 / x2");
/// ```
#[track_caller]
pub fn trace<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> Trace {
    let tape = Tape::new();
    let (_, y) = named(&tape, &f, &x);
    tape.trace(y)
}

/// As [`trace`](fn@trace), with tangents along a direction `v` arranged like `x`.
///
/// ```
/// use wengert_core::{Tensor, trace_along};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let trace = trace_along(|x| x.square().sum(), &x, &Tensor::from([1.0, 10.0]));
/// assert_eq!(trace.output().tangent.as_ref().unwrap().item(), Some(42.0));
/// ```
///
/// # Panics
/// If the shapes of `v` are not those of `x`, or the function leaves an input out.
#[track_caller]
pub fn trace_along<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I, v: I) -> Trace {
    let tape = Tape::new();
    let (vars, y) = named(&tape, &f, &x);
    let directions = constants(&tape, &v).into_iter().map(|direction| direction.value());
    let directions: Vec<_> = vars.into_iter().zip(directions).collect();
    tape.trace_along(y, &directions)
}

/// Records the function, of inputs with names. A name that the function gives comes later, and counts.
#[track_caller]
fn named<'t, T: Real, I: Inputs<T>>(
    tape: &'t Tape<T>,
    f: &impl Function<'t, T, I>,
    x: &I,
) -> (Vec<Var<'t, T>>, Var<'t, T>) {
    let (list, vars) = taken_in(tape, x);
    match &list[..] {
        [x] => _ = x.named("x"),
        list => list.iter().enumerate().for_each(|(i, x)| _ = x.named(format!("x{}", i + 1))),
    }
    let y = f(vars);
    if tape.given_names().iter().all(|(index, _)| *index != y.id().index()) {
        y.named("y");
    }
    (list, y)
}
