//! The trainer beside a plain loop, and interruptions.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use indexmap::IndexMap;
use wengert_core::random::Distribution::Dropout;
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, normals};
use wengert_core::{Tape, Tensor, Var};
use wengert_nn::data::{DataLoader, Dataset};
use wengert_nn::loss::cross_entropy;
use wengert_nn::random::{MatlabRng, derived_seed};
use wengert_nn::train::{
    Best, Checkpoint, History, Metrics, StopReason, TrainError, Trainer, measure,
};
use wengert_nn::{Adam, Layer, Linear, Module, Param, Sgd};

use crate::files::{message, place};

/// A net with all that a resumed run could get wrong: it draws samples and has a buffer.
#[derive(Module)]
pub(crate) struct Net {
    hidden: Linear<f64>,
    out: Linear<f64>,
    mean: Param<f64>,
}

impl Net {
    pub(crate) fn new() -> Self {
        let rng = &mut MatlabRng::new(1);
        let (hidden, out) = (Linear::new(2, 6, rng), Linear::new(6, 3, rng));
        Self { hidden, out, mean: Param::buffer(Tensor::zeros([6])) }
    }

    pub(crate) fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let h = self.hidden.forward(x).tanh();
        let (tape, mean) = (x.tape(), self.mean.on(x.tape()));
        if !tape.is_training() {
            return self.out.forward(h - mean);
        }
        self.mean.assign(mean * 0.9 + h.mean_over(0) * 0.1);
        self.out.forward((h - mean) * tape.sample(Dropout(0.2), h.shape()))
    }
}

pub(crate) type Batch = (Tensor<f64>, Vec<usize>);

pub(crate) fn samples(count: usize) -> Batch {
    let x: Tensor<f64> = normals([count, 2], &mut Xoshiro256PlusPlus::seed_from_u64(1));
    let class = |x: &[f64]| usize::from(x[0] > 0.0) + usize::from(x[0] > 0.0 && x[1] > x[0]);
    let labels = x.to_vec().chunks(2).map(class).collect();
    (x, labels)
}

pub(crate) fn loaders() -> (DataLoader<impl Dataset<Batch = Batch>>, DataLoader<Batch>) {
    let noisy = samples(50).augmented(|(x, labels), rng| {
        let noise: Tensor<f64> = normals(x.shape(), rng);
        (x.zip_map(&noise, |x, e| x + 0.01 * e), labels)
    });
    (DataLoader::new(noisy, 8).shuffled(3), DataLoader::new(samples(20), 7))
}

pub(crate) fn loss<'t>(
    net: &Net,
    tape: &'t Tape<f64>,
    (x, labels): &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f64> {
    let logits = net.forward(tape.constant(x));
    metrics.top_k(1, logits, labels);
    metrics.confusion(logits, labels);
    cross_entropy(logits, labels)
}

pub(crate) fn trainer<'a>(epochs: usize) -> Trainer<'a, Net> {
    let rate = |epoch: usize| 0.05 * 0.8_f64.powi(epoch as i32);
    Trainer::new(epochs).seed(9).quiet().schedule(move |progress| rate(progress.epoch))
}

/// All that a run leaves behind, in bits.
pub(crate) fn bits(state: IndexMap<String, Tensor<f64>>) -> Vec<u64> {
    state.values().flat_map(|tensor| tensor.to_vec()).map(f64::to_bits).collect()
}

pub(crate) fn trained(epochs: usize) -> (Net, Adam<f64>, History) {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let report = trainer(epochs).fit(&mut net, &mut adam, (&train, &validation), loss).unwrap();
    (net, adam, report.history)
}

#[test]
fn the_trainer_gives_the_bits_of_a_plain_loop() {
    let (net, adam, history) = trained(4);

    let (mut plain, mut optimiser, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let mut tape = Tape::new();
    let mut means = Vec::new();
    for epoch in 0..4 {
        optimiser.set_rate(0.05 * 0.8_f64.powi(epoch as i32));
        let mut sum = 0.0;
        for (number, batch) in (0..).zip(train.epoch(epoch)) {
            let (x, labels) = batch.unwrap();
            tape.train(derived_seed(derived_seed(9, epoch), number));
            tape.reset();
            let loss = cross_entropy(plain.forward(tape.constant(&x)), &labels);
            sum += loss.item() * labels.len() as f64;
            optimiser.step(&mut plain, &loss.backward());
        }
        means.push(sum / 50.0);
    }
    assert_eq!(bits(net.state_dict()), bits(plain.state_dict()));
    assert_eq!(bits(adam.state_dict(&net)), bits(optimiser.state_dict(&plain)));
    assert_eq!(history.column("train loss").unwrap(), means);
    assert_eq!(history.column("rate").unwrap()[3], 0.05 * 0.8_f64.powi(3));

    let metrics = measure(&plain, &validation, loss).unwrap();
    for name in ["loss", "accuracy", "F1"] {
        let column = format!("validation {name}");
        assert_eq!(history.last(&column), metrics.value(name), "{column}");
    }
    assert_eq!(metrics.matrix().unwrap().samples(), 20);
    assert!(history.last("train loss") < Some(history.column("train loss").unwrap()[0]));
}

/// A loss that asks for derivatives, to the second order, is evaluated as it is trained.
#[test]
fn a_loss_with_derivatives_is_measured() {
    let (_, validation) = loaders();
    let metrics = measure(&Net::new(), &validation, |_, tape, _, _| second_of_cube(tape)).unwrap();
    assert_eq!(metrics.value("loss"), Some(12.0));
}

/// The second derivative of `x^3` at 2.
fn second_of_cube(tape: &Tape<f64>) -> Var<'_, f64> {
    let x = tape.constant(2.0);
    let [slope] = x.powi(3).grad([x]);
    slope.grad([x])[0]
}

#[test]
fn a_run_that_is_resumed_ends_with_the_same_bits() {
    let (whole, adam, history) = trained(6);
    let path = place("resumed.safetensors");
    let _ = fs::remove_file(&path);
    let (train, validation) = loaders();
    let run = |epochs: usize| {
        // Everything but the file is new.
        let (mut net, mut adam) = (Net::new(), Adam::new(0.3));
        let mut trainer = trainer(epochs).checkpoint(&path).resume();
        let report = trainer.fit(&mut net, &mut adam, (&train, &validation), loss).unwrap();
        (net, adam, report)
    };
    run(2);
    run(3);
    let (net, resumed, report) = run(6);
    assert_eq!(bits(net.state_dict()), bits(whole.state_dict()));
    assert_eq!(bits(resumed.state_dict(&net)), bits(adam.state_dict(&whole)));
    assert_eq!(resumed.steps(), adam.steps());
    assert_eq!(report.history.to_csv(), history.to_csv());
    // There is nothing left to do.
    assert_eq!(bits(run(6).0.state_dict()), bits(whole.state_dict()));
}

/// The epochs of the run that is killed: more than can be done before the last time.
const KILLED_EPOCHS: usize = 9;

/// Tells [`kill_9_at_any_moment_changes_no_bit`] that it is the process to be killed, and
/// where its checkpoint is.
const CHILD: &str = "WENGERT_CHECKPOINT";

/// What the process that is to be killed does: it trains, and waits for a line before each
/// step.
fn child(path: &Path) {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let say = |what: &str| {
        // Not by `println`, which the test program might keep to itself.
        let mut out = io::stdout();
        writeln!(out, "child: {what}").unwrap();
        out.flush().unwrap();
    };
    trainer(KILLED_EPOCHS)
        .checkpoint(path)
        .resume()
        .on_step(|_, progress, _| {
            say(&format!("step {}", progress.step()));
            io::stdin().read_line(&mut String::new()).unwrap();
        })
        .on_epoch(|_, _| {
            say("saving");
            ControlFlow::Continue(())
        })
        .fit(&mut net, &mut adam, (&train, &validation), loss)
        .unwrap();
    say(&format!("{:?}", bits(net.state_dict())));
}

#[test]
fn kill_9_at_any_moment_changes_no_bit() {
    if let Some(path) = env::var_os(CHILD) {
        return child(Path::new(&path));
    }
    let path = place("killed.safetensors");
    let _ = fs::remove_file(&path);
    // Left by an earlier run that was killed while it wrote.
    fs::write(place("killed.safetensors.partial"), "half of a file").unwrap();
    let expected = format!("{:?}", bits(trained(KILLED_EPOCHS).0.state_dict()));
    // Runs this test as the child until it says something for the n-th time, and kills it;
    // gives all that it has said.
    let run = |what: &str, mut count: usize| -> Vec<String> {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["training::kill_9_at_any_moment_changes_no_bit", "--exact", "--nocapture"])
            .env(CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut said = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.unwrap();
            let Some((_, words)) = line.split_once("child: ") else { continue };
            said.push(words.to_owned());
            if words.starts_with(what) {
                if count == 0 {
                    child.kill().unwrap();
                    break;
                }
                count -= 1;
            }
            if words.starts_with("step") {
                writeln!(stdin).unwrap();
            }
        }
        child.wait().unwrap();
        said
    };
    // In the first epoch, later on, at once, and three times while a checkpoint is being
    // written, or has just been.
    for (what, count) in [
        ("step", 3),
        ("step", 9),
        ("saving", 0),
        ("step", 0),
        ("saving", 1),
        ("step", 10),
        ("saving", 0),
    ] {
        assert!(run(what, count).last().unwrap().starts_with(what), "it was killed there");
    }
    let said = run("nothing", 0);
    assert_eq!(said.last(), Some(&expected));
    // It went on from an epoch, of seven steps. Three were done at least; how many more depends
    // on whether a checkpoint was written before the kill came.
    let first: usize = said[0].strip_prefix("step ").unwrap().parse().unwrap();
    assert!(first >= 21 && first.is_multiple_of(7), "{first}");
}

#[test]
fn the_best_epoch_is_kept_and_patience_ends() {
    let (train, validation) = loaders();
    let path = place("best.safetensors");
    let _ = fs::remove_file(&path);
    let run = |epochs: usize| {
        let (mut net, mut adam, mut states) = (Net::new(), Adam::new(0.2), Vec::new());
        // A rate that lets the loss rise again and again.
        let mut trainer = Trainer::new(epochs)
            .quiet()
            .checkpoint(&path)
            .resume()
            .keep_best(Best::lowest("validation loss").patience(3))
            .on_epoch(|net: &mut Net, _| {
                states.push(bits(net.state_dict()));
                ControlFlow::Continue(())
            });
        let report = trainer.fit(&mut net, &mut adam, (&train, &validation), loss).unwrap();
        drop(trainer);
        (bits(net.state_dict()), report, states)
    };
    let (state, report, states) = run(100);
    assert_eq!(report.reason, StopReason::Patience);
    let losses = report.history.column("validation loss").unwrap();
    let best = report.epoch.unwrap();
    assert_eq!(losses.len(), best + 4);
    assert!(losses.iter().enumerate().all(|(i, &loss)| loss > losses[best] || i >= best));
    assert_eq!(state, states[best]);
    // The same in two runs, of which the second begins after the best epoch.
    fs::remove_file(&path).unwrap();
    run(best + 2);
    let (resumed, again, _) = run(100);
    assert_eq!((resumed, again.reason, again.epoch), (state, report.reason, report.epoch));
}

/// A loss that is NaN wherever the model is.
fn broken<'t>(
    net: &Net,
    tape: &'t Tape<f64>,
    batch: &Batch,
    metrics: &mut Metrics,
) -> Var<'t, f64> {
    loss(net, tape, batch, metrics) + (net.out.weight.on(tape).sum() * 0.0 - 1.0).ln()
}

#[test]
fn a_hook_stops_and_a_loss_that_is_not_finite_is_named() {
    let (mut net, mut sgd, (train, _)) = (Net::new(), Sgd::new(0.1), loaders());
    let stop = |_: &mut Net, history: &History| match history.epochs() {
        2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let report =
        Trainer::new(9).quiet().on_epoch(stop).fit(&mut net, &mut sgd, &train, loss).unwrap();
    assert_eq!((report.reason, report.history.epochs()), (StopReason::Hook, 2));

    let before = bits(net.state_dict());
    let results = [
        Trainer::new(1).quiet().fit(&mut net, &mut sgd, &train, broken),
        Trainer::new(1).quiet().fit_parallel(2, &mut net, &mut sgd, &train, broken),
    ];
    for said in results.map(|result| result.unwrap_err().to_string()) {
        let start = "epoch 1, batch 1: the loss is NaN; first of all: NaN in";
        assert!(said.starts_with(start) && said.contains("ln"), "{said}");
    }
    assert_eq!(bits(net.state_dict()), before);
}

#[test]
fn a_trainer_goes_on_from_a_plain_loop() {
    let (whole, ..) = trained(3);
    let path = place("plain.safetensors");
    let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(0.05), loaders());
    let mut tape = Tape::new();
    for (number, batch) in (0..).zip(train.epoch(0)) {
        tape.train(derived_seed(derived_seed(9, 0), number));
        tape.reset();
        let loss = loss(&net, &tape, &batch.unwrap(), &mut Metrics::default());
        adam.step(&mut net, &loss.backward());
    }
    let options = IndexMap::from([("trainer.seed".to_owned(), "9".to_owned())]);
    let mut checkpoint = Checkpoint::of(&net, &adam);
    (checkpoint.epochs, checkpoint.options) = (1, options);
    checkpoint.save(&path).unwrap();

    let (mut net, mut adam) = (Net::new(), Adam::new(1.0));
    let mut trainer = trainer(3).checkpoint(&path).resume().keep_best(Best::highest("train loss"));
    let report = trainer.fit(&mut net, &mut adam, &train, loss).unwrap();
    assert_eq!(report.history.epochs(), 3);
    assert!(report.history.column("train loss").unwrap()[0].is_nan());
    assert_eq!(report.epoch, Some(1));
    let last = Checkpoint::<f64>::load(&path).unwrap().model;
    assert_eq!(
        bits(whole.state_dict()),
        whole
            .state_dict()
            .keys()
            .flat_map(|name| { bits([(name.clone(), last[name].clone())].into()) })
            .collect::<Vec<_>>()
    );
}

#[test]
fn checkpoints_of_other_runs_are_refused() {
    let path = place("others.safetensors");
    let (mut net, mut adam, (train, _)) = (Net::new(), Adam::new(0.1), loaders());
    trainer(1).checkpoint(&path).fit(&mut net, &mut adam, &train, loss).unwrap();
    let mut other = Linear::<f64>::new(2, 3, &mut MatlabRng::new(1));
    let restored = Checkpoint::load(&path).unwrap().restore(&mut other, &mut adam);
    assert!(!restored.unwrap_err().missing.is_empty());
    assert_eq!(
        message(Checkpoint::<f32>::load(&path)),
        "at byte 0: expected precision: f32, found `f64`"
    );
}

/// A run that is resumed with one thing changed at a time says which.
#[test]
fn a_resumed_run_has_the_options_of_the_one_that_was_interrupted() {
    let path = place("options.safetensors");
    let _ = fs::remove_file(&path);
    let trainer = |epochs: usize| {
        let trainer = trainer(epochs).checkpoint(&path).resume();
        trainer.keep_best(Best::lowest("train loss").patience(epochs)).option("data\n", "a\tb\\")
    };
    let both = || (DataLoader::new(samples(16), 8).shuffled(3), DataLoader::new(samples(5), 5));
    let new = |rate: f64| (Net::new(), Sgd::new(rate).momentum(0.5));
    let (mut net, mut sgd) = new(0.1);
    trainer(1).fit(&mut net, &mut sgd, (&both().0, &both().1), loss).unwrap();

    let refused = |mut trainer: Trainer<'_, Net>, mut sgd: Sgd<f64>, train: &DataLoader<Batch>| {
        let said = trainer.fit(&mut Net::new(), &mut sgd, (train, &both().1), loss);
        match said.unwrap_err() {
            TrainError::Option { option, expected, found, .. } => {
                format!("{option}: {expected}, {found}")
            }
            other => panic!("{other}"),
        }
    };
    let (train, sgd) = (both().0, || new(0.1).1);
    let with = |trainer| refused(trainer, sgd(), &train);
    assert_eq!(with(trainer(2).seed(4)), "trainer.seed: 4, 9");
    assert_eq!(with(trainer(2).option("data\n", "c")), "data\n: c, a\tb\\");
    let highest = trainer(2).keep_best(Best::highest("train loss"));
    assert_eq!(with(highest), "trainer.keep_best: highest train loss, lowest train loss");
    let other = |train: &DataLoader<Batch>| refused(trainer(2), sgd(), train);
    let of = |count, size| DataLoader::new(samples(count), size);
    assert_eq!(other(&of(17, 8).shuffled(3)), "training.samples: 17, 16");
    assert_eq!(other(&of(16, 4).shuffled(3)), "training.batch_size: 4, 8");
    assert_eq!(other(&of(16, 8)), "training.order: none, 3");
    assert_eq!(other(&of(16, 8).shuffled(3).drop_last()), "training.drop_last: true, false");
    let clipped = refused(trainer(2), sgd().clip_norm(1.0), &train);
    assert_eq!(clipped, "optimiser.clip: Norm(1.0), none");
    let said = refused(trainer(2), sgd().momentum(0.25), &train);
    assert!(said.starts_with("optimiser.rule: Momentum {") && said.contains("0.25"), "{said}");
    let error = trainer(2).fit(&mut Net::new(), &mut sgd(), &train, loss).unwrap_err();
    let said = error.to_string();
    // What a program prints whose `main` returns it.
    assert_eq!(format!("{error:?}"), said);
    let end = "a run with other options: expected validation.samples: none, found 5";
    assert!(said.ends_with(end), "{said}");
    let sharded = trainer(2).fit_parallel(2, &mut Net::new(), &mut sgd(), &train, loss);
    assert!(sharded.unwrap_err().to_string().ends_with("trainer.shards: 2, found 1"));

    // What a run would be refused for is known before it: of other data, and not of shards.
    let check = |trainer: Trainer<'_, Net>, sgd: &Sgd<f64>, train: &DataLoader<Batch>| {
        trainer.check(sgd, (train, &both().1)).map_err(|error| message::<(), _>(Err(error)))
    };
    assert_eq!(check(trainer(2), &sgd(), &train), Ok(()));
    assert_eq!(
        check(trainer(2).seed(4), &sgd(), &train).unwrap_err(),
        "a run with other options: expected trainer.seed: 4, found 9"
    );
    let none = check(trainer(2), &sgd(), &of(0, 8)).unwrap_err();
    assert_eq!(none, "0 samples in batches of 8");

    // More epochs, more patience, and a rate that the schedule sets, are no other run.
    let (mut net, mut sgd) = new(0.7);
    let report = trainer(3).fit(&mut net, &mut sgd, (&train, &both().1), loss).unwrap();
    assert_eq!(report.history.epochs(), 3);
}
