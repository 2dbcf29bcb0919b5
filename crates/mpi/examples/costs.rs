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
    /// Bytes of a bucket, or 0: nothing travels before the sweep is over; several take steps by turns
    #[arg(long, default_values_t = [1 << 22])]
    bucket: Vec<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Net {
    /// The network for CIFAR-10, 100 images
    Cifar,
    /// A block of a transformer, 8 sequences of 128 vectors of 256 numbers
    Transformer,
    /// Eight dense layers of 1024 units, 128 samples: 8.4 million parameters
    Dense,
}

/// The median times of some steps, and of the wait for exchange in each, for each size of buckets.
fn timed<M, B>(
    cluster: &Cluster,
    options: &Options,
    net: &mut M,
    batch: &B,
    loss: impl for<'t> Fn(&M, &'t Tape<f32>, &B, &mut Metrics) -> Var<'t, f32> + Sync,
) -> Vec<(f64, f64)>
where
    M: Module<f32> + Sync,
    B: Dataset<Batch = B>,
{
    let mut sgd = Sgd::new(1e-3);
    let parallel = |&bytes: &usize| {
        let bytes = if bytes == 0 { usize::MAX } else { bytes };
        DataParallel::on(cluster, options.shards).bucket(bytes)
    };
    let mut parallels: Vec<_> = options.bucket.iter().map(parallel).collect();
    let mut times = vec![Vec::new(); parallels.len()];
    for _ in 0..options.steps {
        for (parallel, times) in parallels.iter_mut().zip(&mut times) {
            let (start, before) = (Instant::now(), parallel.exchange_time());
            parallel.step(net, &mut sgd, batch, &loss).expect("tensors are always there");
            let spent = (parallel.exchange_time() - before).as_secs_f64();
            times.push((start.elapsed().as_secs_f64(), spent));
        }
    }
    let median = |times: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        let mut times: Vec<f64> = times.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    times.iter().map(|times| (median(times, |time| time.0), median(times, |time| time.1))).collect()
}

/// Steps of a network.
fn trained(cluster: &Cluster, options: &Options, net: Net) -> Vec<(f64, f64)> {
    let numbers =
        |shape: &[usize]| Tensor::from_fn(shape, |i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0);
    match net {
        Net::Cifar => {
            let labels: Vec<usize> = (0..100).map(|i| i % 10).collect();
            let batch = (numbers(&[100, 3, 32, 32]), labels);
            timed(
                cluster,
                options,
                &mut models::for_cifar(1),
                &batch,
                |net, tape, (x, labels), _| cross_entropy(net.forward(tape.constant(x)), labels),
            )
        }
        Net::Transformer => {
            let block = TransformerEncoderLayer::new(256, 4, 1024, &mut seeded(1));
            let batch = (numbers(&[8, 128, 256]), numbers(&[8, 128, 256]));
            let mut block = block.norm_first().gelu_tanh();
            timed(cluster, options, &mut block, &batch, |net, tape, (x, y), _| {
                mse(net.forward(tape.constant(x)), tape.constant(y))
            })
        }
        Net::Dense => {
            let rng = &mut seeded(1);
            let mut layers: Vec<Linear<f32>> =
                (0..8).map(|_| Linear::new(1024, 1024, rng)).collect();
            let batch = (numbers(&[128, 1024]), numbers(&[128, 1024]));
            timed(cluster, options, &mut layers, &batch, |layers, tape, (x, y), _| {
                let x = layers.iter().fold(tape.constant(x), |x, layer| layer.forward(x).tanh());
                mse(x, tape.constant(y))
            })
        }
    }
}

/// Steps on a model that computes next to nothing, so that the exchange shows.
fn bare(cluster: &Cluster, parameters: usize, options: &Options) -> (f64, f64) {
    let mut net = Param::new(Tensor::<f32>::zeros([parameters]));
    let x = Tensor::from_fn([options.shards], |i| i as f32);
    let steps = (30_000_000 / parameters).clamp(3, 50);
    let (shards, largest, bucket) = (options.shards, options.largest, vec![0]);
    let options = Options { shards, largest, net: None, steps, bucket };
    timed(cluster, &options, &mut net, &x, loss)[0]
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
        let threads = wengert::threads::count();
        let times = trained(&cluster, &options, net);
        for (bucket, (whole, exchange)) in options.bucket.iter().zip(times) {
            say(format!(
                "{size} processes, {threads} threads each, buckets of {bucket} bytes: step {:.2} ms, \
                 exchange {:.2} ms",
                1e3 * whole,
                1e3 * exchange
            ));
        }
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
        let (whole, exchange) = bare(&cluster, parameters, &options);
        say(format!(
            "{parameters} parameters: step {:.2} ms, exchange {:.2} ms",
            1e3 * whole,
            1e3 * exchange
        ));
    }
    cluster.finish(Ok::<(), std::io::Error>(()))
}
