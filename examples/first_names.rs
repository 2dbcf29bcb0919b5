//! A classifier of sequences, from the file to a stated result: whether a first name is a
//! woman's or a man's, or both, read letter by letter by a gated recurrent network.
//!
//! Of 8422 English names, 6922 are trained on, 500 say which epoch is the best, and the
//! result is that of the other 1000. It is held against the rule that looks at the last
//! two letters alone, and says of them what most names with that ending are.
//!
//! ```text
//! cargo run --release --example first_names
//! cargo run --release --example first_names -- Ada Alan Robin
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::options;
use wengert::nn::data::{Alphabet, DataLoader, Dataset, Table};
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Best, Metrics, Trainer, measure};
use wengert::nn::{Embedding, Gru};
use wengert::prelude::*;

/// Trains a recurrent network to say whose names are.
#[derive(Parser)]
struct Options {
    /// Names to be told something about
    #[arg(default_values = ["Ada", "Alan", "Kim", "Xyla", "Rust"])]
    names: Vec<String>,
    /// Epochs, at most
    #[arg(long, default_value_t = 20, value_parser = options::count)]
    epochs: usize,
    /// Seed of weights, orders and parts
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// The data
    #[arg(long, default_value = "examples/data/first_names.csv")]
    data: PathBuf,
    /// Folder for the curves
    #[arg(long, default_value = "target/first_names", value_parser = options::folder)]
    out: PathBuf,
}

/// Letters of a name, at most; the longest has 15.
const LENGTH: usize = 16;

#[derive(Module)]
struct Net {
    letters: Embedding<f32>,
    gru: Gru<f32>,
    out: Linear<f32>,
}

impl Net {
    /// From `[names, LENGTH]` places in the alphabet to `[names, classes]`.
    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let [h] = self.gru.last(self.letters.forward(x), None);
        // The states of both directions, side by side.
        self.out.forward(h.move_axis(0, 1).flatten(1, -1))
    }
}

/// Names as places in the alphabet, and what they are.
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
    let Options { names, epochs, seed, data, out } = Options::parse();
    let clock = Instant::now();
    let table = Table::read(&data)?;
    options::enough(&data, table.len(), 7423)?;
    let (labels, classes) = table.categories("label")?;
    let known: Vec<String> = table.text("name")?.iter().map(|name| name.to_lowercase()).collect();
    // The blank, which comes first in the alphabet, stands before names, so that all of them end
    // at the same place.
    let alphabet = Alphabet::of(&format!(" {}", known.concat()));
    let encode = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
        let aligned = format!("{:>LENGTH$}", name.to_lowercase());
        let places =
            alphabet.encode(&aligned).map_err(|c| format!("{name}: no name has a {c:?}"))?;
        if places.len() > LENGTH {
            return Err(format!("{name}: names have up to {LENGTH} letters").into());
        }
        Ok(places.into_iter().map(|place| place as f32).collect())
    };
    let encode_all = |names: &[String]| -> Result<Tensor<f32>, Box<dyn Error>> {
        let rows = names.iter().map(|name| encode(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::new([names.len(), LENGTH], rows.concat()))
    };
    let asked = encode_all(&names)?;

    let rng = &mut MatlabRng::new(seed);
    let samples = ((encode_all(&known)?, labels), known);
    let (train, rest) = samples.random_split(6922, rng);
    let (validation, test) = rest.random_split(500, rng);
    let [(train, train_names), (validation, _), (test, test_names)] =
        [train.all()?, validation.all()?, test.all()?];

    let ending = by_ending(&train_names, &train.1, &test_names, &test.1);
    let mut net = Net {
        letters: Embedding::new(alphabet.len(), 16, rng),
        gru: Gru::bidirectional(16, 48, 1, rng),
        out: Linear::new(96, classes.len(), rng),
    };
    let loaders =
        (&DataLoader::new(train, 64).shuffled(u64::from(seed)), &DataLoader::new(validation, 250));
    let report = Trainer::new(epochs).keep_best(Best::lowest("validation loss").patience(5)).fit(
        &mut net,
        &mut Adam::new(3e-3),
        loaders,
        loss,
    )?;
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;

    let count = test.1.len();
    let result = measure(&net, &DataLoader::new(test, 250), loss)?;
    let confusion = result.matrix().expect("it was asked for");
    println!("{}", classes.join(", "));
    println!("names that it has not seen, by row, and what it took them for:\n{confusion}\n");
    println!(
        "{:.1} % of {count} are named rightly, where their last two letters tell {:.1} %; \
         epoch {} of {}, {:.1} seconds",
        100.0 * confusion.accuracy(),
        100.0 * ending,
        report.epoch.map_or(0, |epoch| epoch + 1),
        report.history.epochs(),
        clock.elapsed().as_secs_f64()
    );

    let tape = Tape::new();
    let shares = net.forward(tape.constant(asked)).softmax(1).value().to_vec();
    for (name, shares) in names.iter().zip(shares.chunks_exact(classes.len())) {
        let shares =
            classes.iter().zip(shares).map(|(class, p)| format!("{class} {:.0} %", 100.0 * p));
        println!("  {name}: {}", shares.collect::<Vec<_>>().join(", "));
    }
    println!("curves: {}", out.display());
    Ok(())
}

/// The share of names that are what most of the known names with their last two letters are.
fn by_ending(known: &[String], labels: &[usize], names: &[String], answers: &[usize]) -> f64 {
    let ending = |name: &str| name.chars().rev().take(2).collect::<String>();
    let mut counts: HashMap<String, [u32; 3]> = HashMap::new();
    for (name, &label) in known.iter().zip(labels) {
        counts.entry(ending(name)).or_default()[label] += 1;
    }
    // Of an ending that is new nothing is known, and 1 is what most names are.
    let answer = |name: &String| {
        counts.get(&ending(name)).map_or(1, |counts| {
            (0..3).fold(0, |best, class| if counts[class] > counts[best] { class } else { best })
        })
    };
    let right = names.iter().zip(answers).filter(|(name, label)| answer(name) == **label);
    right.count() as f64 / answers.len() as f64
}
