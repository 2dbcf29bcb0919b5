//! What back propagation is, seen on three tapes: each value on the way down, each adjoint on the way up.
//!
//! The first example of Griewank & Walther's book; the network of Higham & Higham with the deltas of their
//! Lemma 1, which are adjoints; a small convolutional network. Each is printed, and written as a page to
//! explore in a browser and as a picture.
//!
//! ```text
//! cargo run --release --example study            # into target/study
//! cargo run --release --example study -- --out FOLDER
//! ```

use std::path::{Path, PathBuf};

use clap::Parser;
use support::{options, paper};
use wengert::nn::random::{MatlabRng, seeded};
use wengert::nn::{Conv2d, Flatten, MaxPool2d};
use wengert::prelude::*;
use wengert::trace::Trace;

/// Shows both sweeps of three tapes.
#[derive(Parser)]
struct Options {
    /// Folder for the pages and the pictures
    #[arg(long, default_value = "target/study", value_parser = options::folder)]
    out: PathBuf,
}

fn main() -> std::io::Result<()> {
    let folder = Options::parse().out;
    first_example(&folder)?;
    lemma_1(&folder)?;
    small_cnn(&folder)?;
    println!("The pages are in {}: open them in a browser.", folder.display());
    Ok(())
}

/// Griewank & Walther, section 1.1: a function of two variables at (1.5, 0.5). The book prints
/// y = 2.0167 and the gradient (3.0118, -13.7239).
fn first_example(folder: &Path) -> std::io::Result<()> {
    let tape = Tape::new();
    let x1 = tape.variable(1.5).named("x1");
    let x2 = tape.variable(0.5).named("x2");
    let quotient = x1 / x2;
    let power = x2.exp();
    let y = ((quotient.sin() + quotient - power) * (quotient - power)).named("y");

    let direction = [(x1, Tensor::from(1.0)), (x2, Tensor::from(-2.0))];
    let trace = tape.trace_along(y, &direction);
    println!("Griewank & Walther's first example, with the tangent along (1, -2):\n\n{trace}");
    println!("{}\n", tape.explain(y));
    write(folder, "first_example", "Griewank & Walther's first example", &trace)
}

/// The network 2-2-3-2 at its start, for the first of the ten points. Lemma 1 defines delta[l] as the
/// derivative of the cost with respect to z[l], which is the adjoint of z[l]: so it is called here, and the trace
/// reads as the lemma does.
fn lemma_1(folder: &Path) -> std::io::Result<()> {
    let net = paper::Net::start(&mut MatlabRng::new(5000));
    let points = paper::Points::ten();
    let (point, target) = (points.positions[0], points.target(0));

    let tape = Tape::new();
    let [w2, w3, w4, b2, b3, b4] = net.parameters().map(|parameter| parameter.on(&tape));
    let mut a = tape.constant(point).named("x");
    for (l, w, b) in [(2, w2, b2), (3, w3, b3), (4, w4, b4)] {
        a = tape.scope(format!("layer {l}"), || {
            let (w, b) = (w.named(format!("W{l}")), b.named(format!("b{l}")));
            let z = (w.matmul(a) + b).named(format!("z{l}")).adjoint_named(format!("delta{l}"));
            z.sigmoid().named(format!("a{l}"))
        });
    }
    let cost = (0.5 * (a - target).square().sum()).named("cost");
    let trace = tape.trace(cost);
    println!("The network 2-2-3-2 of Higham & Higham at one point:\n\n{trace}");

    // By hand: dC/db[l] is delta[l], by (24).
    let by_hand = paper::lemma::gradient(&net.parameter_vector(), &[point], &[target]);
    println!("delta[l] by Lemma 1, and the adjoint of z[l] by the tape:");
    let mut rest = &by_hand[16..];
    for l in 2..=4 {
        let adjoint = trace.row(&format!("z{l}")).and_then(|row| row.adjoint.clone());
        let adjoint = adjoint.expect("derivatives go through it").elements;
        let (delta, after) = rest.split_at(adjoint.len());
        rest = after;
        let difference = delta.iter().zip(&adjoint).map(|(a, b)| (a - b).abs());
        let difference = difference.fold(0.0, f64::max);
        assert!(difference < 1e-15, "they differ by {difference}");
        println!("  layer {l}: {delta:.6?}\n           {adjoint:.6?}");
    }
    println!();
    write(folder, "network", "The network of Higham & Higham, and Lemma 1", &trace)
}

/// A convolutional network on the picture of a ring: layers are scopes, and parameters have the names of the
/// model.
fn small_cnn(folder: &Path) -> std::io::Result<()> {
    let rng = &mut seeded(1);
    let net: Sequential<f32> = sequential![
        Conv2d::new(1, 6, 3, rng),
        Relu,
        MaxPool2d::new(2),
        Conv2d::new(6, 8, 3, rng),
        Relu,
        Flatten,
        Linear::new(8 * 5 * 5, 3, rng),
    ];
    let ring = Tensor::from_fn([1, 1, 16, 16], |i| {
        let (x, y) = ((i % 16) as f32 - 7.5, (i / 16) as f32 - 7.5);
        (-0.5 * (x.hypot(y) - 5.0).powi(2)).exp()
    });
    let tape = Tape::new();
    let image = tape.variable(&ring).named("image");
    let loss = cross_entropy(net.forward(image), &[1]).named("loss");
    net.name_on(&tape);
    let trace = tape.trace(loss);
    println!("A small convolutional network, its layers folded:\n\n{}", trace.clone().folded(0));
    println!("{}\n", tape.explain(loss));
    write(folder, "cnn", "A small convolutional network", &trace)
}

fn write(folder: &Path, name: &str, title: &str, trace: &Trace) -> std::io::Result<()> {
    std::fs::write(folder.join(format!("{name}.html")), trace.to_html(title))?;
    std::fs::write(folder.join(format!("{name}.svg")), trace.to_svg())
}
