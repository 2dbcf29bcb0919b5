//! MNIST, from the files to a stated result: a convolutional network reads handwritten digits
//! of 28 x 28 pixels.
//!
//! By default it has the first 2000 training and 500 test images, which lie in the repository. With
//! the four files of the whole, 60,000 and 10,000 images in the format IDX, it reads more than
//! 99 % of the test images after three epochs.
//!
//! ```text
//! cargo run --release --example mnist
//! cargo run --release --example mnist -- --data FOLDER --epochs 3
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use support::options;
use wengert::nn::data::{DataLoader, read_idx, read_idx_labels};
use wengert::nn::optim::Schedule;
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Metrics, Trainer};
use wengert::nn::{Conv2d, FileError, MaxPool2d, Summary, weights};
use wengert::prelude::*;

/// Trains a convolutional network on MNIST.
#[derive(Parser)]
struct Options {
    /// Folder with the four files of MNIST, `train-images-idx3-ubyte.gz` and so on
    #[arg(long, default_value = "examples/data/mnist")]
    data: PathBuf,
    /// Epochs
    #[arg(long, default_value_t = 15, value_parser = options::count)]
    epochs: usize,
    /// Parts of a batch whose gradients are computed at a time, each on a thread
    #[arg(long, default_value_t = 2, value_parser = options::count)]
    shards: usize,
    /// Seed of weights and orders
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Folder for weights and curves
    #[arg(long, default_value = "target/mnist", value_parser = options::folder)]
    out: PathBuf,
}

/// Two convolutions with pooling, and two dense layers.
#[derive(Module)]
struct Net {
    first: Conv2d<f32>,
    second: Conv2d<f32>,
    hidden: Linear<f32>,
    out: Linear<f32>,
}

impl Net {
    fn new(rng: &mut MatlabRng) -> Self {
        Self {
            first: Conv2d::new(1, 16, 5, rng),
            second: Conv2d::new(16, 32, 5, rng),
            hidden: Linear::new(32 * 4 * 4, 64, rng),
            out: Linear::new(64, 10, rng),
        }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let pool = MaxPool2d::new(2);
        let x = pool.forward(self.first.forward(x)).relu();
        let x = pool.forward(self.second.forward(x)).relu();
        self.out.forward(self.hidden.forward(x.flatten(1, -1)).relu())
    }
}

/// Images, and which digit they are.
type Batch = (Tensor<f32>, Vec<usize>);

fn loss<'t>(
    net: &Net,
    tape: &'t Tape<f32>,
    (x, labels): &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f32> {
    let logits = net.forward(tape.constant(x));
    metrics.top_k(1, logits, labels);
    cross_entropy(logits, labels)
}

/// The images of a part, with mean 0 and deviation 1 over the pixels of all of MNIST, and
/// their labels.
fn read(data: &Path, part: &str) -> Result<Batch, FileError> {
    let images: Tensor<f32> = read_idx(data.join(format!("{part}-images-idx3-ubyte.gz")))?;
    let labels = read_idx_labels(data.join(format!("{part}-labels-idx1-ubyte.gz")), 10)?;
    let images = images.map(|x| (x / 255.0 - 0.1307) / 0.3081);
    Ok((images.reshape([labels.len(), 1, 28, 28]), labels))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { data, epochs, shards, seed, out } = Options::parse();
    let clock = Instant::now();
    let (train, test) = (read(&data, "train")?, read(&data, "t10k")?);
    let counts = [&train, &test].map(|(_, labels)| labels.len());
    println!("{} images to train on, {} others\n", counts[0], counts[1]);

    let mut net = Net::new(&mut MatlabRng::new(seed));
    let start = Tensor::zeros([1, 1, 28, 28]);
    println!("{}\n", Summary::of(&net, |net, tape| net.forward(tape.constant(&start))));
    let train = DataLoader::new(train, 64).shuffled(u64::from(seed));
    let test = DataLoader::new(test, 250);
    let rates = Schedule::one_cycle(3e-3, (epochs * train.len()) as f64);
    let report = Trainer::new(epochs)
        .schedule(|progress| rates.rate(progress.step() as f64))
        .fit_parallel(shards, &mut net, &mut Adam::new(3e-3), (&train, &test), loss)?;
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;
    weights::save(out.join("mnist.safetensors"), &net.state_dict())?;

    for (epoch, share) in
        report.history.column("validation accuracy").unwrap_or_default().iter().enumerate()
    {
        println!("epoch {:>2}: {:.2} % of the others are read correctly", epoch + 1, 100.0 * share);
    }
    println!("{:.1} seconds; curves and weights: {}", clock.elapsed().as_secs_f64(), out.display());
    Ok(())
}
