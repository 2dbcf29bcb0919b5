//! Powers with any exponent.
//!
//! `|x|^y` is `e^(y ln |x|)`. A relative error of the logarithm becomes an absolute one of the
//! exponent, which may be as large as the largest finite result allows. So the logarithm and its
//! product with `y` are sums of two numbers, of which the second holds the digits that the first
//! one has no room for (Dekker, *A floating-point technique for extending the available
//! precision*, 1971).

use super::bits::flipped_by;
use super::exponential::exp_of_sum;
use super::logarithm::split;
use super::{Format, Lane};

/// A number as the sum of two, the second of which is small beside the first.
type Pair<A> = (A, A);

/// The sum of two numbers, of which the first is 0 or the larger one. Nothing is lost.
#[inline(always)]
fn sum<A: Lane>(large: A, small: A) -> Pair<A> {
    let high = large + small;
    (high, small - (high - large))
}

/// The product of two numbers. Nothing is lost.
#[inline(always)]
fn product<A: Lane>(a: A, b: A) -> Pair<A> {
    let high = a * b;
    (high, a.mul_add(b, -high))
}

/// The natural logarithm of a positive number, by the series of [`ln`](super::ln). Its first two
/// terms are sums of two numbers, and only the rest is rounded as others are.
#[inline(always)]
fn ln<T: Format, A: Lane<Float = T>>(x: A) -> Pair<A> {
    let (k, m) = split(x);
    let (one, two) = (x.exact(1.0), x.exact(2.0));
    // s = f / (2 + f), with f = m - 1.
    let f = m - one;
    let (divisor, lost) = sum(two, f);
    let inverse = one / divisor;
    let s = f * inverse;
    let s_low = (-s).mul_add(lost, (-s).mul_add(divisor, f)) * inverse;
    // The series over s: 2 + 2/3 z and more, with z = s^2.
    let (z, z_lost) = product(s, s);
    let z_low = (s + s).mul_add(s_low, z_lost);
    let third = x.constant(T::TWO_THIRDS);
    let (c, c_lost) = product(z, third);
    let c_low = z.mul_add(x.constant(T::TWO_THIRDS_LOW), z_low.mul_add(third, c_lost));
    let c_low = (z * z).mul_add(T::ln_rest(z), c_low);
    let (series, series_lost) = sum(two, c);
    let series_low = series_lost + c_low;
    let (near, near_lost) = product(s, series);
    let near_low = s.mul_add(series_low, s_low.mul_add(series, near_lost));
    // And k ln 2, which is 0 or the larger one.
    let (far, far_lost) = product(k, x.constant(T::LN_2()));
    let far_low = k.mul_add(x.constant(T::LN2_LOW), far_lost);
    let (high, lost) = sum(far, near);
    sum(high, lost + (far_low + near_low))
}

/// Whether a number is whole, as infinities are and NaN is not.
#[inline(always)]
fn is_whole<T: Format, A: Lane<Float = T>>(x: A) -> A::Mask {
    let (size, whole) = (x.abs(), x.constant(T::WHOLE));
    let rounded = (size + whole) - whole;
    size.equal(A::select(size.less(whole), rounded, size))
}

/// `x^y`, of all numbers as IEEE 754 says.
///
/// A negative `x` has powers with whole `y`, which are negative where `y` is odd. `x^0` and `1^y`
/// are 1, also of NaN.
#[inline(always)]
pub(crate) fn powf<T: Format, A: Lane<Float = T>>(x: A, y: A) -> A {
    let (zero, one, infinity) = (x.exact(0.0), x.exact(1.0), x.constant(T::infinity()));
    let size = x.abs();
    let (log, log_low) = ln(size);
    let log = A::select(size.equal(zero), -infinity, log);
    let log = A::select(size.less(infinity), log, size);
    // Which power of 1 does not matter, were it infinite.
    let times = A::select(size.equal(one), zero, y);
    let (exponent, lost) = product(times, log);
    let exponent_low = times.mul_add(log_low, lost);
    let power = exp_of_sum(exponent, exponent_low);
    // Odd numbers are whole, and their halves are not.
    let negative = A::select(is_whole(y * y.exact(0.5)), zero, x);
    let negative = A::select(is_whole(y), negative, zero);
    let power = flipped_by(power, negative);
    // A finite negative number has no other powers.
    let of_negative = A::select(is_whole(y), power, x.constant(T::nan()));
    let is_finite_negative = A::select(size.less(infinity), x, zero).less(zero);
    let power = A::select(is_finite_negative, of_negative, power);
    let power = A::select(x.equal(one), one, power);
    A::select(y.equal(zero), one, power)
}
