//! A first greeting: the square of a number, and its derivative.

use serde_json::{Value, json};
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[("square", square), ("double", double)];

fn square(Input(x): Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let x = number(x)?;
    Ok(json!(clock.evaluate(|| Tape::new().constant(x).square().item())))
}

fn double(Input(x): Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let x = Tensor::from(number(x)?);
    Ok(json!(clock.evaluate(|| grad(|x| x.square(), &x).item())))
}

/// The input is no object, but a number.
fn number(x: &Value) -> Result<f64, Error> {
    x.as_f64().ok_or_else(|| Error(format!("expected a number, got {x}")))
}
