//! The paper's small experiment (section 6), its first steps: the same start, the
//! same points in the same order, the same costs.

use wengert_core::{Tape, Tensor};
use wengert_nn::loss::{quadratic_cost, squared_error};
use wengert_nn::random::MatlabRng;
use wengert_nn::sample::WithReplacement;
use wengert_nn::{Layer, Linear, Module, Sequential, Sgd, Sigmoid, sequential};

const POINTS: [[f64; 2]; 10] = [
    [0.1, 0.1],
    [0.3, 0.4],
    [0.1, 0.5],
    [0.6, 0.9],
    [0.4, 0.2],
    [0.6, 0.3],
    [0.5, 0.6],
    [0.9, 0.2],
    [0.4, 0.4],
    [0.7, 0.6],
];

fn targets() -> [[f64; 2]; 10] {
    std::array::from_fn(|i| if i < 5 { [1.0, 0.0] } else { [0.0, 1.0] })
}

/// `0.5*randn` in the listing's order, W2, W3, W4, b2, b3, b4, column by column.
fn start(rng: &mut MatlabRng) -> Sequential<f64> {
    let mut draw = |count: usize| Vec::from_iter((0..count).map(|_| 0.5 * rng.randn()));
    let mut weight = |rows, columns| Tensor::new([columns, rows], draw(rows * columns)).transpose();
    let (w2, w3, w4) = (weight(2, 2), weight(3, 2), weight(2, 3));
    let (b2, b3, b4) = (draw(2), draw(3), draw(2));
    sequential![
        Linear::from_parts(w2, b2),
        Sigmoid,
        Linear::from_parts(w3, b3),
        Sigmoid,
        Linear::from_parts(w4, b4),
        Sigmoid,
    ]
}

#[test]
fn the_first_steps_have_the_published_costs() {
    let mut rng = MatlabRng::new(5000);
    let mut net = start(&mut rng);
    let sampler = WithReplacement::new(10);
    let mut sgd = Sgd::new(0.05);
    let mut tape = Tape::new();
    let mut costs = Vec::new();
    for _ in 0..10 {
        tape.reset();
        let i = sampler.draw(&mut rng);
        let y = tape.constant(targets()[i]);
        let cost = quadratic_cost(net.forward(tape.constant(POINTS[i])), y);
        sgd.step(&mut net, &cost.backward());
        tape.reset();
        let y = tape.constant(targets());
        costs.push(squared_error(net.forward(tape.constant(POINTS)), y).item());
    }
    for (step, expected) in [
        (1, 5.32431031504514),
        (2, 5.32006419474669),
        (3, 5.31601597767408),
        (5, 5.30864941264743),
        (10, 5.29368084387954),
    ] {
        let cost: f64 = costs[step - 1];
        assert!((cost - expected).abs() < 1e-13, "step {step}: {cost}, expected {expected}");
    }
}

#[test]
fn the_start_has_the_published_cost_and_gradient() {
    let net = start(&mut MatlabRng::new(5000));
    let tape = Tape::new();
    let output = net.forward(tape.constant(POINTS));
    let cost = quadratic_cost(output, tape.constant(targets()));
    assert!((cost.item() - 0.26644084849506907).abs() < 1e-15);
    let gradient = net.gradient_vector(&cost.backward());
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    assert!((norm - 0.057326568587641).abs() < 1e-14);
    // W2 row by row, then b2
    let expected = [
        6.510520139953e-04,
        3.128913642645e-04,
        2.176885653521e-03,
        3.501170158621e-04,
        7.536810777423e-04,
        7.953537015878e-04,
    ];
    for (derivative, expected) in gradient.iter().zip(expected) {
        assert!((derivative - expected).abs() < 1e-15);
    }
}
