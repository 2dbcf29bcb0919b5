//! Losses that ask for a margin and are content beyond it.

use wengert_core::{Real, Tensor, Var};

use super::classification::at_labels;
use super::{labelled, not_empty, same_shape};

/// The mean of `max(0, 1 - t y)`: targets `t` are -1 or 1, and an output `y` should have
/// their sign, with a margin of 1.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::hinge;
///
/// let tape = Tape::new();
/// let (y, t) = (tape.variable([3.0, 0.5]), tape.constant([1.0, -1.0]));
/// assert_eq!(hinge(y, t).item(), 0.75);
/// ```
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn hinge<'t, T: Real>(output: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    same_shape("a hinge loss", output, target);
    not_empty("a hinge loss", output);
    (-(output * target) + T::one()).relu().mean()
}

/// The hinge loss of classes: of logits `[N, K]` the one at the label should be the largest
/// by a margin of 1. `1 / (N K)` times the sum of `max(0, 1 - x[label] + x[k])` over all
/// samples and all `k` but the label, as in PyTorch.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::multi_margin;
///
/// let tape = Tape::new();
/// assert_eq!(multi_margin(tape.variable([[3.0, 2.5], [0.0, 5.0]]), &[0, 1]).item(), 0.125);
/// ```
///
/// # Panics
/// If there is not one label for each sample, or a label is not below K.
#[track_caller]
pub fn multi_margin<'t, T: Real>(logits: Var<'t, T>, labels: &[usize]) -> Var<'t, T> {
    let (samples, classes) = labelled(logits, labels, None);
    not_empty("a margin loss", logits);
    let is_label = Tensor::from_fn([samples, classes], |place| {
        T::from_f64(f64::from(u8::from(labels[place / classes] == place % classes)))
    });
    let rows = logits.reshape([samples, classes]);
    let own = at_labels(rows, labels).unsqueeze(-1);
    // Against itself a label's logit has margin to spare, even where it is infinite.
    let missed = (rows - own + T::one()).masked_fill(logits.tape().constant(is_label), -1.0);
    missed.relu().sum() / T::from_f64((samples * classes) as f64)
}

/// Of pairs of vectors, rows of `[N, n]`, `1 - cos` of the angle between those that belong
/// together, where the sign is 1, and `max(0, cos - margin)` where it is -1; averaged over
/// the pairs, as in PyTorch.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::cosine_embedding;
///
/// let tape = Tape::<f64>::new();
/// let a = tape.variable([[1.0, 0.0], [1.0, 0.0]]);
/// let b = tape.variable([[0.0, 2.0], [3.0, 0.0]]);
/// let loss = cosine_embedding(a, b, tape.constant([1.0, -1.0]), 0.5);
/// assert!((loss.item() - (1.0 + 0.5) / 2.0).abs() < 1e-11);
/// ```
///
/// # Panics
/// If the shapes are not `[N, n]`, twice, and `[N]`.
#[track_caller]
pub fn cosine_embedding<'t, T: Real>(
    a: Var<'t, T>,
    b: Var<'t, T>,
    signs: Var<'t, T>,
    margin: f64,
) -> Var<'t, T> {
    same_shape("a cosine", a, b);
    not_empty("a cosine loss", a);
    let pairs = a.shape();
    assert!(
        pairs.rank() == 2 && signs.shape()[..] == pairs[..1],
        "cosines of rows [N, n] have signs [N]\n  rows: {}\n  signs: {}",
        a.describe(),
        signs.describe()
    );
    // As in PyTorch, so that a vector of zeros has a cosine.
    let direction = |x: Var<'t, T>| x / x.smooth_norm(-1, 1e-12).unsqueeze(-1);
    let cosine = (direction(a) * direction(b)).sum_over(-1);
    let zero = signs.tape().constant(T::zero());
    let apart = (cosine - T::from_f64(margin)).relu();
    signs.greater(zero).select(-cosine + T::one(), apart).mean()
}

/// The mean of `max(0, ||a - p|| - ||a - n|| + margin)` over rows of `[N, n]`: an anchor `a`
/// should be nearer to the positive example `p` than to the negative one `n` (Schroff et
/// al., 2015). As in PyTorch, 1e-6 is added to each difference, which keeps the norm away
/// from its kink at 0.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::triplet_margin;
///
/// let tape = Tape::<f64>::new();
/// let [a, p, n] = [0.0, 1.0, 1.5].map(|x| tape.variable([[x, 0.0]]));
/// assert!((triplet_margin(a, p, n, 1.0).item() - 0.5).abs() < 1e-5);
/// ```
///
/// # Panics
/// If the shapes differ, or have no axis.
#[track_caller]
pub fn triplet_margin<'t, T: Real>(
    anchor: Var<'t, T>,
    positive: Var<'t, T>,
    negative: Var<'t, T>,
    margin: f64,
) -> Var<'t, T> {
    same_shape("a distance", anchor, positive);
    same_shape("a distance", anchor, negative);
    not_empty("a margin loss", anchor);
    let distance = |other: Var<'t, T>| (anchor - other + T::from_f64(1e-6)).norm(-1);
    (distance(positive) - distance(negative) + T::from_f64(margin)).relu().mean()
}
