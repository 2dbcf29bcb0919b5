//! Linear least squares: a polynomial's distance to the sign function, at points between -1 and 1.
//!
//! The polynomial is evaluated at all points at once by Horner's rule, so that the loop over
//! coefficients has operations of `n` numbers. A program puts the steps of this loop into loops
//! over blocks of points.

use serde_json::Value;
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[("primal", primal), ("gradient", gradient)];

/// The sum of squares for coefficients `x`. The points follow from their numbers, 0 to `n - 1`.
fn half_squares<'t>([x, numbers]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let t = numbers * (2.0 / (numbers.elements() as f64 - 1.0)) - 1.0;
    let mut coefficients = (0..x.elements()).rev().map(|j| x.slice(0, j..=j));
    let Some(first) = coefficients.next() else { return t.sign().square().sum() * 0.5 };
    let highest = first.broadcast_to(t.shape());
    let polynomial = coefficients.fold(highest, |value, next| value * t + next);
    (t.sign() - polynomial).square().sum() * 0.5
}

/// The coefficients, and the numbers of the points.
fn read(input: Input<'_>) -> Result<[Tensor<f64>; 2], Error> {
    let (x, n) = (input.tensor("x")?, input.integer("n")?);
    Ok([x, Tensor::from_fn([n], |i| i as f64)])
}

fn primal(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let [x, numbers] = read(input)?;
    Ok(lists(&clock.run(half_squares, [&x, &numbers])?))
}

fn gradient(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let [x, numbers] = read(input)?;
    let [gradient] =
        clock.run_n(|[x, numbers]| half_squares([x, numbers]).grad([x]), [&x, &numbers])?;
    Ok(lists(&gradient))
}
