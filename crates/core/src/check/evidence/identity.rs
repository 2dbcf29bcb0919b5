//! The adjoint identity: `<w, J v> = <J' w, v>` for random `v` and `w`.
//!
//! Forward and reverse mode compute the same number in two ways, so they must
//! agree to rounding. No difference quotient is involved, hence no step size:
//! this is the sharpest test there is of one mode against the other, and blind
//! only to an error that both modes share. The rate of the remainder, in
//! [`rate`](super::rate), sees those.

use crate::scalar::Real;

/// Rounding errors that an identity may accumulate, in units of the element
/// type's epsilon and relative to the sum of the absolute terms.
const TOLERANCE: f64 = 500.0;

/// One number computed in two ways.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// What the left number is.
    pub left_name: &'static str,
    /// The left number.
    pub left: f64,
    /// What the right number is.
    pub right_name: &'static str,
    /// The right number.
    pub right: f64,
    /// The sum of the absolute values of the terms: what rounding is relative to.
    pub scale: f64,
    /// The greatest relative difference that rounding explains.
    pub tolerance: f64,
}

impl Identity {
    pub(in crate::check) fn new<T: Real>(
        (left_name, left): (&'static str, f64),
        (right_name, right): (&'static str, f64),
        scale: f64,
    ) -> Self {
        let tolerance = TOLERANCE * T::epsilon().as_f64();
        Self { left_name, left, right_name, right, scale, tolerance }
    }

    /// The difference, relative to the sum of the absolute terms.
    pub fn error(&self) -> f64 {
        let difference = (self.left - self.right).abs();
        if difference == 0.0 { 0.0 } else { difference / self.scale }
    }

    /// Whether the two numbers agree as far as rounding lets them.
    pub fn holds(&self) -> bool {
        // Not `>`: a NaN must not pass.
        self.error() <= self.tolerance
    }
}
