//! Steps of the optimisers against plain loops.

use indexmap::IndexMap;
use wengert_core::random::Distribution;
use wengert_core::{Tape, Tensor, Var};
use wengert_nn::loss::quadratic_cost;
use wengert_nn::optim::{Descent, Optimiser, Rule, StopReason};
use wengert_nn::random::MatlabRng;
use wengert_nn::{
    Adam, BatchNorm, Dropout, Layer, Linear, Module, Param, Sequential, Sgd, TrainStep, sequential,
};

pub const START: [f64; 3] = [1.0, -2.0, 0.5];
const CURVATURE: [f64; 3] = [0.7, 1.3, 2.9];

/// A cost whose gradient is known: sum(c w^2 / 2 + sin w).
pub fn cost<'t>(param: &Param<f64>, tape: &'t Tape<f64>) -> Var<'t, f64> {
    let w = param.on(tape);
    (w * w * tape.constant(CURVATURE) * 0.5 + w.sin()).sum()
}

pub fn gradient(w: &[f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| CURVATURE[i] * w[i] + w[i].cos())
}

/// Ten steps of an optimiser beside ten of a plain loop, which is given the
/// weights, velocity and gradient.
fn compare(
    mut sgd: Sgd<f64>,
    mut param: Param<f64>,
    mut plain: impl FnMut(&mut f64, &mut f64, f64, usize),
    mut before_step: impl FnMut(&mut Sgd<f64>, usize),
) {
    let (mut w, mut v) = (START, [0.0; 3]);
    let mut tape = Tape::new();
    for step in 0..10 {
        before_step(&mut sgd, step);
        tape.reset();
        let gradients = cost(&param, &tape).backward();
        sgd.step(&mut param, &gradients);
        let g = gradient(&w);
        for i in 0..3 {
            plain(&mut w[i], &mut v[i], g[i], step);
        }
        for (a, b) in param.elements().iter().zip(w) {
            assert!((a - b).abs() < 1e-12, "step {step}: {a}, expected {b}");
        }
    }
}

#[test]
fn plain_steps() {
    compare(Sgd::new(0.1), Param::new(START), |w, _, g, _| *w -= 0.1 * g, |_, _| {});
}

#[test]
fn steps_with_decay() {
    compare(
        Sgd::new(0.1).weight_decay(0.01),
        Param::new(START),
        |w, _, g, _| *w -= 0.1 * (g + 0.01 * *w),
        |_, _| {},
    );
}

/// The recurrence as MatConvNet writes it, with the velocity's sign turned and the
/// rate at its use; the rate changes half-way.
#[test]
fn momentum_with_decay_multipliers_and_a_schedule() {
    let rate = |step| if step < 5 { 0.1 } else { 0.01 };
    compare(
        Sgd::new(1.0).momentum(0.9).weight_decay(1e-2),
        Param::new(START).with_rate(2.0).with_decay(0.5),
        |w, v, g, step| {
            *v = 0.9 * *v - (1e-2 * 0.5) * *w - g;
            *w += rate(step) * 2.0 * *v;
        },
        |sgd, step| sgd.set_rate(rate(step)),
    );
}

/// MatConvNet's form: the weights move by `m v - g` with the new velocity.
#[test]
fn nesterov_momentum() {
    compare(
        Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(0.01),
        Param::new(START),
        |w, v, g, _| {
            let g = g + 0.01 * *w;
            *v = 0.9 * *v - g;
            *w += 0.1 * (0.9 * *v - g);
        },
        |_, _| {},
    );
}

#[test]
fn gradients_of_transposed_weights_are_read_in_order() {
    let mut layer = Linear::<f64>::new(3, 2, &mut MatlabRng::new(1)).without_bias();
    let before = layer.parameter_vector();
    let tape = Tape::new();
    let x = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    // d sum(x W^T) / dW[j, k] = sum_i x[i, k]
    let loss = layer.forward(tape.constant(x)).sum();
    Sgd::new(0.5).step(&mut layer, &loss.backward());
    let moved = [5.0, 7.0, 9.0, 5.0, 7.0, 9.0].map(|g| 0.5 * g);
    for ((after, before), moved) in layer.parameter_vector().iter().zip(before).zip(moved) {
        assert!((after - (before - moved)).abs() < 1e-15);
    }
}

#[test]
fn parameters_out_of_the_cost_keep_still() {
    let mut net = (Param::new(1.0), Param::new(2.0));
    let mut sgd = Sgd::new(0.1).momentum(0.9).weight_decay(0.1);
    for used in [0, 1, 0] {
        let tape = Tape::new();
        let param = if used == 0 { &net.0 } else { &net.1 };
        let gradients = param.on(&tape).square().backward();
        let before = net.parameter_vector();
        sgd.step(&mut net, &gradients);
        let after = net.parameter_vector();
        assert_ne!(after[used], before[used]);
        assert_eq!(after[1 - used], before[1 - used]);
    }
}

#[test]
fn a_saved_run_goes_on_as_if_never_stopped() {
    let step = |net: &mut Linear<f64>, sgd: &mut Sgd<f64>| {
        let tape = Tape::new();
        let loss = net.forward(tape.constant([[1.0, -1.0], [0.5, 2.0]])).square().sum();
        sgd.step(net, &loss.backward());
    };
    let new = || Sgd::new(0.01).momentum(0.9);
    let (mut net, mut sgd) = (Linear::new(2, 2, &mut MatlabRng::new(1)), new());
    step(&mut net, &mut sgd);
    let (state, velocities) = (net.state_dict(), sgd.state_dict(&net));
    assert!(velocities.keys().eq(["weight.velocity", "bias.velocity"]));

    let (mut resumed, mut fresh) = (Linear::new(2, 2, &mut MatlabRng::new(2)), new());
    resumed.load_state_dict(&state).unwrap();
    fresh.load_state_dict(&resumed, &velocities, sgd.steps()).unwrap();
    for _ in 0..3 {
        step(&mut net, &mut sgd);
        step(&mut resumed, &mut fresh);
    }
    assert_eq!(net.parameter_vector(), resumed.parameter_vector());

    let wrong = IndexMap::from([("gain".to_owned(), Tensor::zeros([2]))]);
    let error = fresh.load_state_dict(&resumed, &wrong, 0).unwrap_err();
    assert_eq!((error.missing.len(), error.unexpected.len()), (0, 1));
}

/// The quadratic w^2: a step multiplies w by 1 - 2 rate.
fn square<'t>(param: &Param<f64>, tape: &'t Tape<f64>) -> Var<'t, f64> {
    param.on(tape).square()
}

#[test]
fn descent_says_why_it_stops() {
    let run = |descent: Descent| {
        let mut param = Param::new(1.0);
        let outcome = descent.run(&mut param, square);
        // What is reported belongs to the parameters left behind.
        let w = param.value().item();
        assert!(outcome.cost == w * w || !w.is_finite());
        outcome
    };
    let outcome = run(Descent::new(0.25).budget(7));
    assert_eq!((outcome.reason, outcome.steps), (StopReason::Budget, 7));
    assert_eq!(outcome.cost, 0.25_f64.powi(7));
    assert_eq!(outcome.gradient_norm, 2.0 * 0.5_f64.powi(7));
    assert_eq!(outcome.cost_change, Some(0.25_f64.powi(7) - 0.25_f64.powi(6)));

    let outcome = run(Descent::new(0.25).gradient_tolerance(0.01));
    assert_eq!((outcome.reason, outcome.steps), (StopReason::GradientTolerance, 8));

    // With rate 1, w flips its sign and the cost stays as it is.
    let outcome = run(Descent::new(1.0).cost_tolerance(1e-9));
    assert_eq!((outcome.reason, outcome.steps), (StopReason::CostTolerance, 1));

    let outcome = run(Descent::new(10.0).budget(usize::MAX));
    assert_eq!(outcome.reason, StopReason::NotFinite);

    let outcome = run(Descent::new(0.25).budget(0));
    assert_eq!((outcome.reason, outcome.steps, outcome.cost_change), (StopReason::Budget, 0, None));
}

/// A compiled step gives the bits of the recorded one.
pub fn assert_compiled_is_recorded<R: Rule>(mut optimiser: Optimiser<f64, R>) {
    let batch = |k: usize| {
        let x = Tensor::from_fn([5, 3], |i| ((i * 31 + k * 7) as f64).sin());
        let y = Tensor::from_fn([5, 2], |i| ((i * 17 + k) as f64).cos());
        (x, y)
    };
    let rng = &mut MatlabRng::new(7);
    // Long and short parameters, multipliers, a frozen one.
    let mut net = (Linear::<f64>::new(3, 40, rng), Linear::<f64>::new(40, 2, rng));
    net.0.bias.as_mut().unwrap().set_rate(2.0);
    net.0.bias.as_mut().unwrap().set_decay(0.0);
    net.1.bias.as_mut().unwrap().set_trainable(false);
    let start = net.state_dict();
    let (x, y) = batch(0);
    let mut step = TrainStep::compile_monitored(
        &net,
        &optimiser,
        |(x, y)| quadratic_cost(net.1.forward(net.0.forward(x).tanh()), y),
        (&x, &y),
        |tape| net.0.weight.on(tape).square().sum(),
    )
    .unwrap();
    let rate = |k: usize| 0.1 / (1.0 + (k / 3) as f64);
    let mut compiled_optimiser = optimiser.clone();
    let losses: Vec<f64> = (0..6)
        .map(|k| {
            step.set_rate(rate(k));
            let (x, y) = batch(k);
            step.run((&x, &y))
        })
        .collect();
    let monitored = step.monitored();
    step.store(&mut net, &mut compiled_optimiser);
    let compiled = net.state_dict();
    // The monitor sees the parameters after the update.
    let moved = net.0.weight.on(&Tape::new()).square().sum().item();
    assert_eq!(monitored, Some(moved));

    net.load_state_dict(&start).unwrap();
    let mut tape = Tape::new();
    for (k, &loss) in losses.iter().enumerate() {
        tape.reset();
        let (x, y) = batch(k);
        let (x, y) = (tape.constant(x), tape.constant(y));
        let cost = quadratic_cost(net.1.forward(net.0.forward(x).tanh()), y);
        assert_eq!(cost.item(), loss);
        optimiser.set_rate(rate(k));
        optimiser.step(&mut net, &cost.backward());
    }
    for (name, value) in net.state_dict() {
        assert_eq!(value.to_vec(), compiled[&name].to_vec(), "{name}");
    }
    assert_eq!(optimiser.steps(), compiled_optimiser.steps());
    assert_eq!(optimiser.state_dict(&net), compiled_optimiser.state_dict(&net));
}

#[test]
fn compiled_steps_are_the_recorded_ones() {
    assert_compiled_is_recorded(Sgd::new(0.1));
    assert_compiled_is_recorded(Sgd::new(0.1).weight_decay(0.01));
    assert_compiled_is_recorded(Sgd::new(0.1).momentum(0.9).weight_decay(0.01));
    assert_compiled_is_recorded(Sgd::new(0.1).momentum(0.8).nesterov(true));
    assert_compiled_is_recorded(Adam::new(0.1).betas(0.8, 0.9).epsilon(1e-6));
    // A norm that some steps reach and others do not.
    assert_compiled_is_recorded(Sgd::new(0.1).momentum(0.9).clip_norm(1.0));
    assert_compiled_is_recorded(Sgd::new(0.1).clip_value(0.05));
}

#[test]
fn adam_is_the_loop_of_its_paper() {
    let (rate, b1, b2, epsilon): (f64, f64, f64, f64) = (0.01, 0.9, 0.999, 1e-8);
    let mut param = Param::new(START);
    let mut adam = Adam::new(rate);
    let (mut w, mut m, mut v) = (START, [0.0; 3], [0.0; 3]);
    for t in 1..=50 {
        let tape = Tape::new();
        let gradients = cost(&param, &tape).backward();
        adam.step(&mut param, &gradients);
        let g = gradient(&w);
        for i in 0..3 {
            m[i] = b1 * m[i] + (1.0 - b1) * g[i];
            v[i] = b2 * v[i] + (1.0 - b2) * g[i] * g[i];
            let (mean, square) = (m[i] / (1.0 - b1.powi(t)), v[i] / (1.0 - b2.powi(t)));
            w[i] -= rate * mean / (square.sqrt() + epsilon);
        }
        for (moved, expected) in param.elements().iter().zip(w) {
            assert!((moved - expected).abs() < 1e-13, "step {t}: {moved}, not {expected}");
        }
    }
}

/// A weight behind noise, and a running mean of what comes out.
fn noisy<'t>((weight, mean): &(Param<f64>, Param<f64>), x: Var<'t, f64>) -> Var<'t, f64> {
    let tape = x.tape();
    let y = x * weight.on(tape);
    if !tape.is_training() {
        return y - mean.on(tape);
    }
    mean.assign(mean.on(tape) * 0.9 + y.mean() * 0.1);
    y * tape.sample(Distribution::Dropout(0.5), x.shape())
}

/// Four steps of training, compiled and recorded, end in the same bits, those of buffers
/// included.
fn assert_compiled_trains_as_recorded<M: Module<f64>>(
    net: &mut M,
    x: &Tensor<f64>,
    loss: impl for<'t> Fn(&M, Var<'t, f64>) -> Var<'t, f64>,
) {
    let start = net.state_dict();
    let mut sgd = Sgd::new(0.01).momentum(0.9);
    let mut step = TrainStep::compile(net, &sgd, |x| loss(net, x), x).unwrap();
    step.seed(5);
    for _ in 0..4 {
        step.step();
    }
    step.store(net, &mut sgd);
    let compiled = net.state_dict();
    for name in start.keys() {
        assert_ne!(compiled[name], start[name], "{name}");
    }

    net.load_state_dict(&start).unwrap();
    let mut sgd = Sgd::new(0.01).momentum(0.9);
    let mut tape = Tape::new();
    tape.train(5);
    for _ in 0..4 {
        tape.reset();
        let cost = loss(net, tape.constant(x));
        sgd.step(net, &cost.backward());
    }
    assert_eq!(net.state_dict(), compiled);
}

#[test]
fn compiled_steps_draw_samples_and_move_buffers_as_recorded_ones_do() {
    let mut net = (Param::new(1.0), Param::buffer(0.0));
    let x = Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_compiled_trains_as_recorded(&mut net, &x, |net, x| noisy(net, x).square().sum());
    // An evaluation leaves no trace.
    let trained = net.state_dict();
    let tape = Tape::new();
    noisy(&net, tape.constant(&x));
    net.update_buffers(&tape);
    assert_eq!(net.state_dict(), trained);
    assert_eq!(net.parameter_vector().len(), 1);
}

#[test]
fn compiled_steps_of_batch_normalisation_and_dropout() {
    let rng = &mut MatlabRng::new(7);
    let mut net: Sequential<f64> =
        sequential![Linear::new(3, 4, rng).without_bias(), BatchNorm::new(4), Dropout::new(0.3)];
    let x = Tensor::from_fn([6, 3], |i| (1.7 * i as f64).sin());
    assert_compiled_trains_as_recorded(&mut net, &x, |net, x| {
        (net.forward(x) - 0.5).square().mean()
    });
    assert_eq!(net.state_dict()["1.num_batches_tracked"].item(), 4.0);
}
