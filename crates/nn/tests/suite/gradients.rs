//! Gradients of layers with losses against central differences.

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::loss::{cross_entropy, cross_entropy_sum, mse, quadratic_cost, squared_error};
use wengert_nn::random::MatlabRng;
use wengert_nn::{
    Layer, LeakyRelu, Linear, Module, Relu, Sequential, Sigmoid, Softmax, Softplus, Tanh,
    sequential,
};

/// Compares every partial derivative with a central difference.
fn check<M: Module<f64>>(mut net: M, cost: impl for<'t> Fn(&M, &'t Tape<f64>) -> Var<'t, f64>) {
    let tape = Tape::new();
    let gradient = net.gradient_vector(&cost(&net, &tape).backward());
    let point = net.parameter_vector();
    assert_eq!(gradient.len(), point.len());
    let step = 1e-6;
    for (i, derivative) in gradient.into_iter().enumerate() {
        let mut at = |offset: f64| {
            let mut moved = point.clone();
            moved[i] += offset;
            net.set_parameter_vector(&moved);
            cost(&net, &Tape::new()).item()
        };
        let difference = (at(step) - at(-step)) / (2.0 * step);
        assert!(
            (difference - derivative).abs() <= 1e-8 * (1.0 + derivative.abs()),
            "parameter {i}: derivative {derivative}, difference {difference}"
        );
    }
}

const BATCH: [[f64; 3]; 4] =
    [[0.1, 0.7, -0.3], [0.9, -0.2, 0.4], [-0.5, 0.3, 0.8], [0.6, 0.6, -0.1]];
const TARGETS: [[f64; 2]; 4] = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]];

fn linear() -> Linear<f64> {
    Linear::new(3, 2, &mut MatlabRng::new(1))
}

#[test]
fn of_a_linear_layer() {
    check(linear(), |net, tape| {
        quadratic_cost(net.forward(tape.constant(BATCH)), tape.constant(TARGETS))
    });
    check(linear(), |net, tape| {
        quadratic_cost(net.forward(tape.constant(BATCH[0])), tape.constant(TARGETS[0]))
    });
    check(linear().without_bias(), |net, tape| {
        squared_error(net.forward(tape.constant(BATCH)), tape.constant(TARGETS))
    });
    // More leading axes than one.
    check(linear(), |net, tape| {
        let x = tape.constant(Tensor::from([[BATCH[0], BATCH[1]], [BATCH[2], BATCH[3]]]));
        let y = tape.constant(Tensor::from([[TARGETS[0], TARGETS[1]], [TARGETS[2], TARGETS[3]]]));
        mse(net.forward(x), y)
    });
}

#[test]
fn of_a_layer_used_twice() {
    let square = Linear::<f64>::new(3, 3, &mut MatlabRng::new(2));
    check(square, |net, tape| {
        let x = tape.constant(BATCH);
        mse(net.forward(net.forward(x).tanh()), x)
    });
}

#[test]
fn of_a_deep_net_with_every_activation() {
    let rng = &mut MatlabRng::new(3);
    let net: Sequential<f64> = sequential![
        Linear::new(3, 4, rng),
        Sigmoid,
        Linear::new(4, 4, rng),
        Tanh,
        Linear::new(4, 4, rng),
        Relu,
        Linear::new(4, 4, rng),
        LeakyRelu(0.01),
        Linear::new(4, 3, rng),
        Softplus,
        Linear::new(3, 2, rng),
        Softmax(-1),
    ];
    check(net, |net, tape| mse(net.forward(tape.constant(BATCH)), tape.constant(TARGETS)));
}

#[test]
fn of_cross_entropy() {
    let labels = [1, 0, 0, 1];
    check(linear(), |net, tape| cross_entropy(net.forward(tape.constant(BATCH)), &labels));
    check(linear(), |net, tape| cross_entropy_sum(net.forward(tape.constant(BATCH)), &labels));
    check(linear(), |net, tape| cross_entropy(net.forward(tape.constant(BATCH[0])), &[1]));
}

#[test]
fn a_batch_gives_what_its_samples_give() {
    let (net, tape) = (linear(), Tape::new());
    let batch = net.forward(tape.constant(BATCH)).value().to_vec();
    let singly = BATCH.iter().flat_map(|&x| net.forward(tape.constant(x)).value().to_vec());
    for (a, b) in batch.into_iter().zip(singly) {
        assert!((a - b).abs() < 1e-15);
    }
}

#[test]
#[should_panic(expected = "[2] times the transpose of [2, 3]: the last extents 2 and 3 differ")]
fn a_vector_of_another_length_is_refused() {
    linear().forward(Tape::new().constant([1.0, 2.0]));
}

#[test]
#[should_panic(expected = "are not [outputs, inputs] and [outputs]")]
fn parts_that_do_not_fit_are_refused() {
    Linear::from_parts([[1.0, 2.0]], [0.0, 0.0]);
}
