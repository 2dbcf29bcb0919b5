//! MNIST, or the network for CIFAR-10 of Higham & Higham, on any number of processes: with the same bits.
//!
//! By default it has the images of handwritten digits that lie in the repository. `--data` names a folder
//! with the four files of MNIST, or with the binary files of CIFAR-10.
//!
//! ```text
//! cargo build --release --example cluster
//! ./launch 4 target/release/examples/cluster
//! ./launch --restarts 5 4 target/release/examples/cluster --net cifar --data FOLDER
//! ```

#[path = "models/mod.rs"]
mod models;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use wengert::nn::Sequential;
use wengert::nn::data::{DataLoader, Dataset, read_cifar, read_idx, read_idx_labels, transform};
use wengert::nn::train::{Group, Loaders, Metrics, Report, Trainer};
use wengert::prelude::*;
use wengert_mpi::Cluster;

use models::{for_cifar, for_mnist};

/// Trains a network on as many processes as `mpirun` starts.
#[derive(Parser)]
struct Options {
    /// Which network, and on what
    #[arg(long, value_enum, default_value_t = Net::Mnist)]
    net: Net,
    /// Folder with the four files of MNIST, or with data_batch_1.bin to _5 and test_batch.bin of CIFAR-10
    #[arg(long)]
    data: Option<PathBuf>,
    /// Epochs
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Samples of a batch, of all processes together
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Parts of a batch, which the processes share out: a setting on which bits depend
    #[arg(long, default_value_t = 8)]
    shards: usize,
    /// Seed of weights and orders
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds without a step after which the job ends
    #[arg(long, default_value_t = 600.0)]
    timeout: f64,
    /// Folder for the checkpoint, from which a run goes on
    #[arg(long, default_value = "target/cluster")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Net {
    Mnist,
    Cifar,
}

/// Images, and what they show.
type Batch = (Tensor<f32>, Vec<usize>);

fn loss<'t>(
    net: &Sequential<f32>,
    tape: &'t Tape<f32>,
    (x, labels): &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f32> {
    let logits = net.forward(tape.constant(x));
    metrics.top_k(1, logits, labels);
    cross_entropy(logits, labels)
}

/// The images of a part of MNIST, with mean 0 and deviation 1 over all of its pixels.
fn mnist(data: &Path, part: &str) -> Result<Batch, Box<dyn Error>> {
    let images: Tensor<f32> = read_idx(data.join(format!("{part}-images-idx3-ubyte.gz")))?;
    let labels = read_idx_labels(data.join(format!("{part}-labels-idx1-ubyte.gz")), 10)?;
    let images = images.map(|x| (x / 255.0 - 0.1307) / 0.3081);
    Ok((images.reshape([labels.len(), 1, 28, 28]), labels))
}

/// The images of files of CIFAR-10, around 0.
fn cifar(data: &Path, files: &[String]) -> Result<Batch, Box<dyn Error>> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        let (images, of_file) = read_cifar::<f32>(data.join(file), 10)?;
        pixels.extend(images.iter().map(|x| (x - 120.0) / 64.0));
        labels.extend(of_file);
    }
    Ok((Tensor::new([labels.len(), 3, 32, 32], pixels), labels))
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
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
    let (mut net, train, test) = match (options.net, &options.data) {
        (Net::Mnist, data) => {
            let data = data.as_deref().unwrap_or(Path::new(digits));
            (for_mnist(options.seed), mnist(data, "train")?, mnist(data, "t10k")?)
        }
        (Net::Cifar, Some(data)) => {
            let names: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
            let test = cifar(data, &["test_batch.bin".to_owned()])?;
            (for_cifar(options.seed), cifar(data, &names)?, test)
        }
        // Digits in three colours, with a border: the network is the one that is to be tried.
        (Net::Cifar, None) => {
            let part = |part: &str| -> Result<Batch, Box<dyn Error>> {
                let (x, labels) = mnist(Path::new(digits), part)?;
                Ok((in_colour(&x), labels))
            };
            (for_cifar(options.seed), part("train")?, part("t10k")?)
        }
    };
    let is_cifar = options.net == Net::Cifar;
    let train = train.augmented(move |(x, labels), rng| {
        let x = if is_cifar { transform::flip_some(&x, 0.5, rng) } else { x };
        (x, labels)
    });
    let train = DataLoader::new(train, options.batch).shuffled(options.seed);
    let test = DataLoader::new(test, 250);
    let report = trained(cluster, options, &mut net, (&train, &test))?;
    if cluster.is_first() {
        let share = report.exchange_time.as_secs_f64() / report.time.as_secs_f64();
        let right = report.history.last("validation accuracy").unwrap_or(0.0);
        println!(
            "{} processes: {:.2} % of the others are read correctly; {:.1} s, {:.1} % of it in exchange",
            cluster.size(),
            100.0 * right,
            report.time.as_secs_f64(),
            100.0 * share
        );
    }
    Ok(())
}

/// Images of 28 x 28 with a border, in three colours.
fn in_colour(x: &Tensor<f32>) -> Tensor<f32> {
    let (count, pixels) = (x.shape()[0], x.to_vec());
    let mut images = vec![0.0; count * 3 * 32 * 32];
    for (image, digit) in images.chunks_exact_mut(3 * 32 * 32).zip(pixels.chunks_exact(28 * 28)) {
        for plane in image.chunks_exact_mut(32 * 32) {
            for (row, pixels) in plane.chunks_exact_mut(32).skip(2).zip(digit.chunks_exact(28)) {
                row[2..30].copy_from_slice(pixels);
            }
        }
    }
    Tensor::new([count, 3, 32, 32], images)
}

/// Trains, from the checkpoint if there is one.
fn trained<L: Loaders<Batch = Batch>>(
    cluster: &Cluster,
    options: &Options,
    net: &mut Sequential<f32>,
    loaders: L,
) -> Result<Report, Box<dyn Error>> {
    let path = options.out.join("checkpoint.safetensors");
    let mut trainer = Trainer::new(options.epochs)
        .seed(options.seed)
        .checkpoint(path)
        .checkpoint_every(Duration::from_secs(60))
        .resume();
    let mut adam = Adam::new(1e-3);
    Ok(trainer.fit_on(cluster, options.shards, net, &mut adam, loaders, loss)?)
}
