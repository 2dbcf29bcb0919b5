//! One step of stochastic gradient on the paper's 2-2-3-2 network, in double
//! precision: sections 2 to 6 of Higham & Higham.

use wengert::{Tape, Tensor};

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

struct Net {
    weights: [Tensor<f64>; 3],
    biases: [Tensor<f64>; 3],
}

const SIZES: [usize; 4] = [2, 2, 3, 2];

impl Net {
    fn new() -> Self {
        let weight = |l: usize| {
            let shape = [SIZES[l + 1], SIZES[l]];
            Tensor::new(shape, fill(shape[0] * shape[1], l as u32 + 1))
        };
        let bias = |l: usize| Tensor::from(fill(SIZES[l + 1], l as u32 + 4));
        Self { weights: std::array::from_fn(weight), biases: std::array::from_fn(bias) }
    }

    fn forward<'t>(&self, tape: &'t Tape<f64>, x: &Tensor<f64>) -> wengert::Var<'t, f64> {
        let mut a = tape.constant(x);
        for l in 0..3 {
            let w = tape.parameter(l as u64, &self.weights[l]);
            let b = tape.parameter(l as u64 + 3, &self.biases[l]);
            a = (w.matmul(a) + b).sigmoid();
        }
        a
    }

    fn step(&mut self, tape: &mut Tape<f64>, x: &Tensor<f64>, y: &Tensor<f64>) {
        tape.reset();
        let cost = (self.forward(tape, x) - tape.constant(y)).square().sum() * 0.5;
        let gradients = cost.backward();
        for (key, parameter) in self.weights.iter_mut().chain(&mut self.biases).enumerate() {
            gradients.with_parameter(key as u64, |g| {
                let g = g.as_slice().expect("these gradients are no views");
                for (p, g) in parameter.as_mut_slice().iter_mut().zip(g) {
                    *p -= 0.05 * g;
                }
            });
        }
    }

    fn cost(&self, tape: &mut Tape<f64>) -> f64 {
        tape.reset();
        (0..10)
            .map(|i| {
                let x = Tensor::from(X[i]);
                let y = Tensor::from(target(i));
                0.5 * (self.forward(tape, &x) - tape.constant(y)).square().sum().item()
            })
            .sum()
    }
}

fn run(reps: usize) -> (Timing, f64) {
    let data: Vec<_> = (0..10).map(|i| (Tensor::from(X[i]), Tensor::from(target(i)))).collect();
    let mut tape = Tape::new();
    let mut net = Net::new();
    let steps = |net: &mut Net, tape: &mut Tape<f64>| {
        for i in 0..200 {
            let (x, y) = &data[(i * 7 + 3) % 10];
            net.step(tape, x, y);
        }
    };
    steps(&mut net, &mut tape);
    let check = net.cost(&mut tape);
    (time(reps, 200, || steps(&mut net, &mut tape)), check)
}
