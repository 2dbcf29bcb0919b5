//! What exchange costs: the time of a sum of gradients, by its length, and latency and bandwidth of what
//! it consists of; or, with `--net`, the time of a training step. docs/distributed.md has the figures.

#[path = "models/mod.rs"]
mod models;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use wengert::nn::TransformerEncoderLayer;
use wengert::nn::data::Dataset;
use wengert::nn::random::seeded;
use wengert::nn::train::{DataParallel, Exchange, Group, Metrics};
use wengert::prelude::*;
use wengert_mpi::Cluster;

/// Measures what exchange costs.
#[derive(Parser)]
struct Options {
    /// The largest number of parameters, as a power of ten
    #[arg(long, default_value_t = 7)]
    largest: u32,
    /// Shards of a batch
    #[arg(long, default_value_t = 8)]
    shards: usize,
    /// The steps of a network in the place of sums
    #[arg(long, value_enum)]
    net: Option<Net>,
    /// How many steps
    #[arg(long, default_value_t = 20)]
    steps: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Net {
    /// The network for CIFAR-10, 100 images
    Cifar,
    /// A block of a transformer, 8 sequences of 128 vectors of 256 numbers
    Transformer,
}

/// The median times of some steps, and of the exchange in each.
fn timed<M, B>(
    cluster: &Cluster,
    (shards, steps): (usize, usize),
    net: &mut M,
    batch: &B,
    loss: impl for<'t> Fn(&M, &'t Tape<f32>, &B, &mut Metrics) -> Var<'t, f32> + Sync,
) -> (f64, f64)
where
    M: Module<f32> + Sync,
    B: Dataset<Batch = B>,
{
    let mut sgd = Sgd::new(1e-3);
    let mut parallel = DataParallel::on(cluster, shards);
    let mut times = Vec::new();
    for _ in 0..steps {
        let (start, before) = (Instant::now(), parallel.exchange_time());
        parallel.step(net, &mut sgd, batch, &loss).expect("tensors are always there");
        let spent = (parallel.exchange_time() - before).as_secs_f64();
        times.push((start.elapsed().as_secs_f64(), spent));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut times: Vec<f64> = times.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(|time| time.0), median(|time| time.1))
}

/// Steps of a network.
fn trained(cluster: &Cluster, net: Net, size: (usize, usize)) -> (f64, f64) {
    let numbers =
        |shape: &[usize]| Tensor::from_fn(shape, |i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0);
    match net {
        Net::Cifar => {
            let labels: Vec<usize> = (0..100).map(|i| i % 10).collect();
            let batch = (numbers(&[100, 3, 32, 32]), labels);
            timed(cluster, size, &mut models::for_cifar(1), &batch, |net, tape, (x, labels), _| {
                cross_entropy(net.forward(tape.constant(x)), labels)
            })
        }
        Net::Transformer => {
            let block = TransformerEncoderLayer::new(256, 4, 1024, &mut seeded(1));
            let batch = (numbers(&[8, 128, 256]), numbers(&[8, 128, 256]));
            let mut block = block.norm_first().gelu_tanh();
            timed(cluster, size, &mut block, &batch, |net, tape, (x, y), _| {
                mse(net.forward(tape.constant(x)), tape.constant(y))
            })
        }
    }
}

/// Steps on a model that computes next to nothing, so that the exchange shows.
fn bare(cluster: &Cluster, parameters: usize, shards: usize) -> (f64, f64) {
    let mut net = Param::new(Tensor::<f32>::zeros([parameters]));
    let x = Tensor::from_fn([shards], |i| i as f32);
    let steps = (30_000_000 / parameters).clamp(3, 50);
    timed(cluster, (shards, steps), &mut net, &x, loss)
}

fn loss<'t>(
    net: &Param<f32>,
    tape: &'t Tape<f32>,
    x: &Tensor<f32>,
    _: &mut Metrics,
) -> Var<'t, f32> {
    (net.on(tape) * tape.constant(x).mean()).sum()
}

/// The best time of some repetitions of a call, from when all processes are there.
fn best(cluster: &Cluster, repetitions: usize, mut call: impl FnMut()) -> f64 {
    let time = |_| {
        cluster.barrier();
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    };
    (0..repetitions).map(time).fold(f64::INFINITY, f64::min)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let cluster = match wengert_mpi::start() {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let size = cluster.size();
    let say = |line: String| {
        if cluster.is_first() {
            println!("{line}");
        }
    };
    if let Some(net) = options.net {
        let (whole, exchange) = trained(&cluster, net, (options.shards, options.steps));
        let threads = wengert::threads::count();
        say(format!(
            "{size} processes, {threads} threads each: step {:.2} ms, exchange {:.2} ms",
            1e3 * whole,
            1e3 * exchange
        ));
        return cluster.finish(Ok::<(), std::io::Error>(()));
    }
    let latency = best(&cluster, 200, || drop(cluster.gather(&[])));
    say(format!("{size} processes: gather of nothing {:.1} us", 1e6 * latency));
    let numbers = 1 << 22;
    let lengths = vec![numbers / size; size];
    let (own, mut all) = (vec![1.0_f32; numbers / size * size], vec![0.0; numbers / size * size]);
    let dealt = best(&cluster, 10, || cluster.all_to_all(&own, &lengths, &mut all, &lengths));
    let part = own[..numbers / size].to_vec();
    let collected = best(&cluster, 10, || cluster.all_gather(&part, &mut all, &lengths));
    // What leaves a process: all but its own part.
    let bytes = 4.0 * numbers as f64 * (size - 1) as f64 / size as f64;
    for (name, seconds) in [("all-to-all", dealt), ("all-gather", collected)] {
        let rate = bytes / seconds / 1e9;
        say(format!("{name} of 2^22 numbers: {:.2} ms, {rate:.2} GB/s", 1e3 * seconds));
    }
    for parameters in (5..=options.largest).map(|power| 10_usize.pow(power)) {
        let (whole, exchange) = bare(&cluster, parameters, options.shards);
        say(format!(
            "{parameters} parameters: step {:.2} ms, exchange {:.2} ms",
            1e3 * whole,
            1e3 * exchange
        ));
    }
    cluster.finish(Ok::<(), std::io::Error>(()))
}
