//! The error function and its complement.

use std::hint::select_unpredictable;

use super::{Format, exp};

/// `erf(x)`, the integral of `2 / sqrt(pi) e^-t^2` from 0 to `x`.
#[inline(always)]
pub(crate) fn erf<T: Format>(x: T) -> T {
    let size = x.abs();
    let near = size.mul_add(T::erf_near(size * size), size);
    let cut = if size > T::ERF_ONE { T::ERF_ONE } else { size };
    let far = T::one() - exp(-T::erf_far(cut));
    // Both are computed: a branch would keep loops from being vectorised.
    select_unpredictable(size < T::one(), near, far).with_sign_of(x)
}

/// `1 - erf(x)`, without cancellation for large `x`.
///
/// Near 0 by the series of `erf`. Elsewhere `(1 + 2x) e^(x^2) erfc(x)` is a polynomial
/// in `(x - 3) / (x + 3)`, the method of Shepherd and Laframboise (*Chebyshev
/// Approximation of (1 + 2x) exp(x^2) erfc x*, 1981), so that the error stays relative
/// down to the least numbers.
#[inline(always)]
pub(crate) fn erfc<T: Format>(x: T) -> T {
    let (one, two) = (T::one(), T::one() + T::one());
    let near = one - x.mul_add(T::erf_near(x * x), x);
    let size = x.abs();
    let size = if size > T::ERFC_ZERO { T::ERFC_ZERO } else { size };
    let three = two + one;
    let scaled = T::erfc_scaled((size - three) / (size + three));
    // What rounding takes from the square would be multiplied by it.
    let square = size * size;
    let lost = size.mul_add(size, -square);
    let power = exp(-square);
    let tail = (-lost).mul_add(power, power) * scaled / (size + size + one);
    let far = if x < T::zero() { two - tail } else { tail };
    select_unpredictable(size + size < one, near, far)
}
