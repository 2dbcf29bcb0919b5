//! A model of language, from the file to a stated result: a transformer reads Moby-Dick letter by
//! letter, says what comes next, and then writes a little by itself.
//!
//! It learns from the first nine tenths of the text's first 300 thousand characters; the result
//! is how many bits a character of the last tenth costs, given the ones before it. It is held
//! against what is counted instead of learnt: n-grams, with the estimate of Witten and Bell
//! (1991), which mixes each length of context with the next shorter one.
//!
//! ```text
//! cargo run --release --example char_transformer
//! cargo run --release --example char_transformer -- --data TEXT --epochs 20
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::options;
use wengert::nn::data::{Alphabet, DataLoader, read_text};
use wengert::nn::optim::Schedule;
use wengert::nn::random::MatlabRng;
use wengert::nn::train::{Metrics, Trainer, measure};
use wengert::nn::{Embedding, LayerNorm, LearnedPositions, TransformerEncoderLayer, init};
use wengert::prelude::*;

/// Trains a transformer to say which character comes next.
#[derive(Parser)]
struct Options {
    /// A text, at least some ten thousand characters of it, which may be compressed by gzip
    #[arg(long, default_value = "examples/data/moby_dick.txt.gz")]
    data: PathBuf,
    /// Epochs
    #[arg(long, default_value_t = 8, value_parser = options::count)]
    epochs: usize,
    /// Parts of a batch whose gradients are computed at a time, each on a thread
    #[arg(long, default_value_t = 2, value_parser = options::count)]
    shards: usize,
    /// Seed of weights, orders and the sample
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// What the sample starts with
    #[arg(long, default_value = "The whale ")]
    prompt: String,
    /// Folder for the curves
    #[arg(long, default_value = "target/char_transformer", value_parser = options::folder)]
    out: PathBuf,
}

/// Characters that it sees at a time.
const CONTEXT: usize = 64;
/// Numbers that stand for a character.
const WIDTH: usize = 96;
/// The largest learning rate.
const RATE: f64 = 4e-3;
/// Characters of the sample.
const SAMPLE: usize = 400;
/// The sample prefers what is likely: logits are divided by this.
const TEMPERATURE: f64 = 0.7;
/// The longest n-gram that is counted.
const LONGEST: usize = 6;

#[derive(Module)]
struct Net {
    characters: Embedding<f32>,
    places: LearnedPositions<f32>,
    blocks: Vec<TransformerEncoderLayer<f32>>,
    norm: LayerNorm<f32>,
    out: Linear<f32>,
}

impl Net {
    fn new(characters: usize, rng: &mut MatlabRng) -> Self {
        // As in GPT-2, vectors start small, beside which the blocks' sums are not lost.
        let table = init::normal([characters, WIDTH], 0.0, 0.02, rng);
        let block = |rng: &mut MatlabRng| {
            TransformerEncoderLayer::new(WIDTH, 4, 4 * WIDTH, rng).norm_first().gelu_tanh().causal()
        };
        Self {
            characters: Embedding::from_table(table),
            places: LearnedPositions::new(CONTEXT, WIDTH, rng),
            blocks: (0..2).map(|_| block(rng)).collect(),
            norm: LayerNorm::new([WIDTH]),
            out: Linear::new(WIDTH, characters, rng),
        }
    }

    /// From `[texts, time]` places in the alphabet to `[texts, time, characters]`: logits of what
    /// comes after each.
    fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let x = self.places.forward(self.characters.forward(x));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.out.forward(self.norm.forward(x))
    }
}

/// The loss of pieces of text, `[pieces, CONTEXT + 1]`, over the characters from one place on.
fn loss_from<'t>(
    from: usize,
    net: &Net,
    tape: &'t Tape<f32>,
    pieces: &Tensor<f32>,
    metrics: &mut Metrics,
) -> Var<'t, f32> {
    let count = pieces.shape()[0];
    let logits = net.forward(tape.constant(pieces.slice(1, 0, CONTEXT, 1)));
    let next: Vec<usize> =
        pieces.slice(1, from + 1, CONTEXT - from, 1).iter().map(|place| place as usize).collect();
    let loss = cross_entropy(logits.slice(1, from..).flatten(0, 1), &next);
    let bits = f64::from(loss.item()) / 2_f64.ln();
    metrics.mean("bits per character", bits, count as f64);
    loss
}

/// Pieces of a text, each `stride` characters after the one before it, as `[pieces, CONTEXT + 1]`.
fn pieces(text: &[usize], stride: usize) -> Tensor<f32> {
    let rows: Vec<&[usize]> = text.windows(CONTEXT + 1).step_by(stride).collect();
    Tensor::new(
        [rows.len(), CONTEXT + 1],
        rows.concat().iter().map(|&c| c as f32).collect::<Vec<_>>(),
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { data, epochs, shards, seed, prompt, out } = Options::parse();
    let clock = Instant::now();
    let text = read_text(&data)?;
    let alphabet = Alphabet::of(&text);
    let places = alphabet.encode(&text).expect("it is the text's own alphabet");
    let mut sample = alphabet
        .encode(&prompt)
        .map_err(|c| format!("--prompt: {c:?} is no character of {}", data.display()))?;
    if sample.is_empty() {
        return Err("--prompt: a sample starts with one character at least".into());
    }
    let (known, held_out) = places.split_at(places.len() / 10 * 9);
    if held_out.len() <= 2 * CONTEXT {
        return Err(
            format!("{}: a tenth of it is too short to be tested on", data.display()).into()
        );
    }

    let rng = &mut MatlabRng::new(seed);
    let mut net = Net::new(alphabet.len(), rng);
    println!(
        "{} characters to learn from, {} others; {} different ones; {} parameters\n",
        known.len(),
        held_out.len(),
        alphabet.len(),
        net.parameter_count()
    );
    let train = DataLoader::new(pieces(known, CONTEXT), 16).shuffled(u64::from(seed)).drop_last();
    let validation = DataLoader::new(pieces(held_out, CONTEXT), 64);
    let rates = Schedule::one_cycle(RATE, (epochs * train.len()) as f64);
    let report =
        Trainer::new(epochs).schedule(|progress| rates.rate(progress.step() as f64)).fit_parallel(
            shards,
            &mut net,
            &mut Adam::new(RATE),
            (&train, &validation),
            |net, tape, pieces, metrics| loss_from(0, net, tape, pieces, metrics),
        )?;
    report.history.save(out.join("curves.svg"))?;
    report.history.save(out.join("curves.csv"))?;

    // Each character once, with half of the context before it at least.
    let half = CONTEXT / 2;
    let test = pieces(held_out, half);
    let tested = half + 1..half + 1 + test.shape()[0] * half;
    let result = measure(&net, &DataLoader::new(test, 64), |net, tape, pieces, metrics| {
        loss_from(half, net, tape, pieces, metrics)
    })?;
    println!("bits for each of {} characters that it has not seen", tested.len());
    for (n, bits) in n_grams(known, alphabet.len(), &held_out[..tested.end], tested.start) {
        println!("  {bits:.3}  counted, {n} characters at a time");
    }
    let bits = result.value("bits per character").expect("it is measured");
    println!("  {bits:.3}  transformer");
    println!("{:.1} seconds; curves: {}\n", clock.elapsed().as_secs_f64(), out.display());

    let mut tape = Tape::new();
    for _ in 0..SAMPLE {
        tape.reset();
        let seen: Vec<f32> =
            sample[sample.len().saturating_sub(CONTEXT)..].iter().map(|&c| c as f32).collect();
        let logits = net.forward(tape.constant(Tensor::new([1, seen.len()], seen)));
        let logits = logits.value().to_vec();
        sample.push(draw(&logits[logits.len() - alphabet.len()..], rng));
    }
    println!("{}", alphabet.decode(&sample));
    Ok(())
}

/// A character at random, likelier the larger its logit.
fn draw(logits: &[f32], rng: &mut MatlabRng) -> usize {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let shares = logits.iter().map(|&x| (f64::from(x - largest) / TEMPERATURE).exp());
    let mut rest = rng.rand() * shares.clone().sum::<f64>();
    let found = shares.into_iter().position(|share| {
        rest -= share;
        rest < 0.0
    });
    found.unwrap_or(logits.len() - 1)
}

/// For n-grams of each length, the mean of `-log2 p` over the characters of a text from some place
/// on, with `p` estimated from another text:
///
/// ```text
/// p(c | context) = (count(context c) + kinds(context) p(c | shorter)) / (count(context) + kinds(context))
/// ```
///
/// where kinds are the different characters that were seen after a context, and `p` is the
/// same for all characters in the end.
fn n_grams(known: &[usize], kinds: usize, text: &[usize], from: usize) -> Vec<(usize, f64)> {
    let mut counts: HashMap<&[usize], HashMap<usize, f64>> = HashMap::new();
    for n in 1..=LONGEST {
        for gram in known.windows(n) {
            *counts.entry(&gram[..n - 1]).or_default().entry(gram[n - 1]).or_default() += 1.0;
        }
    }
    let mut bits = [0.0; LONGEST];
    for place in from..text.len() {
        let mut p = 1.0 / kinds as f64;
        for (before, bits) in bits.iter_mut().enumerate() {
            if let Some(next) = counts.get(&text[place - before..place]) {
                let (all, different) = (next.values().sum::<f64>(), next.len() as f64);
                p = (next.get(&text[place]).unwrap_or(&0.0) + different * p) / (all + different);
            }
            *bits -= p.log2();
        }
    }
    (1..).zip(bits.map(|bits| bits / (text.len() - from) as f64)).collect()
}
