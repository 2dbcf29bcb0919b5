//! A training step of a U-Net (Ronneberger et al., 2015) that tells inside from outside, on 8 images
//! of 64 x 64: three halvings, from 32 filters to 256, padded windows of 3 x 3, no normalisation;
//! binary cross-entropy, stochastic gradient with momentum. 1,925,601 parameters.

use wengert::nn::loss::binary_cross_entropy;
use wengert::nn::random::MatlabRng;
use wengert::nn::{Conv2d, ConvTranspose2d, MaxPool2d};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, hashed, trained, uniform};

pub(super) const ALL: [Workload; 3] = trained! { "unet": training(); };

const IMAGES: usize = 8;
const SIDE: usize = 64;

/// The filters at each resolution, the finest first.
const FILTERS: [usize; 4] = [32, 64, 128, 256];

/// Two layers of filters, a ReLU behind each.
#[derive(Module)]
struct Double {
    first: Conv2d<f32>,
    second: Conv2d<f32>,
}

impl Double {
    fn new(inputs: usize, outputs: usize) -> Self {
        let conv = |inputs| Conv2d::new(inputs, outputs, 3, &mut MatlabRng::new(0)).padding(1);
        Self { first: conv(inputs), second: conv(outputs) }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        self.second.forward(self.first.forward(x).relu()).relu()
    }
}

/// From a coarser image to a finer one, beside which lies what went down.
#[derive(Module)]
struct Up {
    larger: ConvTranspose2d<f32>,
    double: Double,
}

impl Up {
    fn new(inputs: usize, outputs: usize) -> Self {
        let larger = ConvTranspose2d::new(inputs, outputs, 2, &mut MatlabRng::new(0)).stride(2);
        Self { larger, double: Double::new(2 * outputs, outputs) }
    }

    fn forward<'t>(&self, x: Var<'t, f32>, beside: Var<'t, f32>) -> Var<'t, f32> {
        self.double.forward(concat(&[beside, self.larger.forward(x)], 1))
    }
}

#[derive(Module)]
pub(super) struct Unet {
    down: [Double; 4],
    up: [Up; 3],
    out: Conv2d<f32>,
}

impl Unet {
    fn new() -> Self {
        let inputs = |level: usize| if level == 0 { 3 } else { FILTERS[level - 1] };
        Self {
            down: std::array::from_fn(|level| Double::new(inputs(level), FILTERS[level])),
            up: std::array::from_fn(|k| Up::new(FILTERS[3 - k], FILTERS[2 - k])),
            out: Conv2d::new(FILTERS[0], 1, 1, &mut MatlabRng::new(0)),
        }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let halved = MaxPool2d::new(2).stride(2);
        let mut levels = vec![self.down[0].forward(x)];
        for double in &self.down[1..] {
            levels.push(double.forward(halved.forward(levels[levels.len() - 1])));
        }
        let coarsest = levels[3];
        let ups = self.up.iter().zip(levels[..3].iter().rev());
        let finest = ups.fold(coarsest, |x, (up, &beside)| up.forward(x, beside));
        self.out.forward(finest)
    }
}

/// Inside is where the hash is above a half.
fn target() -> Tensor<f32> {
    let numbers = uniform(&[IMAGES, 1, SIDE, SIDE], 33, 1.0);
    Tensor::new(
        numbers.shape().clone(),
        numbers.iter().map(|x| f32::from(u8::from(x > 0.5))).collect(),
    )
}

pub(super) fn training() -> Training<Unet> {
    Training {
        model: hashed(Unet::new(), 150),
        input: uniform(&[IMAGES, 3, SIDE, SIDE], 32, 1.0),
        target: target(),
        loss: |model, x, t| binary_cross_entropy(model.forward(x), t),
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}
