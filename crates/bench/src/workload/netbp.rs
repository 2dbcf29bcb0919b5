//! One step of stochastic gradient on the paper's 2-2-3-2 network, in double
//! precision: sections 2 to 6 of Higham & Higham.

use wengert::prelude::*;

use super::Workload;
use crate::data::fill;
use crate::measure::{Timing, time};

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

    /// The cost (13) of one point: half the squared norm of the residual.
    fn cost<'t>(&self, tape: &'t Tape<f64>, point: usize) -> Var<'t, f64> {
        let x = tape.constant(X[point]);
        let output = self.layers.iter().fold(x, |a, layer| layer.forward(a).sigmoid());
        (output - tape.constant(target(point))).square().sum() * 0.5
    }
}

fn run(reps: usize) -> (Timing, f64) {
    let mut tape = Tape::new();
    let mut net = Net::new();
    let mut sgd = Sgd::new(0.05);
    let mut steps = |net: &mut Net| {
        for i in 0..200 {
            tape.reset();
            let gradients = net.cost(&tape, (i * 7 + 3) % 10).backward();
            sgd.step(net, &gradients);
        }
    };
    steps(&mut net);
    let check = (0..10).map(|point| net.cost(&Tape::new(), point).item()).sum();
    (time(reps, 200, || steps(&mut net)), check)
}
