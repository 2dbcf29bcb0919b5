//! The handwritten digits, and a convolutional network that reads them.

use std::error::Error;

use wengert::nn::Conv2d;
use wengert::nn::data::{DataLoader, Dataset, Table};
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{History, Trainer};
use wengert::prelude::*;

/// Pixels on each side of an image.
pub const SIDE: usize = 8;
pub const PIXELS: usize = SIDE * SIDE;

/// Images `[N, PIXELS]` from 0, white, to 1, black; and which digit each of them is.
pub type Digits = (Tensor<f64>, Vec<usize>);

/// 1497 digits to train on, and 300 others.
pub fn read(rng: &mut MatlabRng) -> Result<(Digits, Digits), Box<dyn Error>> {
    let table = Table::read("examples/data/digits.csv.gz")?;
    let x = table.numbers::<f64>(0..PIXELS)?.map(|x| x / 16.0);
    let (train, other) = (x, table.labels("digit", 10)?).random_split(1497, rng);
    Ok((train.all()?, other.all()?))
}

/// The pixels of an image.
pub fn image(x: &Tensor<f64>, index: usize) -> Vec<f64> {
    x.slice(0, index, 1, 1).to_vec()
}

/// From `[N, PIXELS]` to a number for each digit.
#[derive(Module)]
pub struct Reader {
    first: Conv2d<f64>,
    second: Conv2d<f64>,
    hidden: Linear<f64>,
    out: Linear<f64>,
}

impl Reader {
    pub fn new(rng: &mut MatlabRng) -> Self {
        Self {
            first: Conv2d::new(1, 12, 3, rng).padding(1),
            second: Conv2d::new(12, 24, 3, rng).padding(1).stride(2),
            hidden: Linear::new(24 * 16, 64, rng),
            out: Linear::new(64, 10, rng),
        }
    }

    pub fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let images = x.reshape([x.shape()[0], 1, SIDE, SIDE]);
        let features = self.second.forward(self.first.forward(images).relu()).relu();
        self.out.forward(self.hidden.forward(features.flatten(1, -1)).relu())
    }

    /// What it takes images for.
    pub fn answers(&self, x: &Tensor<f64>) -> Vec<usize> {
        let tape = Tape::new();
        let outputs = tape.without_gradients(|| self.forward(tape.constant(x)).value().to_vec());
        let largest = |row: &[f64; 10]| (0..10).fold(0, |a, b| if row[b] > row[a] { b } else { a });
        outputs.as_chunks().0.iter().map(largest).collect()
    }

    /// Trains it by the softmax log loss (32), and measures it on others along the way.
    pub fn train(
        &mut self,
        train: Digits,
        other: Digits,
        epochs: usize,
    ) -> Result<History, Box<dyn Error>> {
        let loaders = (&DataLoader::new(train, 32).shuffled(1), &DataLoader::new(other, 300));
        let mut adam = Adam::new(1e-3);
        let report = Trainer::new(epochs).quiet().fit(
            self,
            &mut adam,
            loaders,
            |net, tape, (x, labels), metrics| {
                let logits = net.forward(tape.constant(x));
                metrics.top_k(1, logits, labels);
                cross_entropy(logits, labels)
            },
        )?;
        Ok(report.history)
    }
}
