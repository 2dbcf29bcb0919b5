//! Numbers taken apart and put together by their bits.
//!
//! Small whole numbers travel between float and bits inside a *shifted* number, `k + SHIFT`,
//! whose last place is worth 1: the addition rounds, and the low bits are `k` in two's
//! complement. Both directions are single instructions for every vector width, other than
//! conversions to integers.

use super::{Format, Lane};

/// `2^(k - BIAS)`, from `k` shifted, for the exponents of normal numbers.
#[inline(always)]
pub(super) fn power_of_two<T: Format, A: Lane<Float = T>>(shifted: A) -> A {
    // The bits of `SHIFT` drop out.
    shifted.shift_left(T::FRACTION_BITS)
}

/// Two factors whose product is `2^(k - 2 BIAS)`, from `k` shifted, where the power itself may
/// be too large or too small.
#[inline(always)]
pub(super) fn powers_of_two<T: Format, A: Lane<Float = T>>(shifted: A) -> (A, A) {
    let half = shifted.shift_right(1);
    (power_of_two(half), power_of_two(shifted.sub_bits(half)))
}

/// `k` and `m`, with `x = 2^k m` and `m` between `sqrt(1/2)` and `sqrt(2)`, for positive normal
/// numbers.
#[inline(always)]
pub(super) fn split<T: Format, A: Lane<Float = T>>(x: A) -> (A, A) {
    let sqrt_half = x.constant(T::FRAC_1_SQRT_2());
    // What lies from the root on moves to the next exponent.
    let moved = x.add_bits(x.constant(T::FROM_SQRT_HALF_TO_ONE));
    let biased = moved.shift_right(T::FRACTION_BITS).or(x.constant(T::WHOLE));
    let k = biased - x.constant(T::WHOLE + T::BIAS);
    (k, moved.and(x.constant(T::FRACTION)).add_bits(sqrt_half))
}

/// `x` with the sign of `sign`.
#[inline(always)]
pub(super) fn with_sign_of<T: Format, A: Lane<Float = T>>(x: A, sign: A) -> A {
    x.abs().or(sign.and(x.exact(-0.0)))
}

/// `x`, negated if `sign` is negative.
#[inline(always)]
pub(super) fn flipped_by<T: Format, A: Lane<Float = T>>(x: A, sign: A) -> A {
    x.xor(sign.and(x.exact(-0.0)))
}

/// The sine of an angle, from the sine and the cosine of the remainder and the quarter turns,
/// shifted.
#[inline(always)]
pub(super) fn by_quarter<T: Format, A: Lane<Float = T>>(turns: A, sine: A, cosine: A) -> A {
    let odd = turns.and(turns.constant(T::LAST_BIT));
    let size = A::select(odd.equal_bits(turns.exact(0.0)), sine, cosine);
    // The second bit is the sign.
    size.xor(turns.shift_right(1).shift_left(T::BITS - 1))
}
