//! Handwritten digits, from the file to a stated result: a network of two hidden layers
//! learns to read them, with validation, early stopping, checkpoints and curves.
//!
//! Of 1797 digits, 1197 are trained on, 300 say which epoch is the best, and the result is
//! that of the other 300. An interrupted run goes on with `--resume` and ends with the same
//! numbers.
//!
//! ```text
//! cargo run --release --example digits
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::options;
use wengert::nn::data::{DataLoader, Dataset, Table};
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Best, Metrics, Trainer, measure};
use wengert::nn::{Summary, weights};
use wengert::prelude::*;

/// Trains a network to read handwritten digits.
#[derive(Parser)]
struct Options {
    /// Epochs, at most
    #[arg(long, default_value_t = 60, value_parser = options::count)]
    epochs: usize,
    /// Seed of weights, orders and parts
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Go on from the checkpoint of an earlier run
    #[arg(long)]
    resume: bool,
    /// The data
    #[arg(long, default_value = "examples/data/digits.csv.gz")]
    data: PathBuf,
    /// Folder for checkpoint, weights and curves
    #[arg(long, default_value = "target/digits", value_parser = options::folder)]
    out: PathBuf,
}

#[derive(Module)]
struct Net {
    first: Linear<f32>,
    second: Linear<f32>,
    out: Linear<f32>,
}

impl Net {
    fn new(rng: &mut MatlabRng) -> Self {
        let (first, second) = (Linear::new(64, 64, rng), Linear::new(64, 32, rng));
        Self { first, second, out: Linear::new(32, 10, rng) }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        self.out.forward(self.second.forward(self.first.forward(x).relu()).relu())
    }
}

/// Pixels, and which digit they are.
type Batch = (Tensor<f32>, Vec<usize>);

fn loss<'t>(
    net: &Net,
    tape: &'t Tape<f32>,
    (x, labels): &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f32> {
    let logits = net.forward(tape.constant(x));
    metrics.top_k(1, logits, labels);
    metrics.confusion(logits, labels);
    cross_entropy(logits, labels)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { epochs, seed, resume, data, out } = Options::parse();
    let clock = Instant::now();
    let table = Table::read(&data)?;
    if table.width() != 65 {
        let found = table.width();
        return Err(format!(
            "--data {}: expected 64 pixels and a digit, found {found} columns",
            data.display()
        )
        .into());
    }
    options::enough(&data, table.len(), 1498)?;
    let labels = table.labels("digit", 10)?;
    let x = table.numbers::<f32>(0..64)?.map(|x| x / 16.0);

    let rng = &mut MatlabRng::new(seed);
    let (train, rest) = (x, labels).random_split(1197, rng);
    let (validation, test) = rest.random_split(300, rng);
    let train = DataLoader::new(train, 32).shuffled(u64::from(seed));
    let (validation, test) = (DataLoader::new(validation, 100), DataLoader::new(test, 100));

    let (mut net, mut adam) = (Net::new(rng), Adam::new(2e-3));
    println!("{}\n", Summary::of(&net, |net, tape| net.forward(tape.constant([[0.0; 64]]))));
    let mut trainer = Trainer::new(epochs)
        .option("data", data.display())
        .keep_best(Best::lowest("validation loss").patience(15))
        .interruptible()
        .checkpoint(out.join("checkpoint.safetensors"));
    if resume {
        trainer = trainer.resume();
    }
    let report = trainer.fit(&mut net, &mut adam, (&train, &validation), loss)?;
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;
    weights::save(out.join("digits.safetensors"), &net.state_dict())?;

    let result = measure(&net, &test, loss)?;
    let confusion = result.matrix().expect("it was asked for");
    println!("digits that it has not seen, by row, and what it took them for:\n{confusion}\n");
    let best = report.epoch.map_or(0, |epoch| epoch + 1);
    println!(
        "{:.1} % of {} are read correctly, with the weights of epoch {best} of {}",
        100.0 * confusion.accuracy(),
        confusion.samples(),
        report.history.epochs()
    );
    let seconds = clock.elapsed().as_secs_f64();
    println!("{seconds:.1} seconds; curves, checkpoint and weights: {}", out.display());
    Ok(())
}
