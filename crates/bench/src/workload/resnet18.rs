//! A training step of ResNet-18 (He et al., 2015) in its form for CIFAR-10, with a first layer of
//! 3 x 3 and no pooling behind it: 32 images of 32 x 32, cross-entropy, stochastic gradient with
//! momentum. 11,173,962 parameters.

use wengert::nn::loss::cross_entropy_with;
use wengert::nn::random::MatlabRng;
use wengert::nn::{BatchNorm, Conv2d, GlobalAvgPool};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, hashed, one_hot, trained, uniform};

pub(super) const ALL: [Workload; 3] = trained! { "resnet18": training(); };

const IMAGES: usize = 32;

/// The filters of the four stages.
const FILTERS: [usize; 4] = [64, 128, 256, 512];

/// Filters and the normalisation of what they give.
#[derive(Module)]
struct Filtered {
    conv: Conv2d<f32>,
    norm: BatchNorm<f32>,
}

impl Filtered {
    fn new(inputs: usize, outputs: usize, window: usize, stride: usize) -> Self {
        let conv = Conv2d::new(inputs, outputs, window, &mut MatlabRng::new(0)).without_bias();
        let conv = conv.padding(window / 2).stride(stride);
        Self { conv, norm: BatchNorm::new(outputs) }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// Two layers and a way around them, with filters of its own where the shape changes.
#[derive(Module)]
struct Block {
    first: Filtered,
    second: Filtered,
    around: Option<Filtered>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self {
            first: Filtered::new(inputs, outputs, 3, stride),
            second: Filtered::new(outputs, outputs, 3, 1),
            around: (inputs != outputs).then(|| Filtered::new(inputs, outputs, 1, stride)),
        }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let y = self.second.forward(self.first.forward(x).relu());
        (y + self.around.as_ref().map_or(x, |around| around.forward(x))).relu()
    }
}

#[derive(Module)]
pub(super) struct Resnet {
    stem: Filtered,
    blocks: Vec<Block>,
    out: Linear<f32>,
}

impl Resnet {
    fn new() -> Self {
        let mut blocks = Vec::new();
        let mut inputs = FILTERS[0];
        for outputs in FILTERS {
            blocks.push(Block::new(inputs, outputs, if inputs == outputs { 1 } else { 2 }));
            blocks.push(Block::new(outputs, outputs, 1));
            inputs = outputs;
        }
        let out = Linear::new(inputs, 10, &mut MatlabRng::new(0));
        Self { stem: Filtered::new(3, FILTERS[0], 3, 1), blocks, out }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let x = self.stem.forward(x).relu();
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.out.forward(GlobalAvgPool.forward(x))
    }
}

pub(super) fn training() -> Training<Resnet> {
    Training {
        model: hashed(Resnet::new(), 100),
        input: uniform(&[IMAGES, 3, 32, 32], 30, 1.0),
        target: one_hot(IMAGES, 10, 31),
        loss: |model, x, t| cross_entropy_with(model.forward(x), t),
        optimiser: Sgd::new(0.0005).momentum(0.9),
    }
}
