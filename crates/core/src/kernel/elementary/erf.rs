//! The error function.

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
