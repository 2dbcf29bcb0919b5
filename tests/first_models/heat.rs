//! The heat equation `u_t = u_xx` in a rod with cold ends, by a network of place and time: derivatives
//! with respect to the inputs are tangents, and tangents of tangents. From `u(x, 0) = sin x`, heat
//! decays as `exp(-t) sin x`.

use std::f64::consts::PI;

use wengert::nn::random::seeded;
use wengert::prelude::*;

/// The network, between what holds at the beginning and at the ends.
fn heat<'t>(net: &Sequential<f64>, x: Var<'t, f64>, t: Var<'t, f64>) -> Var<'t, f64> {
    x.sin() + t * x * (PI - x) * net.forward(concat(&[x, t], 1))
}

#[test]
fn a_network_cools_as_the_rod_does() -> Result<(), Box<dyn std::error::Error>> {
    let rng = &mut seeded(1);
    let (first, second) = (Linear::new(2, 16, rng), Linear::new(16, 16, rng));
    let mut net = sequential![first, Tanh, second, Tanh, Linear::new(16, 1, rng)];
    let mut adam = Adam::new(0.01);
    let loss = func_n(|[x, t]| {
        let (u, one) = (heat(&net, x, t), x.tape().constant(Tensor::ones([64, 1])));
        let (by_t, by_x) = (u.jvp(&[(t, one)]), u.jvp(&[(x, one)]));
        (by_t - by_x.jvp(&[(x, one)])).square().mean()
    });
    let x = Tensor::from_fn([64, 1], |i| PI * (i % 8) as f64 / 7.0);
    let t = Tensor::from_fn([64, 1], |i| (i / 8) as f64 / 7.0);
    let mut step = TrainStep::compile(&net, &adam, loss, [&x, &t])?;
    for k in 0..2000 {
        step.set_rate(0.01 * 0.998_f64.powi(k));
        step.run([&x, &t]);
    }
    step.store(&mut net, &mut adam);
    let tape = Tape::new();
    for (x, t) in [(0.5, 0.3), (1.5, 0.55), (2.2, 0.9), (PI / 2.0, 1.0)] {
        let u = heat(&net, tape.constant([[x]]), tape.constant([[t]])).item();
        assert!((u - (-t).exp() * x.sin()).abs() < 2e-3, "{u} at {x}, {t}");
    }
    Ok(())
}
