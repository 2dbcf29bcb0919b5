//! Is my gradient right? Four checks of derivatives that Wengert has not computed, or not alone.
//!
//! 1. Back propagation by hand: the paper's Lemma 1 over plain slices, with a mistake of your
//!    choice, and what the report says of it.
//! 2. Eighteen mistakes in other derivatives, from logistic regression to what solvers ask for.
//! 3. A function of C's mathematical library, called through its C interface, with a derivative by
//!    hand. Any C function that takes numbers and gives numbers is checked in this way.
//! 4. A model with a layer of the user's, parameter by parameter, with the layer right and wrong.
//!
//! ```text
//! cargo run --release --example verify_mine
//! cargo run --release --example verify_mine -- --mistake transpose
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;
use support::mistakes::formulas::{self, PLANTED, Planted};
use support::mistakes::{Mistake, Problem};
use support::options;
use wengert::check::{Options, Report, plain};
use wengert::custom_vjp;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

/// Checks derivatives that were written by hand.
#[derive(Parser)]
struct Arguments {
    /// Show the whole report on one mistake, instead of the beginning of all
    #[arg(long, value_enum)]
    mistake: Option<Mistake>,
    /// Where the picture of the error against the step, and the report as JSON, are written
    #[arg(long, default_value = "target/verify_mine", value_parser = options::folder)]
    out: PathBuf,
}

// The functions of C's mathematical library, which every program that uses Rust's standard
// library is linked with. They touch no memory, so they are safe to call.
#[allow(unsafe_code)]
mod c {
    unsafe extern "C" {
        pub safe fn cbrt(x: f64) -> f64;
        pub safe fn expm1(x: f64) -> f64;
    }
}

/// A function in C: the sum of `expm1(cbrt(x))`.
fn in_c(x: &[f64]) -> f64 {
    x.iter().map(|&x| c::expm1(c::cbrt(x))).sum()
}

/// Its derivative by hand: `exp(cbrt(x)) / (3 cbrt(x)^2)`.
fn in_c_slope(x: &[f64]) -> Vec<f64> {
    x.iter().map(|&x| (c::expm1(c::cbrt(x)) + 1.0) / (3.0 * c::cbrt(x).powi(2))).collect()
}

/// A layer of the user's, `x / (1 + |x|)`, with a rule by hand.
#[derive(Module)]
struct Squash {
    #[module(skip)]
    is_right: bool,
}

impl Layer<f64> for Squash {
    fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let power = if self.is_right { 2 } else { 1 };
        custom_vjp(
            [x],
            |[x]| x / (1.0 + x.abs()),
            move |[x], _, w| [w / (1.0 + x.abs()).powi(power)],
        )
    }
}

#[derive(Module)]
struct Net {
    first: Linear<f64>,
    squash: Squash,
    second: Linear<f64>,
    last: Linear<f64>,
}

impl Net {
    fn new(is_right: bool) -> Self {
        let rng = &mut MatlabRng::new(1);
        Self {
            first: Linear::new(3, 16, rng),
            squash: Squash { is_right },
            second: Linear::new(16, 16, rng),
            last: Linear::new(16, 2, rng),
        }
    }

    fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let hidden = self.squash.forward(self.first.forward(x));
        self.last.forward(self.second.forward(hidden).tanh())
    }
}

/// The lines that a report begins with.
fn beginning(report: &impl ToString) -> String {
    report
        .to_string()
        .lines()
        .take(4)
        .filter(|line| !line.is_empty())
        .map(|line| format!("    {line}\n"))
        .collect()
}

/// The picture and the JSON of a report.
fn write(report: &Report, name: &str, out: &Path) -> std::io::Result<()> {
    fs::create_dir_all(out)?;
    fs::write(out.join(format!("{name}.json")), report.to_json())?;
    if let Some(picture) = report.to_svg() {
        fs::write(out.join(format!("{name}.svg")), picture)?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let Arguments { mistake, out } = Arguments::parse();
    if let Some(mistake) = mistake {
        let report = Problem::new(mistake).report();
        println!("{report}");
        return write(&report, "report", &out);
    }

    println!("Back propagation by hand, and how the report on each mistake begins\n");
    for &mistake in Mistake::value_variants() {
        let report = Problem::new(mistake).report();
        let value = mistake.to_possible_value().expect("no mistake is hidden");
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        println!("  {}: {help}\n{}", value.get_name(), beginning(&report));
        if matches!(mistake, Mistake::None | Mistake::HiddenSlope) {
            write(&report, value.get_name(), &out)?;
        }
    }

    println!("Other derivatives by hand\n");
    for Planted { what, report, leads } in PLANTED {
        println!("  {what}\n  (look for: {})\n{}", leads.join("; "), beginning(&report()));
    }
    println!("  the same without a mistake");
    for report in formulas::right() {
        println!("    {}", report.verdict().headline());
    }
    println!();

    println!("A function in C, with a derivative by hand\n");
    let x = [0.3, 1.7, -2.2];
    println!("{}", beginning(&plain::gradient(in_c, in_c_slope, &x)));
    println!("  and with the derivative of x instead of cbrt(x) inside\n");
    let wrong = |x: &[f64]| x.iter().map(|&x| c::expm1(c::cbrt(x)) + 1.0).collect();
    println!("{}", beginning(&plain::gradient(in_c, wrong, &x)));

    println!("A model, parameter by parameter\n");
    let x = Tensor::from_fn([8, 3], |i| (1.3 * i as f64).sin());
    for is_right in [true, false] {
        let bar = ProgressBar::new(0);
        let progress = |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let options = Options::default().full().progress(&progress);
        let report = check::module_with(options, &Net::new(is_right), &x, |net, x| {
            cross_entropy(net.forward(x), &[0, 1, 1, 0, 1, 0, 0, 1])
        });
        bar.finish_and_clear();
        let text = report.to_string();
        let lines = if is_right { text.lines().count() } else { 13 };
        text.lines().take(lines).for_each(|line| println!("    {line}"));
        println!();
    }
    println!("Pictures and JSON in {}", out.display());
    Ok(())
}
