//! Losses of classes and of probabilities.

use std::sync::Arc;

use wengert_core::{Real, Shape, Tensor, Var};

use super::terms::LogLossOfYes;
use super::{labelled, not_empty, same_shape, share_of};

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
/// If there is not one label for each sample, a label is not below K, or the batch is empty.
#[track_caller]
pub fn cross_entropy<'t, T: Real>(logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    not_empty("a cross-entropy", logits);
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
    not_empty("a cross-entropy", logits);
    let samples = match logits.shape()[..] {
        [_] => 1,
        [samples, _] => samples,
        _ => panic!("logits have shape [N, K], and this is {}", logits.describe()),
    };
    -share_of(targets, logits.log_softmax(-1)).sum() / T::from_f64(samples as f64)
}

/// The logarithm of the probability that softmax gives to each sample's label, of
/// shape `[N]`.
#[track_caller]
fn log_likelihoods<'t, T: Real>(logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    labelled(logits, labels, None);
    at_labels(logits.log_softmax(-1), labels)
}

/// The element of each row at its label.
#[track_caller]
pub(super) fn at_labels<'t, T: Real>(rows: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    let shape = rows.shape();
    let classes = shape[shape.rank() - 1];
    let indices: Arc<[usize]> =
        labels.iter().enumerate().map(|(i, label)| i * classes + label).collect();
    rows.flatten(0, -1).gather(0, indices)
}

/// The softmax log loss with all that it can be told: weights of classes, smoothed labels,
/// labels that do not count, sum or mean.
///
/// With weights `w` and a smoothing `e`, sample `i` of K classes costs
///
/// ```text
/// -(1 - e) w[l_i] log softmax(x_i)[l_i]  -  e / K sum over k of w[k] log softmax(x_i)[k]
/// ```
///
/// and the mean divides by the sum of `w[l_i]` over the samples that count, as in PyTorch.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::{CrossEntropy, cross_entropy};
///
/// let tape = Tape::<f64>::new();
/// let logits = tape.variable([[0.5, 0.1], [2.0, -1.0]]);
/// let first = cross_entropy(logits.slice(0, ..1), &[0]);
/// let loss = CrossEntropy::new().ignoring(1).of(logits, &[0, 1]);
/// assert!((loss.item() - first.item()).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    smoothing: f64,
    weights: Option<Vec<f64>>,
    ignored: Option<usize>,
    sum: bool,
}

impl CrossEntropy {
    /// The mean, all classes alike: [`cross_entropy`].
    pub fn new() -> Self {
        Self::default()
    }

    /// With a share of each label spread over all classes (Szegedy et al., 2016).
    ///
    /// # Panics
    /// If it is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn smoothing(self, smoothing: f64) -> Self {
        assert!((0.0..=1.0).contains(&smoothing), "a share is within 0 and 1, not {smoothing}");
        Self { smoothing, ..self }
    }

    /// With a weight for each class.
    #[must_use]
    pub fn weights(self, weights: impl Into<Vec<f64>>) -> Self {
        Self { weights: Some(weights.into()), ..self }
    }

    /// Without the samples of a label, which need not be that of a class.
    #[must_use]
    pub fn ignoring(self, label: usize) -> Self {
        Self { ignored: Some(label), ..self }
    }

    /// The sum over the samples instead of the mean, as in the paper's (32).
    #[must_use]
    pub fn sum(self) -> Self {
        Self { sum: true, ..self }
    }

    /// The logits with those of samples that are ignored left out: whatever stands there, NaN
    /// too, reaches neither the loss nor the gradient.
    #[track_caller]
    fn counted<'t, T: Real>(&self, logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
        let Some(ignored) = self.ignored.filter(|ignored| labels.contains(ignored)) else {
            return logits;
        };
        let shape = logits.shape().iter().rev().skip(1).copied().chain([1]).collect::<Shape>();
        let marks = labels.iter().map(|&label| T::from_f64(f64::from(u8::from(label == ignored))));
        let mask = logits.tape().constant(Tensor::new(shape, marks.collect()));
        logits.masked_fill(mask, 0.0)
    }

    /// The loss of logits of shape `[N, K]` with N labels. Where no sample counts, the mean
    /// is NaN.
    ///
    /// # Panics
    /// If there is not one label for each sample, a label is not below K, or there is not
    /// one weight for each class.
    #[track_caller]
    pub fn of<'t, T: Real>(&self, logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
        let (_, classes) = labelled(logits, labels, self.ignored);
        if let Some(weights) = &self.weights {
            let count = weights.len();
            assert!(
                count == classes,
                "expected a weight for each of the {classes} classes, got {count}\n  logits: {}",
                logits.describe()
            );
        }
        if !self.sum {
            not_empty("a cross-entropy", logits);
        }
        let weight = |class: usize| self.weights.as_ref().map_or(1.0, |weights| weights[class]);
        // All options are in what each logarithm is multiplied by.
        let share = |label: usize, class: usize| {
            if self.ignored == Some(label) {
                return 0.0;
            }
            let own = if label == class { 1.0 - self.smoothing } else { 0.0 };
            weight(class) * (own + self.smoothing / classes as f64)
        };
        let shares = Tensor::from_fn(logits.shape(), |place| {
            T::from_f64(share(labels[place / classes], place % classes))
        });
        let logits = self.counted(logits, labels);
        let sum = -share_of(logits.tape().constant(shares), logits.log_softmax(-1)).sum();
        if self.sum {
            return sum;
        }
        let counted = labels.iter().filter(|&&label| self.ignored != Some(label));
        sum / T::from_f64(counted.map(|&label| weight(label)).sum())
    }
}

/// The mean of `-p_i[l_i]`, where the rows of `p`, of shape `[N, K]`, are logarithms of
/// probabilities: after a [`LogSoftmax`](crate::LogSoftmax) the [`cross_entropy`].
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::nll;
///
/// let tape = Tape::new();
/// assert_eq!(nll(tape.variable([[-1.0, -2.0], [-3.0, -4.0]]), &[0, 1]).item(), 2.5);
/// ```
///
/// # Panics
/// If there is not one label for each sample, or a label is not below K.
#[track_caller]
pub fn nll<'t, T: Real>(logarithms: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    labelled(logarithms, labels, None);
    not_empty("a likelihood", logarithms);
    -at_labels(logarithms, labels).mean()
}

/// The mean over all elements of `-t ln sigmoid(x) - (1 - t) ln sigmoid(-x)`: each logit `x`
/// says yes or no by itself, and its target `t` is the probability of yes. Large logits do
/// not overflow, and a loss that is nearly 0 has all of its digits.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::binary_cross_entropy;
///
/// let tape = Tape::<f64>::new();
/// let loss = binary_cross_entropy(tape.variable([0.0, 1000.0]), tape.constant([1.0, 1.0]));
/// assert!((loss.item() - 2.0_f64.ln() / 2.0).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn binary_cross_entropy<'t, T: Real>(logits: Var<'t, T>, targets: Var<'t, T>) -> Var<'t, T> {
    same_shape("a binary cross-entropy", logits, targets);
    not_empty("a binary cross-entropy", logits);
    logits.tape().apply(LogLossOfYes, &[logits, targets]).mean()
}

/// The divergence of Kullback and Leibler of the distribution `q` from the target `p`:
/// `sum over k of p_k (ln p_k - ln q_k)`, averaged over the samples. It takes the
/// *logarithms* of `q`, and of `p` the probabilities, of shape `[N, K]` or `[K]`, as
/// PyTorch's `KLDivLoss` with `batchmean`. Where `p` is 0, the element is 0, whatever `q` is.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::kl_divergence;
///
/// let tape = Tape::new();
/// let p = tape.constant([0.25, 0.75, 0.0]);
/// assert_eq!(kl_divergence(tape.variable([0.25, 0.75, 0.1]).ln(), p).item(), 0.0);
/// ```
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn kl_divergence<'t, T: Real>(logarithms: Var<'t, T>, targets: Var<'t, T>) -> Var<'t, T> {
    same_shape("a divergence", logarithms, targets);
    not_empty("a divergence", logarithms);
    let shape = targets.shape();
    let samples = if shape.rank() < 2 { 1 } else { shape[0] };
    (targets.xlogy(targets) - share_of(targets, logarithms)).sum() / T::from_f64(samples as f64)
}
