//! One step of training MatConvNet's network for CIFAR-10, with which section 7
//! of Higham & Higham ends, on 100 images in single precision.

use wengert::nn::loss::cross_entropy_with;
use wengert::op::{Convolution, Pooling};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, one_hot, uniform, weight};

pub(super) const EAGER: Workload = Workload {
    name: "cifar_net",
    variant: "eager",
    unit: "step",
    run: |reps| training().eager(reps),
};

pub(super) const COMPILED: Workload = Workload {
    name: "cifar_net",
    variant: "compiled",
    unit: "step",
    run: |reps| training().compiled(reps),
};

const IMAGES: usize = 100;

/// Filters, channels, height and width of the layers' weights.
const SHAPES: [[usize; 4]; 5] =
    [[32, 3, 5, 5], [32, 32, 5, 5], [64, 32, 5, 5], [64, 64, 4, 4], [10, 64, 1, 1]];

pub(super) fn training() -> Training<2> {
    let layer = |(l, shape @ [filters, channels, height, width]): (u32, [usize; 4])| {
        let [fan_in, fan_out] = [channels, filters].map(|planes| planes * height * width);
        // One number of the bias for each plane.
        let bias = Param::new(Tensor::zeros([filters, 1, 1]));
        [weight(&shape, fan_in, fan_out, 40 + l), bias]
    };
    Training {
        parameters: (0..).zip(SHAPES).flat_map(layer).collect(),
        inputs: [uniform(&[IMAGES, 3, 32, 32], 30, 1.0), one_hot(IMAGES, 10, 31)],
        loss,
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}

fn loss<'t>(p: &[Var<'t, f32>], [x, t]: [Var<'t, f32>; 2]) -> Var<'t, f32> {
    let conv = |layer: usize, x: Var<'t, f32>, padding: usize| {
        x.conv2d(p[2 * layer], Convolution::default().padding(padding)) + p[2 * layer + 1]
    };
    let pooling = Pooling::new(3).stride(2).padding([[0, 1], [0, 1]]);
    let x = conv(0, x, 2).max_pool2d(pooling).relu();
    let x = conv(1, x, 2).relu().avg_pool2d(pooling);
    let x = conv(2, x, 2).relu().avg_pool2d(pooling);
    let x = conv(3, x, 0).relu();
    cross_entropy_with(conv(4, x, 0).flatten(1, -1), t)
}
