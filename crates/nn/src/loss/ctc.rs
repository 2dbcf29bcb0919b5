//! Connectionist temporal classification: labels whose positions in a sequence are not known.

use std::sync::Arc;

use wengert_core::{Real, Tensor, Var, concat};

use super::not_empty;

/// The logarithm of 0. Neither the sum of two exponentials nor that of many makes a NaN of it.
const NEVER: f64 = f64::NEG_INFINITY;

/// The class that means no label.
const BLANK: usize = 0;

/// The loss of Graves et al. (2006): minus the logarithm of the probability of each label
/// sequence, summed over all ways to spread it over time, with blanks (class 0) anywhere and
/// labels repeated at will; equal labels in a row have a blank between them.
///
/// `logarithms` are those of probabilities, of shape `[N, time, K]`; a sample counts up to
/// its own length of time. Each sample is divided by the number of its labels, and the
/// samples are averaged, as PyTorch's `CTCLoss` does (a sample without labels is divided by
/// 1). A label sequence that does not fit into its time has an infinite loss, or 0 if
/// [asked for](Self::zero_infinity), and in either case no gradient.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::loss::Ctc;
///
/// let tape = Tape::<f64>::new();
/// // Two steps, of which one or both may be the label: three ways of 1/4 each.
/// let even = tape.variable([[0.5, 0.5], [0.5, 0.5]]).ln().unsqueeze(0);
/// assert!((Ctc::new().of(even, &[&[1]], &[2]).item() + 0.75_f64.ln()).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctc {
    zero_infinity: bool,
}

impl Ctc {
    /// With infinite losses as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// With 0 in place of an infinite loss: a sample whose labels do not fit into its time does
    /// not count (PyTorch's `zero_infinity`). The mean is over all samples all the same.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// # use wengert_nn::loss::Ctc;
    /// let tape = Tape::<f64>::new();
    /// let even = tape.variable(Tensor::full([1, 1, 2], 0.5)).ln();
    /// assert_eq!(Ctc::new().of(even, &[&[1, 1]], &[1]).item(), f64::INFINITY);
    /// assert_eq!(Ctc::new().zero_infinity().of(even, &[&[1, 1]], &[1]).item(), 0.0);
    /// ```
    #[must_use]
    pub fn zero_infinity(self) -> Self {
        Self { zero_infinity: true }
    }

    /// The loss of logarithms `[N, time, K]`, with the labels and the length of each sample.
    ///
    /// # Panics
    /// If there is not one label sequence and one length for each sample, a label is 0 or not
    /// below K, or a length is 0 or beyond the time.
    #[track_caller]
    pub fn of<'t, T: Real>(
        self,
        logarithms: Var<'t, T>,
        labels: &[&[usize]],
        lengths: &[usize],
    ) -> Var<'t, T> {
        not_empty("a likelihood", logarithms);
        let mut likelihoods = log_likelihoods(logarithms, labels, lengths);
        if self.zero_infinity {
            let never = likelihoods.equal(likelihoods.tape().constant(T::from_f64(NEVER)));
            likelihoods = likelihoods.masked_fill(never, 0.0);
        }
        let shares = labels.iter().map(|labels| T::from_f64(-1.0 / labels.len().max(1) as f64));
        let shares = Tensor::new([labels.len()], shares.collect());
        (likelihoods * likelihoods.tape().constant(shares)).mean()
    }
}

/// The logarithm of the probability of each sample's labels, of shape `[N]`.
#[track_caller]
fn log_likelihoods<'t, T: Real>(
    logarithms: Var<'t, T>,
    labels: &[&[usize]],
    lengths: &[usize],
) -> Var<'t, T> {
    let [samples, time, classes] = logarithms.shape()[..] else {
        panic!("logarithms have shape [N, time, K], and this is {}", logarithms.describe());
    };
    check(logarithms, labels, lengths);
    let tape = logarithms.tape();
    let longest = labels.iter().map(|labels| labels.len()).max().unwrap_or(0);
    // The states of a sample: its labels with blanks before, between and after them. Those
    // of shorter samples go on with blanks, which no way to the end comes through.
    let states = 2 * longest + 1;
    let class = |sample: usize, state: usize| match labels[sample].get(state / 2) {
        Some(&label) if state % 2 == 1 => label,
        _ => BLANK,
    };
    let indices: Arc<[usize]> = (0..samples * states)
        .map(|place| place / states * classes + class(place / states, place % states))
        .collect();
    let mask = |allowed: &dyn Fn(usize, usize) -> bool| {
        tape.constant(Tensor::from_fn([samples, states], |place| {
            let allowed = allowed(place / states, place % states);
            T::from_f64(if allowed { 0.0 } else { NEVER })
        }))
    };
    // A blank between two labels may be left out if these differ.
    let skip = mask(&|sample, state| {
        state >= 2
            && class(sample, state) != BLANK
            && class(sample, state) != class(sample, state - 2)
    });
    let start = mask(&|_, state| state < 2);
    let end = mask(&|sample, state| {
        let last = 2 * labels[sample].len();
        state == last || state + 1 == last
    });

    let of_states = |step: usize| {
        let now = logarithms.slice(1, step..step + 1).squeeze(1);
        now.flatten(0, -1).gather(0, indices.clone()).reshape([samples, states])
    };
    let never = tape.constant(T::from_f64(NEVER)).broadcast_to([samples, 2]);
    // The logarithms of the probability to be in a state at a step.
    let mut reached = start + of_states(0);
    for step in 1..time {
        // Two states that cannot be stand before the first.
        let before = concat(&[never, reached], 1);
        let [one, two] = [1, 0].map(|from| before.slice(1, from..from + states));
        let next = reached.log_add_exp(one).log_add_exp(two + skip) + of_states(step);
        reached = if lengths.iter().all(|&length| step < length) {
            next
        } else {
            let goes_on = lengths.iter().map(|&n| T::from_f64(f64::from(u8::from(step < n))));
            tape.constant(Tensor::new([samples, 1], goes_on.collect())).select(next, reached)
        };
    }
    (reached + end).log_sum_exp(1)
}

/// That labels and lengths are those of the samples.
#[track_caller]
fn check<T: Real>(logarithms: Var<'_, T>, labels: &[&[usize]], lengths: &[usize]) {
    let shape = logarithms.shape();
    let (samples, time, classes) = (shape[0], shape[1], shape[2]);
    assert!(
        labels.len() == samples && lengths.len() == samples,
        "{} label sequences and {} lengths for {}",
        labels.len(),
        lengths.len(),
        logarithms.describe()
    );
    for (sample, (labels, &length)) in labels.iter().zip(lengths).enumerate() {
        if let Some(label) = labels.iter().find(|&&label| label == BLANK || label >= classes) {
            panic!("label {label} of sample {sample} is none of 1..{classes}; 0 is the blank");
        }
        assert!(
            (1..=time).contains(&length),
            "sample {sample} has a length of {length}, of {time} steps"
        );
    }
}
