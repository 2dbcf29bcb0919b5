//! A regression, from the file to a stated result: how many miles a car goes with a gallon
//! of fuel, from its weight, power, year and the like.
//!
//! Inputs and targets are standardised by what is trained on, and the network, of one hidden
//! layer, is held against the best linear function. Of 392 cars, 252 are trained
//! on, 60 say which epoch is the best, and the result is that of the other 80.
//!
//! ```text
//! cargo run --release --example regression
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::options;
use wengert::nn::data::transform::Standardising;
use wengert::nn::data::{DataLoader, Dataset, Table};
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Best, Metrics, RSquared, Trainer, measure};
use wengert::prelude::*;

/// Trains a network to estimate the fuel consumption of cars.
#[derive(Parser)]
struct Options {
    /// Epochs, at most
    #[arg(long, default_value_t = 300, value_parser = options::count)]
    epochs: usize,
    /// Seed of weights, orders and parts
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// The data
    #[arg(long, default_value = "examples/data/auto_mpg.csv")]
    data: PathBuf,
    /// Folder for the curves
    #[arg(long, default_value = "target/regression", value_parser = options::folder)]
    out: PathBuf,
}

const NUMBERS: [&str; 6] =
    ["cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year"];

/// Features and targets.
type Batch = (Tensor<f64>, Tensor<f64>);

fn loss<'t>(
    net: &Sequential<f64>,
    tape: &'t Tape<f64>,
    (x, y): &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f64> {
    let output = net.forward(tape.constant(x));
    metrics.r_squared(output, y);
    mse(output, tape.constant(y))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { epochs, seed, data, out } = Options::parse();
    let clock = Instant::now();
    let table = Table::read(&data)?;
    options::enough(&data, table.len(), 313)?;
    let (numbers, origins) = (table.numbers::<f64>(NUMBERS)?, table.categories("origin")?.0);
    // A car's origin is one of three places: a column of 0 and 1 for each.
    let x = Tensor::from_fn([table.len(), 9], |i| match (i / 9, i % 9) {
        (car, column @ 0..6) => numbers.at(&[car, column]),
        (car, column) => f64::from(u8::from(origins[car] == column - 6)),
    });
    let y = table.numbers(["mpg"])?;

    let rng = &mut MatlabRng::new(seed);
    let (train, rest) = (x, y).random_split(252, rng);
    let (validation, test) = rest.random_split(60, rng);
    let (x, y) = train.all()?;
    let (scale_x, scale_y) = (Standardising::fit(&x), Standardising::fit(&y));
    let scaled = |(x, y): Batch| (scale_x.apply(&x), scale_y.apply(&y));
    let [train, validation, test] = [(x, y), validation.all()?, test.all()?].map(scaled);

    let linear = Linear::from_parts(least_squares(&train), [0.0]);
    let mut net = sequential![Linear::new(9, 32, rng), Tanh, Linear::new(32, 1, rng)];
    let mut sgd = Sgd::new(0.02).momentum(0.9).weight_decay(1e-3);
    let loaders =
        (&DataLoader::new(train, 16).shuffled(u64::from(seed)), &DataLoader::new(validation, 60));
    let report = Trainer::new(epochs)
        .keep_best(Best::lowest("validation loss").patience(40))
        .fit(&mut net, &mut sgd, loaders, loss)?;
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;

    let tape = Tape::new();
    let mut baseline = RSquared::default();
    baseline.add(&linear.forward(tape.constant(&test.0)).value(), &test.1);
    let count = test.0.shape()[0];
    let result = measure(&net, &DataLoader::new(test, count), loss)?;
    let [loss, r_squared] = ["loss", "R2"].map(|name| result.value(name).expect("it is measured"));
    let deviation = scale_y.deviation().to_vec()[0];
    println!("{count} cars that it has not seen:");
    println!("  R2 {r_squared:.3}, where the best linear function has {:.3}", baseline.value());
    println!("  off by {:.2} miles per gallon (root of the mean square)", deviation * loss.sqrt());
    let seconds = clock.elapsed().as_secs_f64();
    println!(
        "after {} epochs, {seconds:.1} seconds; curves: {}",
        report.history.epochs(),
        out.display()
    );
    Ok(())
}

/// The weight of the linear function with the least squares of errors, where features and
/// targets have the mean 0: `(X' X + r I)^-1 X' y`, with a small `r`, since the columns of an
/// origin sum to a constant.
fn least_squares((x, y): &Batch) -> Tensor<f64> {
    let tape = Tape::new();
    let (x, y) = (tape.constant(x), tape.constant(y));
    let identity = Tensor::from_fn([9, 9], |i| if i % 10 == 0 { 1e-6 } else { 0.0 });
    let matrix = x.transpose().matmul(x) + tape.constant(identity);
    matrix.solve(x.transpose().matmul(y)).transpose().value()
}
