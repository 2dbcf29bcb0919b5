//! One step of training MatConvNet's network for CIFAR-10, with which section 7
//! of Higham & Higham ends, on 100 images in single precision.

use wengert::nn::loss::cross_entropy;
use wengert::nn::{Module, Param, Sgd};
use wengert::op::{Convolution, Pooling};
use wengert::{Tape, Tensor, Var};

use super::Workload;
use crate::data::{fill, glorot, labels};
use crate::measure::{Timing, time};

pub(super) const EAGER: Workload =
    Workload { name: "cifar_net", variant: "eager", unit: "step", run };

const IMAGES: usize = 100;

#[derive(Module)]
struct Filters {
    weight: Param<f32>,
    /// One number for each plane, of shape `[o, 1, 1]`.
    bias: Param<f32>,
}

#[derive(Module)]
struct Net {
    layers: [Filters; 5],
}

impl Net {
    fn new() -> Self {
        let shapes: [[usize; 4]; 5] =
            [[32, 3, 5, 5], [32, 32, 5, 5], [64, 32, 5, 5], [64, 64, 4, 4], [10, 64, 1, 1]];
        let layers = std::array::from_fn(|layer| {
            let shape @ [filters, channels, height, width] = shapes[layer];
            let fans = [channels, filters].map(|planes| planes * height * width);
            let count = shape.iter().product();
            Filters {
                weight: Param::new(Tensor::new(shape, glorot(count, fans, 40 + layer as u32))),
                bias: Param::new(Tensor::zeros([filters, 1, 1])),
            }
        });
        Self { layers }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let conv = |layer: usize, x: Var<'t, f32>, padding: usize| {
            let Filters { weight, bias } = &self.layers[layer];
            let options = Convolution::default().padding(padding);
            x.conv2d(weight.on(x.tape()), options) + bias.on(x.tape())
        };
        let pooling = Pooling::new(3).stride(2).padding([[0, 1], [0, 1]]);
        let x = conv(0, x, 2).max_pool2d(pooling).relu();
        let x = conv(1, x, 2).relu().avg_pool2d(pooling);
        let x = conv(2, x, 2).relu().avg_pool2d(pooling);
        let x = conv(3, x, 0).relu();
        conv(4, x, 0).flatten(1, -1)
    }
}

fn run(reps: usize) -> (Timing, f64) {
    let pixels = fill(IMAGES * 3 * 32 * 32, 30).into_iter().map(|x| x as f32).collect();
    let images = Tensor::new([IMAGES, 3, 32, 32], pixels);
    let labels = labels(IMAGES, 10, 31);
    let mut net = Net::new();
    let mut sgd = Sgd::new(0.01).momentum(0.9);
    let mut tape = Tape::new();
    let mut step = || {
        tape.reset();
        let loss = cross_entropy(net.forward(tape.constant(&images)), &labels);
        sgd.step(&mut net, &loss.backward());
        f64::from(loss.item())
    };
    let check = (0..5).map(|_| step()).last().expect("five steps");
    let timing = time(reps, 1, || {
        std::hint::black_box(step());
    });
    (timing, check)
}
