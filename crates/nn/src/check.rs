//! Checks of whole models: every parameter by its name, and which layer is wrong.
//!
//! The model is not touched: other numbers stand for its parameters on the tape while it records
//! itself. What is checked, and how, is said in [`wengert_core::check`].

use wengert_core::check::{Diagnosis, Options, ParametersReport};
use wengert_core::{Real, Tape, Tensor, Var};

use crate::Module;

/// The key under which the input stands on the tape; parameters are numbered from 1.
const INPUT: u64 = u64::MAX;

/// Checks the derivatives of a model's loss with respect to its input and each of its parameters.
///
/// Each has random directions of its own, so that a mistake in a small parameter shows beside large
/// ones, and the cost does not depend on the number of elements. If a rule is wrong, the report names
/// the operation with its line and the parameters between whose uses it stands.
///
/// The model is recorded for evaluation, as the report says. [`Options::training`] has it recorded in
/// training, with the samples of a seed: dropout, batch statistics and the like are checked there.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, Linear, Sequential, Tanh, check, loss::mse, sequential};
///
/// let rng = &mut seeded(1);
/// let net: Sequential<f64> = sequential![Linear::new(2, 8, rng), Tanh, Linear::new(8, 1, rng)];
/// let x = Tensor::from([[0.1, 0.2], [0.8, -0.3]]);
/// let report = check::module(&net, &x, |net, x| {
///     mse(net.forward(x), x.tape().constant([[1.0], [0.0]]))
/// });
/// assert!(report.is_right(), "{report}");
/// assert_eq!(report.parameters()[0].name, "0.weight");
/// ```
pub fn module<T: Real, M: Module<T> + ?Sized>(
    net: &M,
    input: &Tensor<T>,
    loss: impl for<'t> Fn(&M, Var<'t, T>) -> Var<'t, T>,
) -> ParametersReport {
    module_with(Options::default(), net, input, loss)
}

/// As [`module`], with options: in training, or every entry by itself with a callback for progress.
///
/// ```
/// use wengert_core::{Tensor, check::Options};
/// use wengert_nn::{Layer, Linear, check};
///
/// let net = Linear::from_parts([[1.0, 2.0], [3.0, 4.0]], [0.1, 0.2]);
/// let progress = |done, all| eprint!("\r{done} of {all} entries");
/// let options = Options::default().full().progress(&progress);
/// let x = Tensor::from([1.0, -1.0]);
/// check::module_with(options, &net, &x, |net, x| net.forward(x).exp().sum()).assert();
/// let options = Options::default().training(7);
/// let report = check::module_with(options, &net, &x, |net, x| net.forward(x).exp().sum());
/// assert!(report.to_string().contains("in f64, training mode, samples of seed 7"));
/// ```
pub fn module_with<T: Real, M: Module<T> + ?Sized>(
    options: Options<'_>,
    net: &M,
    input: &Tensor<T>,
    loss: impl for<'t> Fn(&M, Var<'t, T>) -> Var<'t, T>,
) -> ParametersReport {
    let inputs = [("input".to_owned(), INPUT, input.clone())];
    let parameters = net.named_parameters().into_iter();
    let named: Vec<_> = parameters.map(|(name, p)| (name, p.key(), p.value().clone())).collect();
    options.model(&inputs, &named, on_tape(|tape| loss(net, tape.parameter(INPUT, input))))
}

/// What is unhealthy about a recording of a model that ends in a cost, as
/// [`diagnose`](wengert_core::check::diagnose()), with the names of the parameters.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, Linear, check};
///
/// let net = Linear::from_parts([[-1.0, 0.0]], [-5.0]);
/// let tape = Tape::new();
/// let cost = net.forward(tape.constant([[1.0, 2.0], [2.0, 1.0]])).relu().sum();
/// let diagnosis = check::diagnose(&net, cost);
/// assert!(diagnosis.to_string().contains("zero everywhere, of weight"), "{diagnosis}");
/// ```
pub fn diagnose<T: Real, M: Module<T> + ?Sized>(net: &M, cost: Var<'_, T>) -> Diagnosis {
    let named = net.named_parameters().into_iter().map(|(name, p)| (name, p.key()));
    Diagnosis::of(cost, &named.collect::<Vec<_>>())
}

/// Tells the compiler that a closure works for tapes of any lifetime.
fn on_tape<T: Real, F: for<'t> Fn(&'t Tape<T>) -> Var<'t, T>>(f: F) -> F {
    f
}
