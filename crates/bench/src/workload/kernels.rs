//! Small programs that users of JAX found slow there, with their gradients: three loops over few
//! numbers, in double precision, and the differences between neighbours in an image; and causal
//! attention over a long sequence.
//!
//! A unit is a step of the loop, and of the others a gradient.

use wengert::checkpoint::{Scan, Steps};
use wengert::nn::layer::causal_attention;
use wengert::prelude::*;

use super::Workload;
use super::gradient::{compiled, eager};
use super::training::uniform;
use crate::data::fill;
use crate::measure::{Reps, Timing};

/// Recorded and compiled: the name, what a unit is, units of a run, the inputs, the function.
macro_rules! kernels {
    ($($name:literal: $unit:literal, $units:expr, $inputs:expr, $f:expr;)*) => {
        [$(
            Workload {
                name: $name,
                variant: "eager",
                unit: $unit,
                run: |reps: Reps| -> (Timing, f64) { eager(reps, $units, $inputs, $f) },
            },
            Workload {
                name: $name,
                variant: "compiled",
                unit: $unit,
                run: |reps: Reps| -> (Timing, f64) { compiled(reps, $units, $inputs, $f) },
            },
        )*]
    };
}

pub(super) const ALL: [Workload; 10] = kernels! {
    "neuron": "step", NEURON_STEPS, CONDUCTANCES.map(Tensor::from), neuron();
    "quasiseparable": "step", ROWS, matrix(), log_determinant();
    "filter": "step", OBSERVATIONS, filter_inputs(), surprise();
    "neighbours": "gradient", 1, [uniform(&[SIDE; 3], 39, 1.0)], |[x]| neighbours(x);
    "attention4096": "gradient", 1, heads(), |[q, k, v]| causal_attention(q, k, v).square().sum();
};

/// Queries, keys and values of 8 heads of width 64, of 4096 positions each: all scores take 512 MB.
fn heads() -> [Tensor<f32>; 3] {
    [47, 48, 49].map(|seed| uniform(&[1, 8, 4096, 64], seed, 1.0))
}

const COMPARTMENTS: usize = 8;
const NEURON_STEPS: usize = 1000;
/// Of sodium, of potassium, and the leak, in mS/cm^2.
const CONDUCTANCES: [f64; 3] = [120.0, 36.0, 0.3];

/// A step of time, in ms.
const H: f64 = 0.025;

type Numbers<'t> = Var<'t, f64>;

/// A gate after a step, for the rates by which it opens and closes.
fn gate<'t>(x: Numbers<'t>, opens: Numbers<'t>, closes: Numbers<'t>) -> Numbers<'t> {
    let rate = opens + closes;
    let end = opens / rate;
    end + (x - end) * (rate * -H).exp()
}

/// A rate that rises with the voltage.
fn rising(v: Numbers<'_>, scale: f64) -> Numbers<'_> {
    v * scale / (1.0 - (v * -0.1).exp())
}

fn neuron_step<'t>(
    [v, m, h, n]: [Numbers<'t>; 4],
    [sodium, potassium, leak]: [Numbers<'t>; 3],
) -> [Numbers<'t>; 4] {
    let above = v + 65.0;
    let m = gate(m, rising(v + 40.0, 0.1), (above / -18.0).exp() * 4.0);
    let closes = 1.0 / (1.0 + ((v + 35.0) / -10.0).exp());
    let h = gate(h, (above / -20.0).exp() * 0.07, closes);
    let n = gate(n, rising(v + 55.0, 0.01), (above / -80.0).exp() * 0.125);
    let current = sodium * m * m * m * h * (v - 50.0)
        + potassium * n * n * n * n * (v + 77.0)
        + leak * (v + 54.387);
    // Each compartment exchanges with its neighbours, and the ends with themselves.
    let last = COMPARTMENTS - 1;
    let left = concat(&[v.slice(0, ..1), v.slice(0, ..last)], 0);
    let right = concat(&[v.slice(0, 1..), v.slice(0, last..)], 0);
    let given = Tensor::from_fn([COMPARTMENTS], |i| if i == 0 { 10.0 } else { 0.0 });
    let given = v.tape().constant(given);
    [v + (left + right - v * 2.0 + given - current) * H, m, h, n]
}

/// The membrane of Hodgkin and Huxley (1952) along a fibre of 8 compartments, of which the first is
/// given a current: the sum of the voltages after 1000 steps (jax#26145).
fn neuron() -> impl for<'t> Fn([Numbers<'t>; 3]) -> Numbers<'t> {
    let steps = Steps::new(|_, state, conductances| neuron_step(state, conductances));
    move |conductances: [Numbers<'_>; 3]| {
        let start = [-65.0, 0.05, 0.6, 0.32].map(|x| Tensor::full([COMPARTMENTS], x));
        let tape = conductances[0].tape();
        let [v, ..] = steps.run(NEURON_STEPS, start.map(|x| tape.constant(x)), conductances);
        v.sum()
    }
}

const ROWS: usize = 2000;

/// A diagonal, and the generators of what is below it, of rank 3.
fn matrix() -> [Tensor<f64>; 4] {
    let part = |shape: &[usize], seed, scale: f64, shift: f64| {
        let numbers = fill(shape.iter().product(), seed);
        Tensor::new(shape, numbers.into_iter().map(|x| x * scale + shift).collect())
    };
    [
        part(&[ROWS], 210, 0.5, 2.0),
        part(&[ROWS, 1, 3], 211, 0.4, 0.0),
        part(&[ROWS, 1, 3], 212, 0.4, 0.0),
        part(&[ROWS, 3, 3], 213, 0.4, 0.0),
    ]
}

/// The logarithms of the diagonal of Cholesky's factor of a quasiseparable matrix, added up: a loop
/// that carries a matrix of 3 x 3 (jax#36799).
fn log_determinant() -> impl for<'t> Fn([Numbers<'t>; 4]) -> Numbers<'t> {
    let scan = Scan::new(|[f], [d, p, q, a], []| {
        let c = (d - (p.matmul(f) * p).sum()).sqrt();
        let fa = f.matmul_transposed(a);
        let w = (q - p.matmul(fa)) / c;
        ([a.matmul(fa) + w.transpose().matmul(w)], [c.ln()])
    });
    move |inputs: [Numbers<'_>; 4]| {
        let start = inputs[0].tape().constant(Tensor::zeros([3, 3]));
        let (_, [logs]) = scan.run([start], inputs, []);
        logs.sum()
    }
}

const LEVELS: usize = 20;
const OBSERVATIONS: usize = 614;

/// How fast the world is thought to change, and what is seen of it.
fn filter_inputs() -> [Tensor<f64>; 2] {
    [Tensor::from(0.7), Tensor::from(fill(OBSERVATIONS, 214))]
}

/// What a filter thinks after it has seen a number, and how surprised it was.
fn observe<'t>(
    state: [Numbers<'t>; 3 * LEVELS],
    seen: Numbers<'t>,
    coupling: Numbers<'t>,
) -> ([Numbers<'t>; 3 * LEVELS], [Numbers<'t>; 1]) {
    let (mut next, mut below, mut surprise) = (state, seen, seen);
    for (level, parts) in next.chunks_mut(3).enumerate() {
        let [mean, precision, volatility] = [parts[0], parts[1], parts[2]];
        // The mean of the level above says how fast this one changes.
        let above = state.get(3 * level + 3).map_or(volatility, |&mean| volatility + mean * 0.1);
        let expected = 1.0 / (1.0 / precision + (coupling * above).exp());
        let error = below - mean;
        let surprising = error * error * expected;
        let precision = expected + 1.0;
        let mean = mean + error / precision;
        let volatility = volatility * 0.9 + (surprising - 1.0).tanh() * 0.1;
        parts.copy_from_slice(&[mean, precision, volatility]);
        if level == 0 {
            surprise = surprising - expected.ln();
        }
        below = mean;
    }
    (next, [surprise])
}

/// How surprised a filter of 20 levels is by what it sees, each a mean, its precision and a
/// volatility: a loop that carries 60 numbers, each a value of its own (jax#40150).
fn surprise() -> impl for<'t> Fn([Numbers<'t>; 2]) -> Numbers<'t> {
    let scan = Scan::new(|state, [seen], [coupling]| observe(state, seen, coupling));
    move |[coupling, seen]: [Numbers<'_>; 2]| {
        let start = std::array::from_fn(|i| coupling.tape().constant([0.0, 1.0, -1.0][i % 3]));
        let (_, [surprises]) = scan.run(start, [seen], [coupling]);
        surprises.sum()
    }
}

const SIDE: usize = 256;

/// The squared differences between neighbours in an image of three axes, added up (jax#37465).
fn neighbours(x: Var<'_, f32>) -> Var<'_, f32> {
    let along = |axis| (x.slice(axis, 1..) - x.slice(axis, ..SIDE - 1)).square().sum();
    along(0) + along(1) + along(2)
}
