//! Hessian-free training: a deep autoencoder by Newton's method without a matrix.
//!
//! Handwritten digits of 64 pixels pass through a code of six numbers and are restored
//! from it, by a network of eight layers: Martens' example ("Deep learning via Hessian-free
//! optimization", ICML 2010), small. The cost curves differently in different
//! directions, so first-order methods creep. A second-order method divides by the
//! curvature, and for that conjugate gradients need nothing but products of the
//! Gauss-Newton matrix with vectors: a forward and a reverse sweep each (G&W, section 5.2;
//! Higham & Higham, section 8, "methods that use second derivatives").
//!
//! Every method starts from the same weights, sees all digits at each step, and may record the
//! network equally often; a product counts as a recording, as a gradient does. The picture shows
//! the best cost over the recordings.
//!
//! ```text
//! cargo run --release --example hessian_free
//! ```

use std::cell::RefCell;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::{figures, options};
use wengert::nn::data::Table;
use wengert::nn::optim::{Lbfgs, NewtonCg};
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

/// Trains a deep autoencoder by Hessian-free optimisation and by others.
#[derive(Parser)]
struct Options {
    /// Recordings of the network that each method may make
    #[arg(long, default_value_t = 2000, value_parser = options::count)]
    recordings: usize,
    /// Digits, of 1797
    #[arg(long, default_value_t = 500, value_parser = options::count)]
    digits: usize,
    /// The data
    #[arg(long, default_value = "examples/data/digits.csv.gz")]
    data: PathBuf,
    /// Folder for the picture
    #[arg(long, default_value = "target/hessian_free", value_parser = options::folder)]
    out: PathBuf,
}

/// From 64 pixels to a code of six numbers, and back.
const WIDTHS: [usize; 9] = [64, 40, 24, 12, 6, 12, 24, 40, 64];

type Net = Vec<Linear<f64>>;

fn net() -> Net {
    let rng = &mut MatlabRng::new(1);
    WIDTHS.windows(2).map(|ends| Linear::new(ends[0], ends[1], rng)).collect()
}

/// All layers but the one of the code and the last are squashed.
fn restore<'t>(net: &Net, digits: Var<'t, f64>) -> Var<'t, f64> {
    net.iter().zip(1..).fold(digits, |x, (layer, number)| {
        let y = layer.forward(x);
        if number == WIDTHS.len() / 2 || number == net.len() { y } else { y.tanh() }
    })
}

/// The best cost, over the number of recordings.
#[derive(Default)]
struct Course(RefCell<Vec<[f64; 2]>>);

impl Course {
    /// Notes the cost of one more recording, and gives it back.
    fn note<'t>(&self, cost: Var<'t, f64>) -> Var<'t, f64> {
        let mut course = self.0.borrow_mut();
        let best = course.last().map_or(f64::INFINITY, |&[_, best]| best);
        let count = course.len() as f64 + 1.0;
        course.push([count, best.min(cost.item())]);
        cost
    }

    fn is_over(&self, recordings: usize) -> bool {
        self.0.borrow().len() >= recordings
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { recordings, digits, data, out } = Options::parse();
    let table = Table::read(&data)?;
    options::enough(&data, table.len(), digits)?;
    let pixels = table.numbers::<f64>(0..64)?.map(|x| x / 16.0);
    let x = pixels.slice(0, 0, digits, 1).contiguous();

    let cost = |net: &Net, tape: &Tape<f64>| -> f64 {
        let x = tape.constant(&x);
        mse(restore(net, x), x).item()
    };
    println!(
        "{digits} digits, {} parameters, {recordings} recordings each",
        net().parameter_count()
    );
    println!("start: {:.5}\n", cost(&net(), &Tape::new()));
    println!("method                        cost  seconds");
    let mut curves = Vec::new();
    let mut run = |name: &'static str, train: &dyn Fn(&mut Net, &Course)| {
        let (clock, course, mut net) = (Instant::now(), Course::default(), net());
        train(&mut net, &course);
        println!(
            "{name:<24}  {:>8.5}  {:>7.1}",
            cost(&net, &Tape::new()),
            clock.elapsed().as_secs_f64()
        );
        let mut curve = course.0.into_inner();
        curve.truncate(recordings);
        curves.push((name, curve));
    };

    run("gradients, momentum 0.9", &|net, course| {
        first_order(Sgd::new(1.0).momentum(0.9), net, course, &x, recordings);
    });
    run("Adam", &|net, course| first_order(Adam::new(3e-3), net, course, &x, recordings));
    run("L-BFGS", &|net, course| {
        Lbfgs::new().budget(recordings).evaluations(recordings).run(net, |net, tape| {
            let x = tape.constant(&x);
            course.note(mse(restore(net, x), x))
        });
    });
    run("Hessian-free", &|net, course| {
        let method = NewtonCg::new().products(60);
        // The solver counts evaluations; products are counted here, so it stops by steps.
        while !course.is_over(recordings) {
            method.clone().budget(5).run_gauss_newton(
                net,
                |net, tape| restore(net, tape.constant(&x)),
                |y| course.note(mse(y, y.tape().constant(&x))),
            );
        }
    });

    figures::derivatives::convergence(&out, "costs", "Recordings of the network", &curves)?;
    println!("\nthe best cost over recordings: {}", out.join("costs.svg").display());
    Ok(())
}

fn first_order<R: wengert::nn::optim::Rule>(
    mut optimiser: wengert::nn::optim::Optimiser<f64, R>,
    net: &mut Net,
    course: &Course,
    x: &Tensor<f64>,
    recordings: usize,
) {
    let mut tape = Tape::new();
    while !course.is_over(recordings) {
        tape.reset();
        let x = tape.constant(x);
        let cost = course.note(mse(restore(net, x), x));
        optimiser.step(net, &cost.backward());
    }
}
