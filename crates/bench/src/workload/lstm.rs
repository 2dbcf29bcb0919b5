//! A training step of an LSTM: batch 32, 50 steps, 64 inputs, 128 units;
//! cross-entropy on the last state, plain stochastic gradient.

use wengert::nn::Lstm;
use wengert::nn::loss::cross_entropy_with;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, one_hot, starting, trained, turned, uniform};

pub(super) const ALL: [Workload; 3] = trained! { "lstm": training(); };

const BATCH: usize = 32;
const LENGTH: usize = 50;
const INPUTS: usize = 64;
const UNITS: usize = 128;

/// The last state says the class.
#[derive(Module)]
pub(super) struct Classifier {
    lstm: Lstm<f32>,
    out: Linear<f32>,
}

impl Classifier {
    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let [h, _] = self.lstm.last(x, None);
        self.out.forward(h.squeeze(0))
    }
}

pub(super) fn training() -> Training<Classifier> {
    let k = 1.0 / (UNITS as f64).sqrt();
    let rng = &mut MatlabRng::new(0);
    let model = Classifier {
        lstm: Lstm::new(INPUTS, UNITS, rng).time_first(),
        out: Linear::new(UNITS, 10, rng),
    };
    let start = vec![
        uniform(&[4 * UNITS, INPUTS], 62, k),
        uniform(&[4 * UNITS, UNITS], 63, k),
        uniform(&[4 * UNITS], 64, k),
        Tensor::zeros([4 * UNITS]),
        turned(&uniform(&[UNITS, 10], 65, k)),
        Tensor::zeros([10]),
    ];
    let mut model = starting(model, start);
    // The workload has one bias; of the layer's two, which add up, the second stays 0.
    model.parameters_mut()[3].set_trainable(false);
    Training {
        model,
        input: uniform(&[LENGTH, BATCH, INPUTS], 60, 1.0),
        target: one_hot(BATCH, 10, 61),
        loss: |model, x, t| cross_entropy_with(model.forward(x), t),
        optimiser: Sgd::new(0.01),
    }
}
