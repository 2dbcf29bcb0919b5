//! A physics-informed network: a function with `u'' + u = 0`, `u(0) = 0` and `u'(0) = 1`, which is the
//! sine. Second derivatives in a loss are two calls of `grad`.

use wengert::nn::random::seeded;
use wengert::prelude::*;

#[test]
fn a_network_becomes_the_sine() -> Result<(), Box<dyn std::error::Error>> {
    let rng = &mut seeded(1);
    let (first, second) = (Linear::new(1, 16, rng), Linear::new(16, 16, rng));
    let mut net = sequential![first, Tanh, second, Tanh, Linear::new(16, 1, rng)];
    let mut adam = Adam::new(0.01);
    let loss = func(|x| {
        let u = net.forward(x);
        let [slope] = u.sum().grad([x]);
        let [curvature] = slope.sum().grad([x]);
        let start = u.slice(0, ..1).square().sum() + (slope.slice(0, ..1) - 1.0).square().sum();
        (curvature + u).square().mean() + start
    });
    let x = Tensor::from_fn([32, 1], |i| 3.0 * i as f64 / 31.0);
    let mut step = TrainStep::compile(&net, &adam, loss, &x)?;
    for k in 0..2000 {
        step.set_rate(0.01 * 0.998_f64.powi(k));
        step.run(&x);
    }
    step.store(&mut net, &mut adam);
    // Between the points that it was trained at.
    let (tape, x) = (Tape::new(), Tensor::from_fn([60, 1], |i| 0.05 * i as f64));
    let error = (net.forward(tape.constant(&x)) - x.map(f64::sin)).abs().max_over(..).item();
    assert!(error < 1e-3, "{error}");
    Ok(())
}
