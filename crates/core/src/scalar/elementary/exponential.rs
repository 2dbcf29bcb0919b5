//! The exponential and its relatives.
//!
//! `x = k ln 2 + r` with `|r| <= ln(2) / 2`; a polynomial gives `e^r - 1`, and the
//! exponent `k` is put into the bits.

use super::bits::{power_of_two, powers_of_two, with_sign_of};
use super::{Format, Lane};

/// `k`, shifted by `shift`, and the remainder `r`.
///
/// The difference from `k` times the leading digits of `ln 2` is exact: it is a
/// multiple of their last place and smaller than 1.
#[inline(always)]
fn reduce<T: Format, A: Lane<Float = T>>(x: A, shift: T) -> (A, A) {
    let shift = x.constant(shift);
    let shifted = x.mul_add(x.constant(T::LOG2_E()), shift);
    let minus_k = shift - shifted;
    let r = minus_k.mul_add(x.constant(T::LN_2()), x);
    (shifted, minus_k.mul_add(x.constant(T::LN2_LOW), r))
}

/// `e^r - 1` of a remainder.
#[inline(always)]
fn expm1_reduced<T: Format, A: Lane<Float = T>>(r: A) -> A {
    (r * r).mul_add(T::exp_series(r), r)
}

/// `x` cut off at an upper bound. NaN stays NaN.
#[inline(always)]
pub(super) fn at_most<T: Format, A: Lane<Float = T>>(x: A, high: T) -> A {
    let high = x.constant(high);
    A::select(high.less(x), high, x)
}

/// `x` cut off at a lower bound. NaN stays NaN.
#[inline(always)]
fn at_least<T: Format, A: Lane<Float = T>>(x: A, low: T) -> A {
    let low = x.constant(low);
    A::select(x.less(low), low, x)
}

/// `2^(k - 2 BIAS) e^r`, from `k` shifted.
///
/// In two steps, as the result may be subnormal, or the power of two too large by itself.
#[inline(always)]
fn scaled_exp<T: Format, A: Lane<Float = T>>(shifted: A, r: A) -> A {
    let (first, second) = powers_of_two(shifted);
    (r.exact(1.0) + expm1_reduced(r)) * first * second
}

/// A function that is 0 below `low`. There, the function of 0 is computed in its place.
///
/// A product that underflows takes some CPUs many times as long as others do, and half of a row of
/// masked scores may be minus infinity.
#[inline(always)]
fn zero_below<T: Format, A: Lane<Float = T>>(x: A, low: T, f: impl FnOnce(A) -> A) -> A {
    let zero = x.exact(0.0);
    let is_zero = x.less(x.constant(low));
    let value = f(A::select(is_zero, zero, x));
    A::select(is_zero, zero, value)
}

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<T: Format, A: Lane<Float = T>>(x: A) -> A {
    exp_by(
        x,
        #[inline(always)]
        |_, r| r,
    )
}

/// `e^(x + low)`, where `low` is small beside `x` and does not matter where `e^x` is 0 or infinite.
#[inline(always)]
pub(super) fn exp_of_sum<T: Format, A: Lane<Float = T>>(x: A, low: A) -> A {
    exp_by(
        x,
        #[inline(always)]
        // Beyond the bounds `low` may be no number.
        |bounded, r| r + A::select(bounded.equal(x), low, x.exact(0.0)),
    )
}

/// `e^x`, where `remainder` may change what is left of `x`, which it gets within the bounds.
#[inline(always)]
fn exp_by<T: Format, A: Lane<Float = T>>(x: A, remainder: impl FnOnce(A, A) -> A) -> A {
    zero_below(
        x,
        T::EXP_ZERO,
        #[inline(always)]
        |x| {
            let bounded = at_most(x, T::EXP_INFINITE);
            let (shifted, r) = reduce(bounded, T::SHIFT + T::BIAS + T::BIAS);
            scaled_exp(shifted, remainder(bounded, r))
        },
    )
}

/// `2^x`, exact for whole `x`.
#[inline(always)]
pub(crate) fn exp2<T: Format, A: Lane<Float = T>>(x: A) -> A {
    zero_below(
        x,
        T::EXP_ZERO * T::LOG2_E(),
        #[inline(always)]
        |x| {
            let x = at_most(x, T::EXP_INFINITE * T::LOG2_E());
            let shift = x.constant(T::SHIFT + T::BIAS + T::BIAS);
            let shifted = x + shift;
            let r = (x - (shifted - shift)) * x.constant(T::LN_2());
            scaled_exp(shifted, r)
        },
    )
}

/// `e^x - 1`.
#[inline(always)]
pub(crate) fn expm1<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let bounded = at_most(at_least(x, T::EXP_NEGLIGIBLE), T::EXP_INFINITE);
    // Half of everything, as 2^k may be too large.
    let (shifted, r) = reduce(bounded, T::SHIFT + T::BIAS - T::one());
    let scale = power_of_two(shifted);
    let value = scale.mul_add(expm1_reduced(r), scale - x.exact(0.5));
    A::select(x.abs().less(x.constant(T::TINY)), x, value + value)
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let x = at_most(at_least(-x, T::EXP_NEGLIGIBLE), -T::EXP_ZERO);
    // Numerator and denominator are scaled by one small number, with which the
    // exponential stays within the normal numbers for all these x.
    let (shifted, r) = reduce(x, T::SHIFT + T::BIAS + T::SMALL_EXPONENT);
    let (scale, small) = (power_of_two(shifted), x.constant(T::SMALL_POWER));
    small / (scale + scale.mul_add(expm1_reduced(r), small))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<T: Format, A: Lane<Float = T>>(x: A) -> A {
    // Beyond a value of 1/4, e / (e + 2) with e = e^2|x| - 1, whose errors shrink as x
    // grows; below, the series.
    let size = x.abs();
    let bounded = at_most(size + size, -T::EXP_NEGLIGIBLE);
    let (shifted, r) = reduce(bounded, T::SHIFT + T::BIAS);
    let scale = power_of_two(shifted);
    let e = scale.mul_add(expm1_reduced(r), scale - x.exact(1.0));
    let far = e / (e + x.exact(2.0));
    let z = size * size;
    let near = (size * z).mul_add(T::tanh_series(z), size);
    with_sign_of(A::select(size.less(x.constant(T::TANH_NEAR)), near, far), x)
}
