//! Each optimiser against ten steps of its published recurrence, in plain loops; saved and
//! restored half-way.

use wengert_core::Tape;
use wengert_nn::optim::{
    AdaDelta, AdaGrad, AdamW, Average, Lion, NAdam, Optimiser, RmsProp, Rule, gradient_norm,
};
use wengert_nn::{Module, Param, Sgd};

use crate::optim::{START, assert_compiled_is_recorded, cost, gradient};

const RATE: f64 = 0.05;

/// Ten steps beside a plain loop, which is given an element, three numbers that it may
/// remember, the gradient, and the step from 1 on. After the fifth, the optimiser is saved and
/// another one goes on. The rate's multiplier is 2, that of decay 0.5.
fn compare<R: Rule>(
    new: impl Fn() -> Optimiser<f64, R>,
    mut plain: impl FnMut(&mut f64, &mut [f64; 3], f64, i32),
) {
    let mut param = Param::new(START).with_rate(2.0).with_decay(0.5);
    let mut optimiser = new();
    let (mut w, mut memory) = (START, [[0.0; 3]; 3]);
    for step in 1..=10 {
        let tape = Tape::new();
        let gradients = cost(&param, &tape).backward();
        optimiser.step(&mut param, &gradients);
        let g = gradient(&w);
        for i in 0..3 {
            plain(&mut w[i], &mut memory[i], g[i], step);
        }
        for (a, b) in param.elements().iter().zip(w) {
            assert!((a - b).abs() < 1e-12, "step {step}: {a}, expected {b}");
        }
        if step == 5 {
            let mut resumed = new();
            let state = optimiser.state_dict(&param);
            resumed.load_state_dict(&param, &state, optimiser.steps()).unwrap();
            optimiser = resumed;
        }
    }
    assert_compiled_is_recorded(new());
}

#[test]
fn momentum_with_the_rate_in_the_velocity() {
    // A changed rate acts on gradients to come, so the two conventions part here.
    let run = |inside: bool| {
        let mut param = Param::new(START);
        let mut sgd = Sgd::new(0.1).momentum(0.9).rate_in_velocity(inside);
        for rate in [0.1, 0.1, 0.01, 0.01] {
            let tape = Tape::new();
            sgd.set_rate(rate);
            let gradients = cost(&param, &tape).backward();
            sgd.step(&mut param, &gradients);
        }
        param.elements().to_vec()
    };
    assert_ne!(run(true), run(false));
    compare(
        || Sgd::new(RATE).momentum(0.9).rate_in_velocity(true).weight_decay(0.1),
        |w, [v, ..], g, _| {
            *v = 0.9 * *v - 2.0 * RATE * (g + 0.05 * *w);
            *w += *v;
        },
    );
}

/// Sutskever et al., "On the importance of initialization and momentum" (2013), (3)-(4), in
/// the place where gradients are taken.
#[test]
fn nesterov_s_momentum_with_the_rate_in_the_velocity() {
    compare(
        || Sgd::new(RATE).momentum(0.9).nesterov(true).rate_in_velocity(true),
        |w, [v, ..], g, _| {
            let before = *v;
            *v = 0.9 * *v - 2.0 * RATE * g;
            *w += *v + 0.9 * (*v - before);
        },
    );
}

#[test]
fn adamw() {
    compare(
        || AdamW::new(RATE).weight_decay(0.1),
        |w, [m, v, _], g, t| {
            let rate = 2.0 * RATE;
            *w *= 1.0 - rate * 0.1 * 0.5;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let (m, v) = (*m / (1.0 - 0.9_f64.powi(t)), *v / (1.0 - 0.999_f64.powi(t)));
            *w -= rate * m / (v.sqrt() + 1e-8);
        },
    );
}

#[test]
fn nadam() {
    for psi in [0.004, 0.5] {
        let mut products = [1.0; 3];
        let mut element = 0;
        compare(
            || NAdam::new(RATE).betas(0.8, 0.9).epsilon(1e-6).momentum_decay(psi),
            |w, [m, v, _], g, t| {
                let momentum = |t: i32| 0.8 * (1.0 - 0.5 * 0.96_f64.powf(f64::from(t) * psi));
                // The elements come in turn, and each has followed the product from the start.
                let product = &mut products[element];
                element = (element + 1) % 3;
                *product *= momentum(t);
                *m = 0.8 * *m + 0.2 * g;
                *v = 0.9 * *v + 0.1 * g * g;
                let scale = (*v / (1.0 - 0.9_f64.powi(t))).sqrt() + 1e-6;
                *w -= 2.0 * RATE * (1.0 - momentum(t)) / (1.0 - *product) * g / scale;
                let ahead = momentum(t + 1);
                *w -= 2.0 * RATE * ahead / (1.0 - *product * ahead) * *m / scale;
            },
        );
    }
}

/// What `torch.optim.NAdam(lr=0.05)` makes of ten and of a hundred steps on the same cost.
#[test]
fn nadam_is_that_of_pytorch() {
    let expected = [
        (10, [0.5952187580730854, -1.6175808985577123, 0.128888677193427]),
        (100, [-0.8956349529708247, -0.6224543652409509, -0.326642405161076]),
    ];
    let (mut param, mut nadam, mut tape) = (Param::new(START), NAdam::new(RATE), Tape::new());
    for (steps, expected) in expected {
        while nadam.steps() < steps {
            tape.reset();
            let gradients = cost(&param, &tape).backward();
            nadam.step(&mut param, &gradients);
        }
        for (a, b) in param.elements().iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{steps} steps: {a}, expected {b}");
        }
    }
}

#[test]
fn adagrad() {
    compare(
        || AdaGrad::new(RATE),
        |w, [s, ..], g, _| {
            *s += g * g;
            *w -= 2.0 * RATE * g / (s.sqrt() + 1e-10);
        },
    );
}

#[test]
fn adadelta() {
    compare(
        || AdaDelta::new(1.0).keep(0.8),
        |w, [v, u, _], g, _| {
            *v = 0.8 * *v + 0.2 * g * g;
            let step = (*u + 1e-6).sqrt() / (*v + 1e-6).sqrt() * g;
            *u = 0.8 * *u + 0.2 * step * step;
            *w -= 2.0 * step;
        },
    );
}

#[test]
fn rmsprop() {
    for (momentum, centred) in [(0.0, false), (0.9, false), (0.0, true), (0.9, true)] {
        compare(
            || RmsProp::new(RATE).keep(0.9).momentum(momentum).centred(centred),
            |w, [v, m, b], g, _| {
                *v = 0.9 * *v + 0.1 * g * g;
                *m = 0.9 * *m + 0.1 * g;
                let spread = if centred { *v - *m * *m } else { *v };
                *b = momentum * *b + g / (spread.sqrt() + 1e-8);
                *w -= 2.0 * RATE * *b;
            },
        );
    }
}

#[test]
fn lion() {
    compare(
        || Lion::new(RATE).weight_decay(0.1),
        |w, [m, ..], g, _| {
            let sign = (0.9 * *m + 0.1 * g).signum();
            *w -= 2.0 * RATE * (sign + 0.05 * *w);
            *m = 0.99 * *m + 0.01 * g;
        },
    );
}

#[test]
fn clipping_looks_at_all_trained_parameters_that_the_cost_depends_on() {
    let mut net = (Param::new([3.0, 0.0]), Param::new([1.0]), Param::new([2.0]));
    net.1.set_trainable(false);
    let tape = Tape::new();
    let w = [&net.0, &net.1].map(|param| param.on(&tape));
    let gradients = (w[0] * w[1]).square().sum().backward();
    assert_eq!(gradient_norm(&net, &gradients), 6.0);
    // The rate is not clipped, nor is a gradient below the bound.
    Sgd::new(0.5).clip_norm(2.0).step(&mut net, &gradients);
    assert_eq!(net.parameter_vector(), [2.0, 0.0, 1.0, 2.0]);
    Sgd::new(0.5).clip_norm(6.0).step(&mut net, &gradients);
    assert_eq!(net.parameter_vector(), [-1.0, 0.0, 1.0, 2.0]);
    Sgd::new(0.5).clip_value(4.0).step(&mut net, &gradients);
    assert_eq!(net.parameter_vector(), [-3.0, 0.0, 1.0, 2.0]);
}

#[test]
fn averages_are_the_sum_with_falling_weights() {
    let mut net = (Param::new([1.0]), Param::buffer([0.0]));
    let mut average = Average::new(&net, 0.9);
    for step in 1..=5 {
        net.0.set([f64::from(step * step)]);
        net.1.set([f64::from(step)]);
        average.update(&net);
    }
    let expected: f64 = 0.9_f64.powi(5)
        + (1..=5).map(|k| 0.1 * 0.9_f64.powi(5 - k) * f64::from(k * k)).sum::<f64>();
    let state = average.state_dict(&net);
    assert!((state["0"].item() - expected).abs() < 1e-14);
    assert_eq!(state["1"].item(), 5.0);

    let mut resumed = Average::new(&net, 0.9);
    resumed.load_state_dict(&net, &state).unwrap();
    for average in [&mut average, &mut resumed] {
        average.update(&net);
    }
    assert_eq!(average.state_dict(&net), resumed.state_dict(&net));
}
