//! One step of training MatConvNet's network for CIFAR-10, with which section 7
//! of Higham & Higham ends, on 100 images in single precision.

use wengert::nn::loss::cross_entropy_with;
use wengert::nn::random::MatlabRng;
use wengert::nn::{AvgPool2d, Conv2d, Flatten, MaxPool2d, Relu, Sequential, sequential};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, one_hot, starting, trained, uniform, weight};

pub(super) const ALL: [Workload; 3] = trained! { "cifar_net": training(); };

const IMAGES: usize = 100;

/// Filters, channels, height and width of the layers' weights.
const SHAPES: [[usize; 4]; 5] =
    [[32, 3, 5, 5], [32, 32, 5, 5], [64, 32, 5, 5], [64, 64, 4, 4], [10, 64, 1, 1]];

pub(super) fn training() -> Training<Sequential<f32>> {
    let rng = &mut MatlabRng::new(0);
    let mut conv = |l: usize, padding: usize| {
        let [filters, channels, height, width] = SHAPES[l];
        Conv2d::new(channels, filters, [height, width], rng).padding(padding)
    };
    // Windows of 3 that move by 2 and end at the border.
    let max_pool = MaxPool2d::new(3).stride(2).padding([[0, 1], [0, 1]]);
    let avg_pool = AvgPool2d::new(3).stride(2).padding([[0, 1], [0, 1]]).cropped();
    let model = sequential![
        conv(0, 2),
        max_pool,
        Relu,
        conv(1, 2),
        Relu,
        avg_pool,
        conv(2, 2),
        Relu,
        avg_pool,
        conv(3, 0),
        Relu,
        conv(4, 0),
        Flatten,
    ];
    let start = |(l, shape @ [filters, channels, height, width]): (u32, [usize; 4])| {
        let [fan_in, fan_out] = [channels, filters].map(|planes| planes * height * width);
        [weight(&shape, fan_in, fan_out, 40 + l), Tensor::zeros([filters])]
    };
    Training {
        model: starting(model, (0..).zip(SHAPES).flat_map(start).collect()),
        input: uniform(&[IMAGES, 3, 32, 32], 30, 1.0),
        target: one_hot(IMAGES, 10, 31),
        loss: |model, x, t| cross_entropy_with(model.forward(x), t),
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}
