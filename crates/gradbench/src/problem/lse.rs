//! The logarithm of a sum of exponentials, from its parts: the largest, `exp`, a sum and `ln`.
//!
//! It is linear in time and memory, and bound by both. A program sums exponentials block by block as
//! they come out of `exp`, and goes over them once more for the gradient.

use serde_json::Value;
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[("primal", primal), ("gradient", gradient)];

fn log_sum_exp(x: Var<'_, f64>) -> Var<'_, f64> {
    let largest = x.max_over(0);
    largest + (x - largest).exp().sum().ln()
}

fn primal(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let x = input.tensor("x")?;
    Ok(lists(&clock.run(log_sum_exp, &x)?))
}

fn gradient(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let x = input.tensor("x")?;
    let [gradient] = clock.run_n(|x| log_sum_exp(x).grad([x]), &x)?;
    Ok(lists(&gradient))
}
