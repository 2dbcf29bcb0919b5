//! Which numbers optimisers, schedules and parameters take: the rules, in one place.
//!
//! Outside of its range a number makes a step that is none: with a negative rate the cost rises, with a
//! momentum of 1 the velocity never fades, and a NaN spreads through the model. So each is looked
//! at where it comes in, and the message names the caller's line.

/// Whether a number is finite and at least 0, as rates and decays are.
pub(crate) fn is_not_negative(x: &f64) -> bool {
    x.is_finite() && *x >= 0.0
}

/// A rate, a decay, a summand of a denominator: finite, and at least 0.
#[track_caller]
pub(crate) fn not_negative(what: &str, x: f64) -> f64 {
    assert!(is_not_negative(&x), "{what}: expected a finite number of at least 0, got {x}");
    x
}

/// The share of itself that a velocity or a mean keeps at a step: at least 0, and less than 1.
#[track_caller]
pub(crate) fn share(what: &str, x: f64) -> f64 {
    assert!((0.0..1.0).contains(&x), "{what}: expected at least 0 and less than 1, got {x}");
    x
}

/// A size that something is divided by or cut off at: finite, and more than 0.
#[track_caller]
pub(crate) fn positive(what: &str, x: f64) -> f64 {
    assert!(x.is_finite() && x > 0.0, "{what}: expected a finite number of more than 0, got {x}");
    x
}
