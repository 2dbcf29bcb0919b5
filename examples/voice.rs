//! Silero VAD, trained by others, in this project's layers: where in a recording does somebody
//! speak?
//!
//! The recording is synthetic vowels between pauses. What each layer gives is laid beside what
//! other programs computed from the same weights, and may differ by 1e-4 at most.
//!
//! ```text
//! cargo run --release --example voice
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::models::distance;
use support::models::silero::{CHUNK, Silero, chunks};
use support::{figures, options};
use wengert::nn::weights;
use wengert::prelude::*;

/// Runs Silero VAD beside the numbers that it gave elsewhere.
#[derive(Parser)]
struct Options {
    /// The weights
    #[arg(long, default_value = "examples/data/silero_vad.safetensors")]
    weights: PathBuf,
    /// The recording, and what is expected
    #[arg(long, default_value = "examples/data/silero_vad_expected.safetensors")]
    expected: PathBuf,
    /// Folder for the picture
    #[arg(long, default_value = "target/voice", value_parser = options::folder)]
    out: PathBuf,
}

/// Samples a second.
const RATE: f64 = 16_000.0;
/// The chunk of which all layers are known.
const KNOWN: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let clock = Instant::now();
    let model = Silero::load(&options.weights)?;
    let expected = weights::load::<f64>(&options.expected)?;
    let known = ["audio", "probabilities", "final_h", "final_c"];
    options::names(&options.expected, &known, |name| expected.contains_key(name))?;
    let recording = chunks(&expected["audio"]);
    let count = recording.shape()[0];

    let tape = Tape::new();
    let heard = model.forward(tape.constant(&recording), None);
    let probabilities = heard.probabilities.value();
    let listened = clock.elapsed();
    println!("{count} chunks of {CHUNK} samples; probability of speech, here and there");
    for (chunk, (own, other)) in
        probabilities.iter().zip(expected["probabilities"].iter()).enumerate()
    {
        if chunk % 4 == 0 {
            let bar = "#".repeat((40.0 * own).round() as usize);
            println!("  {:>5.2} s  {own:.6}  {other:.6}  {bar}", seconds(chunk));
        }
    }

    println!("\nlargest difference, in chunk {KNOWN}");
    let mut largest = 0.0_f64;
    let mut report = |name: &str, own: &Tensor<f64>, other: &Tensor<f64>| {
        let difference = distance(own, other);
        largest = largest.max(difference);
        println!("  {difference:.1e}  {name}");
    };
    for (name, value) in &heard.layers {
        let own = value.slice(0, KNOWN..=KNOWN).value();
        report(name, &own, &expected[&format!("chunk{KNOWN}.{name}")]);
    }
    // The states after a chunk are the last ones of the recording up to there.
    let until = model.forward(tape.constant(recording.slice(0, 0, KNOWN + 1, 1)), None);
    let [h, c] = until.states.map(|state| state.value());
    report("h", &h, &expected[&format!("chunk{KNOWN}.h_out")]);
    report("c", &c, &expected[&format!("chunk{KNOWN}.c_out")]);
    println!("and over all chunks");
    report("probabilities", &probabilities, &expected["probabilities"]);
    let [h, c] = heard.states.map(|state| state.value());
    report("h at the end", &h, &expected["final_h"]);
    report("c at the end", &c, &expected["final_c"]);

    let curve = |values: &Tensor<f64>| -> Vec<[f64; 2]> {
        values.iter().enumerate().map(|(chunk, p)| [seconds(chunk), p]).collect()
    };
    let loudness = |chunk: usize| {
        let samples = recording.slice(0, chunk, 1, 1);
        (samples.dot(&samples) / samples.len() as f64).sqrt()
    };
    let loudness = Tensor::from_fn([count], loudness);
    let loudest = loudness.iter().fold(0.0, f64::max);
    figures::pictures::curves(
        &options.out,
        "probability",
        ["Seconds", "Probability of speech"],
        &[
            ("Silero VAD", curve(&probabilities)),
            ("loudness, of the largest", curve(&loudness.map(|x| x / loudest))),
        ],
    )?;
    println!(
        "\nthe largest of these differences is {largest:.1e}; {count} chunks in {:.0} ms, weights read; \
         picture: {}",
        1e3 * listened.as_secs_f64(),
        options.out.display()
    );
    if largest > 1e-4 {
        return Err("it is larger than 1e-4".into());
    }
    Ok(())
}

/// When a chunk ends.
fn seconds(chunk: usize) -> f64 {
    ((chunk + 1) * CHUNK) as f64 / RATE
}
