//! One step of stochastic gradient on the paper's 2-2-3-2 network, in double
//! precision: sections 2 to 6 of Higham & Higham.

use wengert::prelude::*;

use super::Workload;
use crate::data::fill;
use crate::measure::{Reps, Timing, time};

pub(super) const EAGER: Workload = Workload { name: "netbp", variant: "eager", unit: "step", run };

const X: [[f64; 2]; 10] = [
    [0.1, 0.1],
    [0.3, 0.4],
    [0.1, 0.5],
    [0.6, 0.9],
    [0.4, 0.2],
    [0.6, 0.3],
    [0.5, 0.6],
    [0.9, 0.2],
    [0.4, 0.4],
    [0.7, 0.6],
];

fn target(point: usize) -> [f64; 2] {
    if point < 5 { [1.0, 0.0] } else { [0.0, 1.0] }
}

pub(super) const COMPILED: Workload =
    Workload { name: "netbp", variant: "compiled", unit: "step", run: run_compiled };

#[derive(Module)]
struct Net {
    layers: [Linear<f64>; 3],
}

const SIZES: [usize; 4] = [2, 2, 3, 2];

impl Net {
    fn new() -> Self {
        let layer = |l: usize| {
            let shape = [SIZES[l + 1], SIZES[l]];
            let weight = Tensor::new(shape, fill(shape[0] * shape[1], l as u32 + 1));
            Linear::from_parts(weight, fill(SIZES[l + 1], l as u32 + 4))
        };
        Self { layers: std::array::from_fn(layer) }
    }

    /// The cost (13): half the squared norm of the residual.
    fn cost<'t>(&self, x: Var<'t, f64>, y: Var<'t, f64>) -> Var<'t, f64> {
        let output = self.layers.iter().fold(x, |a, layer| layer.forward(a).sigmoid());
        (output - y).square().sum() * 0.5
    }

    fn cost_at<'t>(&self, tape: &'t Tape<f64>, point: usize) -> Var<'t, f64> {
        self.cost(tape.constant(X[point]), tape.constant(target(point)))
    }

    /// The sum over all points: the workload's checksum.
    fn check(&self) -> f64 {
        (0..10).map(|point| self.cost_at(&Tape::new(), point).item()).sum()
    }
}

/// The points of the steps, one after another.
fn points() -> impl Iterator<Item = usize> {
    (0..200).map(|i| (i * 7 + 3) % 10)
}

fn run(reps: Reps) -> (Timing, f64) {
    let mut tape = Tape::new();
    let mut net = Net::new();
    let mut sgd = Sgd::new(0.05);
    let mut steps = |net: &mut Net| {
        for point in points() {
            tape.reset();
            let gradients = net.cost_at(&tape, point).backward();
            sgd.step(net, &gradients);
        }
    };
    steps(&mut net);
    let check = net.check();
    (time(reps, 200, || steps(&mut net)), check)
}

fn run_compiled(reps: Reps) -> (Timing, f64) {
    let (mut net, mut sgd) = (Net::new(), Sgd::new(0.05));
    let (x, y) = (Tensor::from(X[0]), Tensor::from(target(0)));
    let mut step = TrainStep::compile(&net, &sgd, |(x, y)| net.cost(x, y), (&x, &y))
        .expect("the cost decides on no value");
    let mut steps = || {
        for point in points() {
            step.set_input(0, X[point]);
            step.set_input(1, target(point));
            step.step();
        }
    };
    steps();
    let timing = time(reps, 200, &mut steps);
    let mut step = TrainStep::compile(&net, &sgd, |(x, y)| net.cost(x, y), (&x, &y))
        .expect("the cost decides on no value");
    for point in points() {
        step.run((&Tensor::from(X[point]), &Tensor::from(target(point))));
    }
    step.store(&mut net, &mut sgd);
    (timing, net.check())
}
