//! A long loop differentiated with few states kept: memory against recomputation.
//!
//! Heat in a rod, by 10,000 explicit time steps. The state at the end is compared with a
//! measurement, and the gradient is wanted with respect to the state at the beginning and
//! to the diffusivity. A tape would keep every value of every step, since a reverse
//! sweep reads them all, from the last to the first.
//!
//! Instead, `Steps` keeps `c` states and takes the steps between them again when the sweep
//! arrives, by the binomial schedule of Griewank & Walther (chapter 12): no other
//! takes fewer steps with as many states. If no step is taken more than `r` times, so
//! many states suffice for `(c + r)! / c! r!` steps, so that memory and repetitions grow like
//! a root of the number of steps.
//!
//! ```text
//! cargo run --release --example checkpoint
//! ```
//!
//! The picture shows both costs over the number of states kept.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::{figures, options};
use wengert::checkpoint::{Steps, forward_steps};
use wengert::prelude::*;

/// Points of the rod.
const POINTS: usize = 128;

/// Differentiates a long loop with few states kept.
#[derive(Parser)]
struct Options {
    /// Time steps
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Where the picture goes
    #[arg(long, default_value = "target/checkpoint", value_parser = options::folder)]
    out: PathBuf,
}

/// One time step; the ends of the rod are kept cold.
fn step<'t>(u: Var<'t, f64>, diffusivity: Var<'t, f64>) -> Var<'t, f64> {
    let left = u.slice(0, ..POINTS - 1).pad(0, 1, 0);
    let right = u.slice(0, 1..).pad(0, 0, 1);
    u + (left - 2.0 * u + right) * diffusivity
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { steps: n, out } = Options::parse();
    let n = n as usize;
    let start = Tensor::from_fn([POINTS], |i| (i as f64 * 0.05).sin() + (i as f64 * 0.31).cos());
    let measured = Tensor::from_fn([POINTS], |i| 0.3 * (i as f64 * 0.02).sin());
    let diffusivity = Tensor::from(0.2);
    let cost = func(|u| (u - u.tape().constant(&measured)).square().sum());
    let megabytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);

    // All on the tape.
    let tape = Tape::new();
    let clock = Instant::now();
    let (u, d) = (tape.variable(&start), tape.variable(&diffusivity));
    let end = (0..n).fold(u, |u, _| step(u, d));
    let gradients = cost(end).backward();
    let expected = (gradients.wrt(u), gradients.wrt(d).item());
    let held = megabytes(tape.memory().peak);
    println!("states kept   steps taken   a step   megabytes   seconds");
    let seconds = clock.elapsed().as_secs_f64();
    println!("        all   {n:>11}     1.00   {held:>9.2}   {seconds:>7.2}");

    let mut points = Vec::new();
    for c in [5, 10, 20, 50, 100, 200, 500, 1000] {
        let steps = Steps::new(|_, [u], [d]| [step(u, d)]).keep(c);
        let tape = Tape::new();
        let clock = Instant::now();
        let (u, d) = (tape.variable(&start), tape.variable(&diffusivity));
        let [end] = steps.run(n, [u], [d]);
        let gradients = cost(end).backward();
        let seconds = clock.elapsed().as_secs_f64();
        let held = megabytes(tape.memory().peak + steps.peak());
        let taken = steps.taken();
        let each = taken as f64 / n as f64;
        println!("{c:>11}   {taken:>11}   {each:>6.2}   {held:>9.2}   {seconds:>7.2}");
        // As many as the closed form says, the value, and one step back for each.
        assert_eq!(taken, forward_steps(n, c) + 1 + n);
        let own = gradients.wrt(u);
        let difference = own.iter().zip(expected.0.iter()).map(|(a, b)| (a - b).abs());
        assert!(difference.fold(0.0, f64::max) < 1e-12, "the gradient is that of the tape");
        assert!((gradients.wrt(d).item() / expected.1 - 1.0).abs() < 1e-12);
        points.push([c as f64, each, held]);
    }
    figures::derivatives::checkpoint_costs(&out, "costs", &points)?;
    println!("\nsteps and memory over the states kept: {}", out.display());
    Ok(())
}
