//! A training step of the perceptron 784-512-256-10 on a batch of 128: ReLU,
//! softmax cross-entropy, stochastic gradient with momentum.

use wengert::nn::loss::cross_entropy_with;
use wengert::nn::random::MatlabRng;
use wengert::nn::{Relu, Sequential, sequential};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, linear, one_hot, starting, uniform};

pub(super) const EAGER: Workload =
    Workload { name: "mlp", variant: "eager", unit: "step", run: |reps| training().eager(reps) };

pub(super) const COMPILED: Workload = Workload {
    name: "mlp",
    variant: "compiled",
    unit: "step",
    run: |reps| training().compiled(reps),
};

const BATCH: usize = 128;
/// The widths of the layers, the input's first.
pub(super) const SIZES: [usize; 4] = [784, 512, 256, 10];

/// A batch and its labels.
pub(super) fn data() -> [Tensor<f32>; 2] {
    [uniform(&[BATCH, SIZES[0]], 10, 1.0), one_hot(BATCH, SIZES[3], 11)]
}

pub(super) fn training() -> Training<Sequential<f32>> {
    let rng = &mut MatlabRng::new(0);
    let mut layer = |l: usize| Linear::new(SIZES[l], SIZES[l + 1], rng);
    let model = sequential![layer(0), Relu, layer(1), Relu, layer(2)];
    let start = |l: usize| {
        let (inputs, outputs) = (SIZES[l], SIZES[l + 1]);
        [linear(inputs, outputs, 20 + l as u32), Tensor::zeros([outputs])]
    };
    let [input, target] = data();
    Training {
        model: starting(model, (0..3).flat_map(start).collect()),
        input,
        target,
        loss: |model, x, t| cross_entropy_with(model.forward(x), t),
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}
