//! Runs with compiled steps beside runs with recorded ones: the same bits in the model, the optimiser and
//! the history, whatever a trainer is asked for.

use std::cell::{Cell, RefCell};
use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use indexmap::IndexMap;
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, normals};
use wengert_core::{Real, Tape, Tensor, Var};
use wengert_nn::data::DataLoader;
use wengert_nn::loss::cross_entropy_with;
use wengert_nn::optim::{AdamW, Lion, Optimiser, RmsProp, Rule};
use wengert_nn::random::MatlabRng;
use wengert_nn::train::{Best, History, Metrics, Progress, Report, TrainError, Trainer};
use wengert_nn::{
    Adam, BatchNorm, Conv2d, Dropout, Flatten, Gelu, Layer, LayerNorm, Linear, Module, Param, Relu,
    Sequential, Sgd, Tanh, TrainStep, sequential,
};

use crate::files::place;

type Pairs<T> = (Tensor<T>, Tensor<T>);

/// Samples of some shape, of three classes, as rows of 0 and 1.
fn samples<T: Real>(count: usize, shape: &[usize], seed: u64) -> Pairs<T> {
    let whole: Vec<usize> = [count].iter().chain(shape).copied().collect();
    let x: Tensor<T> = normals(whole, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
    let width: usize = shape.iter().product();
    let numbers = x.to_vec();
    let class = |i: usize| {
        let first = numbers[i * width].as_f64();
        usize::from(first > -0.5) + usize::from(first > 0.5)
    };
    let y =
        Tensor::from_fn([count, 3], |i| T::from_f64(f64::from(u8::from(class(i / 3) == i % 3))));
    (x, y)
}

/// Batches of 8, the last of which has 2 samples, and batches of 7 to validate with.
fn loaders<T: Real>(shape: &[usize]) -> (DataLoader<Pairs<T>>, DataLoader<Pairs<T>>) {
    let train = DataLoader::new(samples(50, shape, 1), 8).shuffled(3);
    (train, DataLoader::new(samples(20, shape, 2), 7))
}

/// The share of samples whose largest output is that of their class.
fn share_right<T: Real>(logits: &Tensor<T>, classes: &Tensor<T>) -> f64 {
    let largest = |rows: &Tensor<T>| -> Vec<usize> {
        let rows = rows.to_vec();
        let at = |row: &[T]| (0..3).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        rows.chunks(3).map(at).collect()
    };
    let (found, right) = (largest(logits), largest(classes));
    found.iter().zip(&right).filter(|(a, b)| a == b).count() as f64 / right.len() as f64
}

/// All that a run leaves behind: model, optimiser, history, in bits.
#[derive(Debug, PartialEq)]
struct Left {
    model: Vec<(String, Vec<u64>)>,
    optimiser: Vec<(String, Vec<u64>)>,
    steps: u64,
    history: String,
}

fn left<T: Real, M: Module<T>, R: Rule>(
    net: &M,
    optimiser: &Optimiser<T, R>,
    history: &History,
) -> Left {
    let bits = |state: IndexMap<String, Tensor<T>>| {
        let of = |tensor: Tensor<T>| tensor.iter().map(|x| x.as_f64().to_bits()).collect();
        state.into_iter().map(|(name, tensor)| (name, of(tensor))).collect()
    };
    Left {
        model: bits(net.state_dict()),
        optimiser: bits(optimiser.state_dict(net)),
        steps: optimiser.steps(),
        history: history.to_csv(),
    }
}

fn loss<'t, T: Real, M: Layer<T>>(
    net: &M,
    (x, y): (Var<'t, T>, Var<'t, T>),
    metrics: Option<&mut Metrics>,
) -> Var<'t, T> {
    let logits = net.forward(x);
    let loss = cross_entropy_with(logits, y);
    if let Some(metrics) = metrics {
        let share = share_right(&logits.value(), &y.value());
        metrics.mean("accuracy", share, x.shape()[0] as f64);
    }
    loss
}

/// A run of recorded steps. It measures what a compiled one measures.
fn recorded<T: Real, M: Layer<T>, R: Rule>(
    mut trainer: Trainer<'_, M>,
    net: &mut M,
    optimiser: &mut Optimiser<T, R>,
    (train, validation): &(DataLoader<Pairs<T>>, DataLoader<Pairs<T>>),
) -> Result<Report, TrainError> {
    trainer.fit(net, optimiser, (train, validation), |net, tape: &Tape<T>, (x, y), metrics| {
        let metrics = Some(metrics).filter(|_| !tape.is_training());
        loss(net, (tape.constant(x), tape.constant(y)), metrics)
    })
}

fn compiled<T: Real, M: Layer<T>, R: Rule>(
    mut trainer: Trainer<'_, M>,
    net: &mut M,
    optimiser: &mut Optimiser<T, R>,
    (train, validation): &(DataLoader<Pairs<T>>, DataLoader<Pairs<T>>),
) -> Result<Report, TrainError> {
    trainer.fit_compiled(net, optimiser, (train, validation), loss)
}

/// Runs of a model of samples of a shape, of a few epochs, with an optimiser: one recorded, one compiled,
/// and one compiled that is resumed twice from a checkpoint, in an epoch and between two.
fn assert_same_runs<T: Real, M: Layer<T>, R: Rule>(
    case: &str,
    shape: &[usize],
    net: impl Fn() -> M,
    optimiser: impl Fn() -> Optimiser<T, R>,
) {
    let loaders = loaders::<T>(shape);
    let trainer = |epochs: usize| -> Trainer<'_, M> {
        let rate = |epoch: usize| 0.02 * 0.7_f64.powi(epoch as i32);
        Trainer::new(epochs).seed(9).quiet().schedule(move |progress| rate(progress.epoch))
    };
    let (mut a, mut of_a) = (net(), optimiser());
    let report = recorded(trainer(4), &mut a, &mut of_a, &loaders).unwrap();
    let expected = left(&a, &of_a, &report.history);
    assert_ne!(expected.model, left(&net(), &of_a, &report.history).model, "{case}");

    let (mut b, mut of_b) = (net(), optimiser());
    let report = compiled(trainer(4), &mut b, &mut of_b, &loaders).unwrap();
    assert_eq!(report.recorded, None, "{case}");
    assert_eq!(left(&b, &of_b, &report.history), expected, "{case}");

    let path = place(&format!("compiled {case}.safetensors"));
    let _ = fs::remove_file(&path);
    let resumed = |trainer: Trainer<'_, M>| {
        // Everything but the file is new.
        let (mut net, mut optimiser) = (net(), optimiser());
        let trainer = trainer.checkpoint(&path).checkpoint_every(3).resume();
        let report = compiled(trainer, &mut net, &mut optimiser, &loaders)?;
        Ok::<_, TrainError>(left(&net, &optimiser, &report.history))
    };
    resumed(trainer(1)).unwrap();
    // Ended by an error in the second epoch, some steps after a checkpoint.
    let breaks = |progress: &Progress<'_>| match progress.step() {
        12.. => panic!("broken off"),
        _ => 0.02 * 0.7_f64.powi(progress.epoch as i32),
    };
    let broken = AssertUnwindSafe(|| resumed(trainer(4).schedule(breaks)));
    assert!(catch_unwind(broken).is_err());
    assert_eq!(resumed(trainer(4)).unwrap(), expected, "{case}");
}

#[test]
fn dropout_batch_normalisation_and_adam() {
    let net = || -> Sequential<f64> {
        let rng = &mut MatlabRng::new(1);
        sequential![
            Linear::new(2, 30, rng),
            BatchNorm::new(30),
            Tanh,
            Dropout::new(0.3),
            Linear::new(30, 3, rng)
        ]
    };
    assert_same_runs("dropout", &[2], net, || Adam::new(1.0));
    assert_same_runs("clipped by norm", &[2], net, || Adam::new(1.0).clip_norm(0.2));
    assert_same_runs("momentum", &[2], net, || Sgd::new(1.0).momentum(0.9).weight_decay(0.01));
}

#[test]
fn convolutions_in_single_precision() {
    let net = || -> Sequential<f32> {
        let rng = &mut MatlabRng::new(1);
        sequential![
            Conv2d::new(1, 4, [3, 3], rng),
            BatchNorm::new(4),
            Relu,
            Flatten,
            Linear::new(4 * 4 * 4, 3, rng)
        ]
    };
    assert_same_runs("convolution", &[1, 6, 6], net, || AdamW::new(1.0).clip_value(0.01));
}

/// Multipliers and a frozen parameter.
#[test]
fn multipliers_and_normalised_rows() {
    let net = || -> Sequential<f64> {
        let rng = &mut MatlabRng::new(1);
        let mut first = Linear::new(5, 70, rng);
        first.bias.as_mut().unwrap().set_rate(2.0);
        first.bias.as_mut().unwrap().set_decay(0.0);
        let mut last = Linear::new(70, 3, rng);
        last.bias.as_mut().unwrap().set_trainable(false);
        sequential![first, LayerNorm::new([70]), Gelu, last]
    };
    assert_same_runs("multipliers", &[5], net, || Lion::new(1.0).weight_decay(0.1));
    assert_same_runs("means of squares", &[5], net, || RmsProp::new(1.0).clip_value(0.1));
}

fn net() -> Sequential<f64> {
    let rng = &mut MatlabRng::new(1);
    sequential![Linear::new(2, 6, rng), Tanh, Dropout::new(0.2), Linear::new(6, 3, rng)]
}

/// A hook after each step sees the model as it is then, an average is one of all steps, and a hook after
/// an epoch may change the model, and what of it is trained.
#[test]
fn hooks_and_averages_see_every_step() {
    let (seen, loaders) = (RefCell::new(Vec::new()), loaders(&[2]));
    let trainer = || {
        let hook = |net: &mut Sequential<f64>, history: &History| {
            let mut parameters = net.parameters_mut();
            match history.epochs() {
                1 => parameters[0].set_trainable(false),
                2 => parameters[1].elements_mut().fill(0.5),
                3 => parameters[2].set_rate(0.5),
                _ => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        };
        Trainer::new(9)
            .quiet()
            .average(0.9)
            .keep_best(Best::highest("validation accuracy"))
            .on_step(|net: &Sequential<f64>, _, loss| {
                let bits = |x: &f64| x.to_bits();
                let all: Vec<u64> = net.parameter_vector().iter().map(bits).collect();
                seen.borrow_mut().push((all, loss.to_bits()));
            })
            .on_epoch(hook)
    };
    let (mut a, mut of_a) = (net(), Adam::new(0.02));
    let report = recorded(trainer(), &mut a, &mut of_a, &loaders).unwrap();
    let (expected, steps) = (left(&a, &of_a, &report.history), seen.take());
    let (mut b, mut of_b) = (net(), Adam::new(0.02));
    let report = compiled(trainer(), &mut b, &mut of_b, &loaders).unwrap();
    assert_eq!(steps.len(), 28);
    assert_eq!((left(&b, &of_b, &report.history), seen.take()), (expected, steps));
    assert_eq!(report.recorded, None);
}

#[test]
fn several_batches_a_step_are_recorded() {
    let (mut a, mut b, loaders) = (net(), net(), loaders(&[2]));
    let (mut of_a, mut of_b) = (Adam::new(0.02), Adam::new(0.02));
    let trainer = || Trainer::new(2).quiet().accumulate(3);
    let report = recorded(trainer(), &mut a, &mut of_a, &loaders).unwrap();
    let expected = left(&a, &of_a, &report.history);
    let report = compiled(trainer(), &mut b, &mut of_b, &loaders).unwrap();
    assert_eq!(left(&b, &of_b, &report.history), expected);
    let reason = "a step takes several batches (`accumulate`)";
    assert_eq!(report.recorded.as_deref(), Some(reason));
}

/// A loss that decides on a value is recorded, and the report says where it has read it.
#[test]
fn a_loss_that_reads_a_value_is_recorded() {
    let (mut a, mut b, (train, _)) = (net(), net(), loaders::<f64>(&[2]));
    let decided = |loss: Var<'_, f64>| if loss.item() > 1.0 { 0.5 } else { 1.0 };
    let (mut of_a, mut of_b) = (Adam::new(0.02), Adam::new(0.02));
    let report = Trainer::new(2).quiet().fit(&mut a, &mut of_a, &train, |net, tape, (x, y), _| {
        let cost = loss(net, (tape.constant(x), tape.constant(y)), None);
        cost * decided(cost)
    });
    let expected = left(&a, &of_a, &report.unwrap().history);
    let mut trainer = Trainer::new(2).quiet();
    let report = trainer.fit_compiled(&mut b, &mut of_b, &train, |net, batch, _| {
        let cost = loss(net, batch, None);
        cost * decided(cost)
    });
    let report = report.unwrap();
    assert_eq!(left(&b, &of_b, &report.history), expected);
    let reason = report.recorded.unwrap();
    assert!(reason.contains("was read at") && reason.contains("compiled.rs"), "{reason}");
}

/// What a recorded run refuses, a compiled one does, and the model has no number that is not finite.
#[test]
fn steps_that_are_refused_end_the_run() {
    let net = || Param::new([1.0, 2.0]);
    let run = |x: Tensor<f64>, net: &mut Param<f64>| {
        let loader = DataLoader::new(x, 1);
        let mut sgd = Sgd::new(0.1).clip_value(1.0);
        Trainer::new(1).quiet().fit_compiled(net, &mut sgd, &loader, |net: &Param<f64>, x, _| {
            (x.reshape([2]) * (net.on(x.tape()) - 0.9).sqrt()).sum()
        })
    };
    let bad = Tensor::from([[1.0, 1.0], [f64::NAN, 1.0]]);
    let mut own = net();
    let error = run(bad, &mut own).unwrap_err().to_string();
    assert_eq!(error, "epoch 1, batch 2: the loss is NaN");
    assert_eq!(own.elements(), [1.0, 2.0]);
    let mut at_root = Param::new([0.9, 2.0]);
    let error = run(Tensor::from([[1.0, 1.0]]), &mut at_root).unwrap_err().to_string();
    assert!(error.starts_with("epoch 1, batch 1: a gradient of step 1 is not finite"), "{error}");
    assert_eq!(at_root.elements(), [0.9, 2.0]);
    // A loss of another model.
    let (other, mut sgd) = (net(), Sgd::new(0.1));
    let loader = DataLoader::new(Tensor::from([[1.0]]), 1);
    let result = Trainer::new(1)
        .quiet()
        .fit_compiled(&mut own, &mut sgd, &loader, |_, x, _| (other.on(x.tape()) * x).sum());
    let error = result.unwrap_err().to_string();
    assert!(error.contains("no parameter of the model would move"), "{error}");
}

/// A loss, which tells the bytes that its tape has held.
fn told_loss<'t>(net: &Linear<f64>, x: Var<'t, f64>, held: &Cell<usize>) -> Var<'t, f64> {
    let y = net.forward(x).tanh().square().sum();
    held.set(x.tape().memory().peak);
    y
}

/// The tape that a step is compiled from computes nothing: all that it would hold waits.
#[test]
fn compiling_a_step_computes_no_value() {
    let net = Linear::<f64>::new(300, 200, &mut MatlabRng::new(1));
    let held = Cell::new(usize::MAX);
    let x = Tensor::from_fn([500, 300], |i| (i as f64).sin());
    let step = TrainStep::compile(&net, &AdamW::new(0.1), |x| told_loss(&net, x, &held), &x);
    assert!(held.get() < 10_000, "{} bytes held for values that nobody reads", held.get());
    let tape = Tape::new();
    let loss = told_loss(&net, tape.constant(&x), &held).item();
    assert!(held.get() > 3 * 500 * 200 * 8, "values of a tape that computes at once");
    assert_eq!(step.unwrap().run(&x), loss);
}
