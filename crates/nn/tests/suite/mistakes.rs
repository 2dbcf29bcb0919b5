//! Mistakes that would look like training are refused, with a message that says what to do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::data::DataLoader;
use wengert_nn::loss::*;
use wengert_nn::optim::StepError;
use wengert_nn::random::seeded;
use wengert_nn::train::{Checkpoint, DataParallel, TrainError, Trainer};
use wengert_nn::*;

/// What a body says when it panics.
#[track_caller]
pub(crate) fn message<R>(body: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).err().expect("it should be refused");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).expect("a text")
}

/// The lines of `Net` that make its layer and record its loss.
const MADE: u32 = line!() + 11;
const RECORDED: u32 = line!() + 16;

#[derive(Clone, Module)]
struct Net {
    hidden: Linear<f64>,
    scale: Param<f64>,
}

impl Net {
    fn new() -> Self {
        let hidden = Linear::from_parts([[1.0, -1.0], [0.5, 0.25]], [0.0, 0.0]);
        Self { hidden, scale: Param::named("scale", [1.0, 1.0]) }
    }

    /// The derivative of the root is infinite where what the layer gives is 0.
    fn loss<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        (self.hidden.forward(x).square().sqrt() * self.scale.on(x.tape())).sum()
    }
}

#[test]
fn a_gradient_that_is_not_finite_moves_nothing() {
    let mut net = Net::new();
    let before = net.state_dict();
    let (mut sgd, tape) = (Sgd::new(0.1).momentum(0.9), Tape::new());
    // The root of 0 in the first place: its derivative is infinite, that of the square 0.
    let gradients = net.loss(tape.constant([1.0, 1.0])).backward();
    let message = message(|| sgd.step(&mut net, &gradients));
    let expected = format!(
        "the gradient of `hidden.weight`, weight [2, 2] made at {}:{MADE}:22 is NaN at [0, 0]; no \
         parameter has moved\n  first of all: ",
        file!()
    );
    assert!(message.starts_with(&expected), "{message}");
    assert!(message.contains(&format!("{}:{RECORDED}:", file!())), "{message}");
    assert!(message.ends_with("`allow_non_finite` takes the step"), "{message}");
    assert_eq!((net.state_dict(), sgd.steps()), (before, 0));
    let error = sgd.try_step(&mut net, &gradients).unwrap_err();
    let StepError::NotFinite { index, value, .. } = &error else { panic!("{error}") };
    assert!(index == &[0, 0] && value.is_nan());
    let mut lenient = Sgd::new(0.1).allow_non_finite();
    lenient.step(&mut net, &gradients);
    assert!(net.hidden.weight.elements()[0].is_nan() && net.scale.elements() == [1.0, 0.925]);
}

#[test]
fn clipping_hides_no_gradient_that_is_not_finite() {
    let (mut net, tape) = (Net::new(), Tape::new());
    let gradients = net.loss(tape.constant([1.0, 1.0])).backward();
    for mut sgd in [Sgd::new(0.1).clip_norm(1.0), Sgd::new(0.1).clip_value(1.0)] {
        assert!(sgd.try_step(&mut net, &gradients).is_err());
    }
}

#[test]
fn a_step_on_another_model_is_refused() {
    let (net, tape) = (Net::new(), Tape::new());
    let mut clone = net.clone();
    let gradients = net.loss(tape.constant([1.0, 2.0])).backward();
    let said = message(|| Adam::new(0.1).step(&mut clone, &gradients));
    assert!(said.starts_with("no parameter of the model would move: gradients of v"), "{said}");
    assert!(said.contains("depend on none of its 3, the first of which is `hidden.weight`"));
    assert!(said.ends_with("and no clone of it, whose parameters are others"), "{said}");
    // A step that was refused does not count.
    let mut adam = Adam::new(0.1);
    assert!(adam.try_step(&mut clone, &gradients).is_err());
    assert_eq!(adam.steps(), 0);

    // On the tape, but not in the loss.
    clone.scale.on(&tape);
    let gradients = net.loss(tape.constant([1.0, 2.0])).backward();
    let said = message(|| Adam::new(0.1).step(&mut clone, &gradients));
    assert!(said.ends_with("on the tape, but the loss does not use them"), "{said}");
    // A part of a model may well stay.
    clone.hidden = net.hidden.clone();
    let loss = net.loss(tape.constant([1.0, 2.0])) + clone.scale.on(&tape).sum();
    Adam::new(0.1).step(&mut clone, &loss.backward());
    // Nothing to train is nothing to miss.
    clone.freeze();
    Adam::new(0.1).step(&mut clone, &gradients);
    Adam::new(0.1).step(&mut (), &gradients);
}

#[test]
fn a_compiled_step_belongs_to_its_model() {
    let (mut net, mut adam) = (Net::new(), Adam::new(0.1));
    let x = Tensor::from([1.0, 2.0]);
    let mut step = TrainStep::compile(&net, &adam, |x| net.loss(x), &x).unwrap();
    step.run(&x);
    let mut clone = net.clone();
    let before = clone.state_dict();
    let said = message(|| step.store(&mut clone, &mut adam));
    assert!(
        said.starts_with("the step was compiled for a model with `hidden.weight`, weight [2, 2]")
    );
    assert!(said.contains("which this one has not"), "{said}");
    assert_eq!((clone.state_dict(), adam.steps()), (before, 0));
    step.store(&mut net, &mut adam);
    assert_eq!(adam.steps(), 1);
    let said = message(|| TrainStep::compile(&clone, &adam, |x| net.loss(x), &x));
    assert!(said.contains("no parameter of the model would move"), "{said}");
    let said = message(|| step.run((&x, &x)));
    assert_eq!(said, "a step takes the inputs that it was compiled for: expected 1, got 2");
    let said = message(|| step.set_rate(f64::NAN));
    assert_eq!(said, "the learning rate: expected a finite number of at least 0, got NaN");
}

#[test]
fn a_compiled_step_keeps_what_is_not_finite_to_itself() {
    let (mut net, adam) = (Net::new(), Adam::new(0.1));
    let (good, bad) = (Tensor::from([1.0, 2.0]), Tensor::from([f64::NAN, 2.0]));
    let mut step = TrainStep::compile(&net, &adam, |x| net.loss(x), &good).unwrap();
    step.run(&good);
    let said = message(|| step.run(&bad));
    assert!(said.starts_with("the loss of step 2 is NaN: `Optimiser::step` on a tape"), "{said}");
    let before = net.state_dict();
    let said = message(|| step.store(&mut net, &mut adam.clone()));
    assert!(said.contains("`hidden.weight`, weight [2, 2]"), "{said}");
    assert!(said.ends_with("is not finite: the model stays as it was"), "{said}");
    assert_eq!(net.state_dict(), before);
    // The line of a message about an input is that of the compilation.
    let said = message(|| step.run(&Tensor::from([1.0, 2.0, 3.0])));
    assert!(!said.contains("/src/"), "{said}");

    let lenient = Adam::new(0.1).allow_non_finite();
    let mut step = TrainStep::compile(&net, &lenient, |x| net.loss(x), &good).unwrap();
    assert!(step.run(&bad).is_nan());
    step.store(&mut net, &mut lenient.clone());
    assert!(net.scale.elements()[0].is_nan());
}

#[test]
fn an_empty_batch_has_no_loss() {
    let tape = Tape::<f64>::new();
    let rows = tape.constant(Tensor::zeros([0, 3]));
    let none = tape.constant(Tensor::zeros([0]));
    let time = tape.constant(Tensor::zeros([0, 2, 3]));
    let said = [
        message(|| quadratic_cost(rows, rows)),
        message(|| mse(rows, rows)),
        message(|| l1(rows, rows)),
        message(|| huber(rows, rows, 1.0)),
        message(|| cross_entropy(rows, &[])),
        message(|| cross_entropy_with(rows, rows)),
        message(|| CrossEntropy::new().of(rows, &[])),
        message(|| nll(rows, &[])),
        message(|| binary_cross_entropy(rows, rows)),
        message(|| kl_divergence(rows, rows)),
        message(|| hinge(none, none)),
        message(|| multi_margin(rows, &[])),
        message(|| cosine_embedding(rows, rows, none, 0.1)),
        message(|| triplet_margin(rows, rows, rows, 0.1)),
        message(|| Ctc::new().of(time, &[], &[])),
    ];
    for said in said {
        assert!(said.contains(" is a mean over the samples, and this batch is empty"), "{said}");
        assert!(said.contains(file!()) && !said.contains("nn/src"), "{said}");
    }
    // A sum of nothing is 0.
    assert_eq!(squared_error(rows, rows).item(), 0.0);
    assert_eq!(cross_entropy_sum(rows, &[]).item(), 0.0);
    assert_eq!(CrossEntropy::new().sum().of(rows, &[]).item(), 0.0);
}

#[test]
fn lists_of_another_length_are_refused_in_words() {
    let tape = Tape::<f64>::new();
    let rows = tape.constant(Tensor::zeros([2, 3]));
    let said = message(|| cross_entropy(rows, &[2]));
    assert!(said.starts_with("expected a label for each of the 2 samples, got 1\n  logits: v0"));
    let said = message(|| CrossEntropy::new().weights([1.0]).of(rows, &[0, 1]));
    assert!(said.starts_with("expected a weight for each of the 3 classes, got 1"), "{said}");
    let said = message(|| Param::new([1.0, 2.0]).set([1.0]));
    assert_eq!(said, "a parameter of shape [2] keeps its shape, got [1]");
    let said = message(|| Net::new().set_parameter_vector(&[0.0]));
    assert_eq!(said, "expected the 8 numbers of all parameters, got 1");
}

#[test]
fn layers_of_nothing_are_refused() {
    let rng = &mut seeded(1);
    let said = [
        message(|| Linear::<f32>::new(0, 2, rng)),
        message(|| Linear::<f32>::new(2, 0, rng)),
        message(|| Bilinear::<f32>::new(1, 0, 2, rng)),
        message(|| Conv2d::<f32>::new(0, 2, 3, rng)),
        message(|| Conv2d::<f32>::new(2, 0, 3, rng)),
        message(|| ConvTranspose1d::<f32>::new(0, 2, 3, rng)),
        message(|| BatchNorm::<f32>::new(0)),
        message(|| InstanceNorm::<f32>::affine(0)),
        message(|| Embedding::<f32>::new(0, 2, rng)),
        message(|| Embedding::<f32>::new(2, 0, rng)),
        message(|| LearnedPositions::<f32>::new(0, 2, rng)),
        message(|| Rnn::<f32>::new(0, 2, rng)),
        message(|| Lstm::<f32>::new(2, 0, rng)),
        message(|| MultiHeadAttention::<f32>::new(0, 2, rng)),
        message(|| TransformerEncoderLayer::<f32>::new(4, 2, 0, rng)),
        message(|| Prelu::<f32>::new(0)),
    ];
    for said in said {
        assert!(said.contains(": expected ") && said.ends_with(" of at least 1, got 0"), "{said}");
    }
    for said in [
        message(|| LayerNorm::<f32>::new([0])),
        message(|| RmsNorm::<f32>::new([2, 0])),
        message(|| GroupNorm::<f32>::new(1, 0)),
    ] {
        assert!(said.contains('0'), "{said}");
    }
}

#[test]
fn a_loader_without_batches_is_an_error() {
    let loader =
        |samples| DataLoader::new(Tensor::from_fn([samples, 2], |i| i as f64), 4).drop_last();
    let (mut net, mut adam) = (Net::new(), Adam::new(0.1));
    let fit = |net: &mut Net, adam: &mut Adam<f64>, train: usize, validate: usize| {
        let loaders = (&loader(train), &loader(validate));
        Trainer::new(2)
            .quiet()
            .fit(net, adam, loaders, |net, tape, x, _| net.loss(tape.constant(x)))
    };
    for (train, validate, phase) in [(3, 4, "training"), (0, 4, "training"), (4, 3, "validation")] {
        let error = fit(&mut net, &mut adam, train, validate).unwrap_err();
        let samples = if phase == "training" { train } else { validate };
        let expected =
            format!("the loader of {phase} has no batch: {samples} samples in batches of 4");
        assert_eq!(error.to_string(), expected);
    }
    assert!(fit(&mut net, &mut adam, 4, 4).is_ok());
}

#[test]
fn a_run_ends_with_the_step_that_is_refused() {
    // The third batch has an infinite derivative, and a loss that is finite.
    let x = Tensor::from_fn([3, 2], |i| if i < 4 { [1.0, 2.0][i % 2] } else { 0.0 });
    let mut net = Net::new();
    let before = net.clone();
    let loader = DataLoader::new(x, 1);
    let error = Trainer::new(1)
        .quiet()
        .fit(&mut net, &mut Sgd::new(0.0), &loader, |net, tape, x, _| net.loss(tape.constant(x)))
        .unwrap_err();
    let TrainError::Step { epoch: 0, batch: 2, .. } = error else { panic!("{error}") };
    assert!(error.to_string().starts_with("epoch 1, batch 3: the gradient of `hidden.weight`"));
    assert_eq!(net.state_dict(), before.state_dict());
    let mut parallel = DataParallel::new(2);
    let batch = Tensor::zeros([2, 2]);
    let said = message(|| {
        parallel.step(&mut net, &mut Sgd::new(0.1), &batch, |net, tape, x, _| {
            net.loss(tape.constant(x))
        })
    });
    assert!(said.contains("the gradient of `hidden.weight`"), "{said}");
    assert!(said.contains("first of all: inf in v") && !said.contains("/src/"), "{said}");
}

#[test]
fn one_error_serves_files_and_states() {
    fn copied(path: &str) -> Result<usize, Error> {
        let (mut net, mut adam) = (Net::new(), Adam::new(0.1));
        net.load_state_dict(&weights::load(path)?)?;
        adam.load_state_dict(&net, &Default::default(), 0)?;
        let x = Tensor::from([1.0, 2.0]);
        TrainStep::compile(&net, &adam, |x| net.loss(x), &x)?.run(&x);
        Ok(net.parameter_count())
    }
    let path =
        std::env::temp_dir().join(format!("wengert_one_error_{}.safetensors", std::process::id()));
    let path = path.to_str().unwrap();
    assert!(matches!(copied(path), Err(Error::File(_))));
    weights::save(path, &Linear::<f64>::new(2, 2, &mut seeded(1)).state_dict()).unwrap();
    let error = copied(path).unwrap_err();
    assert!(matches!(error, Error::State(_)));
    assert!(format!("{error:?}").starts_with("the state does not fit the model\n  missing: "));
    weights::save(path, &Net::new().state_dict()).unwrap();
    assert_eq!(copied(path).unwrap(), 8);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_checkpoint_with_a_rate_that_is_none_is_not_read() {
    let (net, adam) = (Net::new(), Adam::new(0.1));
    let path = std::env::temp_dir().join(format!("wengert_bad_rate_{}", std::process::id()));
    for rate in [-0.1, f64::NAN, f64::INFINITY] {
        let mut checkpoint = Checkpoint::of(&net, &adam);
        checkpoint.rate = rate;
        checkpoint.save(&path).unwrap();
        let said = Checkpoint::<f64>::load(&path).unwrap_err().to_string();
        assert!(said.contains("rate: a finite number of at least 0"), "{said}");
        let mut saved = Checkpoint::of(&net, &adam);
        saved.multipliers.values_mut().for_each(|multipliers| multipliers.decay = rate);
        saved.save(&path).unwrap();
        let said = Checkpoint::<f64>::load(&path).unwrap_err().to_string();
        assert!(said.contains("multipliers: three numbers each, of at least 0"), "{said}");
    }
    std::fs::remove_file(path).unwrap();
}
