//! Autoencoders: `min sum |x - G(F(x))|^2` over networks F from 64 pixels to two numbers, the
//! code, and G back.
//!
//! If F and G are linear, the minimum is known: the code is that of the two principal
//! components, and the error is the sum of the covariance's other eigenvalues (Eckart & Young).
//! Training finds it. Networks of several layers restore more from as little, and their code
//! keeps apart what the linear one mixes up.

use std::error::Error;
use std::path::Path;

use support::figures::pictures::{Image, Plane, Tone, images, planes};
use wengert::nn::optim::Lbfgs;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

use crate::digits::{self, Digits, PIXELS, SIDE, image};

/// Numbers of a code: as many as a picture has axes.
const CODE: usize = 2;
/// Steps of L-BFGS: enough for the linear network to come to its minimum; and for the deep
/// one about as many as still serve other images.
const STEPS: [usize; 2] = [1500, 600];

#[derive(Module)]
struct Autoencoder {
    encoder: Sequential<f64>,
    decoder: Sequential<f64>,
}

impl Autoencoder {
    fn linear(rng: &mut MatlabRng) -> Self {
        Self {
            encoder: sequential![Linear::new(PIXELS, CODE, rng)],
            decoder: sequential![Linear::new(CODE, PIXELS, rng)],
        }
    }

    fn deep(rng: &mut MatlabRng) -> Self {
        let mut layer = |inputs, outputs| Linear::new(inputs, outputs, rng);
        let encoder = sequential![layer(PIXELS, 48), Tanh, layer(48, 24), Tanh, layer(24, CODE)];
        let decoder = sequential![layer(CODE, 24), Tanh, layer(24, 48), Tanh, layer(48, PIXELS)];
        Self { encoder, decoder }
    }

    fn code<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        self.encoder.forward(x)
    }

    fn restore<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        self.decoder.forward(self.code(x))
    }

    /// The mean of `|x - G(F(x))|^2` over the images.
    fn error<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        mse(self.restore(x), x) * PIXELS as f64
    }
}

pub fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    let rng = &mut MatlabRng::new(8);
    let ((seen, _), unseen) = digits::read(rng)?;
    println!("Autoencoder: {PIXELS} pixels to {CODE} numbers and back, |x - G(F(x))|^2");
    println!("                                  trained on    others");
    let [all, rest] = principal(&seen);
    println!("  always the mean image               {all:6.3}");
    println!("  principal components, closed form   {rest:6.3}");
    let mut nets = Vec::new();
    let linear = ("linear", Autoencoder::linear(rng));
    let deep = ("three layers each", Autoencoder::deep(rng));
    for ((name, mut net), steps) in [linear, deep].into_iter().zip(STEPS) {
        let method = Lbfgs::new().pairs(30).budget(steps);
        method.run(&mut net, |net, tape| net.error(tape.constant(&seen)));
        let tape = Tape::new();
        let [here, there] = [&seen, &unseen.0].map(|x| net.error(tape.constant(x)).item());
        println!("  {name:<34}  {here:6.3}    {there:6.3}");
        nets.push((name, net));
    }
    draw(out, &unseen, &nets)
}

/// The mean of `|x - mean|^2`, and what the best linear code leaves of it: the sum of
/// all eigenvalues of the covariance, and of those but the largest.
fn principal(x: &Tensor<f64>) -> [f64; 2] {
    let tape = Tape::new();
    let x = tape.constant(x);
    let z = x - x.mean_keep(0);
    let values = (z.transpose().matmul(z) / x.shape()[0] as f64).eigh().0.value().to_vec();
    // They come in ascending order.
    [values.iter().sum(), values[..PIXELS - CODE].iter().sum()]
}

/// Draws the codes of digits that were not trained on, and one digit of each kind, restored.
fn draw(
    out: &Path,
    (x, labels): &Digits,
    nets: &[(&str, Autoencoder)],
) -> Result<(), Box<dyn Error>> {
    let tape = Tape::new();
    let on_tape = tape.constant(x);
    let mut drawn: Vec<Plane> = nets
        .iter()
        .map(|(title, net)| {
            let codes = net.code(on_tape).value();
            let mut groups = vec![Vec::new(); 10];
            for (&code, &label) in codes.to_vec().as_chunks().0.iter().zip(labels) {
                groups[label].push(code);
            }
            Plane::new(title, groups)
        })
        .collect();
    // The same colours everywhere.
    drawn[0].legend = (0..10).map(|digit| digit.to_string()).collect();
    planes(out, "codes", &drawn)?;

    let chosen = (0..10).filter_map(|digit| labels.iter().position(|&label| label == digit));
    let chosen: Vec<usize> = chosen.collect();
    let row = |x: &Tensor<f64>| -> Vec<Image> {
        let picture = |&index: &usize| Image {
            pixels: image(x, index),
            width: SIDE,
            tone: Tone::Ink,
            caption: String::new(),
        };
        chosen.iter().map(picture).collect()
    };
    let mut rows = vec![("as written", row(x))];
    rows.extend(nets.iter().map(|(name, net)| (*name, row(&net.restore(on_tape).value()))));
    images(out, "restored", &rows)?;
    Ok(())
}
