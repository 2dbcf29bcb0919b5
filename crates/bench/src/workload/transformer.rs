//! A training step of one transformer block, pre-norm: batch 8, sequence 128,
//! width 256, 4 heads, perceptron of 4 times the width with the tanh form of GELU,
//! mean squared error, Adam.

use wengert::nn::loss::mse;
use wengert::nn::optim::Moments;
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, constant, uniform, weight};

pub(super) const EAGER: Workload = Workload {
    name: "transformer",
    variant: "eager",
    unit: "step",
    run: |reps| training().eager(reps),
};

pub(super) const COMPILED: Workload = Workload {
    name: "transformer",
    variant: "compiled",
    unit: "step",
    run: |reps| training().compiled(reps),
};

const BATCH: usize = 8;
const LENGTH: usize = 128;
const WIDTH: usize = 256;
const HEADS: usize = 4;

pub(super) fn training() -> Training<2, Moments> {
    let d = WIDTH;
    Training {
        parameters: vec![
            constant(d, 1.0),
            constant(d, 0.0),
            weight(&[d, 3 * d], d, 3 * d, 52),
            constant(3 * d, 0.0),
            weight(&[d, d], d, d, 53),
            constant(d, 0.0),
            constant(d, 1.0),
            constant(d, 0.0),
            weight(&[d, 4 * d], d, 4 * d, 54),
            constant(4 * d, 0.0),
            weight(&[4 * d, d], 4 * d, d, 55),
            constant(d, 0.0),
        ],
        inputs: [50, 51].map(|seed| uniform(&[BATCH, LENGTH, d], seed, 1.0)),
        loss,
        optimiser: Adam::new(1e-3),
    }
}

fn loss<'t>(p: &[Var<'t, f32>], [x, y]: [Var<'t, f32>; 2]) -> Var<'t, f32> {
    let norm = |x: Var<'t, f32>, k: usize| x.layer_norm(1e-5) * p[k] + p[k + 1];
    let linear = |x: Var<'t, f32>, k: usize| x.matmul(p[k]) + p[k + 1];
    let h = x + linear(attention(linear(norm(x, 0), 2)), 4);
    mse(h + linear(gelu(linear(norm(h, 6), 8)), 10), y)
}

/// Attention of queries, keys and values side by side, in heads.
fn attention<'t>(qkv: Var<'t, f32>) -> Var<'t, f32> {
    let head = WIDTH / HEADS;
    let parts = qkv.reshape([BATCH, LENGTH, 3, HEADS, head]).permute([2, 0, 3, 1, 4]);
    let [q, k, v] = [0, 1, 2].map(|i| parts.slice(0, i..i + 1).squeeze(0));
    let scores = q.matmul(k.matrix_transpose()) / (head as f32).sqrt();
    let mixed = scores.softmax(-1).matmul(v);
    mixed.permute([0, 2, 1, 3]).reshape([BATCH, LENGTH, WIDTH])
}

/// The Gaussian error linear unit in its tanh form.
fn gelu<'t>(x: Var<'t, f32>) -> Var<'t, f32> {
    let inner = (x + x * x * x * 0.044715) * (2.0 / std::f32::consts::PI).sqrt();
    x * 0.5 * (inner.tanh() + 1.0)
}
