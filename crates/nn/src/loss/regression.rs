//! Losses of numbers: how far an output is from its target.

use wengert_core::{Real, Var};

use super::{not_empty, same_shape};

/// Half the squared distance of output and target, averaged over the samples: the
/// paper's cost (6), (9). Without a batch axis, `output` is a single sample, and
/// this is the paper's (13): `C = 1/2 ||y - a||^2`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::quadratic_cost;
///
/// let tape = Tape::new();
/// let (a, y) = (tape.variable([1.0, 2.0]), tape.constant([0.0, 0.0]));
/// assert_eq!(quadratic_cost(a, y).item(), 2.5);
/// let (a, y) = (tape.variable([[1.0, 2.0], [2.0, 2.0]]), tape.constant([[0.0; 2]; 2]));
/// assert_eq!(quadratic_cost(a, y).item(), (2.5 + 4.0) / 2.0);
/// ```
///
/// # Panics
/// If the shapes differ, since a loss does not broadcast, or the batch is empty.
#[track_caller]
pub fn quadratic_cost<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    not_empty("the quadratic cost", output);
    let shape = output.shape();
    let samples = if shape.rank() < 2 { 1 } else { shape[0] };
    squared_error(output, target) * T::from_f64(0.5 / samples as f64)
}

/// The sum of all squared differences of output and target: for the paper's ten
/// points 20 times its cost (6), and the cost that its MATLAB code reports.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::squared_error;
///
/// let tape = Tape::new();
/// let (a, y) = (tape.variable([1.0, 2.0]), tape.constant([0.0, 0.0]));
/// assert_eq!(squared_error(a, y).item(), 5.0);
/// ```
///
/// # Panics
/// If the shapes differ, since a loss does not broadcast, or the batch is empty.
#[track_caller]
pub fn squared_error<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    same_shape("a squared error", output, target);
    (output - target).square().sum()
}

/// The mean of all squared differences of output and target, as in PyTorch.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::mse;
///
/// let tape = Tape::new();
/// let (a, y) = (tape.variable([1.0, 2.0]), tape.constant([0.0, 0.0]));
/// assert_eq!(mse(a, y).item(), 2.5);
/// ```
///
/// # Panics
/// If the shapes differ, since a loss does not broadcast, or the batch is empty.
#[track_caller]
pub fn mse<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    same_shape("a mean squared error", output, target);
    not_empty("a mean squared error", output);
    (output - target).square().mean()
}

/// The mean of all distances `|y - a|`, as in PyTorch. Its derivative where both are equal
/// is 0.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::l1;
///
/// let tape = Tape::new();
/// let (a, y) = (tape.variable([1.0, -2.0]), tape.constant([0.0, 0.0]));
/// assert_eq!(l1(a, y).item(), 1.5);
/// ```
///
/// # Panics
/// If the shapes differ, since a loss does not broadcast, or the batch is empty.
#[track_caller]
pub fn l1<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    same_shape("a mean distance", output, target);
    not_empty("a mean distance", output);
    (output - target).abs().mean()
}

/// The mean of `d^2 / 2` for distances `d` up to `delta`, and of `delta (d - delta / 2)`
/// beyond: outliers pull with a bounded force (Huber, 1964).
///
/// As PyTorch's `HuberLoss`; its `SmoothL1Loss` is this, divided by `delta`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::huber;
///
/// let tape = Tape::new();
/// let (a, y) = (tape.variable([1.0, -4.0]), tape.constant([0.0, 0.0]));
/// assert_eq!(huber(a, y, 2.0).item(), (0.5 + 6.0) / 2.0);
/// ```
///
/// # Panics
/// If the shapes differ, or `delta` is not positive.
#[track_caller]
pub fn huber<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>, delta: f64) -> Var<'t, T> {
    same_shape("a Huber loss", output, target);
    not_empty("a Huber loss", output);
    assert!(delta > 0.0, "a Huber loss is quadratic up to a positive delta, not {delta}");
    let difference = output - target;
    let near = difference.clamp(-delta, delta);
    // d^2 / 2 = d (d - d / 2), which goes on as delta (d - delta / 2) on either side. The sign
    // stays, since |d| has a kink at 0, where the loss has none.
    (near * (difference - near * T::from_f64(0.5))).mean()
}
