//! A training step of one transformer block, pre-norm: batch 8, sequence 128,
//! width 256, 4 heads, perceptron of 4 times the width with the tanh form of GELU,
//! mean squared error, Adam.

use wengert::nn::TransformerEncoderLayer;
use wengert::nn::loss::mse;
use wengert::nn::optim::Moments;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, linear, starting, trained, uniform};

pub(super) const ALL: [Workload; 3] = trained! { "transformer": training(); };

const BATCH: usize = 8;
const LENGTH: usize = 128;
const WIDTH: usize = 256;
const HEADS: usize = 4;

pub(super) fn training() -> Training<TransformerEncoderLayer<f32>, Moments> {
    let d = WIDTH;
    let block = TransformerEncoderLayer::new(d, HEADS, 4 * d, &mut MatlabRng::new(0));
    let norm = || [Tensor::ones([d]), Tensor::zeros([d])];
    let map = |inputs, outputs, seed| [linear(inputs, outputs, seed), Tensor::zeros([outputs])];
    // Queries, keys and values; the heads put together; the perceptron; the normalisations.
    let start =
        [map(d, 3 * d, 52), map(d, d, 53), map(d, 4 * d, 54), map(4 * d, d, 55), norm(), norm()];
    Training {
        model: starting(block.norm_first().gelu_tanh(), start.into_iter().flatten().collect()),
        input: uniform(&[BATCH, LENGTH, d], 50, 1.0),
        target: uniform(&[BATCH, LENGTH, d], 51, 1.0),
        loss: |model, x, y| mse(model.forward(x), y),
        optimiser: Adam::new(1e-3),
    }
}
