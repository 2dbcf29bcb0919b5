//! Losses: one number that says how far outputs are from what they should be.
//!
//! A batch has its samples along axis 0. The literature scales the same sums in
//! different ways, and the published numbers of one scaling are not those of
//! another, so each has a function of its own:
//!
//! | function | value for N samples of n outputs |
//! | --- | --- |
//! | [`quadratic_cost`] | `1/N sum_i 1/2 \|\|y_i - a_i\|\|^2`, the paper's (6), (9) and (13) |
//! | [`squared_error`] | `sum_i \|\|y_i - a_i\|\|^2`, what the paper's listing prints |
//! | [`mse`] | `1/(N n) sum_i \|\|y_i - a_i\|\|^2`, as in PyTorch |
//! | [`cross_entropy`] | `-1/N sum_i log softmax(x_i)[l_i]` |
//! | [`cross_entropy_sum`] | `-sum_i log softmax(x_i)[l_i]`, the paper's (32) |
//! | [`cross_entropy_with`] | `-1/N sum_i sum_k p_ik log softmax(x_i)[k]` |

use std::sync::Arc;

use wengert_core::{Real, Var};

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
/// If the shapes differ: a loss does not broadcast.
#[track_caller]
pub fn quadratic_cost<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
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
/// If the shapes differ: a loss does not broadcast.
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
/// If the shapes differ: a loss does not broadcast.
#[track_caller]
pub fn mse<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    same_shape("a mean squared error", output, target);
    (output - target).square().mean()
}

/// The softmax log loss (the paper's section 7.3), averaged over the samples.
///
/// `logits` has shape `[N, K]`, before any softmax; a label counts from 0 and says
/// which of the K outputs should be the largest. A single sample of shape `[K]` goes
/// with a single label. Computed from [`Var::log_softmax`], so large logits do not
/// overflow.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::cross_entropy;
///
/// let tape = Tape::new();
/// let logits = tape.variable([[0.0, 0.0], [1000.0, 0.0]]);
/// assert_eq!(cross_entropy(logits, &[1, 0]).item(), 2.0_f64.ln() / 2.0);
/// ```
///
/// # Panics
/// If there is not one label for each sample, or a label is not below K.
#[track_caller]
pub fn cross_entropy<'t, T: Real>(logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    -log_likelihoods(logits, labels).mean()
}

/// As [`cross_entropy`], summed over the samples: the paper's (32).
///
/// # Panics
/// If there is not one label for each sample, or a label is not below K.
#[track_caller]
pub fn cross_entropy_sum<'t, T: Real>(logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    -log_likelihoods(logits, labels).sum()
}

/// As [`cross_entropy`], with a probability for each class in the place of a label: a
/// variable of the logits' shape, of rows that sum to 1. Labels as rows of 0 and 1
/// (one-hot) give the same loss; a compiled step takes them as an input, where a
/// label would be fixed.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::{cross_entropy, cross_entropy_with};
///
/// let tape = Tape::new();
/// let logits = tape.variable([[0.5, 0.1], [2.0, -1.0]]);
/// let targets = tape.constant([[0.0, 1.0], [1.0, 0.0]]);
/// let soft: f64 = cross_entropy_with(logits, targets).item();
/// assert!((soft - cross_entropy(logits, &[1, 0]).item()).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the shapes differ, or are not `[N, K]` or `[K]`.
#[track_caller]
pub fn cross_entropy_with<'t, T: Real>(logits: Var<'t, T>, targets: Var<'t, T>) -> Var<'t, T> {
    same_shape("a cross-entropy", logits, targets);
    let samples = match logits.shape()[..] {
        [_] => 1,
        [samples, _] => samples,
        _ => panic!("logits have shape [N, K], and this is {}", logits.describe()),
    };
    -(logits.log_softmax(-1) * targets).sum() / T::from_f64(samples as f64)
}

/// The logarithm of the probability that softmax gives to each sample's label, of
/// shape `[N]`.
#[track_caller]
fn log_likelihoods<'t, T: Real>(logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    let shape = logits.shape();
    let (samples, classes) = match shape[..] {
        [classes] => (1, classes),
        [samples, classes] => (samples, classes),
        _ => panic!("logits have shape [N, K], and this is {}", logits.describe()),
    };
    let count = labels.len();
    assert_eq!(samples, count, "{samples} samples have {count} labels: {}", logits.describe());
    if let Some((i, label)) = labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        panic!("label {label} of sample {i} is none of 0..{classes}: {}", logits.describe());
    }
    let places: Arc<[usize]> =
        labels.iter().enumerate().map(|(i, label)| i * classes + label).collect();
    logits.log_softmax(-1).flatten(0, -1).gather(0, places)
}

#[track_caller]
fn same_shape<T: Real>(what: &str, output: Var<'_, T>, target: Var<'_, T>) {
    assert!(
        output.shape() == target.shape(),
        "{what} compares values of one shape\n  output: {}\n  target: {}",
        output.describe(),
        target.describe()
    );
}

#[cfg(test)]
mod tests {
    use wengert_core::Tape;

    use super::*;

    #[test]
    fn the_scalings_differ_by_their_factors() {
        let tape = Tape::<f64>::new();
        let output = tape.variable([[0.1, 0.2, 0.3], [0.4, -0.5, 0.6]]);
        let target = tape.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        let sum = 0.81 + 0.04 + 0.09 + 0.16 + 2.25 + 0.36;
        assert!((squared_error(output, target).item() - sum).abs() < 1e-14);
        assert!((quadratic_cost(output, target).item() - sum / 4.0).abs() < 1e-14);
        assert!((mse(output, target).item() - sum / 6.0).abs() < 1e-14);
    }

    #[test]
    fn the_gradient_of_the_quadratic_cost_is_the_difference() {
        let tape = Tape::new();
        let output = tape.variable([1.0, 2.0]);
        let cost = quadratic_cost(output, tape.constant([0.5, 4.0]));
        assert_eq!(cost.backward().wrt(output).to_vec(), [0.5, -2.0]);
    }

    #[test]
    fn cross_entropy_agrees_with_a_plain_loop() {
        let rows: [[f64; 3]; 4] =
            [[0.3, -1.2, 2.0], [100.0, 101.0, 99.0], [-0.5, 0.0, 0.5], [1.0, 1.0, 1.0]];
        let labels = [2, 0, 1, 2];
        let loop_sum: f64 = rows
            .iter()
            .zip(labels)
            .map(|(row, label)| row.iter().map(|v| (v - row[label]).exp()).sum::<f64>().ln())
            .sum();
        let tape = Tape::new();
        let logits = tape.variable(rows);
        let (sum, mean) = (cross_entropy_sum(logits, &labels), cross_entropy(logits, &labels));
        assert!((sum.item() - loop_sum).abs() < 1e-13);
        assert!((mean.item() - loop_sum / 4.0).abs() < 1e-13);
        // The derivative is softmax - 1 at the label, over N.
        let gradient = mean.backward().wrt(logits);
        for (i, (row, label)) in rows.iter().zip(labels).enumerate() {
            let total: f64 = row.iter().map(|v| (v - row[0]).exp()).sum();
            for (k, v) in row.iter().enumerate() {
                let share = (v - row[0]).exp() / total - f64::from(u8::from(k == label));
                assert!((gradient.at(&[i, k]) - share / 4.0).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn one_sample_needs_no_batch_axis() {
        let tape = Tape::new();
        let alone = cross_entropy(tape.variable([1.0, 2.0]), &[0]).item();
        assert_eq!(alone, cross_entropy(tape.variable([[1.0, 2.0]]), &[0]).item());
    }

    #[test]
    #[should_panic(expected = "label 3 of sample 1 is none of 0..3")]
    fn a_label_out_of_range_is_named() {
        cross_entropy(Tape::new().variable([[0.0; 3]; 2]), &[2, 3]);
    }

    #[test]
    #[should_panic(expected = "2 samples have 1 labels")]
    fn each_sample_has_a_label() {
        cross_entropy(Tape::new().variable([[0.0; 3]; 2]), &[2]);
    }

    #[test]
    #[should_panic(expected = "compares values of one shape")]
    fn a_loss_does_not_broadcast() {
        let tape = Tape::new();
        mse(tape.variable([[0.0], [1.0]]), tape.constant([0.0, 1.0]));
    }
}
