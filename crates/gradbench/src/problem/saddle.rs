//! The saddle of `|p|^2 - |q|^2`: the least over `p` of what is largest over `q`.
//!
//! Each value of the outer function is the result of a descent, and its gradient goes through all steps of that, each of which has a
//! gradient in it.

use serde_json::{Value, json};
use wengert::prelude::*;

use super::descent::{Mode, Point, minimiser};
use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[
    ("ff", |input, clock| saddle(input, clock, Mode::Forward, Mode::Forward)),
    ("fr", |input, clock| saddle(input, clock, Mode::Forward, Mode::Reverse)),
    ("rf", |input, clock| saddle(input, clock, Mode::Reverse, Mode::Forward)),
    ("rr", |input, clock| saddle(input, clock, Mode::Reverse, Mode::Reverse)),
];

fn function<'t>(p: Var<'t, f64>, q: Var<'t, f64>) -> Var<'t, f64> {
    p.square().sum() - q.square().sum()
}

/// Where the function of `q` is largest, for this `p`.
fn best_answer<'t>(p: Var<'t, f64>, start: Var<'t, f64>, inner: Mode) -> Var<'t, f64> {
    minimiser(start, |&q| {
        let loss = -function(p, q);
        (loss.item(), inner.gradient(loss, q))
    })
}

/// A point, and its tangents along both components of `p`. It moves by what it moves by, and so do they.
#[derive(Clone, Copy)]
struct Moving {
    at: [f64; 2],
    tangents: [[f64; 2]; 2],
}

impl Point for Moving {
    fn moved(&self, by: f64, direction: &Self) -> Self {
        let moved = |x: [f64; 2], d: [f64; 2]| [x[0] + by * d[0], x[1] + by * d[1]];
        Self {
            at: moved(self.at, direction.at),
            tangents: [0, 1].map(|k| moved(self.tangents[k], direction.tangents[k])),
        }
    }

    fn norm(&self) -> f64 {
        (self.at[0] * self.at[0] + self.at[1] * self.at[1]).sqrt()
    }
}

/// Values of `p`, of `q` and its tangents along `p`, compiled with their own tangents.
fn compiled<const M: usize>(
    f: impl for<'t> Fn(Var<'t, f64>, Var<'t, f64>) -> [Var<'t, f64>; M],
) -> Result<Program<f64>, Error> {
    let tape = Tape::lazy();
    let [p, q] = [(); 2].map(|()| tape.variable([1.0, 1.0]));
    let (units, of_q) = (tape.constant([[1.0, 0.0], [0.0, 1.0]]), tape.variable([[0.0; 2]; 2]));
    let [dp, dq] = [(); 2].map(|()| tape.constant([0.0, 0.0]));
    let values = f(p, q);
    let along = tape.jvp(values, &[(p, dp), (q, dq)]);
    let tangents = along.map(|tangent| tangent.vmap(&[(dp, units), (dq, of_q)]));
    Ok(tape.compile(&[p, q, of_q], &[&values[..], &tangents].concat())?)
}

/// The outer function with its gradient in forward mode: each step of the descent within moves tangents as
/// well.
struct Forward {
    /// The loss of an answer, and its gradient.
    loss: Program<f64>,
    outer: Program<f64>,
}

impl Forward {
    fn new(inner: Mode) -> Result<Self, Error> {
        let loss = compiled(|p, q| {
            let loss = -function(p, q);
            [loss, inner.gradient(loss, q)]
        })?;
        Ok(Self { loss, outer: compiled(|p, q| [function(p, q)])? })
    }

    fn value_and_gradient(&mut self, p: &Tensor<f64>, start: [f64; 2]) -> (f64, Tensor<f64>) {
        let run = |program: &mut Program<f64>, q: &Moving| {
            program.set_input(0, p);
            program.set_input(1, q.at);
            program.set_input(2, q.tangents);
            program.execute();
        };
        let start = Moving { at: start, tangents: [[0.0; 2]; 2] };
        let best = minimiser(start, |q| {
            run(&mut self.loss, q);
            let [value, x, y] =
                [(0, 0), (1, 0), (1, 1)].map(|(output, i)| element(&self.loss, output, i));
            let tangents = [0, 1].map(|k| [0, 1].map(|i| element(&self.loss, 3, 2 * k + i)));
            (value, Moving { at: [x, y], tangents })
        });
        run(&mut self.outer, &best);
        let gradient = [0, 1].map(|k| element(&self.outer, 1, k));
        (element(&self.outer, 0, 0), Tensor::from(gradient))
    }
}

/// An element of an output.
fn element(program: &Program<f64>, output: usize, i: usize) -> f64 {
    program.with_output(output, |view| view.iter().nth(i).expect("an element"))
}

fn saddle(input: Input<'_>, clock: &mut Clock, outer: Mode, inner: Mode) -> Result<Value, Error> {
    let start = input.shaped("start", [2])?;
    let (mut tape, mut last) = (Tape::new(), Tape::new());
    let mut forward = clock.prepare(|| Forward::new(inner))?;
    let [p, q] = clock.evaluate(|| {
        let p = minimiser(start.clone(), |p| match outer {
            Mode::Forward => forward.value_and_gradient(p, [start.at(&[0]), start.at(&[1])]),
            Mode::Reverse => outer.value_and_gradient(&mut tape, p, |p| {
                function(p, best_answer(p, p.tape().variable(&start), inner))
            }),
        });
        last.reset();
        let q = best_answer(last.constant(&p), last.variable(&start), inner).value();
        [p, q]
    });
    Ok(json!(p.iter().chain(q.iter()).collect::<Vec<f64>>()))
}
