//! Sections 2 to 6 of Higham & Higham's "Deep Learning: An Introduction for
//! Applied Mathematicians", run: a network of 23 parameters learns to tell ten
//! points apart by stochastic gradient.
//!
//! With the default options this is the paper's own run, number for number: the
//! random numbers are MATLAB's. First the gradient is verified, against
//! differences and against the paper's Lemma 1 by hand; then the network trains,
//! with the cost over all points after every step; then come the figures.
//!
//! ```text
//! cargo run --release --example netbp
//! cargo run --release --example netbp -- --extra-point --out target/fig9
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use support::figures;
use support::paper::trainer::{Monitor, Trainer};
use support::paper::{Net, Points, code_cost, decide, lemma, misclassified, network};
use wengert::check;
use wengert::nn::Module;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

/// Intervals of the grid on each side of the unit square, as in the paper.
const INTERVALS: usize = 500;
/// Rows of the cost curve's file, about.
const CURVE_ROWS: u64 = 10_000;

/// Trains the network of Higham & Higham's section 6 and draws the paper's figures.
#[derive(Parser)]
struct Options {
    /// Steps of stochastic gradient
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Seed of MATLAB's random numbers
    #[arg(long, default_value_t = 5000)]
    seed: u32,
    /// Learning rate, greater than 0
    #[arg(long, default_value_t = 0.05, value_parser = positive, allow_negative_numbers = true)]
    eta: f64,
    /// Add the eleventh point, (0.3, 0.7) of category B, for Figure 9
    #[arg(long)]
    extra_point: bool,
    /// Compute the cost over all points after every N steps
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    cost_every: u64,
    /// Train by a compiled step: the same numbers, sooner
    #[arg(long)]
    compiled: bool,
    /// Folder for figures and the cost curve
    #[arg(long, default_value = "target/netbp")]
    out: PathBuf,
    /// End with one line of JSON on standard output; the report goes to standard error
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a finite number greater than 0 is wanted".into()),
    }
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        // Help and version are printed as they are, mistakes in one line.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let message = error.to_string();
            let line = message.lines().next().unwrap_or("bad options");
            eprintln!("netbp: {} (--help lists the options)", line.trim_start_matches("error: "));
            return ExitCode::from(2);
        }
    };
    // Before any training: can the results be kept?
    if let Err(error) = probe(&options.out) {
        eprintln!("netbp: cannot write to the folder {}: {error}", options.out.display());
        return ExitCode::from(2);
    }
    let report: &mut dyn Write = if options.json { &mut io::stderr() } else { &mut io::stdout() };
    match run(&options, report) {
        Ok(summary) => {
            if options.json {
                println!("{summary}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("netbp: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the folder and tries to write there.
fn probe(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let file = dir.join(".netbp-probe");
    fs::write(&file, [])?;
    fs::remove_file(file)
}

fn run(options: &Options, report: &mut dyn Write) -> io::Result<serde_json::Value> {
    let points = if options.extra_point { Points::eleven() } else { Points::ten() };
    let mut rng = MatlabRng::new(options.seed);
    let mut net = Net::start(&mut rng);

    writeln!(report, "Gradient at the start, {} parameters", net.parameter_count())?;
    let verified = verify(&net, &points, report)?;

    let training = train(&mut net, &points, &mut rng, options)?;
    let (initial, last) = (training.initial_cost, training.final_cost);
    let seconds = training.time.as_secs_f64();
    writeln!(report, "\nTraining, {} points, {} steps", points.len(), options.steps)?;
    writeln!(report, "  cost at the start            {initial:.6}   (sum of squared norms)")?;
    writeln!(report, "  cost at the end              {last:.4e}")?;
    writeln!(report, "  time                         {seconds:.2} s")?;

    let shaded = decide(&net, INTERVALS);
    let misclassified = misclassified(&net, &points);
    let nodes = shaded.iter().filter(|&&in_a| in_a).count();
    writeln!(report, "  misclassified points         {misclassified}")?;
    writeln!(report, "  grid nodes in category A     {nodes} of {}", shaded.len())?;

    draw(&points, &training.curve, &shaded, options)?;
    writeln!(report, "\nFigures and cost curve are in {}", options.out.display())?;
    Ok(json!({
        "points": points.len(),
        "steps": options.steps,
        "initial_cost": initial,
        "final_cost": last,
        "misclassified": misclassified,
        "shaded_nodes": nodes,
        "gradient_check": { "rate": verified.rate, "max_error": verified.max_error },
        "train_seconds": seconds,
    }))
}

/// What verifying the gradient found.
struct Verified {
    /// The rate at which the Taylor remainder falls; 2 is right, 1 is wrong.
    rate: f64,
    /// The largest difference to a central difference quotient, over all
    /// parameters.
    max_error: f64,
}

/// The cost (6), or (9), of some parameters: the listing's cost over 2 N.
fn cost<'t>(points: &Points, parameters: [Var<'t, f64>; 6]) -> Var<'t, f64> {
    let x = parameters[0].tape().constant(points.inputs());
    code_cost(network(x, parameters), &points.targets()) * (0.5 / points.len() as f64)
}

/// Compares the tape's gradient of the cost with differences and with Lemma 1.
fn verify(net: &Net, points: &Points, report: &mut dyn Write) -> io::Result<Verified> {
    let values = net.parameters().map(|parameter| parameter.value());
    let taylor = check::gradient(|parameters| cost(points, parameters), values);
    let gradient = flat(&grad(|parameters| cost(points, parameters), values));

    let targets: Vec<_> = (0..points.len()).map(|point| points.target(point)).collect();
    let by_hand = lemma::gradient(&net.parameter_vector(), &points.positions, &targets);
    let differences = central_differences(net, points);
    let max_error = largest_difference(&gradient, &differences);

    if let Some(rate) = taylor.rate() {
        writeln!(report, "  step h     |f(x + h v) - f(x) - h <g, v>|")?;
        for rung in rate.rungs.iter().filter(|rung| rung.counts()).step_by(2) {
            writeln!(report, "  {:.1e}    {:.3e}", rung.h, rung.remainder)?;
        }
    }
    let rate = taylor.rate().and_then(|rate| rate.slope).unwrap_or(f64::NAN);
    writeln!(report, "  the remainder falls at rate  {rate:.3}   (2 is right, 1 is wrong)")?;
    writeln!(report, "  against central differences  {max_error:.1e}   at most")?;
    let lemma_error = largest_difference(&gradient, &by_hand);
    writeln!(report, "  against Lemma 1 by hand      {lemma_error:.1e}   at most")?;
    if !taylor.is_right() || max_error > 1e-8 || lemma_error > 1e-14 {
        return Err(io::Error::other(format!("the gradient is wrong\n{taylor}")));
    }
    Ok(Verified { rate, max_error })
}

fn flat(tensors: &[Tensor<f64>]) -> Vec<f64> {
    tensors.iter().flat_map(|tensor| tensor.to_vec()).collect()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// `(C(p + h e) - C(p - h e)) / 2h` for each parameter.
fn central_differences(net: &Net, points: &Points) -> Vec<f64> {
    // Truncation falls as h^2 and rounding grows as eps / h: they meet here.
    let h = f64::EPSILON.cbrt();
    let mut vector = net.parameter_vector();
    let mut moved = Net::start(&mut MatlabRng::new(1));
    let mut at = |vector: &[f64]| {
        moved.set_parameter_vector(vector);
        let tape = Tape::new();
        cost(points, moved.parameters().map(|parameter| parameter.on(&tape))).item()
    };
    (0..vector.len())
        .map(|i| {
            let own = vector[i];
            let [above, below] = [own + h, own - h].map(|value| {
                vector[i] = value;
                at(&vector)
            });
            vector[i] = own;
            (above - below) / (2.0 * h)
        })
        .collect()
}

/// The course of a training.
struct Training {
    initial_cost: f64,
    final_cost: f64,
    /// Steps done and cost then, thinned out for the figure and the file.
    curve: Vec<(f64, f64)>,
    time: Duration,
}

/// Stochastic gradient (15), one point a step, drawn with replacement.
fn train(
    net: &mut Net,
    points: &Points,
    rng: &mut MatlabRng,
    options: &Options,
) -> io::Result<Training> {
    let mut trainer = match options.compiled {
        true => Trainer::compiled(points, net, options.eta).map_err(io::Error::other)?,
        false => Trainer::recorded(points, options.eta),
    };
    let bar = progress_bar(options.steps);
    let curve_every = (options.steps / options.cost_every / CURVE_ROWS).max(1);

    let initial_cost = Monitor::new(points).cost(net);
    let mut final_cost = initial_cost;
    let mut curve = Vec::new();
    let start = Instant::now();
    for step in 1..=options.steps {
        let point = rng.randi(points.len()) - 1;
        trainer.step(net, point);
        if step % options.cost_every == 0 || step == options.steps {
            final_cost = trainer.cost(net);
            if (step / options.cost_every) % curve_every == 1 % curve_every {
                curve.push((step as f64, final_cost));
                bar.set_position(step);
                bar.set_message(format!("cost {final_cost:.3e}"));
            }
        }
    }
    let time = start.elapsed();
    trainer.finish(net);
    bar.finish_and_clear();
    Ok(Training { initial_cost, final_cost, curve, time })
}

/// Progress on standard error; silent where that is no terminal.
fn progress_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("  training {bar:40} {percent}%  {msg}  {eta} left")
        .expect("the template is well-formed");
    ProgressBar::new(steps).with_style(style)
}

/// Draws the paper's figures and writes the cost curve as CSV.
fn draw(
    points: &Points,
    curve: &[(f64, f64)],
    shaded: &[bool],
    options: &Options,
) -> io::Result<()> {
    let dir = &options.out;
    let (a, b) = points.classes();
    let regions = if options.extra_point { "fig9_regions" } else { "fig8_regions" };
    figures::scatter(dir, "fig1_points", a, b)?;
    figures::sigmoids(dir, "fig2_sigmoids")?;
    figures::networks::layers(dir, "fig3_network", &[2, 2, 3, 2], None)?;
    figures::networks::layers(dir, "fig6_weight", &[4, 3, 4, 5, 2], Some([3, 4, 3]))?;
    figures::decision_regions(dir, regions, INTERVALS + 1, shaded, a, b)?;
    if curve.len() > 1 {
        // As in the paper, the figure shows every hundredth of these.
        let thin = (curve.len() / 100).max(1);
        let shown: Vec<_> = curve.iter().copied().step_by(thin).collect();
        figures::cost_curve(dir, "fig7_cost", &shown)?;
    }
    let rows = curve.iter().map(|(step, cost)| format!("{step},{cost:e}\n"));
    let csv: String = std::iter::once("step,cost\n".to_string()).chain(rows).collect();
    let (file, temporary) = (dir.join("cost.csv"), dir.join("cost.csv.part"));
    fs::write(&temporary, csv)?;
    fs::rename(temporary, file)
}
