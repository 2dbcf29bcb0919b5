//! The penalty (33): `Cost + lambda / N sum |W|^2`, over weights and not over biases.
//!
//! Two classes of points overlap. A network with room to spare draws its border around
//! every single point, for which it needs large weights; the penalty keeps them
//! small and the border smooth. What is the best that can be is known: the classes are
//! normally distributed about two middles, and no border has fewer errors than the
//! line half-way between them.

use std::error::Error;
use std::path::Path;

use support::figures::pictures::{Plane, planes};
use wengert::nn::loss::penalty;
use wengert::nn::optim::Lbfgs;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

/// Points to train on, and others.
const COUNTS: [usize; 2] = [60, 4000];
const DEVIATION: f64 = 0.22;
const LAMBDAS: [f64; 6] = [0.0, 1e-3, 1e-2, 0.1, 1.0, 3.0];
/// Those with a picture.
const SHOWN: [f64; 3] = [0.0, 1e-2, 3.0];
/// Nodes of the pictures' grid on each side.
const NODES: usize = 601;
const BOUNDS: [f64; 2] = [-0.4, 1.4];

/// Points `[count, 2]`, and the class of each, by turns.
fn points(count: usize, rng: &mut MatlabRng) -> (Tensor<f64>, Vec<usize>) {
    let labels: Vec<usize> = (0..count).map(|point| point % 2).collect();
    let middle = |class: usize| [0.3, 0.7][class];
    let x = Tensor::from_fn([count, 2], |i| middle(labels[i / 2]) + DEVIATION * rng.randn());
    (x, labels)
}

pub fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    let rng = &mut MatlabRng::new(8);
    let [(x, labels), (others, answers)] = COUNTS.map(|count| points(count, rng));
    let coordinate = |i| BOUNDS[0] + (BOUNDS[1] - BOUNDS[0]) * i as f64 / (NODES - 1) as f64;
    let grid = Tensor::from_fn([NODES * NODES, 2], |i| {
        coordinate(if i % 2 == 0 { i / 2 % NODES } else { i / 2 / NODES })
    });

    println!("Penalty (33): {} points of two classes, {} others", COUNTS[0], COUNTS[1]);
    println!("  lambda    cost   sum |W|^2  wrong in training  wrong on others");
    let mut pictures = Vec::new();
    for lambda in LAMBDAS {
        let rng = &mut MatlabRng::new(7);
        let (first, second) = (Linear::new(2, 16, rng), Linear::new(16, 16, rng));
        let mut net = sequential![first, Tanh, second, Tanh, Linear::new(16, 2, rng)];
        // Without a penalty, the cost has no minimum, and weights grow as long as one descends.
        Lbfgs::new().budget(2000).gradient_tolerance(1e-6).run(&mut net, |net, tape| {
            let cost = cross_entropy(net.forward(tape.constant(&x)), &labels);
            if lambda == 0.0 { cost } else { cost + penalty(net, tape, lambda, labels.len()) }
        });
        let tape = Tape::new();
        let cost = cross_entropy(net.forward(tape.constant(&x)), &labels).item();
        let squares = penalty(&net, &tape, 1.0, 1).item();
        let [here, there] =
            [(&x, &labels), (&others, &answers)].map(|(x, labels)| wrong(&decide(&net, x), labels));
        println!("  {lambda:<6}  {cost:>6.3}  {squares:>10.1}  {here:>15.1} %  {there:>13.1} %");
        if SHOWN.contains(&lambda) {
            pictures.push((format!("λ = {lambda}: {there:.1} % wrong"), decide(&net, &grid)));
        }
    }
    let line: Vec<usize> =
        others.to_vec().as_chunks().0.iter().map(|[x, y]| usize::from(x + y > 1.0)).collect();
    println!("  the best that can be, a line {:>32.1} %", wrong(&line, &answers));

    let mut groups = vec![Vec::new(); 2];
    for (&point, &label) in x.to_vec().as_chunks().0.iter().zip(&labels) {
        groups[label].push(point);
    }
    let drawn = pictures.iter().map(|(title, regions)| Plane {
        bounds: [BOUNDS; 2],
        regions: regions.clone(),
        ..Plane::new(title, groups.clone())
    });
    planes(out, "penalty", &drawn.collect::<Vec<_>>())?;
    Ok(())
}

/// Which of the two outputs is larger.
fn decide(net: &Sequential<f64>, x: &Tensor<f64>) -> Vec<usize> {
    let tape = Tape::new();
    let outputs = tape.without_gradients(|| net.forward(tape.constant(x)).value().to_vec());
    outputs.as_chunks().0.iter().map(|[a, b]| usize::from(b > a)).collect()
}

/// The percentage of wrong answers.
fn wrong(answers: &[usize], labels: &[usize]) -> f64 {
    let wrong = answers.iter().zip(labels).filter(|(a, b)| a != b).count();
    100.0 * wrong as f64 / labels.len() as f64
}
