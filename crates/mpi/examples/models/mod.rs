//! The networks of the examples.

#![allow(dead_code, reason = "each example uses some of them")]

use wengert::nn::random::seeded;
use wengert::nn::{AvgPool2d, Conv2d, Flatten, MaxPool2d, Sequential, sequential};
use wengert::prelude::*;

/// Two convolutions with pooling, and two dense layers.
pub fn for_mnist(seed: u64) -> Sequential<f32> {
    let rng = &mut seeded(seed);
    sequential![
        Conv2d::new(1, 16, 5, rng),
        MaxPool2d::new(2),
        Relu,
        Conv2d::new(16, 32, 5, rng),
        MaxPool2d::new(2),
        Relu,
        Flatten,
        Linear::new(32 * 4 * 4, 64, rng),
        Relu,
        Linear::new(64, 10, rng),
    ]
}

/// Five blocks of convolutions, as section 7 of Higham & Higham has them.
pub fn for_cifar(seed: u64) -> Sequential<f32> {
    let rng = &mut seeded(seed);
    // Windows reach beyond the border below and to the right, and are cropped there.
    let reach = [[0, 1], [0, 1]];
    let mean = AvgPool2d::new(3).stride(2).padding(reach).cropped();
    sequential![
        Conv2d::new(3, 32, 5, rng).padding(2),
        MaxPool2d::new(3).stride(2).padding(reach),
        Relu,
        Conv2d::new(32, 32, 5, rng).padding(2),
        Relu,
        mean,
        Conv2d::new(32, 64, 5, rng).padding(2),
        Relu,
        mean,
        Conv2d::new(64, 64, 4, rng),
        Relu,
        Conv2d::new(64, 10, 1, rng),
        Flatten,
    ]
}
