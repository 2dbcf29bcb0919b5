//! The error function and its complement.

use super::bits::with_sign_of;
use super::exponential::{at_most, exp};
use super::{Format, Lane};

/// `erf(x)`, the integral of `2 / sqrt(pi) e^-t^2` from 0 to `x`.
#[inline(always)]
pub(crate) fn erf<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let one = x.exact(1.0);
    let size = x.abs();
    let near = size.mul_add(T::erf_near(size * size), size);
    let far = one - exp(-T::erf_far(at_most(size, T::ERF_ONE)));
    with_sign_of(A::select(size.less(one), near, far), x)
}

/// `1 - erf(x)`, without cancellation for large `x`.
///
/// Near 0 by the series of `erf`. Elsewhere `(1 + 2x) e^(x^2) erfc(x)` is a polynomial
/// in `(x - 3) / (x + 3)`, the method of Shepherd and Laframboise (*Chebyshev
/// Approximation of (1 + 2x) exp(x^2) erfc x*, 1981), so that the error stays relative
/// down to the least numbers.
#[inline(always)]
pub(crate) fn erfc<T: Format, A: Lane<Float = T>>(x: A) -> A {
    let (one, two, three) = (x.exact(1.0), x.exact(2.0), x.exact(3.0));
    let near = one - x.mul_add(T::erf_near(x * x), x);
    let size = at_most(x.abs(), T::ERFC_ZERO);
    let scaled = T::erfc_scaled((size - three) / (size + three));
    // What rounding takes from the square would be multiplied by it.
    let square = size * size;
    let lost = size.mul_add(size, -square);
    let power = exp(-square);
    let double = size + size;
    let tail = (-lost).mul_add(power, power) * scaled / (double + one);
    let far = A::select(x.less(x.exact(0.0)), two - tail, tail);
    A::select(double.less(one), near, far)
}
