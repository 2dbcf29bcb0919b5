//! Logarithms.
//!
//! `x = 2^k m` with `m` near 1, and `ln m` from a series in `s = f / (2 + f)`,
//! `f = m - 1`: the method of FDLIBM's `log` and `log1p`.

use super::{Format, Lane, bits};

/// `ln(2^k (1 + f)) + correction`.
#[inline(always)]
fn assemble<T: Format, A: Lane<Float = T>>(k: A, f: A, correction: A) -> A {
    let half_square = f * f * f.exact(0.5);
    let s = f / (f.exact(2.0) + f);
    let z = s * s;
    let series = z * T::ln_series(z);
    let low = k.mul_add(k.constant(T::LN2_LOW), correction);
    k.mul_add(k.constant(T::LN_2()), s.mul_add(half_square + series, low) - half_square + f)
}

/// The value, unless `x`, whose logarithm it is, lies at or beyond the ends of the
/// positive numbers.
#[inline(always)]
fn within_positive<T: Format, A: Lane<Float = T>>(x: A, value: A) -> A {
    let zero = x.exact(0.0);
    // NaN is not greater than 0 either.
    let value = A::select(zero.less_equal(x), value, x.constant(T::nan()));
    let value = value.unless(x.equal(zero), || x.constant(T::neg_infinity()));
    value.unless(x.equal(x.constant(T::infinity())), || x)
}

/// `k` and `m`, as [`bits::split`] gives them, of subnormal numbers as well.
#[inline(always)]
pub(super) fn split<T: Format, A: Lane<Float = T>>(x: A) -> (A, A) {
    let (factor, exponent) = T::NORMALISE;
    let is_subnormal = x.less(x.constant(T::min_positive_value()));
    let normal = x.unless(is_subnormal, || x * x.constant(factor));
    let (k, m) = bits::split(normal);
    (k.unless(is_subnormal, || k - x.constant(exponent)), m)
}

/// The natural logarithm.
#[inline(always)]
pub(crate) fn ln<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let (k, m) = split(x);
    within_positive(x, assemble(k, m - x.exact(1.0), x.exact(0.0)))
}

/// The logarithm to base 2, exact for powers of 2.
#[inline(always)]
pub(crate) fn log2<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let zero = x.exact(0.0);
    let (k, m) = split(x);
    let ln = assemble(zero, m - x.exact(1.0), zero);
    within_positive(x, ln.mul_add(x.constant(T::LOG2_E()), k))
}

/// `ln(1 + x)`.
#[inline(always)]
pub(crate) fn ln1p<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let (zero, one) = (x.exact(0.0), x.exact(1.0));
    // Of a tiny number it is that number, whose square may underflow, which is slow.
    let (is_tiny, tiny) = (x.abs().less(x.constant(T::TINY)), x);
    let x = A::select(is_tiny, zero, x);
    let sum = one + x;
    // What rounding took from the sum, whichever summand is the larger (Knuth).
    let part = sum - x;
    let lost = (one - part) + (x - (sum - part));
    let (k, m) = bits::split(sum);
    let is_near = k.equal(zero);
    let f = A::select(is_near, x, m - one);
    let correction = A::select(is_near, zero, lost / sum);
    let value = within_positive(sum, assemble(k, f, correction));
    A::select(is_tiny, tiny, value)
}
