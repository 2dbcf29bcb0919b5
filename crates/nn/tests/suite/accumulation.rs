//! Steps on several batches, and averages of the weights, beside plain loops.

use std::fs;
use std::ops::ControlFlow;

use indexmap::IndexMap;
use insta::assert_snapshot;
use wengert_core::{Tape, Tensor, Var};
use wengert_nn::data::DataLoader;
use wengert_nn::loss::cross_entropy;
use wengert_nn::optim::{Average, Optimiser, Rule};
use wengert_nn::random::{MatlabRng, derived_seed};
use wengert_nn::train::{Best, Checkpoint, Metrics, Report, Trainer, measure};
use wengert_nn::{Adam, Layer, Linear, Module, Param, Sgd};

use crate::files::place;
use crate::training::{Batch, Net, bits, loaders, loss, samples, trainer};

/// A model that draws nothing, and its loss.
fn linear() -> Linear<f64> {
    Linear::new(2, 3, &mut MatlabRng::new(2))
}

fn plain<'t>(
    net: &Linear<f64>,
    tape: &'t Tape<f64>,
    batch: &Batch,
    _: &mut Metrics,
) -> Var<'t, f64> {
    cross_entropy(net.forward(tape.constant(&batch.0)), &batch.1)
}

/// The last group has one batch, and that batch two samples where the others have eight.
#[test]
fn several_batches_make_the_step_of_a_plain_loop() {
    let (train, _) = loaders();
    let (mut net, mut sgd) = (Net::new(), Sgd::new(0.3));
    let mut trainer = Trainer::new(2).seed(9).quiet().accumulate(3);
    let report = trainer.fit(&mut net, &mut sgd, &train, loss).unwrap();

    let (mut naive, mut tape) = (Net::new(), Tape::new());
    let (mut weights, mut losses) = (naive.parameter_vector(), 0.0);
    for epoch in 0..2 {
        let batches: Vec<Batch> = train.epoch(epoch).map(Result::unwrap).collect();
        losses = 0.0;
        for (group, batches) in batches.chunks(3).enumerate() {
            let all: usize = batches.iter().map(|(_, labels)| labels.len()).sum();
            let mut sum = vec![0.0; weights.len()];
            let mut mean = vec![0.0; 6];
            for (i, batch) in batches.iter().enumerate() {
                tape.train(derived_seed(derived_seed(9, epoch), (3 * group + i) as u64));
                tape.reset();
                let loss = loss(&naive, &tape, batch, &mut Metrics::default());
                let share = batch.1.len() as f64 / all as f64;
                losses += loss.item() * batch.1.len() as f64;
                for (sum, g) in sum.iter_mut().zip(naive.gradient_vector(&loss.backward())) {
                    *sum += share * g;
                }
                let assigned = tape.assigned(naive.named_buffers()[0].1.key()).unwrap();
                for (mean, x) in mean.iter_mut().zip(assigned.value().iter()) {
                    *mean += share * x;
                }
            }
            weights = weights.iter().zip(sum).map(|(w, g)| w - 0.3 * g).collect();
            naive.set_parameter_vector(&weights);
            naive.visit_mut(&wengert_nn::module::Path::root(), &mut |_, param| {
                if param.is_buffer() {
                    param.set(Tensor::new([6], mean.clone()));
                }
            });
        }
    }
    assert_eq!(bits(net.state_dict()), bits(naive.state_dict()));
    assert_eq!(sgd.steps(), 2 * 3);
    assert_eq!(report.history.last("train loss"), Some(losses / 50.0));
}

/// The parameters, and the rates that a schedule was asked for.
fn run<R: Rule>(
    mut optimiser: Optimiser<f64, R>,
    batch: usize,
    accumulate: usize,
    shards: usize,
) -> (Vec<f64>, Vec<usize>) {
    let (mut net, mut steps) = (linear(), Vec::new());
    let train = DataLoader::new(samples(50), batch).shuffled(3);
    let mut trainer = Trainer::new(3).quiet().accumulate(accumulate).schedule(|progress| {
        assert_eq!(progress.steps(), 50_usize.div_ceil(8));
        steps.push(progress.step());
        0.5 / (1.0 + progress.step() as f64)
    });
    let report: Report = match shards {
        0 => trainer.fit(&mut net, &mut optimiser, &train, plain),
        _ => trainer.fit_parallel(shards, &mut net, &mut optimiser, &train, plain),
    }
    .unwrap();
    assert_eq!(report.history.epochs(), 3);
    drop(trainer);
    (net.parameter_vector(), steps)
}

#[test]
fn several_batches_are_one_large_batch() {
    let is_close = |(a, steps): (Vec<f64>, Vec<usize>), (b, same): (Vec<f64>, Vec<usize>)| {
        assert_eq!(steps, (0..3 * 7).collect::<Vec<_>>());
        assert_eq!(steps, same);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-13), "{a:?} {b:?}");
    };
    for (batch, accumulate) in [(4, 2), (2, 4), (1, 8)] {
        for shards in [0, 2] {
            let sgd = || Sgd::new(1.0).momentum(0.5).clip_norm(0.1);
            is_close(run(sgd(), batch, accumulate, shards), run(sgd(), 8, 1, 0));
            is_close(run(Adam::new(1.0), batch, accumulate, shards), run(Adam::new(1.0), 8, 1, 0));
        }
    }
    // Two shards add up the numbers of two batches of a step.
    let of =
        |(weights, _): (Vec<f64>, _)| weights.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(of(run(Adam::new(1.0), 4, 2, 0)).len(), 9);
    let even = |batch, accumulate, shards| {
        let (mut net, mut adam) = (linear(), Adam::new(0.1));
        let train = DataLoader::new(samples(48), batch).shuffled(3);
        let mut trainer = Trainer::new(2).quiet().accumulate(accumulate);
        trainer.fit_parallel(shards, &mut net, &mut adam, &train, plain).unwrap();
        bits(net.state_dict())
    };
    assert_eq!(even(4, 2, 1), even(8, 1, 2));
}

fn root<'t>(
    net: &Param<f64>,
    tape: &'t Tape<f64>,
    x: &Tensor<f64>,
    _: &mut Metrics,
) -> Var<'t, f64> {
    (net.on(tape) * tape.constant(x)).sqrt().mean()
}

/// The second batch of the second step has an infinite slope at a finite loss.
#[test]
fn the_batch_of_a_bad_gradient_is_named() {
    let rows = Tensor::from([[4.0], [1.0], [1.0], [0.0], [4.0]]);
    let run = |shards: usize| {
        let (mut net, mut sgd) = (Param::named("weight", [1.0]), Sgd::new(1e-3));
        let train = DataLoader::new(rows.clone(), 1);
        let mut trainer = Trainer::new(1).quiet().accumulate(2);
        let result = match shards {
            0 => trainer.fit(&mut net, &mut sgd, &train, root),
            _ => trainer.fit_parallel(shards, &mut net, &mut sgd, &train, root),
        };
        let said = result.unwrap_err().to_string();
        said.lines().next().unwrap().split(" made at ").next().unwrap().to_owned()
    };
    assert_eq!(run(0), run(1));
    assert_snapshot!(run(0), @"epoch 1, batch 4: the gradient of weight [1]");
}

/// A loss of another model's parameters moves nothing, on one tape and on shards.
#[test]
fn a_loss_of_another_model_is_refused() {
    let (other, train) = (linear(), DataLoader::new(samples(4), 2));
    for accumulate in [1, 2] {
        let trainer = || Trainer::new(1).quiet().accumulate(accumulate);
        let results = [
            trainer().fit(
                &mut linear(),
                &mut Sgd::new(0.1),
                &train,
                |_: &Linear<f64>, tape, x, all| plain(&other, tape, x, all),
            ),
            trainer().fit_parallel(
                2,
                &mut linear(),
                &mut Sgd::new(0.1),
                &train,
                |_: &Linear<f64>, tape, x, all| plain(&other, tape, x, all),
            ),
        ];
        for result in results {
            let said = result.unwrap_err().to_string();
            assert!(said.contains("no parameter of the model would move"), "{said}");
        }
    }
}

#[test]
#[should_panic(expected = "a step has at least one batch")]
fn a_step_of_no_batch_is_refused() {
    let _ = Trainer::<'_, Net>::new(1).accumulate(0);
}

/// The averages are those of the formula, and all that is measured and kept is theirs.
#[test]
fn a_trainer_keeps_an_average() {
    const KEEP: f64 = 0.75;
    let (train, validation) = loaders();
    let (mut net, mut adam, mut formula) = (Net::new(), Adam::new(1.0), Vec::new());
    let mut of_epochs = Vec::new();
    let path = place("average.safetensors");
    let start = net.state_dict();
    let mut averages: Vec<Vec<f64>> = start.values().map(Tensor::to_vec).collect();
    let report = trainer(4)
        .average(KEEP)
        .checkpoint(&path)
        .on_step(|net: &Net, _, _| {
            let named = net.named_state();
            for (average, (_, param)) in averages.iter_mut().zip(&named) {
                for (a, &w) in average.iter_mut().zip(param.elements()) {
                    *a = if param.is_buffer() { w } else { KEEP * *a + (1.0 - KEEP) * w };
                }
            }
            formula.clone_from(&averages);
        })
        .on_epoch(|net: &mut Net, _| {
            of_epochs.push(bits(net.state_dict()));
            ControlFlow::Continue(())
        })
        .fit(&mut net, &mut adam, (&train, &validation), loss)
        .unwrap();
    let own = net.state_dict();
    for (tensor, expected) in own.values().zip(&formula) {
        for (a, b) in tensor.iter().zip(expected) {
            assert!((a - b).abs() < 1e-15, "{a} {b}");
        }
    }
    let metrics = measure(&net, &validation, loss).unwrap();
    assert_eq!(report.history.last("validation loss"), metrics.value("loss"));
    // The steps went on from the weights, as if there were no average.
    let (mut without, mut other) = (Net::new(), Adam::new(1.0));
    trainer(4).fit(&mut without, &mut other, (&train, &validation), loss).unwrap();
    let saved = Checkpoint::<f64>::load(&path).unwrap();
    let same = |a: &IndexMap<String, Tensor<f64>>, b: &IndexMap<String, Tensor<f64>>| {
        a.len() == b.len() && b.iter().all(|(name, b)| a[name].to_vec() == b.to_vec())
    };
    assert!(same(&saved.model, &without.state_dict()));
    assert_eq!(of_epochs.last(), Some(&bits(without.state_dict())));
    assert!(same(&saved.average.unwrap(), &own));

    // Of the averages, too, the best epoch's are kept.
    let (mut net, mut adam) = (Net::new(), Adam::new(1.0));
    let best = Best::lowest("validation loss");
    let mut trainer = trainer(6).average(KEEP).keep_best(best);
    let report = trainer.fit(&mut net, &mut adam, (&train, &validation), loss).unwrap();
    let losses = report.history.column("validation loss").unwrap();
    let metrics = measure(&net, &validation, loss).unwrap();
    assert_eq!(Some(losses[report.epoch.unwrap()]), metrics.value("loss"));
    assert_eq!(report.history.marked(), report.epoch);
}

/// Whoever goes on with another average is told.
#[test]
fn another_average_is_another_run() {
    let path = place("averages.safetensors");
    let _ = fs::remove_file(&path);
    let (train, _) = loaders();
    let run = |trainer: Trainer<'_, Net>| {
        let mut trainer = trainer.checkpoint(&path).resume();
        let report = trainer.fit(&mut Net::new(), &mut Adam::new(1.0), &train, loss);
        report.map_err(|error| error.to_string().split(": a run").last().unwrap().to_owned())
    };
    run(trainer(1).average(0.5)).unwrap();
    assert_snapshot!(run(trainer(2)).unwrap_err(), @" with other options: expected trainer.average: none, found 0.5");
    assert_snapshot!(run(trainer(2).average(0.5).accumulate(2)).unwrap_err(), @" with other options: expected trainer.accumulate: 2, found 1");
    // An average that begins in the middle is that of the weights there.
    let net = Net::new();
    let mut average = Average::new(&net, 0.5);
    average.load_state_dict(&net, &Checkpoint::load(&path).unwrap().average.unwrap()).unwrap();
}
