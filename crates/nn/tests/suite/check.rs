//! Checks of whole models.

use std::cell::Cell;

use wengert_core::check::{Options, Verdict};
use wengert_core::{Real, Tape, Tensor, Var, custom_vjp};
use wengert_nn::loss::mse;
use wengert_nn::random::MatlabRng;
use wengert_nn::{BatchNorm, Dropout, Layer, Linear, Module, Param, check};

/// A layer by the user: `x |x|` with a slope by hand, which may be wrong.
#[derive(Module)]
struct Curve<T: Real> {
    scale: Param<T>,
    slope: f64,
}

impl<T: Real> Layer<T> for Curve<T> {
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let slope = T::from_f64(self.slope);
        let y = custom_vjp([x], |[x]| x * x.abs(), move |[x], _, w| [w * x.abs() * slope]);
        y * self.scale.on(x.tape())
    }
}

#[derive(Module)]
struct Net<T: Real> {
    hidden: Linear<T>,
    curve: Curve<T>,
    out: Linear<T>,
}

impl<T: Real> Net<T> {
    fn new(inputs: usize, width: usize, slope: f64) -> Self {
        let rng = &mut MatlabRng::new(3);
        Self {
            hidden: Linear::new(inputs, width, rng),
            curve: Curve { scale: Param::new(T::from_f64(1.5)), slope },
            out: Linear::new(width, 2, rng),
        }
    }

    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.out.forward(self.curve.forward(self.hidden.forward(x)))
    }

    fn loss<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.forward(x).tanh().square().sum()
    }
}

fn input<T: Real>(rows: usize, columns: usize) -> Tensor<T> {
    Tensor::from_fn([rows, columns], |i| T::from_f64((1.3 * i as f64).sin()))
}

#[test]
fn the_layer_that_is_wrong_is_named() {
    let right = check::module(&Net::new(3, 5, 2.0), &input::<f64>(4, 3), |net, x| net.loss(x));
    assert!(right.is_right(), "{right}");
    let names: Vec<_> = right.parameters().iter().map(|p| p.name.as_str()).collect();
    let expected = ["hidden.weight", "hidden.bias", "curve.scale", "out.weight", "out.bias"];
    assert_eq!(names, expected);
    assert_eq!(right.inputs().iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["input"]);
    let net = Net::<f64>::new(3, 5, 2.0);
    let count = format!("{} parameters, {} elements, and its input", 5, net.parameter_count());
    let text = right.to_string();
    assert!(text.contains(&count) && text.contains("in f64, evaluation mode"), "{text}");
    let wrong = check::module(&Net::new(3, 5, 2.02), &input::<f64>(4, 3), |net, x| net.loss(x));
    assert_eq!(wrong.verdict(), Verdict::Wrong);
    let text = wrong.to_string();
    let head: Vec<_> = text.lines().take(4).collect();
    assert!(head[1].contains("custom_vjp") && head[1].contains("check.rs"), "{text}");
    assert!(head[2].contains("after the first use of hidden.bias"), "{text}");
    let parts =
        "wrong: input, hidden.weight, hidden.bias; right: curve.scale, out.weight, out.bias";
    assert!(head[3].contains(parts), "{text}");
}

#[test]
fn samples_without_a_fixed_seed_are_named() {
    let draws = Cell::new(0_u32);
    let report = check::module(&Net::new(3, 5, 2.0), &input::<f64>(4, 3), |net, x| {
        draws.set(draws.get() + 1);
        let kept = Tensor::from_fn([4, 3], |i| f64::from((i as u32 * 7 + draws.get()) % 3));
        net.loss(x * x.tape().constant(kept))
    });
    assert_eq!(report.verdict(), Verdict::NotRepeatable, "{report}");
    let text = report.to_string();
    assert!(text.contains("constant, shape [4, 3]") && text.contains("check.rs"), "{text}");
}

/// A model that does something else in training: the statistics of the batch, and dropout.
#[derive(Module)]
struct Trained {
    first: Linear<f64>,
    normalised: BatchNorm<f64>,
    dropped: Dropout,
    last: Linear<f64>,
    /// Of the rule that only training goes through.
    slope: f64,
}

impl Trained {
    fn new(slope: f64) -> Self {
        let rng = &mut MatlabRng::new(2);
        Self {
            first: Linear::new(3, 6, rng),
            normalised: BatchNorm::new(6),
            dropped: Dropout::new(0.5),
            last: Linear::new(6, 2, rng),
            slope,
        }
    }

    fn loss<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        let x = self.normalised.forward(self.first.forward(x));
        let x = match x.tape().is_training() {
            true => {
                let slope = self.slope;
                custom_vjp([x], |[x]| x.sin(), move |[x], _, w| [w * x.cos() * slope])
            }
            false => x.sin(),
        };
        self.last.forward(self.dropped.forward(x)).square().sum()
    }
}

/// The bias before the normalisation has a gradient of 0 but for rounding, which is no reason to
/// leave the model unjudged.
#[test]
fn training_is_checked_when_asked() {
    let x = input::<f64>(5, 3);
    for slope in [1.0, 1.01] {
        let net = Trained::new(slope);
        let evaluated = check::module(&net, &x, |net, x| net.loss(x));
        assert!(evaluated.is_right(), "{evaluated}");
        assert!(evaluated.to_string().contains("evaluation mode"), "{evaluated}");
        for seed in 0..3 {
            let options = Options::default().training(seed);
            let trained = check::module_with(options, &net, &x, |net, x| net.loss(x));
            assert_eq!(trained.is_right(), slope == 1.0, "{trained}");
            assert!(trained.to_string().contains("training mode, samples of seed"), "{trained}");
            let culprit = trained.culprit().unwrap_or_default();
            assert!(slope == 1.0 || culprit.contains("custom_vjp"), "{trained}");
        }
        // A model that says so itself.
        let own = check::module(&net, &x, |net, x| {
            x.tape().train(1);
            net.loss(x)
        });
        assert!(own.to_string().contains("in f64, training mode"), "{own}");
        assert_eq!(own.is_right(), slope == 1.0, "{own}");
    }
}

/// A hundred thousand parameters: the number of evaluations does not depend on it.
#[test]
fn a_large_model_takes_few_evaluations() {
    let net = Net::<f64>::new(300, 330, 2.0);
    assert!(net.parameter_count() > 99_000);
    let evaluations = Cell::new(0);
    let options = Options::default().first_order();
    let report = check::module_with(options, &net, &input(2, 300), |net, x| {
        evaluations.set(evaluations.get() + 1);
        net.loss(x * 0.1)
    });
    assert!(report.is_right(), "{report}");
    println!("{} evaluations, {} parameters", evaluations.get(), report.parameters().len());
    assert!(evaluations.get() < 400, "{} evaluations", evaluations.get());
    assert!(report.unchecked()[0].contains("entries one by one"), "{report}");
}

#[test]
fn frozen_and_unused_parameters_are_told() {
    let mut net = Net::<f64>::new(3, 5, 2.0);
    net.out.freeze();
    let report = check::module(&net, &input(4, 3), |net, x| net.loss(x));
    assert!(report.is_right(), "{report}");
    assert!(report.unchecked().iter().any(|line| line.starts_with("out.weight")), "{report}");
    let tape = Tape::new();
    let hidden = net.hidden.forward(tape.constant(input(4, 3)));
    let diagnosis = check::diagnose(&net, mse(hidden, hidden * 2.0));
    let text = diagnosis.to_string();
    assert!(text.contains("curve.scale is not used"), "{text}");
}
