//! Runs on several processes: the bits of one, whatever their number, and an end for all of them
//! when something goes wrong with one.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use wengert_core::random::Xoshiro256PlusPlus;
use wengert_core::{Tape, Tensor, Var};
use wengert_nn::data::{DataLoader, Dataset};
use wengert_nn::loss::cross_entropy;
use wengert_nn::module::Path as Place;
use wengert_nn::random::{derived_seed, seeded};
use wengert_nn::train::{
    Best, Checkpoint, DataParallel, Group, History, InProcess, Metrics, Report, TrainError, Trainer,
};
use wengert_nn::{Adam, FileError, Module, Param, Sgd};

use crate::files::place;
use crate::training::{Batch, Net, bits, loaders, loss, samples, trainer};

pub(crate) const SIZES: [usize; 5] = [1, 2, 3, 4, 8];

/// All that a run leaves behind: weights, what the optimiser remembers, and its history.
pub(crate) type Trace = (Vec<u64>, Vec<u64>, String);

/// The loss of all tests, with a metric whose sums are not exact.
fn measured<'t>(
    net: &Net,
    tape: &'t Tape<f64>,
    batch: &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f64> {
    let (x, labels) = batch;
    let logits = net.forward(tape.constant(x));
    let first = Tensor::from(x.to_vec().chunks(2).map(|x| x[0]).collect::<Vec<f64>>());
    metrics.r_squared(logits.sum_over(1), &first);
    metrics.top_k(1, logits, labels);
    metrics.confusion(logits, labels);
    cross_entropy(logits, labels)
}

/// A run with all that one can carry: dropout, a buffer, Adam's memory, noise in the batches, a last
/// batch that has fewer samples than shards, a schedule, an average, a best epoch, metrics.
pub(crate) fn run(
    process: InProcess,
    shards: usize,
    trainer: Trainer<'_, Net>,
) -> Result<Trace, TrainError> {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let mut trainer = trainer.average(0.8).keep_best(Best::lowest("validation loss"));
    let data = (&train, &validation);
    let report = trainer.fit_on(process, shards, &mut net, &mut adam, data, measured)?;
    assert!(report.exchange_time <= report.time);
    Ok((bits(net.state_dict()), bits(adam.state_dict(&net)), report.history.to_csv()))
}

/// What each process says: all of them the same, and something.
pub(crate) fn alike(traces: Vec<Result<Trace, TrainError>>) -> Trace {
    let traces: Vec<Trace> = traces.into_iter().map(Result::unwrap).collect();
    assert!(traces.iter().all(|trace| *trace == traces[0]));
    traces.into_iter().next().unwrap()
}

#[test]
fn no_bit_depends_on_the_number_of_processes() {
    for accumulate in [1, 3] {
        let mut of_shards = Vec::new();
        for shards in [8, 6, 1] {
            let trace = |size| {
                let trainer = || trainer(2).accumulate(accumulate);
                alike(InProcess::run(size, |process| run(process, shards, trainer())))
            };
            let expected = trace(1);
            assert_eq!(expected.2.lines().count(), 3);
            for size in SIZES {
                assert_eq!(trace(size), expected, "{shards} shards, {size} processes");
            }
            of_shards.push(expected.0);
        }
        // Shards are a setting: another number has other bits.
        assert!(of_shards[0] != of_shards[1] && of_shards[1] != of_shards[2]);
    }
}

/// Without processes it is the same run.
#[test]
fn threads_add_as_processes_do() {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let mut trainer = trainer(2).average(0.8).keep_best(Best::lowest("validation loss"));
    let report: Report =
        trainer.fit_parallel(6, &mut net, &mut adam, (&train, &validation), measured).unwrap();
    let three = alike(InProcess::run(3, |process| run(process, 6, crate::training::trainer(2))));
    assert_eq!((bits(net.state_dict()), report.history.to_csv()), (three.0, three.2));
}

/// The gradients of six shards of eleven samples, added by hand: `((0+1)+(2+3))+(4+5)`.
#[test]
fn a_step_is_the_sum_by_the_tree() {
    let batch = samples(11);
    let net = Net::new();
    let of_shard = |shard: usize| {
        let range = shard * 11 / 6..(shard + 1) * 11 / 6;
        let share = range.len() as f64 / 11.0;
        let indices: Vec<usize> = range.collect();
        let part = batch.batch(&indices, &mut seeded(0)).unwrap();
        let tape = Tape::new();
        tape.train(if shard == 0 { 5 } else { derived_seed(5, shard as u64) });
        let loss = loss(&net, &tape, &part, &mut Metrics::default());
        let gradients = net.gradient_vector(&loss.backward());
        gradients.into_iter().map(|g| share * g).collect::<Vec<f64>>()
    };
    let shards: Vec<Vec<f64>> = (0..6).map(of_shard).collect();
    let by_hand = |i: usize| {
        let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|shard: usize| shards[shard][i]);
        ((a + b) + (c + d)) + (e + f)
    };
    let expected: Vec<f64> = (0..shards[0].len()).map(by_hand).collect();
    for size in SIZES {
        let moved = InProcess::run(size, |process| {
            let (mut net, mut sgd) = (Net::new(), Sgd::new(1.0));
            let mut parallel = DataParallel::on(process, 6);
            parallel.train(5);
            parallel.step(&mut net, &mut sgd, &batch, loss).unwrap();
            assert_eq!(parallel.metrics().matrix().unwrap().samples(), 11);
            net.parameter_vector()
        });
        for after in moved {
            let before = net.parameter_vector();
            let stepped: Vec<f64> = before.iter().zip(&expected).map(|(w, g)| w - g).collect();
            assert_eq!(after, stepped, "{size} processes");
        }
    }
}

/// Stops a run after a step, within the second epoch.
fn stopped(path: &Path, size: usize) {
    let ended = InProcess::run(size, |process| {
        let trainer = trainer(3).checkpoint(path).checkpoint_every(2).resume();
        let hook = |_: &mut Net, history: &History| match history.epochs() {
            1 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        run(process, 8, trainer.on_epoch(hook))
    });
    assert!(ended.iter().all(Result::is_ok));
}

#[test]
fn a_checkpoint_of_four_goes_on_with_any_number() {
    let expected = alike(InProcess::run(1, |process| run(process, 8, trainer(3))));
    for size in SIZES {
        let path = place(&format!("of_four_{size}.safetensors"));
        let _ = fs::remove_file(&path);
        stopped(&path, 4);
        assert_eq!(Checkpoint::<f64>::load(&path).unwrap().epochs, 1);
        let resumed =
            InProcess::run(size, |process| run(process, 8, trainer(3).checkpoint(&path).resume()));
        assert_eq!(alike(resumed), expected, "{size} processes");
    }
}

/// Processes that begin elsewhere are given the start of rank 0.
#[test]
fn all_processes_begin_as_rank_0() {
    let trained = |size, spoil: bool| {
        InProcess::run(size, |process| {
            let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(1.0), loaders());
            if spoil && !process.is_first() {
                net.visit_mut(&Place::root(), &mut |_, param| {
                    let zeros = Tensor::zeros(param.shape());
                    param.set(zeros);
                });
            }
            trainer(1).fit_on(process, 4, &mut net, &mut adam, &train, loss).unwrap();
            bits(net.state_dict())
        })
    };
    assert_eq!(trained(3, true), trained(3, false));
}

/// What the ranks say when one of them fails: that one its error, the others who it was.
pub(crate) fn said(
    size: usize,
    run: impl Fn(InProcess) -> Result<(), TrainError> + Sync,
) -> Vec<String> {
    InProcess::run(size, |process| match run(process) {
        Ok(()) => "nothing".to_owned(),
        Err(TrainError::Elsewhere { rank, message }) => format!("{rank} has said: {message}"),
        Err(error) => format!("itself: {error}"),
    })
}

pub(crate) fn first_lines(said: Vec<String>) -> Vec<String> {
    said.iter().map(|said| said.lines().next().unwrap().to_owned()).collect()
}

/// Samples of which one cannot be read.
#[derive(Clone)]
pub(crate) struct Broken(pub(crate) usize);

impl Dataset for Broken {
    type Batch = Batch;

    fn len(&self) -> usize {
        32
    }

    fn batch(&self, indices: &[usize], rng: &mut Xoshiro256PlusPlus) -> Result<Batch, FileError> {
        if indices.contains(&self.0) {
            let path = "missing".into();
            return Err(FileError::System {
                path,
                source: std::io::Error::other("no such sample"),
            });
        }
        samples(32).batch(indices, rng)
    }
}

#[test]
fn a_file_that_one_process_cannot_read_ends_all() {
    let said = said(4, |process| {
        let (mut net, mut adam) = (Net::new(), Adam::new(0.1));
        let train = DataLoader::new(Broken(21), 16);
        trainer(1).fit_on(process, 8, &mut net, &mut adam, &train, loss).map(|_| ())
    });
    // Sample 21 is the sixth of the second batch, in the third shard, which rank 1 has.
    let other = "1 has said: missing: no such sample";
    assert_eq!(said, [other, "itself: missing: no such sample", other, other]);
    let said = self::said(2, |process| {
        let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(0.1), loaders());
        let validation = DataLoader::new(Broken(21), 8);
        let data = (&train, &validation);
        trainer(1).fit_on(process, 8, &mut net, &mut adam, data, loss).map(|_| ())
    });
    assert_eq!(said, ["1 has said: missing: no such sample", "itself: missing: no such sample"]);
}

#[test]
fn a_value_that_is_not_finite_on_one_process_ends_all() {
    let of = |value: f64| {
        first_lines(said(4, |process| {
            let (mut net, mut sgd) = (Net::new(), Sgd::new(0.1));
            let (mut x, labels) = samples(32);
            x.as_mut_slice()[2 * 21] = value;
            let train = DataLoader::new((x, labels), 16);
            let before = bits(net.state_dict());
            let ended = trainer(1).fit_on(process, 8, &mut net, &mut sgd, &train, loss);
            assert_eq!(sgd.steps(), 1);
            assert_ne!(bits(net.state_dict()), before);
            ended.map(|_| ())
        }))
    };
    let nan = of(f64::NAN);
    let own = nan[1].strip_prefix("itself: ").unwrap();
    assert!(own.starts_with("epoch 1, batch 2: the loss is NaN; first of all: NaN in"), "{own}");
    let other = format!("1 has said: {own}");
    assert_eq!([&nan[0], &nan[2], &nan[3]], [&other; 3]);
}

/// A loop without a trainer is given the loss, on every process, and the model stays as it is.
#[test]
fn a_step_gives_a_loss_that_is_not_finite_to_all() {
    let (mut x, labels) = samples(16);
    x.as_mut_slice()[2 * 9] = f64::NAN;
    let (broken, whole) = ((x, labels), samples(16));
    let trained = |size, batches: &[&Batch]| {
        InProcess::run(size, |process| {
            let (mut net, mut sgd) = (Net::new(), Sgd::new(0.1));
            let mut parallel = DataParallel::on(process, 8);
            let mut step = |batch: &Batch| {
                parallel.train(5);
                parallel.step(&mut net, &mut sgd, batch, loss).unwrap()
            };
            let losses: Vec<u64> = batches.iter().map(|batch| step(batch).to_bits()).collect();
            (losses, bits(net.state_dict()))
        })
    };
    let expected = trained(1, &[&whole]).remove(0);
    for (losses, weights) in trained(3, &[&broken, &whole]) {
        assert!(f64::from_bits(losses[0]).is_nan());
        assert_eq!((losses[1], &weights), (expected.0[0], &expected.1));
    }
}

/// A finite loss with a slope that is none, on the shard of rank 2.
#[test]
fn a_gradient_that_is_not_finite_on_one_process_ends_all() {
    let said = first_lines(said(3, |process| {
        let (mut net, mut sgd) = (Param::named("weight", [1.0]), Sgd::new(1e-3));
        let rows = Tensor::from([[4.0], [1.0], [1.0], [9.0], [4.0], [0.0]]);
        let train = DataLoader::new(rows, 6);
        let mut trainer = Trainer::new(1).quiet();
        let fit = trainer.fit_on(process, 3, &mut net, &mut sgd, &train, root);
        assert_eq!(net.elements(), [1.0]);
        fit.map(|_| ())
    }));
    let start = "epoch 1, batch 1: the gradient of weight [1]";
    assert!(said[2].starts_with(&format!("itself: {start}")), "{said:?}");
    assert!(said[..2].iter().all(|said| said.starts_with(&format!("2 has said: {start}"))));
}

pub(crate) fn root<'t>(
    net: &Param<f64>,
    tape: &'t Tape<f64>,
    x: &Tensor<f64>,
    _: &mut Metrics,
) -> Var<'t, f64> {
    (net.on(tape) * tape.constant(x)).sqrt().mean()
}

/// So steep that a step leads to infinity.
fn steep<'t>(net: &Net, tape: &'t Tape<f64>, batch: &Batch, metrics: &mut Metrics) -> Var<'t, f64> {
    loss(net, tape, batch, metrics) * 1e10
}

/// An error that all processes have is told once.
#[test]
fn an_error_of_all_is_told_once() {
    let said = first_lines(said(3, |process| {
        let (mut net, mut sgd, (train, _)) = (Net::new(), Sgd::new(1e308), loaders());
        let mut trainer = Trainer::new(3).quiet();
        trainer.fit_on(process, 8, &mut net, &mut sgd, &train, steep).map(|_| ())
    }));
    assert_eq!(said.iter().filter(|said| said.starts_with("itself")).count(), 1, "{said:?}");
    assert!(said[1].starts_with("0 has said") && said[1] == said[2], "{said:?}");
}

#[test]
fn processes_of_other_runs_are_refused() {
    let said = said(3, |process| {
        let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(0.1), loaders());
        let seed = if process.rank() == 2 { 10 } else { 9 };
        let mut trainer = trainer(1).seed(seed);
        trainer.fit_on(process, 8, &mut net, &mut adam, &train, loss).map(|_| ())
    });
    let differs = "rank 2 is not as rank 0: trainer.seed: 10, and there 9";
    assert_eq!(said[2], format!("itself: {differs}"));
    assert_eq!(said[..2], [format!("2 has said: {differs}"), format!("2 has said: {differs}")]);

    // A hook that depends on the process.
    let said = self::said(2, |process| {
        let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(0.1), loaders());
        let is_first = process.is_first();
        let mut trainer = trainer(2).on_epoch(move |net: &mut Net, _| {
            if !is_first {
                net.visit_mut(&Place::root(), &mut |_, param| {
                    let doubled = param.value().map(|x| 2.0 * x);
                    param.set(doubled);
                });
            }
            ControlFlow::Continue(())
        });
        trainer.fit_on(process, 8, &mut net, &mut adam, &train, loss).map(|_| ())
    });
    let differs = "rank 1 is not as rank 0: its parameters have other bits after epoch 1";
    assert_eq!(said, [format!("1 has said: {differs}"), format!("itself: {differs}")]);
}

/// A hook of one process ends the run of all.
#[test]
fn one_hook_ends_all() {
    let epochs = InProcess::run(3, |process| {
        let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(0.1), loaders());
        let is_last = process.rank() == 2;
        let mut trainer = trainer(5).on_epoch(move |_: &mut Net, _| match is_last {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        let report = trainer.fit_on(process, 8, &mut net, &mut adam, &train, loss).unwrap();
        report.history.epochs()
    });
    assert_eq!(epochs, [1, 1, 1]);
}
