//! A training step of an LSTM and of a GRU of two layers of 512 units: batch 32, 100 steps, 128
//! inputs; cross-entropy on the last state, stochastic gradient with momentum. 3,421,194 and
//! 2,567,178 parameters.

use wengert::nn::layer::{Cell, GruCell, LstmCell};
use wengert::nn::loss::cross_entropy_with;
use wengert::nn::random::MatlabRng;
use wengert::nn::{Gru, Lstm, layer::Recurrent};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, hashed, one_hot, trained, uniform};

pub(super) const ALL: [Workload; 6] = trained! {
    "lstm512": lstm();
    "gru512": gru();
};

const BATCH: usize = 32;
const LENGTH: usize = 100;
const INPUTS: usize = 128;
const UNITS: usize = 512;

/// The last state of the last layer says the class.
#[derive(Module)]
pub(super) struct Classifier<C, const S: usize> {
    layers: Recurrent<f32, C, S>,
    out: Linear<f32>,
}

impl<C: Cell<S>, const S: usize> Classifier<C, S> {
    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let h = self.layers.last(x, None)[0];
        self.out.forward(h.slice(0, 1..).squeeze(0))
    }
}

pub(super) fn lstm() -> Training<Classifier<LstmCell, 2>> {
    training(Lstm::stacked(INPUTS, UNITS, 2, &mut MatlabRng::new(0)))
}

pub(super) fn gru() -> Training<Classifier<GruCell, 1>> {
    training(Gru::stacked(INPUTS, UNITS, 2, &mut MatlabRng::new(0)))
}

fn training<C: Cell<S>, const S: usize>(
    layers: Recurrent<f32, C, S>,
) -> Training<Classifier<C, S>> {
    let out = Linear::new(UNITS, 10, &mut MatlabRng::new(0));
    Training {
        model: hashed(Classifier { layers: layers.time_first(), out }, 130),
        input: uniform(&[LENGTH, BATCH, INPUTS], 60, 1.0),
        target: one_hot(BATCH, 10, 61),
        loss: |model, x, t| cross_entropy_with(model.forward(x), t),
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}
