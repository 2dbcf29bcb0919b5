//! How an optimiser moves one number: a formula.
//!
//! Written over any [`Number`], it is read twice: by floats, element by element,
//! in [`Optimiser::step`](super::Optimiser::step), and by variables, which record
//! it, in a compiled [`TrainStep`](crate::TrainStep). Both give the same bits.

use std::fmt::Debug;

use wengert_core::Number;

/// The formula of an optimiser. As [`Debug`] shows it, with all of its numbers, a checkpoint says of
/// which rule it is.
///
/// ```
/// use wengert_core::{Number, Tape};
/// use wengert_nn::Param;
/// use wengert_nn::optim::{Optimiser, Rule};
///
/// /// The sign of the gradient alone.
/// #[derive(Clone, Debug)]
/// struct SignDescent;
///
/// impl Rule for SignDescent {
///     const STATES: &'static [&'static str] = &[];
///     fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, _: &mut [A]) -> A {
///         let zero = g.constant(0.0);
///         w - hyper[0] * (g.greater(zero) - g.less(zero))
///     }
/// }
///
/// let mut weight = Param::new(1.0);
/// let mut descent = Optimiser::with_rule(SignDescent, 0.25);
/// let tape = Tape::new();
/// let gradients = weight.on(&tape).square().backward();
/// descent.step(&mut weight, &gradients);
/// assert_eq!(weight.value().item(), 0.75);
/// ```
pub trait Rule: Clone + Debug + Sync {
    /// The names of the numbers that are remembered for each element; 0 at first, and again once they lie
    /// below the normal numbers.
    const STATES: &'static [&'static str];

    /// How many of [`STATES`](Self::STATES) are in use, from the first on.
    fn states(&self) -> usize {
        Self::STATES.len()
    }

    /// What all elements of a parameter have in common at a step, counted from 1,
    /// with this learning rate: numbers that change from step to step. The rate alone,
    /// unless a rule says otherwise.
    fn hyperparameters(&self, rate: f64, _step: u64) -> Hyperparameters {
        [rate, 0.0, 0.0, 0.0]
    }

    /// The element `w` after a step with gradient `g`; `decay` is the parameter's
    /// multiplier of the weight decay. The states are replaced by their next values.
    fn apply<A: Number>(&self, hyper: [A; 4], decay: f64, w: A, g: A, states: &mut [A]) -> A;
}

/// A running mean that keeps a share of itself and takes the rest from a new number.
///
/// The mean moves by a share of the difference, so that a share near 1 need not be told from 1 in
/// single precision; the share that is less than a half is the one that multiplies.
#[inline(always)]
pub(super) fn moved<A: Number>(mean: A, keep: f64, new: A) -> A {
    if keep < 0.5 {
        new + mean.constant(keep) * (mean - new)
    } else {
        mean + mean.constant(1.0 - keep) * (new - mean)
    }
}

/// The numbers of a step: see [`Rule::hyperparameters`]. As many as any rule needs; those
/// that one does not need are 0. Their number is fixed so that loops need not check
/// it.
pub type Hyperparameters = [f64; 4];
