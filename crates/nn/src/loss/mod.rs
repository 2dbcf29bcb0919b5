//! Losses: one number that says how far outputs are from what they should be.
//!
//! A batch has its samples along axis 0. The literature scales the same sums in
//! different ways, and the published numbers of one scaling are not those of
//! another, so each has a function of its own. Those that are a mean over the samples refuse an empty
//! batch, of which the mean is NaN:
//!
//! | function | value for N samples of n outputs |
//! | --- | --- |
//! | [`quadratic_cost`] | `1/N sum_i 1/2 \|\|y_i - a_i\|\|^2`, the paper's (6), (9) and (13) |
//! | [`squared_error`] | `sum_i \|\|y_i - a_i\|\|^2`, what the paper's listing prints |
//! | [`mse`] | `1/(N n) sum_i \|\|y_i - a_i\|\|^2`, as in PyTorch |
//! | [`l1`] | `1/(N n) sum_i sum_k \|y_ik - a_ik\|` |
//! | [`huber`] | the mean of squares near 0 and of distances further out |
//! | [`cross_entropy`] | `-1/N sum_i log softmax(x_i)[l_i]` |
//! | [`cross_entropy_sum`] | `-sum_i log softmax(x_i)[l_i]`, the paper's (32) |
//! | [`cross_entropy_with`] | `-1/N sum_i sum_k p_ik log softmax(x_i)[k]` |
//! | [`CrossEntropy`] | the same with smoothed labels, weights of classes, ignored labels |
//! | [`nll`] | `-1/N sum_i p_i[l_i]`, of logarithms `p` of probabilities |
//! | [`binary_cross_entropy`] | the mean of `-t ln sigmoid(x) - (1 - t) ln sigmoid(-x)` |
//! | [`kl_divergence`] | `1/N sum_i sum_k p_ik (ln p_ik - q_ik)`, of logarithms `q` |
//! | [`hinge`] | the mean of `max(0, 1 - t y)`, `t` being -1 or 1 |
//! | [`multi_margin`] | `1/(N K) sum_i sum over k != l_i of max(0, 1 - x_i[l_i] + x_ik)` |
//! | [`cosine_embedding`] | `1 - cos` of pairs that belong together, `max(0, cos - margin)` of others |
//! | [`triplet_margin`] | the mean of `max(0, \|\|a - p\|\| - \|\|a - n\|\| + margin)` |
//! | [`Ctc`] | of labels whose positions in a sequence are not known |
//! | [`penalty`] | `lambda/N sum of \|\|W\|\|^2`, the paper's (33) |

mod classification;
mod ctc;
mod margin;
mod penalty;
mod regression;
mod terms;

pub use classification::{
    CrossEntropy, binary_cross_entropy, cross_entropy, cross_entropy_sum, cross_entropy_with,
    kl_divergence, nll,
};
pub use ctc::Ctc;
pub use margin::{cosine_embedding, hinge, multi_margin, triplet_margin};
pub use penalty::penalty;
pub use regression::{huber, l1, mse, quadratic_cost, squared_error};

use wengert_core::{Real, Var};

/// `share x`, and 0 where the share is 0, whatever `x` is.
#[track_caller]
fn share_of<'t, T: Real>(share: Var<'t, T>, x: Var<'t, T>) -> Var<'t, T> {
    x.tape().apply(terms::ShareOf, &[share, x])
}

/// That there is something to take the mean of: of no sample it would be NaN.
#[track_caller]
fn not_empty<T: Real>(what: &str, output: Var<'_, T>) {
    assert!(
        output.elements() > 0,
        "{what} is a mean over the samples, and this batch is empty\n  output: {}",
        output.describe()
    );
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

/// Samples and classes of rows with labels, all of which are classes or the one ignored.
#[track_caller]
fn labelled<T: Real>(
    logits: Var<'_, T>,
    labels: &[usize],
    ignored: Option<usize>,
) -> (usize, usize) {
    let (samples, classes) = match logits.shape()[..] {
        [classes] => (1, classes),
        [samples, classes] => (samples, classes),
        _ => panic!("logits have shape [N, K], and this is {}", logits.describe()),
    };
    let count = labels.len();
    assert!(
        samples == count,
        "expected a label for each of the {samples} samples, got {count}\n  logits: {}",
        logits.describe()
    );
    let is_none = |label: usize| label >= classes && ignored != Some(label);
    if let Some((i, label)) = labels.iter().enumerate().find(|&(_, &label)| is_none(label)) {
        panic!("label {label} of sample {i} is none of 0..{classes}: {}", logits.describe());
    }
    (samples, classes)
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
    #[should_panic(expected = "a label for each of the 2 samples, got 1")]
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
