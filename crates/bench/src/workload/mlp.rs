//! A training step of the perceptron 784-512-256-10 on a batch of 128: ReLU,
//! softmax cross-entropy, stochastic gradient with momentum. And of smaller batches, where the update of
//! the weights is most of a step; of a tiny one, where bookkeeping would be; and of one with three layers of
//! 4096 (50,343,936 parameters), where memory is.

use wengert::nn::loss::{cross_entropy_with, mse};
use wengert::nn::random::MatlabRng;
use wengert::nn::{Relu, Sequential, Tanh, sequential};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, hashed, linear, one_hot, starting, trained, uniform};

pub(super) const ALL: [Workload; 18] = trained! {
    "mlp": training();
    "mlp_batch1": of_batch(1);
    "mlp_batch4": of_batch(4);
    "mlp_batch16": of_batch(16);
    "tiny_mlp": tiny();
    "mlp4096": wide();
};

pub(super) const BATCH: usize = 128;
/// The widths of the layers, the input's first.
pub(super) const SIZES: [usize; 4] = [784, 512, 256, 10];
/// Those of the tiny one.
const TINY: [usize; 4] = [8, 16, 16, 1];

/// A batch and its labels.
pub(super) fn data(batch: usize) -> [Tensor<f32>; 2] {
    [uniform(&[batch, SIZES[0]], 10, 1.0), one_hot(batch, SIZES[3], 11)]
}

pub(super) fn training() -> Training<Sequential<f32>> {
    of_batch(BATCH)
}

/// Weights and biases of a perceptron.
fn start(sizes: [usize; 4]) -> Vec<Tensor<f32>> {
    let layer = |l: usize| {
        let (inputs, outputs) = (sizes[l], sizes[l + 1]);
        [linear(inputs, outputs, 20 + l as u32), Tensor::zeros([outputs])]
    };
    (0..3).flat_map(layer).collect()
}

fn of_batch(batch: usize) -> Training<Sequential<f32>> {
    let rng = &mut MatlabRng::new(0);
    let mut layer = |l: usize| Linear::new(SIZES[l], SIZES[l + 1], rng);
    let model = sequential![layer(0), Relu, layer(1), Relu, layer(2)];
    let [input, target] = data(batch);
    // Small batches are learnt at once, and what is left of their loss has few digits.
    let rate = if batch < BATCH { 0.001 } else { 0.01 };
    Training {
        model: starting(model, start(SIZES)),
        input,
        target,
        loss: |model, x, t| cross_entropy_with(model.forward(x), t),
        optimiser: Sgd::new(rate).momentum(0.9),
    }
}

fn tiny() -> Training<Sequential<f32>> {
    let rng = &mut MatlabRng::new(0);
    let mut layer = |l: usize| Linear::new(TINY[l], TINY[l + 1], rng);
    let model = sequential![layer(0), Tanh, layer(1), Tanh, layer(2)];
    Training {
        model: starting(model, start(TINY)),
        input: uniform(&[1, TINY[0]], 10, 1.0),
        target: uniform(&[1, 1], 11, 1.0),
        loss: |model, x, t| mse(model.forward(x), t),
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}

pub(super) fn wide() -> Training<Sequential<f32>> {
    const WIDTH: usize = 4096;
    let rng = &mut MatlabRng::new(0);
    let mut layer = || Linear::new(WIDTH, WIDTH, rng);
    let model = sequential![layer(), Relu, layer(), Relu, layer()];
    Training {
        model: hashed(model, 20),
        input: uniform(&[256, WIDTH], 10, 1.0),
        target: uniform(&[256, WIDTH], 11, 1.0),
        loss: |model, x, t| mse(model.forward(x), t),
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}
