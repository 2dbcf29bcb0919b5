//! A neural ordinary differential equation: a network that moves a state, learned from where a state
//! was. Steps of Runge and Kutta are differentiated with a few states kept. What it learns from is an
//! oscillator, `(cos t, -sin t)`.

use wengert::checkpoint::Steps;
use wengert::nn::init::uniform;
use wengert::nn::random::seeded;
use wengert::prelude::*;

fn field<'t>(z: Var<'t, f64>, [w, b, v, c]: [Var<'t, f64>; 4]) -> Var<'t, f64> {
    (z.matmul(w) + b).tanh().matmul(v) + c
}

/// A step of the classical method of fourth order.
fn step<'t>(z: Var<'t, f64>, weights: [Var<'t, f64>; 4], h: f64) -> Var<'t, f64> {
    let k1 = field(z, weights);
    let k2 = field(z + h / 2.0 * k1, weights);
    let k3 = field(z + h / 2.0 * k2, weights);
    let k4 = field(z + h * k3, weights);
    z + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
}

#[test]
fn a_network_learns_to_turn() {
    let rng = &mut seeded(1);
    let shapes = [[2, 16], [1, 16], [16, 2], [1, 2]];
    let mut net = shapes.map(|shape| Param::new(uniform(shape, -0.5, 0.5, rng)));
    let steps = Steps::new(|_, [z], weights| [step(z, weights, 0.1)]).keep(3);
    let truth = |k: usize| Tensor::from([[(0.1 * k as f64).cos(), -(0.1 * k as f64).sin()]]);
    let (mut adam, mut tape) = (Adam::new(0.02), Tape::new());
    for _ in 0..400 {
        tape.reset();
        let weights = net.each_ref().map(|weight| weight.on(&tape));
        let (mut z, mut loss) = (tape.constant(truth(0)), tape.constant(0.0));
        for k in (5..=60).step_by(5) {
            [z] = steps.run(5, [z], weights);
            loss += (z - truth(k)).square().sum();
        }
        adam.step(&mut net, &loss.backward());
    }
    // At times that it was not told, and from another start on the circle.
    let tape = Tape::new();
    let (weights, mut z) = (net.each_ref().map(|weight| weight.on(&tape)), tape.constant(truth(2)));
    for k in (5..=50).step_by(3) {
        [z] = steps.run(3, [z], weights);
        let error = (z - truth(k)).norm(..).item();
        assert!(error < 0.05, "{error} after {k} steps");
    }
    assert!(steps.peak() < 100_000, "{} bytes", steps.peak());
}
