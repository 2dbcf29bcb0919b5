//! Numbers with the error that is allowed to them.

use crate::Precision;

/// What an element is, and by how many epsilons a kernel's may differ.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The right value.
    pub value: f64,
    /// The difference that is allowed, in units of the precision's epsilon. Where it is
    /// infinite, nothing is said about the element.
    pub error: f64,
}

/// A value that rounding does not touch.
pub(crate) fn exact(value: f64) -> Estimate {
    Estimate { value, error: 0.0 }
}

/// A value that is computed within some units in the last place.
pub(crate) fn within(units: f64, value: f64) -> Estimate {
    Estimate { value, error: units * value.abs() }
}

/// An element of which the reference knows nothing.
pub(crate) fn unknown() -> Estimate {
    Estimate { value: f64::NAN, error: f64::INFINITY }
}

impl From<f64> for Estimate {
    /// A function of a few roundings.
    fn from(value: f64) -> Self {
        within(4.0, value)
    }
}

impl Estimate {
    /// Whether a kernel's element is near enough.
    pub fn allows(&self, x: f64, precision: &Precision) -> bool {
        let Self { value, error } = *self;
        if error == f64::INFINITY && !value.is_infinite() || x == value {
            return true;
        }
        if value.is_nan() || x.is_nan() {
            return value.is_nan() && x.is_nan();
        }
        // What is only moved has no excuse; what is computed may leave the range of the type.
        let allowed = error * precision.epsilon;
        if error > 0.0 && x.is_infinite() {
            return (value.abs() + allowed) >= precision.largest && (x > 0.0) == (value > 0.0);
        }
        let tiny = if error > 0.0 { precision.smallest } else { 0.0 };
        (x - value).abs() <= allowed + tiny
    }
}

/// A sum whose rounding errors are caught and added at the end (Neumaier, 1974), with the
/// sum of the terms' magnitudes, in whose units the error of any order of adding is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    sum: f64,
    lost: f64,
    magnitude: f64,
    terms: u32,
}

/// Terms that kernels add one after the other before they begin another sum.
const IN_ORDER: u32 = 256;

impl Total {
    pub(crate) fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        let (large, small) =
            if self.sum.abs() >= term.abs() { (self.sum, term) } else { (term, self.sum) };
        // Where the sum is infinite, nothing is lost that matters.
        if sum.is_finite() {
            self.lost += (large - sum) + small;
        }
        self.sum = sum;
        self.magnitude += term.abs();
        self.terms = self.terms.saturating_add(1);
    }

    pub(crate) fn of(terms: impl IntoIterator<Item = f64>) -> Self {
        let mut total = Self::default();
        terms.into_iter().for_each(|term| total.add(term));
        total
    }

    pub(crate) fn value(&self) -> f64 {
        self.sum + self.lost
    }

    /// The sum with some roundings of the largest partial sum. Equal terms, added in order, are
    /// rounded the same way for as long as the sum stays within a power of 2.
    pub(crate) fn estimate(&self) -> Estimate {
        let roundings = 4.0 + f64::from(self.terms.min(IN_ORDER)).sqrt() / 2.0;
        Estimate { value: self.value(), error: roundings * self.magnitude }
    }

    /// The sum, some hundreds of terms at a time added one after the other, as products do in
    /// registers. Where terms are equal, so are roundings, and they add up.
    pub(crate) fn in_order(&self) -> Estimate {
        let roundings = 4.0 + f64::from(self.terms.min(4096)) / 8.0;
        Estimate { value: self.value(), error: roundings * self.magnitude }
    }
}
