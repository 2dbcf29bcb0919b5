//! Section 8 of Higham & Higham's "Deep Learning: An Introduction for Applied Mathematicians",
//! "Of things not treated", treated: what the paper names there and leaves to others, each in a
//! small run of its own with a number to hold it against and a picture.
//!
//! - `autoencoder`: digits pass through two numbers, `min sum |x - G(F(x))|^2`
//! - `gan`: two networks, one of which imitates what the other tells apart
//! - `relabelling`: a network learns labels that were drawn at random
//! - `pixels`: which pixel changes the class, and a patch that changes it on every image
//! - `penalty`: the weights and the border between two classes, with and without (33)
//!
//! ```text
//! cargo run --release --example section_8
//! cargo run --release --example section_8 -- gan penalty
//! ```

mod autoencoder;
mod digits;
mod gan;
mod penalty;
mod pixels;
mod relabelling;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use support::options;

/// What the paper's section 8 names.
#[derive(Parser)]
struct Options {
    /// Topics to run; all of them if none is named
    topics: Vec<Topic>,
    /// Folder for the pictures
    #[arg(long, default_value = "target/section_8", value_parser = options::folder)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Topic {
    Autoencoder,
    Gan,
    Relabelling,
    Pixels,
    Penalty,
}

impl Topic {
    fn run(self, out: &Path) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Autoencoder => autoencoder::run(out),
            Self::Gan => gan::run(out),
            Self::Relabelling => relabelling::run(out),
            Self::Pixels => pixels::run(out),
            Self::Penalty => penalty::run(out),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { topics, out } = Options::parse();
    let all = Topic::value_variants();
    for topic in if topics.is_empty() { all } else { &topics } {
        let clock = Instant::now();
        topic.run(&out)?;
        println!("{:.1} seconds\n", clock.elapsed().as_secs_f64());
    }
    println!("pictures: {}", out.display());
    Ok(())
}
