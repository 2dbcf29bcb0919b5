//! The exponential and its relatives.
//!
//! `x = k ln 2 + r` with `|r| <= ln(2) / 2`; a polynomial gives `e^r`, and the
//! exponent `k` is put into the bits.

use std::hint::select_unpredictable;

use super::Format;

/// An argument reduced by a multiple `k` of `ln 2`, within the bounds of overflow.
struct Reduced<T> {
    /// `k`, shifted.
    shifted: T,
    /// The remainder.
    r: T,
    /// What rounding took from the remainder.
    low: T,
}

#[inline(always)]
fn reduce<T: Format>(x: T) -> Reduced<T> {
    let shifted = x * T::LOG2_E() + T::SHIFT;
    let k = shifted - T::SHIFT;
    let high = x - k * T::LN2_HIGH;
    let low = k * T::LN2_LOW;
    let r = high - low;
    Reduced { shifted, r, low: (high - r) - low }
}

/// `x` cut off at a lower and an upper bound. NaN stays NaN.
#[inline(always)]
fn clamp<T: Format>(x: T, low: T, high: T) -> T {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<T: Format>(x: T) -> T {
    let Reduced { shifted, r, low } = reduce(clamp(x, T::EXP_ZERO, T::EXP_INFINITE));
    let value = T::one() + (r + (r * r * T::exp_series(r) + low));
    // In two steps, as the result may be subnormal, or 2^k too large by itself.
    let (first, second) = T::powers_of_two(shifted);
    value * first * second
}

/// `e^x - 1`.
#[inline(always)]
pub(crate) fn expm1<T: Format>(x: T) -> T {
    let half = T::one() / (T::one() + T::one());
    let Reduced { shifted, r, low } = reduce(clamp(x, T::EXPM1_MINUS_ONE, T::EXP_INFINITE));
    // Half of everything, as 2^k may be too large. The leading sum
    // `(2^k - 1) + 2^k r` loses digits near 0; what it loses is added again.
    let scale = T::power_of_two(shifted - T::one());
    let start = scale - half;
    let step = scale * r;
    let sum = start + step;
    let lost = step - (sum - start);
    let value = sum + (lost + scale * (r * r * T::exp_series(r) + low));
    if x.abs() < T::TINY { x } else { value + value }
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<T: Format>(x: T) -> T {
    // From e^-|x|, which cannot overflow: the left tail keeps its digits.
    let e = exp(-x.abs());
    let is_left = x < T::zero();
    let divisor = T::one() + e;
    let quotient = select_unpredictable(is_left, e, T::one()) / divisor;
    // What rounding took from the divisor, times the quotient's derivative by it;
    // one over the divisor is `1 - quotient`. On the right it does not matter.
    let lost = e - (divisor - T::one());
    let correction = lost * quotient * (T::one() - quotient);
    select_unpredictable(is_left, quotient - correction, quotient)
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<T: Format>(x: T) -> T {
    let two = T::one() + T::one();
    let size = x.abs();
    // Of two forms of the quotient the one whose errors shrink. Up to a value of
    // about 1/2, `-e / (e + 2)` with `e = e^-2x - 1`; from there on
    // `1 - 2 / (e + 2)` with `e = e^2x - 1`.
    let is_near = size < T::LN_2() * T::FRAC_PI_4();
    let e = expm1(size * select_unpredictable(is_near, -two, two));
    let divisor = e + two;
    let quotient = select_unpredictable(is_near, -e, two) / divisor;
    // What rounding took from the divisor, times the quotient's derivative by it:
    // one over the divisor is `(1 + quotient) / 2`.
    let lost = e - (divisor - two);
    let correction = lost * quotient * (T::one() + quotient) / two;
    let value = select_unpredictable(is_near, quotient - correction, T::one() - quotient);
    value.with_sign_of(x)
}
