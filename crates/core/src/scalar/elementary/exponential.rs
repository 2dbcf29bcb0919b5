//! The exponential and its relatives.
//!
//! `x = k ln 2 + r` with `|r| <= ln(2) / 2`; a polynomial gives `e^r - 1`, and the
//! exponent `k` is put into the bits.

use std::hint::select_unpredictable;

use super::Format;

/// `k`, shifted by `shift`, and the remainder `r`.
///
/// The difference from `k` times the leading digits of `ln 2` is exact: it is a
/// multiple of their last place and smaller than 1.
#[inline(always)]
fn reduce<T: Format>(x: T, shift: T) -> (T, T) {
    let shifted = x.mul_add(T::LOG2_E(), shift);
    let minus_k = shift - shifted;
    (shifted, minus_k.mul_add(T::LN2_LOW, minus_k.mul_add(T::LN_2(), x)))
}

/// `e^r - 1` of a remainder.
#[inline(always)]
fn expm1_reduced<T: Format>(r: T) -> T {
    (r * r).mul_add(T::exp_series(r), r)
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
    let x = clamp(x, T::EXP_ZERO, T::EXP_INFINITE);
    let (shifted, r) = reduce(x, T::SHIFT + T::BIAS + T::BIAS);
    // In two steps, as the result may be subnormal, or 2^k too large by itself.
    let (first, second) = T::powers_of_two(shifted);
    (T::one() + expm1_reduced(r)) * first * second
}

/// `2^x`, exact for whole `x`.
#[inline(always)]
pub(crate) fn exp2<T: Format>(x: T) -> T {
    let x = clamp(x, T::EXP_ZERO * T::LOG2_E(), T::EXP_INFINITE * T::LOG2_E());
    let shift = T::SHIFT + T::BIAS + T::BIAS;
    let shifted = x + shift;
    let r = (x - (shifted - shift)) * T::LN_2();
    let (first, second) = T::powers_of_two(shifted);
    (T::one() + expm1_reduced(r)) * first * second
}

/// `e^x - 1`.
#[inline(always)]
pub(crate) fn expm1<T: Format>(x: T) -> T {
    let half = T::one() / (T::one() + T::one());
    let bounded = clamp(x, T::EXP_NEGLIGIBLE, T::EXP_INFINITE);
    // Half of everything, as 2^k may be too large.
    let (shifted, r) = reduce(bounded, T::SHIFT + T::BIAS - T::one());
    let scale = T::power_of_two(shifted);
    let value = scale.mul_add(expm1_reduced(r), scale - half);
    if x.abs() < T::TINY { x } else { value + value }
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<T: Format>(x: T) -> T {
    let x = clamp(-x, T::EXP_NEGLIGIBLE, -T::EXP_ZERO);
    // Numerator and denominator are scaled by one small number, with which the
    // exponential stays within the normal numbers for all these x.
    let (shifted, r) = reduce(x, T::SHIFT + T::BIAS + T::SMALL_EXPONENT);
    let scale = T::power_of_two(shifted);
    T::SMALL_POWER / (scale + scale.mul_add(expm1_reduced(r), T::SMALL_POWER))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<T: Format>(x: T) -> T {
    // Beyond a value of 1/4, e / (e + 2) with e = e^2|x| - 1, whose errors shrink as x
    // grows; below, the series.
    let two = T::one() + T::one();
    let size = x.abs();
    let double = size + size;
    let bounded = if double > -T::EXP_NEGLIGIBLE { -T::EXP_NEGLIGIBLE } else { double };
    let (shifted, r) = reduce(bounded, T::SHIFT + T::BIAS);
    let scale = T::power_of_two(shifted);
    let e = scale.mul_add(expm1_reduced(r), scale - T::one());
    let z = size * size;
    let near = (size * z).mul_add(T::tanh_series(z), size);
    // Both are computed: a branch would keep loops from being vectorised.
    select_unpredictable(size < T::TANH_NEAR, near, e / (e + two)).with_sign_of(x)
}
