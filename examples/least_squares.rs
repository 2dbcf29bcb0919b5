//! Section 2 of Higham & Higham's "Deep Learning: An Introduction for Applied Mathematicians",
//! run: the network of 23 parameters, trained by nonlinear least squares.
//!
//! The paper calls MATLAB's `lsqnonlin`, which takes the method of Levenberg and Marquardt,
//! since there are fewer residuals than parameters. The authors' residuals are the ten norms
//! `|y - F(x)|`. The twenty components of `y - F(x)` have the same sum of squares, so the same
//! minimisers, and the way there is a far shorter one: a norm has a kink where it is 0, and
//! there the minimiser lies.
//!
//! First comes the paper's start, `rng(5000)`, for both residuals and for ten and eleven
//! points, with Figures 4 and 5; then a table of many starts, since, as the paper remarks, not
//! every one ends well.
//!
//! ```text
//! cargo run --release --example least_squares
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::paper::squares::{Residuals, solve};
use support::paper::{Net, Points, decide, misclassified};
use support::{figures, options};
use wengert::nn::random::MatlabRng;

/// Intervals of the grid on each side of the unit square, as in the paper.
const INTERVALS: usize = 500;

/// The words of both tables.
const LEGEND: &str = "\
The sum |r|^2 of the squares of residuals is made small. For each point, they are
  norms        the distance |y - F(x)| between the network's answer and the wanted one, or
  components   both components of y - F(x), which have the same sum of squares.
evaluations: how often the residuals were computed, beside the Jacobian at each step
wrong:       points that the trained network takes for the other class
reason:      what ended the run, a small step, a small change of the sum, or a limit";

/// Trains the paper's network by Levenberg-Marquardt and draws its Figures 4 and 5.
#[derive(Parser)]
struct Options {
    /// Starts of the table: the seeds 1, 2, ...
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
    /// Folder for the figures
    #[arg(long, default_value = "target/least_squares", value_parser = options::folder)]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { starts, out } = Options::parse();
    let cases = [("fig4", Points::ten()), ("fig5", Points::eleven())];
    let forms = [("norms", Residuals::Norms), ("components", Residuals::Components)];

    println!("{LEGEND}");
    println!("\nFrom the paper's start, rng(5000)");
    println!("points  residuals       |r|^2   steps  evaluations  wrong  seconds  reason");
    for (name, points) in &cases {
        for (kind, form) in forms {
            let clock = Instant::now();
            let mut net = Net::start(&mut MatlabRng::new(5000));
            let outcome = solve(&mut net, points, form);
            println!(
                "{:>6}  {kind:<10}  {:>9.2e}  {:>6}  {:>11}  {:>5}  {:>7.2}  {:?}",
                points.len(),
                2.0 * outcome.cost,
                outcome.steps,
                outcome.evaluations,
                misclassified(&net, points),
                clock.elapsed().as_secs_f64(),
                outcome.reason,
            );
            let (a, b) = points.classes();
            let shaded = decide(&net, INTERVALS);
            let file = format!("{name}_{kind}");
            figures::decision_regions(&out, &file, INTERVALS + 1, &shaded, a, b)?;
        }
    }

    println!(
        "\nFrom {starts} starts, rng(1), rng(2), ...: failures are runs that leave a point wrong"
    );
    println!("points  residuals   failures  median steps  median |r|^2  seconds");
    for (_, points) in &cases {
        for (kind, form) in forms {
            let clock = Instant::now();
            let (mut failures, mut steps, mut squares) = (0, Vec::new(), Vec::new());
            for seed in 1..=starts {
                let mut net = Net::start(&mut MatlabRng::new(seed));
                let outcome = solve(&mut net, points, form);
                failures += u32::from(misclassified(&net, points) > 0);
                steps.push(outcome.steps as f64);
                squares.push(2.0 * outcome.cost);
            }
            println!(
                "{:>6}  {kind:<10}  {failures:>8}  {:>12}  {:>12.1e}  {:>7.1}",
                points.len(),
                median(steps),
                median(squares),
                clock.elapsed().as_secs_f64(),
            );
        }
    }
    println!("\nFigures 4 and 5, for both residuals, are in {}", out.display());
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
