//! A generative adversarial net: two networks trained against each other (Goodfellow and
//! others, 2014).
//!
//! The generator makes points of the plane from random numbers. The discriminator says how
//! likely a point is a real one, from eight heaps on a circle. One step moves the
//! discriminator, with the points of the generator as mere data; the next moves the generator,
//! by a gradient that passes through the discriminator, which is frozen.
//!
//! Numbers tell whether it has worked. Points are to lie in all heaps, near enough and as far
//! spread as the real ones, of which `1 - exp(-9/2)` = 98.9 % lie within three deviations of a
//! heap's middle. And where nothing is left to tell apart, the best discriminator says 1/2,
//! and its cost is `log 4` (their Theorem 1).
//!
//! The discriminator's cost has a term for its slope at real points, without which the two
//! chase each other in circles (Mescheder, Geiger & Nowozin, 2018): the square of a gradient,
//! itself differentiated.

use std::error::Error;
use std::f64::consts::TAU;
use std::path::Path;

use support::figures::pictures::{Plane, planes};
use wengert::nn::loss::binary_cross_entropy;
use wengert::nn::optim::Schedule;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;
use wengert::random::normals;

const HEAPS: usize = 8;
const DEVIATION: f64 = 0.08;
const BATCH: usize = 128;
const STEPS: usize = 6000;
/// Steps before pictures.
const SHOWN: [usize; 3] = [300, 1500, STEPS];
/// The factor of the squared slope.
const SLOPE: f64 = 0.1;

fn middle(heap: usize) -> [f64; 2] {
    let angle = TAU * heap as f64 / HEAPS as f64;
    [angle.cos(), angle.sin()]
}

/// Real points, `[count, 2]`.
fn real(count: usize, rng: &mut MatlabRng) -> Tensor<f64> {
    let points = (0..count).flat_map(|_| {
        let heap = rng.randi(HEAPS) - 1;
        middle(heap).map(|x| x + DEVIATION * rng.randn())
    });
    Tensor::new([count, 2], points.collect())
}

fn network(outputs: usize, rng: &mut MatlabRng) -> Sequential<f64> {
    let (first, second) = (Linear::new(2, 64, rng), Linear::new(64, 64, rng));
    sequential![first, LeakyRelu(0.01), second, LeakyRelu(0.01), Linear::new(64, outputs, rng)]
}

pub fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    let rng = &mut MatlabRng::new(8);
    let (mut generator, mut discriminator) = (network(2, rng), network(1, rng));
    let adam = || Adam::new(0.0).betas(0.5, 0.99);
    let (mut moves_generator, mut moves_discriminator) = (adam(), adam());
    let rates = Schedule::linear(2e-3, 2e-4, STEPS as f64);
    let mut tape = Tape::new();
    let [yes, no] = [1.0, 0.0].map(|answer| Tensor::full([BATCH, 1], answer));
    let mut pictures = vec![Plane::new("real", vec![points(&real(2000, rng))])];

    println!("Generative adversarial net: {HEAPS} heaps of points on a circle");
    println!("   steps  heaps found  within 3 deviations  their deviation  discriminator's cost");
    let mut cost = 0.0;
    for step in 1..=STEPS {
        let rate = rates.rate(step as f64);
        moves_generator.set_rate(rate);
        moves_discriminator.set_rate(rate);
        // The discriminator learns to say yes to real points and no to others.
        tape.reset();
        let x = tape.variable(real(BATCH, rng));
        let noise = tape.constant(normals([BATCH, 2], rng));
        let imitations = tape.constant(tape.without_gradients(|| generator.forward(noise).value()));
        let answers = discriminator.forward(x);
        let loss = binary_cross_entropy(answers, tape.constant(&yes))
            + binary_cross_entropy(discriminator.forward(imitations), tape.constant(&no));
        let [slope] = answers.sum().grad([x]);
        let penalty = slope.square().sum() / BATCH as f64;
        moves_discriminator.step(&mut discriminator, &(loss + SLOPE * penalty).backward());
        // The mean of the last steps, roughly.
        cost += (loss.item() - cost) * if step == 1 { 1.0 } else { 0.01 };

        // The generator learns to make it say yes.
        discriminator.freeze();
        tape.reset();
        let noise = tape.constant(normals([BATCH, 2], rng));
        let answers = discriminator.forward(generator.forward(noise));
        let loss = binary_cross_entropy(answers, tape.constant(&yes));
        moves_generator.step(&mut generator, &loss.backward());
        discriminator.unfreeze();

        if SHOWN.contains(&step) {
            let noise = normals([2000, 2], rng);
            tape.reset();
            let made = tape.without_gradients(|| generator.forward(tape.constant(noise)).value());
            let made = points(&made);
            tell(&step.to_string(), &made, cost);
            pictures.push(Plane { bounds: pictures[0].bounds, ..Plane::new("", vec![made]) });
        }
    }
    tell("real", &pictures[0].groups[0], 4_f64.ln());
    let titles = SHOWN.map(|step| format!("after {step} steps"));
    for (picture, title) in pictures.iter_mut().skip(1).zip(&titles) {
        picture.title = title;
    }
    planes(out, "gan", &pictures)?;
    Ok(())
}

fn points(x: &Tensor<f64>) -> Vec<[f64; 2]> {
    x.to_vec().as_chunks().0.to_vec()
}

fn tell(steps: &str, points: &[[f64; 2]], cost: f64) {
    let (found, within, deviation) = quality(points);
    let within = 100.0 * within;
    println!(
        "  {steps:>6}  {found:>6} of {HEAPS}  {within:>16.1} %  {deviation:>15.3}  {cost:>20.3}"
    );
}

/// How many heaps have at least half their share of the points, which share of the points
/// lies within three deviations of a heap's middle, and the deviation of these.
fn quality(points: &[[f64; 2]]) -> (usize, f64, f64) {
    let (mut counts, mut squares) = ([0; HEAPS], 0.0);
    for [x, y] in points {
        for (heap, count) in counts.iter_mut().enumerate() {
            let [u, v] = middle(heap);
            let distance = (x - u).hypot(y - v);
            if distance < 3.0 * DEVIATION {
                *count += 1;
                squares += distance * distance;
            }
        }
    }
    let found = counts.iter().filter(|&&count| 2 * HEAPS * count >= points.len()).count();
    let within = counts.iter().sum::<usize>() as f64;
    (found, within / points.len() as f64, (squares / (2.0 * within)).sqrt())
}
