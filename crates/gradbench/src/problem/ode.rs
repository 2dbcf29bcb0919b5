//! A system of differential equations, by the classic Runge-Kutta method.
//!
//! A step has a few operations on all components, and is compiled. The way back keeps the state before each step,
//! and computes the rest of the step again.

use serde_json::Value;
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::chain::{Chain, Keep};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[("primal", primal), ("gradient", gradient)];

/// The time that is integrated over.
const END: f64 = 2.0;
/// Numbers in the states that the way back may keep, 8 GiB.
const MOST_KEPT: usize = 1 << 30;

/// The derivative of `y` by time: `x[0]`, and `x[i] y[i - 1]`.
fn slope<'t>(x: Var<'t, f64>, y: Var<'t, f64>) -> Var<'t, f64> {
    let one = y.tape().constant([1.0]);
    x * concat(&[one, y.slice(0, ..y.elements() - 1)], 0)
}

/// A step of length `h`.
fn step<'t>(x: Var<'t, f64>, y: Var<'t, f64>, h: f64) -> Var<'t, f64> {
    let k1 = slope(x, y);
    let k2 = slope(x, y + 0.5 * h * k1);
    let k3 = slope(x, y + 0.5 * h * k2);
    let k4 = slope(x, y + h * k3);
    y + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
}

/// Compiles a step, one of `steps`.
fn compiled(x: &Tensor<f64>, steps: usize) -> Result<Chain<1, 0, 1, 0>, Error> {
    let h = END / steps as f64;
    Ok(Chain::new(|[y], [], [x]| ([step(x, y, h)], []), [x], [], [x])?)
}

fn read(input: Input<'_>) -> Result<(Tensor<f64>, usize), Error> {
    let x = input.tensor("x")?;
    if x.shape().len() != 1 || x.is_empty() {
        return Err(Error("`x`: expected a list of at least one number".into()));
    }
    Ok((x, input.integer("s")?))
}

fn primal(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (x, steps) = read(input)?;
    let mut chain = clock.prepare(|| compiled(&x, steps))?;
    let start = Tensor::zeros(x.shape());
    let [end] =
        clock.evaluate(|| chain.run(Keep::Nothing, steps, [&start], |_, _, _| {}, [&x], |_| {}));
    Ok(lists(&end))
}

fn gradient(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (x, steps) = read(input)?;
    if x.len().saturating_mul(steps) > MOST_KEPT {
        let n = x.len();
        return Err(Error(format!(
            "`s`: expected a gradient with at most {} steps of {n} components, got {steps}",
            MOST_KEPT / n
        )));
    }
    let mut chain = clock.prepare(|| compiled(&x, steps))?;
    let start = Tensor::zeros(x.shape());
    let last = Tensor::from_fn([x.len()], |i| f64::from(i + 1 == x.len()));
    let [gradient] = clock.evaluate(|| {
        chain.run(Keep::States, steps, [&start], |_, _, _| {}, [&x], |_| {});
        chain.back([&last], |_, _, _| {}, [&x], |_, _, _| {})
    });
    Ok(lists(&gradient))
}
