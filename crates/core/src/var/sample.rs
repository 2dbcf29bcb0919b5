//! Samples that have a derivative.

use crate::scalar::Real;
use crate::tape::Var;

/// # Samples that have a derivative
impl<T: Real> Var<'_, T> {
    /// A category in a form that has a derivative: the softmax of noisy logits, sharper
    /// the lower the temperature (Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017).
    /// The noise is made of [Gumbel numbers](crate::random::gumbels), in the shape of the logits.
    ///
    /// ```
    /// use wengert_core::random::{self, SeedableRng, Xoshiro256PlusPlus};
    /// use wengert_core::{Tape, Tensor};
    ///
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let tape = Tape::<f64>::new();
    /// let logits = tape.variable([1.0, 2.0, 3.0]);
    /// let noise = tape.constant(random::gumbels([3], &mut rng));
    /// let category = logits.gumbel_softmax(noise, 0.5, -1);
    /// assert!((category.sum().item() - 1.0).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, the shapes do not broadcast, or the operands are on
    /// two tapes.
    #[track_caller]
    pub fn gumbel_softmax(self, noise: Self, temperature: f64, axis: isize) -> Self {
        ((self + noise) / T::from_f64(temperature)).softmax(axis)
    }
}
