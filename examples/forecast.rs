//! A forecast, from the file to a stated result: the number of sunspots of the next year,
//! from those of the 24 years before it, by long short-term memory.
//!
//! The series goes from 1700 to 2008. The network is trained on the years up to 1919, those
//! up to 1949 say which epoch is the best, and the result is that of the years since. It is
//! held against the linear autoregression of order 9, which is the classical model of
//! this series, and against saying that next year will be as this one.
//!
//! ```text
//! cargo run --release --example forecast
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::options;
use wengert::nn::Lstm;
use wengert::nn::data::transform::Standardising;
use wengert::nn::data::{DataLoader, Table};
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Best, Metrics, Trainer, measure};
use wengert::prelude::*;

/// Trains a recurrent network to forecast sunspots.
#[derive(Parser)]
struct Options {
    /// Epochs, at most
    #[arg(long, default_value_t = 200, value_parser = options::count)]
    epochs: usize,
    /// Seed of weights and orders
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// The data
    #[arg(long, default_value = "examples/data/sunspots_yearly.csv")]
    data: PathBuf,
    /// Folder for the curves and the forecasts
    #[arg(long, default_value = "target/forecast", value_parser = options::folder)]
    out: PathBuf,
}

/// Years that a forecast looks back.
const WINDOW: usize = 24;
/// Years that the linear model looks back.
const ORDER: usize = 9;
/// The first years of validation and of the test.
const PARTS: [usize; 2] = [1920, 1950];

#[derive(Module)]
struct Net {
    lstm: Lstm<f64>,
    out: Linear<f64>,
}

impl Net {
    /// From `[years, WINDOW, 1]` to `[years, 1]`.
    fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let [h, _] = self.lstm.last(x, None);
        // The states of one layer, below each other.
        self.out.forward(h.flatten(0, 1))
    }
}

/// The years before, and the year.
type Batch = (Tensor<f64>, Tensor<f64>);

fn loss<'t>(net: &Net, tape: &'t Tape<f64>, (x, y): &Batch, metrics: &mut Metrics) -> Var<'t, f64> {
    let output = net.forward(tape.constant(x));
    metrics.r_squared(output, y);
    mse(output, tape.constant(y))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { epochs, seed, data, out } = Options::parse();
    let clock = Instant::now();
    let table = Table::read(&data)?;
    let (years, numbers) = (table.labels("YEAR", 3000)?, table.numbers::<f64>(&["SUNACTIVITY"])?);
    let are_in_row = years.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let (Some(&first), Some(&last)) = (years.first(), years.last()) else {
        return Err(
            format!("--data {}: expected a row for each year, found none", data.display()).into()
        );
    };
    if !are_in_row || first + WINDOW >= PARTS[0] || last <= PARTS[1] {
        return Err(format!(
            "--data {}: expected a row for each year from {} or before to {} or after, found {} from \
             {first} to {last}",
            data.display(),
            PARTS[0] - WINDOW - 1,
            PARTS[1] + 1,
            years.len()
        )
        .into());
    }
    let known = numbers.slice(0, 0, PARTS[0] - first, 1).contiguous();
    let scale = Standardising::fit(&known);
    let series = scale.apply(&numbers).to_vec();
    // The years from one on and before another, with what came before each of them.
    let part = |from: usize, to: usize, back: usize| -> Batch {
        let from = from - first;
        let count = to - first - from;
        let before =
            Tensor::from_fn([count, back, 1], |i| series[from + i / back + i % back - back]);
        (before, Tensor::from_fn([count, 1], |i| series[from + i]))
    };
    let end = first + series.len();
    let train = part(first + WINDOW, PARTS[0], WINDOW);
    let (validation, test) = (part(PARTS[0], PARTS[1], WINDOW), part(PARTS[1], end, WINDOW));

    let rng = &mut MatlabRng::new(seed);
    let mut net = Net { lstm: Lstm::new(1, 24, rng), out: Linear::new(24, 1, rng) };
    let mut adam = Adam::new(5e-3);
    let loaders =
        (&DataLoader::new(train, 16).shuffled(u64::from(seed)), &DataLoader::new(validation, 30));
    let report = Trainer::new(epochs)
        .keep_best(Best::lowest("validation loss").patience(40))
        .fit(&mut net, &mut adam, loaders, loss)?;
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;

    let result = measure(&net, &DataLoader::new(test.clone(), 16), loss)?;
    let deviation = scale.deviation().to_vec()[0];
    let off = |square: f64| deviation * square.sqrt();
    let mean_square = |forecast: &Tensor<f64>| {
        let errors = forecast.zip_map(&test.1, |f, y| f - y);
        errors.dot(&errors) / errors.len() as f64
    };
    let same = test.0.slice(1, WINDOW - 1, 1, 1).reshape([end - PARTS[1], 1]);
    let linear =
        autoregression(&part(first + ORDER, PARTS[0], ORDER), &part(PARTS[1], end, ORDER).0);
    println!("sunspots of {} to {}, each from the years before; off by", PARTS[1], end - 1);
    println!("  {:>5.1}  as in the year before", off(mean_square(&same)));
    println!("  {:>5.1}  linear autoregression of order {ORDER}", off(mean_square(&linear)));
    let [loss, r_squared] = ["loss", "R2"].map(|name| result.value(name).expect("it is measured"));
    println!("  {:>5.1}  long short-term memory (R2 {r_squared:.3})", off(loss));
    let best = report.epoch.map_or(0, |epoch| epoch + 1);
    println!("with the weights of epoch {best} of {}", report.history.epochs());
    println!("{:.1} seconds; curves: {}", clock.elapsed().as_secs_f64(), out.display());
    Ok(())
}

/// The forecasts of the linear function of the years before that has the least squares of
/// errors over the years that are known.
fn autoregression((x, y): &Batch, years: &Tensor<f64>) -> Tensor<f64> {
    let tape = Tape::new();
    let design = |x: &Tensor<f64>| {
        let count = x.shape()[0];
        let x = tape.constant(x.reshape([count, ORDER]));
        concat(&[x, tape.constant(Tensor::ones([count, 1]))], 1)
    };
    let (x, y) = (design(x), tape.constant(y));
    let weights = x.transpose().matmul(x).solve(x.transpose().matmul(y));
    design(years).matmul(weights).value()
}
