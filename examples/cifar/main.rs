//! Section 7 of Higham and Higham's paper, "Deep Learning: An Introduction for Applied
//! Mathematicians": a convolutional network learns to sort small pictures into classes, as
//! the MatConvNet script does that the paper runs.
//!
//! Layers, cropped pooling, constants of the start, factors of the rates, momentum, decay,
//! schedule, preprocessing and mirrored batches are those of `cnn_cifar.m`; `--dropout` adds
//! the paper's dropout. By default the pictures are emoji, which are in the repository in
//! CIFAR-10's format; the official binary files of CIFAR-10 are read by `--data`. As in the
//! script, what validates is the test set.
//!
//! ```text
//! cargo run --release --example cifar
//! cargo run --release --example cifar -- --data cifar-10-batches-bin --dropout
//! ```

mod data;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use support::figures::networks::Planes;
use support::{figures, options};
use wengert::nn::data::{DataLoader, Dataset};
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Confusion, Metrics, Trainer, in_top};
use wengert::nn::{AvgPool2d, Conv2d, Dropout, MaxPool2d, Summary, init};
use wengert::prelude::*;
use wengert::threads;

use data::{Batch, Pictures};

/// Images of a step.
const BATCH: usize = 100;
/// Epochs of the paper's schedule.
const EPOCHS: usize = 45;
/// Epochs on the emoji, of which there are a sixteenth as many pictures: two minutes' worth.
const EMOJI_EPOCHS: usize = 18;
/// The emoji's folder.
const EMOJI: &str = "examples/data/emoji32";

/// Trains MatConvNet's network for CIFAR-10.
#[derive(Parser)]
struct Options {
    /// Folder of CIFAR-10's binary files (data_batch_1.bin to _5, test_batch.bin,
    /// batches.meta.txt), or of others in their format (train.bin.gz, test.bin.gz,
    /// classes.txt); by default, emoji
    #[arg(long)]
    data: Option<PathBuf>,
    /// Epochs, to which the schedule is stretched or squeezed: 45 as in the paper, and 18 with
    /// the emoji
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Leave out 15, 15, 15 and 35 % of what blocks 1 to 4 compute, while training
    #[arg(long)]
    dropout: bool,
    /// Threads to compute with; as many as there are CPUs by default
    #[arg(long, value_parser = options::count)]
    threads: Option<usize>,
    /// Seed of weights, orders, mirrors and dropout
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Go on from the checkpoint of an earlier run with the same options
    #[arg(long)]
    resume: bool,
    /// Folder for checkpoint and figures
    #[arg(long, default_value = "target/cifar", value_parser = options::folder)]
    out: PathBuf,
}

/// A layer of filters: normal numbers, no bias, and the script's factors of the rates.
fn filters(
    [inputs, outputs, window]: [usize; 3],
    deviation: f64,
    [filter_rate, bias_rate]: [f64; 2],
    rng: &mut MatlabRng,
) -> Conv2d<f32> {
    let mut layer = Conv2d::new(inputs, outputs, window, rng);
    let weight: Tensor<f32> = init::normal([outputs, inputs, window, window], 0.0, deviation, rng);
    layer.weight = Param::new(weight).with_rate(filter_rate);
    layer.bias = Some(Param::new(Tensor::zeros([outputs])).with_rate(bias_rate));
    layer
}

/// Blocks one after another.
type Net = Vec<Sequential<f32>>;

/// The script's `lenet`: five blocks, the last two of which see the whole picture.
fn network(classes: usize, dropout: bool, rng: &mut MatlabRng) -> Net {
    let without = |p: f64| Dropout::new(if dropout { p } else { 0.0 });
    // Windows reach beyond the border below and to the right, and are cropped there.
    let reach = [[0, 1], [0, 1]];
    let mean = AvgPool2d::new(3).stride(2).padding(reach).cropped();
    vec![
        sequential![
            filters([3, 32, 5], 0.01, [0.1, 2.0], rng).padding(2),
            MaxPool2d::new(3).stride(2).padding(reach),
            Relu,
            without(0.15),
        ],
        sequential![
            filters([32, 32, 5], 0.05, [0.1, 2.0], rng).padding(2),
            Relu,
            mean,
            without(0.15),
        ],
        sequential![
            filters([32, 64, 5], 0.05, [0.1, 2.0], rng).padding(2),
            Relu,
            mean,
            without(0.15),
        ],
        sequential![filters([64, 64, 4], 0.05, [0.1, 2.0], rng), Relu, without(0.35)],
        sequential![filters([64, classes, 1], 0.05, [0.01, 0.2], rng)],
    ]
}

/// The scores of pictures.
fn forward<'t>(net: &Net, x: Var<'t, f32>) -> Var<'t, f32> {
    net.iter().fold(x, |x, block| block.forward(x)).flatten(1, -1)
}

/// The paper's objective (32), as a mean, and its two errors.
fn loss<'t>(
    net: &Net,
    tape: &'t Tape<f32>,
    (images, labels): &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f32> {
    let scores = forward(net, tape.constant(images));
    for (k, name) in [(1, "top1err"), (5, "top5err")] {
        let right = in_top(k, &scores.value(), labels) as f64 / labels.len() as f64;
        metrics.mean(name, 1.0 - right, labels.len() as f64);
    }
    cross_entropy(scores, labels)
}

/// The rate of an epoch: that of the paper's schedule at the same share of the way.
fn rate(epoch: usize, epochs: usize) -> f64 {
    match epoch * EPOCHS / epochs {
        0..30 => 0.05,
        30..40 => 0.005,
        _ => 0.0005,
    }
}

/// What the network takes each picture for.
fn answers(net: &Net, pictures: &Pictures) -> Result<Vec<usize>, Box<dyn Error>> {
    let (mut tape, mut answers) = (Tape::new(), Vec::new());
    for images in DataLoader::new(pictures.images.clone(), BATCH).epoch(0) {
        let images = images?;
        tape.reset();
        let scores =
            tape.without_gradients(|| forward(net, tape.constant(&images)).value().to_vec());
        for scores in scores.chunks_exact(pictures.classes.len()) {
            let first = |best, i| if scores[i] > scores[best] { i } else { best };
            answers.push((1..scores.len()).fold(0, first));
        }
    }
    Ok(answers)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { data, epochs, dropout, threads, seed, resume, out } = Options::parse();
    if let Some(threads) = threads {
        threads::set(threads);
    }
    let epochs = epochs.map_or(if data.is_none() { EMOJI_EPOCHS } else { EPOCHS }, |n| n as usize);
    let data = data.unwrap_or_else(|| EMOJI.into());
    let begin = Instant::now();
    let (mut train, mut test) = Pictures::read(&data)?;
    println!(
        "{} pictures to train on and {} to validate with, in {} classes; read in {:.1} s",
        train.labels.len(),
        test.labels.len(),
        train.classes.len(),
        begin.elapsed().as_secs_f64()
    );
    let originals = test.images.clone();

    let mut net = network(train.classes.len(), dropout, &mut MatlabRng::new(seed));
    println!(
        "{}\n",
        Summary::of(&net, |net, tape| {
            forward(net, tape.constant(Tensor::zeros([1, 3, 32, 32])))
        })
    );
    if epochs != EPOCHS {
        println!("the paper's schedule of {EPOCHS} epochs, in {epochs}");
    }
    let mut sgd = Sgd::new(rate(0, epochs)).momentum(0.9).weight_decay(1e-4);
    let set = |pictures: &Pictures| {
        (pictures.images.clone(), pictures.labels.clone()).augmented(data::mirrored)
    };
    let seeded =
        |pictures: &Pictures| DataLoader::new(set(pictures), BATCH).shuffled(u64::from(seed));
    let mut clock = Instant::now();
    let mut trainer = Trainer::new(epochs)
        .seed(u64::from(seed))
        .option("data", data.display())
        .option("dropout", dropout)
        .option("epochs of the schedule", epochs)
        .quiet()
        .interruptible()
        .checkpoint(out.join("checkpoint.safetensors"))
        .schedule(|progress| rate(progress.epoch, epochs))
        .on_epoch(|_, history| {
            let now = |phase: &str, name: &str| {
                history.last(&format!("{phase} {name}")).unwrap_or(f64::NAN)
            };
            let all = |name: &str| {
                format!("{name} {:.3} / {:.3}", now("train", name), now("validation", name))
            };
            let columns = ["loss", "top1err", "top5err"].map(all).join("   ");
            let seconds = clock.elapsed().as_secs_f64();
            println!("epoch {:2}: {columns}   {seconds:.1} s", history.epochs());
            clock = Instant::now();
            ControlFlow::Continue(())
        });
    if resume {
        trainer = trainer.resume();
    }
    // Before minutes of preparing: is the checkpoint of this run?
    trainer.check(&sgd, (&seeded(&train), &seeded(&test)))?;
    data::prepare(&mut train, &mut test);
    let (loader, validation) = (seeded(&train), seeded(&test));
    println!("training / validation");
    let report = trainer.fit(&mut net, &mut sgd, (&loader, &validation), loss)?;
    drop(trainer);
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;

    draw_blocks(&out, &net, &test.images.slice(0, 0, 1, 1))?;
    let answers = answers(&net, &test)?;
    show(&out, &test, &originals, &answers)?;
    println!("curves, confusion, gallery, list of errors: {}", out.display());
    println!("{:.0} s in all", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Draws what the blocks make of one picture, Figure 10.
fn draw_blocks(out: &Path, net: &Net, picture: &Tensor<f32>) -> io::Result<()> {
    let planes = |name: String, value: &Tensor<f32>| {
        let (count, side) = (value.shape()[1], value.shape()[2]);
        Planes {
            name: format!("{name}{side} x {side} x {count}"),
            count,
            side,
            values: value.to_vec(),
        }
    };
    let mut drawn = vec![planes("picture, ".into(), picture)];
    let tape = Tape::new();
    tape.without_gradients(|| {
        net.iter().zip(1..).fold(tape.constant(picture), |x, (block, number)| {
            let y = block.forward(x);
            drawn.push(planes(format!("block {number}, "), &y.value()));
            y
        })
    });
    figures::networks::blocks(out, "blocks", &drawn)
}

/// Writes which classes were taken for which, and the errors as a list and as a gallery.
fn show(
    out: &Path,
    test: &Pictures,
    originals: &Tensor<f32>,
    answers: &[usize],
) -> Result<(), Box<dyn Error>> {
    let mut confusion = Confusion::new(test.classes.len());
    confusion.add_answers(answers, &test.labels);
    figures::classes::confusion(out, "confusion", &test.classes, |class, answer| {
        confusion.count(class, answer)
    })?;

    let errors: Vec<usize> = (0..answers.len()).filter(|&i| answers[i] != test.labels[i]).collect();
    let mut list = String::from("picture,class,answer\n");
    for &i in &errors {
        let [class, answer] = [test.labels[i], answers[i]].map(|class| &test.classes[class]);
        writeln!(list, "{i},{class},{answer}")?;
    }
    fs::write(out.join("errors.csv"), list)?;
    let shown = errors.iter().step_by(errors.len().div_ceil(16).max(1)).map(|&i| {
        let [class, answer] = [test.labels[i], answers[i]].map(|class| &test.classes[class]);
        let bytes = originals.slice(0, i, 1, 1).iter().map(|x| x as u8).collect();
        (format!("{answer} ({class})"), bytes)
    });
    let shown: Vec<(String, Vec<u8>)> = shown.collect();
    figures::classes::gallery(out, "errors", &shown)?;
    println!(
        "{:.1} % of {} pictures are recognised",
        100.0 * confusion.accuracy(),
        confusion.samples()
    );
    Ok(())
}
