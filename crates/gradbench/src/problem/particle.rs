//! A charged particle falls between two charges, and a controller moves one of those so that it lands in the middle.
//!
//! The acceleration is a gradient, by the inner mode, and where the particle lands is differentiated through
//! all of them, by the outer mode. How long it falls is decided by its height, so the loop is one of Rust.

use serde_json::{Value, json};
use wengert::prelude::*;

use super::descent::{Mode, minimiser};
use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[
    ("ff", |input, clock| control(input, clock, Mode::Forward, Mode::Forward)),
    ("fr", |input, clock| control(input, clock, Mode::Forward, Mode::Reverse)),
    ("rf", |input, clock| control(input, clock, Mode::Reverse, Mode::Forward)),
    ("rr", |input, clock| control(input, clock, Mode::Reverse, Mode::Reverse)),
];

/// Seconds in a step.
const DT: f64 = 0.1;

/// The potential at `x` of the charges, one a row.
fn potential<'t>(x: Var<'t, f64>, charges: Var<'t, f64>) -> Var<'t, f64> {
    (x - charges).norm(-1).reciprocal().sum()
}

/// A step, from a place and a velocity `[2]` to the next ones, with the control `w` `[1]`; and where the
/// line through both places meets the ground, squared.
fn step<'t>([x, v]: [Var<'t, f64>; 2], w: Var<'t, f64>, inner: Mode) -> [Var<'t, f64>; 3] {
    let tape = w.tape();
    let charges = tape.constant([[10.0, 10.0], [10.0, 0.0]]) - w * [[0.0, 1.0], [0.0, 0.0]];
    let acceleration = -inner.gradient(potential(x, charges), x);
    let next = x + DT * v;
    let [along, down] = [0, 1].map(|i| (next.slice(0, i..=i), v.slice(0, i..=i)));
    let landing = along.0 - down.0 / down.1 * along.1;
    [next, v + DT * acceleration, landing.square().sum()]
}

/// Place and velocity at the start.
const START: [[f64; 2]; 2] = [[0.0, 8.0], [0.75, 0.0]];

/// Whether the particle is below the ground.
fn has_landed(height: Option<f64>) -> bool {
    height <= Some(0.0)
}

/// The square of where the particle lands, recorded step by step.
fn recorded(w: Var<'_, f64>, inner: Mode) -> Var<'_, f64> {
    let [mut x, mut v] = START.map(|start| w.tape().variable(start));
    loop {
        let landing;
        [x, v, landing] = step([x, v], w, inner);
        if has_landed(x.with_value(|x| x.iter().nth(1))) {
            return landing;
        }
    }
}

/// A step with its tangent, as a program: the tangent of the loop is a loop of tangents. It moves places, velocities and
/// their tangents, and gives the height, and the landing with its derivative.
fn compiled(w: &Tensor<f64>, inner: Mode) -> Result<Program<f64>, Error> {
    let tape = Tape::new();
    let w = tape.variable(w);
    let [x, v] = START.map(|start| tape.variable(start));
    let [dx, dv] = [(); 2].map(|()| tape.variable([0.0; 2]));
    let [next_x, next_v, landing] = step([x, v], w, inner);
    let directions = [(x, dx), (v, dv), (w, tape.constant([1.0]))];
    let [next_dx, next_dv, slope] = tape.jvp([next_x, next_v, landing], &directions);
    let moves = [(x, next_x), (v, next_v), (dx, next_dx), (dv, next_dv)];
    let outputs = [next_x.slice(0, 1..), landing, slope];
    Ok(tape.compile_updating(&[w, x, v, dx, dv], &outputs, &moves)?)
}

/// The square of where the particle lands, and its derivative, by a compiled step.
fn run(step: &mut Program<f64>, w: &Tensor<f64>) -> (f64, Tensor<f64>) {
    step.set_input(0, w);
    START.into_iter().enumerate().for_each(|(i, start)| step.set_input(1 + i, start));
    [3, 4].into_iter().for_each(|tangent| step.set_input(tangent, [0.0; 2]));
    loop {
        step.execute();
        let first = |index| step.with_output(index, |view| view.iter().next());
        if has_landed(first(0)) {
            return (step.output(1).item(), Tensor::from([step.output(2).item()]));
        }
    }
}

fn control(input: Input<'_>, clock: &mut Clock, outer: Mode, inner: Mode) -> Result<Value, Error> {
    let w = Tensor::from([input.number("w")?]);
    let best = match outer {
        Mode::Forward => {
            let mut step = clock.prepare(|| compiled(&w, inner))?;
            clock.evaluate(|| minimiser(w.clone(), |w| run(&mut step, w)))
        }
        Mode::Reverse => {
            let mut tape = Tape::new();
            clock.evaluate(|| {
                minimiser(w.clone(), |w| {
                    outer.value_and_gradient(&mut tape, w, |w| recorded(w, inner))
                })
            })
        }
    };
    Ok(json!(best.item()))
}
