//! Sine and cosine.
//!
//! `x = q pi/2 + r` with `|r| <= pi/4`: a polynomial of `r`, which one and with
//! which sign says `q`. The reduction subtracts `q` times `pi/2` in three parts.
//! The first difference is exact, being a multiple of the last place of `pi/2` and
//! smaller than 1; the others are rounded relative to what is left. That serves up
//! to [`NEAR`](Format::NEAR). Beyond, a function is called that multiplies by as
//! many digits of `2/pi` as the angle needs (Payne and Hanek, *Radian reduction
//! for trigonometric functions*, 1983).
//!
//! This choice is a branch, which only floats can take, and which keeps loops from being
//! vectorised. Loops that have found their angles to be [near](is_near) call functions
//! without it.

use super::bits::{by_quarter, flipped_by, with_sign_of};
use super::reduce::Angle;
use super::{Format, Lane};

/// Whether an angle is its own remainder.
#[inline(always)]
pub(crate) fn is_small<T: Format, A: Lane<Float = T>>(x: A) -> A::Mask {
    x.abs().less_equal(x.constant(T::SMALL))
}

/// Whether an angle needs no more than the short reduction.
#[inline(always)]
pub(crate) fn is_near<T: Format, A: Lane<Float = T>>(x: A) -> A::Mask {
    x.abs().less_equal(x.constant(T::NEAR))
}

/// Quarter turns, shifted, and the remainder of an angle that is near.
#[inline(always)]
fn reduce_near<T: Format, A: Lane<Float = T>>(x: A) -> (A, A) {
    let shift = x.constant(T::SHIFT);
    let turns = x.mul_add(x.constant(T::FRAC_2_PI()), shift);
    let minus_q = shift - turns;
    let r = minus_q.mul_add(x.constant(T::FRAC_PI_2()), x);
    let r = minus_q.mul_add(x.constant(T::FRAC_PI_2_MIDDLE), r);
    (turns, minus_q.mul_add(x.constant(T::FRAC_PI_2_LOW), r))
}

/// The sine of a remainder.
#[inline(always)]
fn sin_reduced<T: Format, A: Lane<Float = T>>(r: A) -> A {
    let z = r * r;
    (r * z).mul_add(T::sin_series(z), r)
}

/// The cosine of a remainder.
#[inline(always)]
fn cos_reduced<T: Format, A: Lane<Float = T>>(r: A) -> A {
    let z = r * r;
    z.mul_add(T::cos_series(z), r.exact(1.0))
}

/// The sine of an angle after `turns` quarter turns.
#[inline(always)]
fn sin_turned<T: Format, A: Lane<Float = T>>(turns: A, r: A) -> A {
    by_quarter(turns, sin_reduced(r), cos_reduced(r))
}

/// The cosine of an angle after `turns` quarter turns.
#[inline(always)]
fn cos_turned<T: Format, A: Lane<Float = T>>(turns: A, r: A) -> A {
    sin_turned(turns + r.exact(1.0), r)
}

/// The sine of an angle in radians that is [small](is_small).
#[inline(always)]
pub(crate) fn sin_small<T: Format, A: Lane<Float = T>>(x: A) -> A {
    with_sign_of(sin_reduced(x.abs()), x)
}

/// The cosine of an angle in radians that is small.
#[inline(always)]
pub(crate) fn cos_small<T: Format, A: Lane<Float = T>>(x: A) -> A {
    cos_reduced(x)
}

/// The sine of an angle in radians that is near.
#[inline(always)]
pub(crate) fn sin_near<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let (turns, r) = reduce_near(x.abs());
    flipped_by(sin_turned(turns, r), x)
}

/// The cosine of an angle in radians that is near.
#[inline(always)]
pub(crate) fn cos_near<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let (turns, r) = reduce_near(x.abs());
    cos_turned(turns, r)
}

/// The sine, of an angle in radians.
#[inline(always)]
pub(crate) fn sin<T: Angle>(x: T) -> T {
    if is_small(x) {
        sin_small(x)
    } else if is_near(x) {
        sin_near(x)
    } else {
        let (turns, r) = Lane::abs(x).reduce_far();
        flipped_by(sin_turned(turns, r), x)
    }
}

/// The cosine, of an angle in radians.
#[inline(always)]
pub(crate) fn cos<T: Angle>(x: T) -> T {
    if is_small(x) {
        cos_small(x)
    } else if is_near(x) {
        cos_near(x)
    } else {
        let (turns, r) = Lane::abs(x).reduce_far();
        cos_turned(turns, r)
    }
}
