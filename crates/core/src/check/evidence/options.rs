//! How to check: one struct for every kind of check.

use std::fmt;

/// How to check. Every function of this module that checks a derivative is also a method of this
/// struct, and the function is that method of `Options::default()`.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([1.0_f32, 2.0]);
/// let options = check::Options::default().seed(7).directions(3);
/// options.gradient(|x| x.exp().sum(), &x).assert();
/// ```
#[derive(Clone, Copy)]
pub struct Options<'a> {
    pub(in crate::check) seed: u64,
    pub(in crate::check) second_order: bool,
    pub(in crate::check) directions: usize,
    pub(in crate::check) full: bool,
    pub(in crate::check) tolerance: f64,
    pub(in crate::check) training: Option<u64>,
    pub(in crate::check) names: &'a [&'a str],
    pub(in crate::check) progress: Option<&'a dyn Fn(usize, usize)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            seed: 1964,
            second_order: true,
            directions: 1,
            full: false,
            tolerance: 0.0,
            training: None,
            names: &[],
            progress: None,
        }
    }
}

impl<'a> Options<'a> {
    /// The seed of all random directions and cotangents.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Leaves out the second derivative, which costs a few gradients.
    #[must_use]
    pub fn first_order(self) -> Self {
        Self { second_order: false, ..self }
    }

    /// The number of random directions that are drawn, 1 unless set. Beside each of them the check
    /// looks along others with the same numbers and other signs: one in `f64`, and in `f32`, where little
    /// stands out from rounding, seven. No entry of a direction is small.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn directions(self, directions: usize) -> Self {
        assert!(directions > 0, "a check takes at least one direction");
        Self { directions, ..self }
    }

    /// Compares every entry by itself with a difference quotient (or with the tape, where another
    /// gradient is in question), whatever the random directions show: two evaluations for each
    /// entry. Without this, entries are compared only if something is wrong, and 600 of them at
    /// most.
    #[must_use]
    pub fn full(self) -> Self {
        Self { full: true, ..self }
    }

    /// A relative error that is no mistake, for derivatives that are approximations. What the
    /// precision of the numbers cannot show is never one.
    #[must_use]
    pub fn tolerance(self, relative: f64) -> Self {
        Self { tolerance: relative, ..self }
    }

    /// Records in [training](crate::tape::Tape::train): dropout, batch normalisation and whatever draws
    /// samples do what they do there, with the samples of this seed in every recording. Without this
    /// functions and models are recorded for evaluation.
    ///
    /// ```
    /// use wengert_core::random::Distribution::Dropout;
    /// use wengert_core::{Tensor, check};
    ///
    /// let x = Tensor::from([0.5, -1.0, 2.0, 1.5]);
    /// let options = check::Options::default().training(7);
    /// let report = options.gradient(|x| x.tape().sample(Dropout(0.5), x.shape()) * x.sin(), &x);
    /// report.assert();
    /// assert!(report.to_string().contains("in training"));
    /// ```
    #[must_use]
    pub fn training(self, seed: u64) -> Self {
        Self { training: Some(seed), ..self }
    }

    /// In which mode functions are recorded, in words.
    pub(in crate::check) fn mode(&self) -> String {
        self.training.map_or_else(String::new, |seed| {
            format!(", recorded in training with the samples of seed {seed}")
        })
    }

    /// Names for the inputs, in their order, in place of `input 1` and so on.
    #[must_use]
    pub fn names(self, names: &'a [&'a str]) -> Self {
        Self { names, ..self }
    }

    /// Is called with the number of entries that were compared and that of all, so that a
    /// [full](Self::full) check of many parameters can show how far it is.
    #[must_use]
    pub fn progress(self, progress: &'a dyn Fn(usize, usize)) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The name of an input, counted from 0.
    pub(in crate::check) fn name(&self, input: usize) -> String {
        self.names.get(input).map_or_else(|| format!("input {}", input + 1), ToString::to_string)
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, second_order, directions, full, tolerance, training, names, .. } = self;
        f.debug_struct("Options")
            .field("seed", seed)
            .field("second_order", second_order)
            .field("directions", directions)
            .field("full", full)
            .field("tolerance", tolerance)
            .field("training", training)
            .field("names", names)
            .finish_non_exhaustive()
    }
}
