//! Steps that lead to infinity on finite gradients: no parameter is written that is not finite
//! without an error that names it, in plain loops, trainers and compiled steps alike.

use std::panic::{AssertUnwindSafe, catch_unwind};

use insta::assert_snapshot;
use wengert_core::{Number, Tape, Tensor, Var};
use wengert_nn::data::DataLoader;
use wengert_nn::optim::{Lion, Optimiser, Rule, StepError};
use wengert_nn::train::{Metrics, TrainError, Trainer};
use wengert_nn::{Adam, Layer, Linear, Module, Param, Sgd, TrainStep};

/// A model of one layer, which has a name.
#[derive(Module)]
struct Net {
    hidden: Linear<f64>,
}

impl Net {
    fn new() -> Self {
        Self { hidden: Linear::from_parts([[0.5, 0.25]], [0.0]) }
    }

    /// A mean whose gradient is the mean of `x`.
    fn loss<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        self.hidden.forward(x).mean()
    }
}

/// The first two batches move the first weight alone. The third moves the second, by a finite
/// gradient of a finite loss.
fn loader() -> DataLoader<Tensor<f64>> {
    let rows = [[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 1e200], [0.0, 0.0]];
    DataLoader::new(Tensor::from(rows), 2)
}

fn loss<'t>(net: &Net, tape: &'t Tape<f64>, x: &Tensor<f64>, _: &mut Metrics) -> Var<'t, f64> {
    net.loss(tape.constant(x))
}

/// A message without the lines' numbers and folders.
fn told(message: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in message.split(' ') {
        let place = word.split_once("tests/suite/").map(|(_, place)| place);
        words.push(place.map_or(word, |place| place.split(':').next().unwrap()).to_owned());
    }
    words.join(" ")
}

/// Finite, and so is its product with the first two gradients.
const RATE: f64 = 1e120;

#[test]
fn a_trainer_names_the_batch_and_the_parameter() {
    let results = [
        Trainer::new(2).quiet().fit(&mut Net::new(), &mut Sgd::new(RATE), &loader(), loss),
        Trainer::new(2).quiet().fit_parallel(
            2,
            &mut Net::new(),
            &mut Sgd::new(RATE),
            &loader(),
            loss,
        ),
    ];
    let [error, other] = results.map(Result::unwrap_err);
    assert_eq!(error.to_string(), other.to_string());
    assert!(matches!(error, TrainError::Step { epoch: 0, batch: 2, .. }), "{error}");
    assert_snapshot!(told(&error.to_string()), @"epoch 1, batch 3: step 3 made `hidden.weight`, weight [1, 2] made at spoiled.rs -inf at [0, 1]: all gradients were finite, so the step was too long, or what is assigned to a buffer too large; a smaller rate or clipping keeps steps short");
}

#[test]
fn a_plain_loop_is_stopped_at_its_step() {
    let (mut net, mut sgd, tape) = (Net::new(), Sgd::new(1e300), Tape::new());
    let x = Tensor::from([[1.0, 1e200]]);
    let gradients = net.loss(tape.constant(&x)).backward();
    let error = sgd.try_step(&mut net, &gradients).unwrap_err();
    assert_snapshot!(told(&error.to_string()), @"step 1 made `hidden.weight`, weight [1, 2] made at spoiled.rs -inf at [0, 1]: all gradients were finite, so the step was too long, or what is assigned to a buffer too large; a smaller rate or clipping keeps steps short");
    // What was allowed is done.
    let mut net = Net::new();
    let tape = Tape::new();
    let gradients = net.loss(tape.constant(&x)).backward();
    Sgd::new(1e300).allow_non_finite().step(&mut net, &gradients);
    assert_eq!(net.hidden.weight.elements()[1], f64::NEG_INFINITY);
}

#[test]
fn a_compiled_step_is_stopped_at_its_step() {
    let (net, sgd) = (Net::new(), Sgd::new(RATE));
    let mut step = TrainStep::compile(&net, &sgd, |x| net.loss(x), &Tensor::zeros([2, 2])).unwrap();
    let mut run = || {
        loader().epoch(0).map(Result::unwrap).find_map(|x| {
            step.set_input(0, &x);
            step.try_step().err()
        })
    };
    assert_snapshot!(told(&run().unwrap().to_string()), @"step 3 made `hidden.weight`, weight [1, 2] made at spoiled.rs -inf at [0, 1]: its gradient was not finite, or the step too long; `Optimiser::step` on a tape tells which, and `allow_non_finite` goes on");
}

/// A rule keeps what it remembers finite, too: the sign of NaN is 0, so that Lion's weights would
/// stay as they are for ever.
#[test]
fn a_compiled_step_looks_at_what_is_remembered() {
    let (weight, lion) = (Param::named("weight", 0.0), Lion::new(0.1));
    let step = TrainStep::compile(
        &weight,
        &lion,
        |x| x * weight.on(x.tape()).sqrt(),
        &Tensor::scalar(1.0),
    );
    let error = step.unwrap().try_step().unwrap_err();
    assert_snapshot!(told(&error.to_string()), @"step 1 made the mean of weight [] made at spoiled.rs inf at []: its gradient was not finite, or the step too long; `Optimiser::step` on a tape tells which, and `allow_non_finite` goes on");
}

/// A rule without memory that reads the sign alone: of an infinite gradient it makes a step like any.
#[derive(Clone, Debug)]
struct SignDescent;

impl Rule for SignDescent {
    const STATES: &'static [&'static str] = &[];
    fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, _: &mut [A]) -> A {
        let zero = g.constant(0.0);
        w - hyper[0] * (g.greater(zero) - g.less(zero))
    }
}

/// What a rule makes of an infinite gradient and of NaN: a recorded step and a compiled one refuse it,
/// and take it where it is allowed, to the same number.
fn assert_infinite_gradients_are_refused<R: Rule>(optimiser: impl Fn() -> Optimiser<f64, R>) {
    // d sqrt(w) / dw is infinite at 0; times 0, it is NaN.
    for x in [1.0, -1.0, 0.0] {
        let x = Tensor::scalar(x);
        let net = || (Param::named("weight", 0.0), Param::named("other", 1.0));
        fn cost<'t>(net: &(Param<f64>, Param<f64>), x: Var<'t, f64>) -> Var<'t, f64> {
            x * net.0.on(x.tape()).sqrt() + net.1.on(x.tape())
        }
        let moved = |optimiser: Optimiser<f64, R>| {
            let (mut plain, mut own, tape) = (net(), optimiser.clone(), Tape::new());
            let gradients = cost(&plain, tape.constant(&x)).backward();
            let recorded = own.try_step(&mut plain, &gradients);
            let (mut stored, mut own) = (net(), optimiser);
            let step = TrainStep::compile(&stored, &own, |x| cost(&stored, x), &x);
            let mut step = step.unwrap();
            let compiled = step.try_step();
            if compiled.is_ok() {
                step.store(&mut stored, &mut own);
            }
            assert_eq!(recorded.is_err(), compiled.is_err(), "{recorded:?}, {compiled:?}");
            let bits = |net: &(Param<f64>, Param<f64>)| {
                [&net.0, &net.1].map(|param| param.elements()[0].to_bits())
            };
            (recorded.map(|()| bits(&plain)), compiled.map(|()| bits(&stored)))
        };
        let (recorded, compiled) = moved(optimiser());
        assert!(matches!(recorded, Err(StepError::NotFinite { .. })), "{recorded:?}");
        assert!(compiled.is_err());
        let (recorded, compiled) = moved(optimiser().allow_non_finite());
        assert_eq!(recorded.unwrap(), compiled.unwrap());
    }
}

#[test]
fn compiled_steps_refuse_the_gradients_that_recorded_ones_refuse() {
    assert_infinite_gradients_are_refused(|| Sgd::new(0.1));
    assert_infinite_gradients_are_refused(|| Sgd::new(0.1).clip_value(0.5));
    assert_infinite_gradients_are_refused(|| Sgd::new(0.1).clip_norm(0.5));
    assert_infinite_gradients_are_refused(|| Adam::new(0.1).clip_value(0.5));
    assert_infinite_gradients_are_refused(|| Lion::new(0.1));
    assert_infinite_gradients_are_refused(|| Optimiser::with_rule(SignDescent, 0.1));
    assert_infinite_gradients_are_refused(|| Optimiser::with_rule(SignDescent, 0.1).clip_norm(0.5));
    let weight = Param::named("weight", 0.0);
    let clipped = Sgd::new(0.1).clip_value(0.5);
    let step = TrainStep::compile(
        &weight,
        &clipped,
        |x| x * weight.on(x.tape()).sqrt(),
        &Tensor::scalar(1.0),
    );
    let error = step.unwrap().try_step().unwrap_err();
    assert_snapshot!(told(&error.to_string()), @"a gradient of step 1 is not finite: `Optimiser::step` on a tape names it, and `allow_non_finite` goes on");
}

#[test]
fn a_buffer_is_looked_at() {
    let tape = Tape::new();
    let mut net = (Param::new(1.0), Param::buffer(0.0));
    net.1.assign(net.0.on(&tape) * f64::INFINITY);
    let gradients = net.0.on(&tape).backward();
    let error = Sgd::new(0.1).try_step(&mut net, &gradients).unwrap_err();
    assert!(matches!(error, StepError::Spoiled { value: f64::INFINITY, .. }), "{error}");
}

/// Whether a step of a rule on a parameter of some length notices that one element overflows.
fn is_noticed<R: Rule>(
    mut optimiser: Optimiser<f64, R>,
    len: usize,
    at: usize,
    held: bool,
) -> bool {
    let mut param = Param::new(Tensor::zeros([len]));
    // Close to the largest number, so that any step away from 0 leads beyond it.
    param.elements_mut()[at] = f64::MAX;
    let slopes = Tensor::from_fn([len], |i| if i == at { -1.0 } else { 1.0 });
    let tape = Tape::new();
    let loss = |tape| (param.on(tape) * tape.constant(&slopes)).sum();
    let keeper = held.then(|| param.value().clone());
    // The cost itself is -MAX + 0: finite, and so are its gradients.
    let gradients = loss(&tape).backward();
    let result = optimiser.try_step(&mut param, &gradients);
    drop(keeper);
    match result {
        Ok(()) => false,
        Err(StepError::Spoiled { index, value, .. }) => index == [at] && value == f64::INFINITY,
        Err(other) => panic!("{other}"),
    }
}

/// Lengths around the lanes of the look (4, 16), where it takes the widest vectors (64), and the
/// parts of a step (2048).
#[test]
fn every_element_of_every_length_is_looked_at() {
    let rate = 1e300;
    for len in [1, 3, 4, 5, 16, 17, 63, 64, 65, 79, 81, 2047, 2048, 2049, 4096, 4100] {
        for at in [0, len / 2, len - 1] {
            for held in [false, true] {
                let case = format!("{at} of {len}, {held}");
                assert!(is_noticed(Sgd::new(rate), len, at, held), "{case}");
                assert!(is_noticed(Sgd::new(rate).momentum(0.5), len, at, held), "{case}");
                assert!(is_noticed(Adam::new(rate), len, at, held), "{case}");
                let clipped = Sgd::new(rate).clip_value(0.5);
                assert!(is_noticed(clipped, len, at, held), "{case}");
            }
        }
    }
    // A step that stays within the numbers is none of it.
    assert!(!is_noticed(Sgd::new(0.0), 17, 3, false));
}

#[test]
fn a_panic_has_the_message() {
    let (mut net, tape) = (Net::new(), Tape::new());
    let gradients = net.loss(tape.constant([[1.0, 1e200]])).backward();
    let step = AssertUnwindSafe(|| Sgd::new(1e300).step(&mut net, &gradients));
    let panic = catch_unwind(step).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("step 1 made `hidden.weight`, "), "{said}");
}
