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
//! This choice is a branch, which keeps loops from being vectorised. Loops that
//! have found their angles to be [near](is_near) call functions without it.

use super::Format;

/// Whether an angle needs no more than the short reduction.
#[inline(always)]
pub(crate) fn is_near<T: Format>(x: T) -> bool {
    x.abs() <= T::NEAR
}

/// Quarter turns, shifted, and the remainder of an angle that is near.
#[inline(always)]
fn reduce_near<T: Format>(x: T) -> (T, T) {
    let turns = x.mul_add(T::FRAC_2_PI(), T::SHIFT);
    let minus_q = T::SHIFT - turns;
    let r = minus_q.mul_add(T::FRAC_PI_2(), x);
    let r = minus_q.mul_add(T::FRAC_PI_2_MIDDLE, r);
    (turns, minus_q.mul_add(T::FRAC_PI_2_LOW, r))
}

/// The sine of a remainder.
#[inline(always)]
fn sin_reduced<T: Format>(r: T) -> T {
    let z = r * r;
    (r * z).mul_add(T::sin_series(z), r)
}

/// The cosine of a remainder.
#[inline(always)]
fn cos_reduced<T: Format>(r: T) -> T {
    let z = r * r;
    z.mul_add(T::cos_series(z), T::one())
}

/// The sine of an angle after `turns` quarter turns.
#[inline(always)]
fn select<T: Format>(turns: T, r: T) -> T {
    T::by_quarter(turns, sin_reduced(r), cos_reduced(r))
}

/// The sine of an angle in radians that is near.
#[inline(always)]
pub(crate) fn sin_near<T: Format>(x: T) -> T {
    let (turns, r) = reduce_near(x.abs());
    T::flipped_by(select(turns, r), x)
}

/// The cosine of an angle in radians that is near.
#[inline(always)]
pub(crate) fn cos_near<T: Format>(x: T) -> T {
    let (turns, r) = reduce_near(x.abs());
    select(turns + T::one(), r)
}

/// The sine, of an angle in radians.
#[inline(always)]
pub(crate) fn sin<T: Format>(x: T) -> T {
    let size = x.abs();
    if size <= T::SMALL {
        // Its own remainder.
        sin_reduced(size).with_sign_of(x)
    } else if is_near(x) {
        sin_near(x)
    } else {
        let (turns, r) = size.reduce_far();
        T::flipped_by(select(turns, r), x)
    }
}

/// The cosine, of an angle in radians.
#[inline(always)]
pub(crate) fn cos<T: Format>(x: T) -> T {
    if x.abs() <= T::SMALL {
        cos_reduced(x)
    } else if is_near(x) {
        cos_near(x)
    } else {
        let (turns, r) = x.abs().reduce_far();
        select(turns + T::one(), r)
    }
}
