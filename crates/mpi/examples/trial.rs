//! What `crates/mpi/ci` tries on any number of processes: a run with all that could depend on their
//! number (dropout, batch normalisation, Adam, a schedule, noise, metrics, an average), of which it
//! prints a digest, and faults of one rank.

use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{self, Command, ExitCode};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use wengert::nn::data::{DataLoader, Dataset, Table};
use wengert::nn::random::seeded;
use wengert::nn::train::{Best, Group, Metrics, Trainer};
use wengert::nn::{BatchNorm, Conv2d, Dropout, FileError};
use wengert::prelude::*;
use wengert::random::{Xoshiro256PlusPlus, normals};
use wengert_mpi::Cluster;

/// Trains a small network, and prints a digest of all that the run leaves behind.
#[derive(Parser)]
struct Options {
    /// Epochs
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Shards of a batch
    #[arg(long, default_value_t = 8)]
    shards: usize,
    /// Bytes of a bucket of gradients: one for each layer and more
    #[arg(long, default_value_t = 1000)]
    bucket: usize,
    /// Batches of a step
    #[arg(long, default_value_t = 1)]
    accumulate: usize,
    /// A checkpoint, to be written every other step, from which the run goes on
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Seconds without a step after which the job ends
    #[arg(long, default_value_t = 60.0)]
    timeout: f64,
    /// Milliseconds that each step takes longer
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// What goes wrong
    #[arg(long, value_enum, default_value_t = Fault::None)]
    fault: Fault,
    /// On which rank
    #[arg(long, default_value_t = 1)]
    rank: usize,
    /// After which step
    #[arg(long, default_value_t = 3)]
    step: usize,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Fault {
    None,
    Panic,
    LoaderPanic,
    LoaderError,
    Nan,
    Hook,
    Stop,
    Exit,
}

#[derive(Module)]
struct Net {
    first: Conv2d<f32>,
    norm: BatchNorm<f32>,
    dropout: Dropout,
    out: Linear<f32>,
}

impl Net {
    fn new() -> Self {
        let rng = &mut seeded(1);
        let (first, out) = (Conv2d::new(1, 8, 3, rng), Linear::new(8 * 6 * 6, 10, rng));
        Self { first, norm: BatchNorm::new(8), dropout: Dropout::new(0.3), out }
    }

    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let x = self.norm.forward(self.first.forward(x)).relu();
        self.out.forward(self.dropout.forward(x.flatten(1, -1)))
    }
}

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
    metrics.mean("scale", f64::from(logits.square().mean().item()), labels.len() as f64);
    cross_entropy(logits, labels)
}

/// Digits with noise, which a rank may be refused.
struct Digits {
    all: Batch,
    fault: Fault,
}

impl Dataset for Digits {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.all.len()
    }

    fn batch(&self, indices: &[usize], rng: &mut Xoshiro256PlusPlus) -> Result<Batch, FileError> {
        let (x, labels) = self.all.batch(indices, rng)?;
        let noise: Tensor<f32> = normals(x.shape(), rng);
        let mut x = x.zip_map(&noise, |x, e| x + 0.05 * e);
        if indices.contains(&100) {
            match self.fault {
                Fault::LoaderPanic => panic!("the loader's panic"),
                Fault::LoaderError => {
                    let source = std::io::Error::other("sample 100 is not there");
                    return Err(FileError::System { path: "digits".into(), source });
                }
                Fault::Nan => x.as_mut_slice()[0] = f32::NAN,
                _ => {}
            }
        }
        Ok((x, labels))
    }
}

/// The first 500 digits: 400 to train on, and 100 others.
fn digits() -> Result<(Batch, Batch), Box<dyn Error>> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/digits.csv.gz");
    let table = Table::read(data)?;
    let labels = table.labels("digit", 10)?;
    let x = table.numbers::<f32>(0..64)?.map(|x| x / 16.0);
    let part = |range: std::ops::Range<usize>| {
        let x = x.slice(0, range.start, range.len(), 1).reshape([range.len(), 1, 8, 8]);
        (x, labels[range].to_vec())
    };
    Ok((part(0..400), part(400..500)))
}

fn main() -> ExitCode {
    let options = Options::parse();
    let cluster = match wengert_mpi::start() {
        Ok(cluster) => cluster.timeout(Duration::from_secs_f64(options.timeout)),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let run = run(&cluster, &options);
    cluster.finish(run)
}

fn run(cluster: &Cluster, options: &Options) -> Result<(), Box<dyn Error>> {
    let here = cluster.rank() == options.rank;
    let fault = if here { options.fault } else { Fault::None };
    let (train, validation) = digits()?;
    // Each rank makes its own shards only, so the sample's rank is the one that has the fault.
    let train = DataLoader::new(Digits { all: train, fault: options.fault }, 64).shuffled(1);
    let validation = DataLoader::new(validation, 30);
    let (mut net, mut adam) = (Net::new(), Adam::new(1.0));
    let mut trainer = Trainer::new(options.epochs)
        .seed(3)
        .quiet()
        .accumulate(options.accumulate)
        .bucket(options.bucket)
        .average(0.9)
        .keep_best(Best::highest("validation accuracy"))
        .schedule(|progress| 0.01 / (1.0 + progress.step() as f64 / 10.0))
        .on_step(|_, progress, _| {
            thread::sleep(Duration::from_millis(options.pause));
            if progress.step() == options.step {
                misbehave(fault);
            }
        });
    if let Some(path) = &options.checkpoint {
        trainer = trainer.checkpoint(path).checkpoint_every(2).resume();
    }
    let data = (&train, &validation);
    let report = trainer.fit_on(cluster, options.shards, &mut net, &mut adam, data, loss)?;
    if cluster.is_first() {
        let mut hasher = DefaultHasher::new();
        for state in [net.state_dict(), adam.state_dict(&net)] {
            for (name, tensor) in state {
                name.hash(&mut hasher);
                tensor.iter().for_each(|x| x.to_bits().hash(&mut hasher));
            }
        }
        report.history.to_csv().hash(&mut hasher);
        let share = 100.0 * report.exchange_time.as_secs_f64() / report.time.as_secs_f64();
        println!(
            "digest {:016x}, {} processes, {share:.0} % of the time in exchange",
            hasher.finish(),
            cluster.size()
        );
    }
    Ok(())
}

/// Does what a rank is to do wrong.
fn misbehave(fault: Fault) {
    match fault {
        Fault::Hook => panic!("the hook's panic"),
        Fault::Panic => {
            let joined = thread::spawn(|| panic!("the panic of another thread")).join();
            println!("it was not the end: {joined:?}");
        }
        Fault::Exit => process::exit(7),
        Fault::Stop => {
            let stopped = Command::new("kill").args(["-STOP", &process::id().to_string()]).status();
            println!("it was not stopped: {stopped:?}");
        }
        Fault::None | Fault::LoaderPanic | Fault::LoaderError | Fault::Nan => {}
    }
}
