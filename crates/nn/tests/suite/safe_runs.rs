//! Runs that end in an error, and what they leave: the best weights, a finite checkpoint, a word.

use std::ops::ControlFlow;

use wengert_core::Tensor;
use wengert_nn::data::DataLoader;
use wengert_nn::data::transform::Standardising;
use wengert_nn::optim::Schedule;
use wengert_nn::train::{Best, Checkpoint, History, StopReason, TrainError, Trainer};
use wengert_nn::{Param, Sgd};

use crate::files::{message, place};

fn loader() -> DataLoader<Tensor<f64>> {
    DataLoader::new(Tensor::from([[1.0], [2.0]]), 2)
}

/// `(w - 1)^2 / 2`, whose step of rate 1 is a jump to the minimum.
macro_rules! bowl {
    () => {
        |net: &Param<f64>, tape, _, _| (net.on(tape) - 1.0).square().sum() * 0.5
    };
}

#[test]
fn a_run_that_fails_leaves_the_best_weights() {
    let mut net = Param::new([0.0]);
    // Epochs 1 and 2 reach w = 1; then the hook spoils the parameter.
    let result = Trainer::new(5)
        .quiet()
        .keep_best(Best::lowest("train loss"))
        .on_epoch(|net: &mut Param<f64>, history: &History| {
            if history.epochs() == 3 {
                net.set([f64::NAN]);
            }
            ControlFlow::Continue(())
        })
        .fit(&mut net, &mut Sgd::new(1.0), &loader(), bowl!());
    assert!(matches!(result, Err(TrainError::NotFinite { epoch: 3, .. })), "{result:?}");
    assert_eq!(net.elements(), [1.0]);
}

#[test]
fn a_checkpoint_is_never_replaced_by_one_of_nans() {
    let path = place("finite.safetensors");
    let run = |epochs, spoiled| {
        let mut net = Param::new([0.0]);
        let hook = move |net: &mut Param<f64>, history: &History| {
            if history.epochs() == spoiled {
                net.set([f64::INFINITY]);
            }
            ControlFlow::Continue(())
        };
        let mut trainer = Trainer::new(epochs).quiet().checkpoint(&path).on_epoch(hook).resume();
        trainer.fit(&mut net, &mut Sgd::new(0.5), &loader(), bowl!())
    };
    let _ = std::fs::remove_file(&path);
    run(2, 9).unwrap();
    let said = run(5, 4).unwrap_err().to_string();
    assert!(said.starts_with("epoch 4: "), "{said}");
    assert!(said.ends_with(" has an element that is inf; no checkpoint was written"), "{said}");
    assert_eq!(Checkpoint::<f64>::load(&path).unwrap().epochs, 3);
    assert_eq!(run(5, 9).unwrap().reason, StopReason::Epochs);
}

#[test]
fn a_misspelt_column_is_found_at_once() {
    let run = |best: Best| {
        let mut trainer = Trainer::new(1).quiet().keep_best(best);
        let run = || trainer.fit(&mut Param::new([0.0]), &mut Sgd::new(0.5), &loader(), bowl!());
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    assert_eq!(
        run(Best::lowest("validaton loss")),
        "a history has the columns `rate`, `train ...` and `validation ...`, and no `validaton loss`"
    );
    assert_eq!(
        run(Best::lowest("validation loss")),
        "the best epoch is to be told by `validation loss`, and there is no loader for validation"
    );
}

#[test]
fn a_least_improvement() {
    let mut history = History::default();
    for loss in [1.0, 0.95, 0.8, 0.75] {
        history.push([("train loss", loss)]);
    }
    let best = |delta| Best::lowest("train loss").min_delta(delta).epoch(&history);
    assert_eq!((best(0.0), best(0.1), best(0.3)), (Some(3), Some(2), Some(0)));
    let highest = Best::highest("train loss").min_delta(0.1).epoch(&history);
    assert_eq!(highest, Some(0));
}

#[test]
fn the_report_speaks_of_the_epoch_that_was_kept() {
    let report = Trainer::new(3)
        .quiet()
        .keep_best(Best::lowest("validation loss"))
        .on_epoch(|net: &mut Param<f64>, history: &History| {
            // Away from the minimum after the first epoch.
            net.set([1.0 + history.epochs() as f64]);
            ControlFlow::Continue(())
        })
        .fit(&mut Param::new([0.0]), &mut Sgd::new(0.5), (&loader(), &loader()), bowl!())
        .unwrap();
    let epoch = report.epoch.unwrap();
    let column = report.history.column("validation loss").unwrap();
    let validation = report.validation.unwrap();
    let loss = validation.values().find(|(name, _)| *name == "loss").unwrap().1;
    assert_eq!(loss, column[epoch]);
}

#[test]
fn a_checkpoint_of_another_model_is_named() {
    let path = place("another.safetensors");
    let _ = std::fs::remove_file(&path);
    let trainer = || Trainer::new(1).quiet().checkpoint(&path).resume();
    trainer().fit(&mut Param::new([0.0]), &mut Sgd::new(0.5), &loader(), bowl!()).unwrap();
    let other = trainer().fit(&mut Param::new([0.0, 1.0]), &mut Sgd::new(0.5), &loader(), bowl!());
    assert!(message(other).contains("shape [2] in the model, [1] in the state"));
}

/// The mean of ten times 0.3 is not 0.3 in floating point.
#[test]
fn features_that_never_change() {
    for count in [1, 2, 10, 33] {
        let samples = Tensor::full([count, 2], 0.3);
        let standardising = Standardising::fit(&samples);
        assert_eq!(standardising.mean().to_vec(), [0.3, 0.3]);
        assert_eq!(standardising.deviation().to_vec(), [1.0, 1.0]);
        assert!(standardising.apply(&samples).iter().all(|x| x == 0.0));
    }
}

/// The lines at which panics were raised, by the thread that raised them.
fn raised_at(f: impl FnOnce()) -> (String, String) {
    thread_local! {
        static LINE: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        LINE.set(info.location().map(ToString::to_string).unwrap_or_default());
    }));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
    std::panic::set_hook(before);
    (panic.downcast_ref::<String>().unwrap().clone(), LINE.take())
}

/// A column that could be, and is not measured, is found after an epoch: at the line of `fit`.
#[test]
fn a_column_that_is_not_measured_is_told_at_the_users_line() {
    let mut trainer = Trainer::new(1).quiet().keep_best(Best::highest("validation accuracy"));
    let (mut net, mut sgd, loader) = (Param::new([0.0]), Sgd::new(0.5), loader());
    let first = line!() + 2;
    let (said, line) = raised_at(|| {
        let _ = trainer.fit(&mut net, &mut sgd, (&loader, &loader), bowl!());
    });
    insta::assert_snapshot!(said, @"there is no `validation accuracy` in the history, which has rate, train loss, validation loss");
    assert!(line.contains(&format!("safe_runs.rs:{first}:")), "{line}");
}

/// A schedule that has ended keeps its last rate; whoever wants to be told says its length.
#[test]
fn more_epochs_than_a_schedule_is_made_for() {
    let path = place("one-cycle.safetensors");
    let _ = std::fs::remove_file(&path);
    let run = |epochs: usize, length: usize| {
        let cycle = Schedule::one_cycle(0.1, length as f64);
        let mut trainer = Trainer::new(epochs).quiet().checkpoint(&path).resume();
        trainer = trainer.option("epochs of the cycle", length);
        trainer = trainer.schedule(|progress| cycle.rate(progress.epoch as f64));
        trainer.fit(&mut Param::new([0.0]), &mut Sgd::new(0.5), &loader(), bowl!())
    };
    run(10, 10).unwrap();
    let report = run(14, 10).unwrap();
    let rates = report.history.column("rate").unwrap();
    assert_eq!(rates[10..], [0.1 / 25.0 * 1e-4; 4]);
    assert!(message(run(20, 20)).ends_with("expected epochs of the cycle: 20, found 10"));
}
