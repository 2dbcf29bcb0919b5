//! A physics-informed network: a function with `u'' + u = 0`, `u(0) = 0` and `u'(0) = 1`, which is the
//! sine. Second derivatives in a loss are two calls of `grad`.

use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

#[test]
fn a_network_becomes_the_sine() -> Result<(), Box<dyn std::error::Error>> {
    let rng = &mut MatlabRng::new(1);
    let mut net = sequential![
        Linear::new(1, 16, rng),
        Tanh,
        Linear::new(16, 16, rng),
        Tanh,
        Linear::new(16, 1, rng)
    ];
    let mut adam = Adam::new(0.01);
    let x = Tensor::from_fn([32, 1], |i| 3.0 * i as f64 / 31.0);
    let mut step = TrainStep::compile(
        &net,
        &adam,
        |x| {
            let u = net.forward(x);
            let [slope] = u.sum().grad([x]);
            let [curvature] = slope.sum().grad([x]);
            let (u0, slope0) = (u.slice(0, ..1), slope.slice(0, ..1));
            (curvature + u).square().mean() + u0.square().sum() + (slope0 - 1.0).square().sum()
        },
        &x,
    )?;
    for k in 0..2000 {
        step.set_rate(0.01 * 0.998_f64.powi(k));
        step.run(&x);
    }
    step.store(&mut net, &mut adam);
    let between = Tensor::from_fn([60, 1], |i| 0.05 * i as f64);
    let tape = Tape::new();
    let error = (net.forward(tape.constant(&between)) - between.map(f64::sin)).abs().max_over(..);
    assert!(error.item() < 1e-3, "{}", error.item());
    Ok(())
}
