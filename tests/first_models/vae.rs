//! A variational autoencoder (Kingma & Welling, 2014), with its check. Its loss is what it takes to tell
//! a sample, in nats, and no model takes less than the entropy: of Gaussian data, a closed form.

use std::f64::consts::{E, TAU};

use wengert::nn::random::seeded;
use wengert::prelude::*;
use wengert::random::{Distribution::Normal, Rng, normals};

#[derive(Module)]
struct Vae {
    encoder: Sequential<f64>,
    decoder: Sequential<f64>,
    /// The logarithm of the variance of what the decoder leaves open.
    noise: Param<f64>,
}

impl Vae {
    fn new(rng: &mut impl Rng) -> Self {
        let encoder = sequential![Linear::new(4, 32, rng), Tanh, Linear::new(32, 4, rng)];
        let decoder = sequential![Linear::new(2, 32, rng), Tanh, Linear::new(32, 4, rng)];
        Self { encoder, decoder, noise: Param::new(0.0) }
    }

    fn loss<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let code = self.encoder.forward(x);
        let (mean, spread) = (code.slice(1, ..2), code.slice(1, 2..));
        let z = mean + (0.5 * spread).exp() * x.tape().sample(Normal, mean.shape());
        let noise = self.noise.on(x.tape());
        let error = (x - self.decoder.forward(z)).square() / noise.exp() + noise + TAU.ln();
        let divergence = mean.square() + spread.exp() - spread - 1.0;
        0.5 * (error.sum_over(1) + divergence.sum_over(1)).mean()
    }
}

#[test]
fn a_sample_takes_its_entropy() -> Result<(), wengert::nn::Error> {
    let rng = &mut seeded(1);
    // Two numbers of deviations 2 and 1 along orthogonal directions, and noise of deviation 0.3.
    let axes = Tensor::from([[1.0, 1.0, 1.0, 1.0], [0.5, -0.5, 0.5, -0.5]]);
    let mut data = |n: usize| {
        let tape = Tape::<f64>::new();
        let z = tape.constant(normals([n, 2], rng));
        (z.matmul(&axes) + 0.3 * tape.constant(normals([n, 4], rng))).value()
    };
    let entropy: f64 = [4.09, 1.09, 0.09, 0.09].map(|v: f64| 0.5 * (TAU * E * v).ln()).iter().sum();
    let (mut net, mut adam) = (Vae::new(&mut seeded(2)), Adam::new(0.003));
    check::module(&net, &data(8), |net, x| {
        x.tape().train(1);
        net.loss(x)
    })
    .assert();
    let mut step = TrainStep::compile(&net, &adam, |x| net.loss(x), &data(128))?;
    for k in 0..5000 {
        step.set_rate(0.005 * 0.9994_f64.powi(k));
        step.run(&data(128));
    }
    step.store(&mut net, &mut adam);
    let tape = Tape::new();
    tape.train(2);
    let loss = net.loss(tape.constant(data(20_000))).item();
    assert!((entropy - 0.05..entropy + 0.1).contains(&loss), "{loss} nats of {entropy}");
    Ok(())
}
