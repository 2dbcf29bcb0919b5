//! A training step of an LSTM: batch 32, 50 steps, 64 inputs, 128 units;
//! cross-entropy on the last state, plain stochastic gradient.

use wengert::nn::loss::cross_entropy_with;
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, constant, one_hot, uniform};

pub(super) const EAGER: Workload =
    Workload { name: "lstm", variant: "eager", unit: "step", run: |reps| training().eager(reps) };

pub(super) const COMPILED: Workload = Workload {
    name: "lstm",
    variant: "compiled",
    unit: "step",
    run: |reps| training().compiled(reps),
};

const BATCH: usize = 32;
const LENGTH: usize = 50;
const INPUTS: usize = 64;
const UNITS: usize = 128;

pub(super) fn training() -> Training<2> {
    let k = 1.0 / (UNITS as f64).sqrt();
    let parameter = |shape: &[usize], seed| Param::new(uniform(shape, seed, k));
    Training {
        parameters: vec![
            parameter(&[4 * UNITS, INPUTS], 62),
            parameter(&[4 * UNITS, UNITS], 63),
            parameter(&[4 * UNITS], 64),
            parameter(&[UNITS, 10], 65),
            constant(10, 0.0),
        ],
        inputs: [uniform(&[LENGTH, BATCH, INPUTS], 60, 1.0), one_hot(BATCH, 10, 61)],
        loss,
        optimiser: Sgd::new(0.01),
    }
}

fn loss<'t>(p: &[Var<'t, f32>], [x, t]: [Var<'t, f32>; 2]) -> Var<'t, f32> {
    let &[w_in, w_state, bias, w_out, b_out] = p else { panic!("five parameters") };
    // The inputs' part of all steps in one product.
    let from_inputs = x.matmul(w_in.transpose()) + bias;
    // Turned once: so the adjoints of all steps add up as they lie.
    let to_gates = w_state.transpose();
    let zeros = || x.tape().constant(Tensor::zeros([BATCH, UNITS]));
    let (mut h, mut c) = (zeros(), zeros());
    for step in 0..LENGTH {
        let z = from_inputs.slice(0, step..step + 1).squeeze(0) + h.matmul(to_gates);
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| z.slice(-1, gate * UNITS..(gate + 1) * UNITS));
        c = f.sigmoid() * c + i.sigmoid() * g.tanh();
        h = o.sigmoid() * c.tanh();
    }
    cross_entropy_with(h.matmul(w_out) + b_out, t)
}
