//! Logarithms.
//!
//! `x = 2^k m` with `m` near 1, and `ln m` from a series in `s = f / (2 + f)`,
//! `f = m - 1`: the method of FDLIBM's `log` and `log1p`.

use super::Format;

/// `ln(2^k (1 + f)) + correction`.
#[inline(always)]
fn assemble<T: Format>(k: T, f: T, correction: T) -> T {
    let two = T::one() + T::one();
    let half_square = f * f / two;
    let s = f / (two + f);
    let z = s * s;
    let series = z * T::ln_series(z);
    let low = k.mul_add(T::LN2_LOW, correction);
    k.mul_add(T::LN_2(), s.mul_add(half_square + series, low) - half_square + f)
}

/// The value, unless `x`, whose logarithm it is, lies at or beyond the ends of the
/// positive numbers.
#[inline(always)]
fn within_positive<T: Format>(x: T, value: T) -> T {
    let value = if x == T::infinity() { x } else { value };
    let value = if x == T::zero() { T::neg_infinity() } else { value };
    let value = if x < T::zero() { T::nan() } else { value };
    if x.is_nan() { x } else { value }
}

/// `k` and `m`, as [`Format::split`] gives them, of subnormal numbers as well.
#[inline(always)]
fn split<T: Format>(x: T) -> (T, T) {
    let (factor, exponent) = T::NORMALISE;
    let is_subnormal = x < T::min_positive_value();
    let normal = if is_subnormal { x * factor } else { x };
    let (k, m) = normal.split();
    (if is_subnormal { k - exponent } else { k }, m)
}

/// The natural logarithm.
#[inline(always)]
pub(crate) fn ln<T: Format>(x: T) -> T {
    let (k, m) = split(x);
    within_positive(x, assemble(k, m - T::one(), T::zero()))
}

/// The logarithm to base 2, exact for powers of 2.
#[inline(always)]
pub(crate) fn log2<T: Format>(x: T) -> T {
    let (k, m) = split(x);
    let ln = assemble(T::zero(), m - T::one(), T::zero());
    within_positive(x, ln.mul_add(T::LOG2_E(), k))
}

/// `ln(1 + x)`.
#[inline(always)]
pub(crate) fn ln1p<T: Format>(x: T) -> T {
    let sum = T::one() + x;
    // What rounding took from the sum, whichever summand is the larger (Knuth).
    let part = sum - x;
    let lost = (T::one() - part) + (x - (sum - part));
    let (k, m) = sum.split();
    let is_near = k == T::zero();
    let f = if is_near { x } else { m - T::one() };
    let correction = if is_near { T::zero() } else { lost / sum };
    let value = within_positive(sum, assemble(k, f, correction));
    if x.abs() < T::TINY { x } else { value }
}
