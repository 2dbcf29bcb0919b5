//! The element types: `f32` and `f64`, behind one trait.
//!
//! [`Real`] stands on top of [`num_traits::float::FloatCore`] and adds the few
//! things that a tape needs beyond it, and the elementary functions: those of
//! the standard library compute one number at a time, at the pleasure of the
//! platform's library, while [these](crate::scalar::elementary) vectorise and
//! give the same bits everywhere. So do those of the `libm` library, written in
//! Rust, from which the rarer functions are taken. It is sealed: kernels are
//! compiled for the types below and rely on their layout.

use std::fmt::{Debug, Display};
use std::iter::Sum;

use num_traits::NumAssign;
use num_traits::float::{FloatConst, FloatCore};

use super::micro::{self, Micro};
use super::{elementary, special};

/// Functions that are computed one at a time, in double precision for both types.
macro_rules! in_double_precision {
    ($($(#[$doc:meta])* $method:ident: $function:path,)*) => {$(
        $(#[$doc])*
        #[inline]
        fn $method(self) -> Self {
            Self::from_f64($function(self.as_f64()))
        }
    )*};
}

/// Functions of which there is one formula for both types.
macro_rules! elementary {
    ($($method:ident: $function:ident,)*) => {$(
        #[inline(always)]
        fn $method(self) -> Self {
            elementary::$function(self)
        }
    )*};
}

/// An element of a tensor: `f32` or `f64`.
///
/// ```
/// use wengert_core::Real;
///
/// fn half<T: Real>(x: T) -> T {
///     x * T::from_f64(0.5)
/// }
/// assert_eq!(half(3.0_f32), 1.5);
/// ```
pub trait Real:
    FloatCore
    + FloatConst
    + NumAssign
    + Sum
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + elementary::Format
    + sealed::Kernels
    + 'static
{
    /// The type's name, as it stands in messages.
    const NAME: &'static str;

    /// The nearest element to a number given in double precision.
    fn from_f64(value: f64) -> Self;

    /// The element in double precision, exactly.
    fn as_f64(self) -> f64;

    /// `e^x`, within 1 ulp.
    fn exp(self) -> Self;

    /// `e^x - 1`, without cancellation near 0.
    fn exp_m1(self) -> Self;

    /// The natural logarithm.
    fn ln(self) -> Self;

    /// `ln(1 + x)`, without cancellation near 0.
    fn ln_1p(self) -> Self;

    /// The sine, of an angle in radians.
    fn sin(self) -> Self;

    /// The cosine, of an angle in radians.
    fn cos(self) -> Self;

    /// Whether the angle is small enough for [`sin_near`](Self::sin_near) and
    /// [`cos_near`](Self::cos_near).
    fn is_near(self) -> bool;

    /// The same as [`sin`](Self::sin), for an angle that is [near](Self::is_near), by
    /// code without branches.
    fn sin_near(self) -> Self;

    /// The same as [`cos`](Self::cos), for an angle that is [near](Self::is_near), by
    /// code without branches.
    fn cos_near(self) -> Self;

    /// The hyperbolic tangent.
    fn tanh(self) -> Self;

    /// The logistic function `1 / (1 + e^-x)`.
    fn sigmoid(self) -> Self;

    /// The error function, the integral of `2 / sqrt(pi) e^-t^2` from 0 to `x`.
    fn erf(self) -> Self;

    /// `1 - erf(x)`, without cancellation for large `x`.
    fn erfc(self) -> Self;

    /// `2^x`, exact for whole `x`.
    fn exp2(self) -> Self;

    /// The logarithm to base 2, exact for powers of 2.
    fn log2(self) -> Self;

    in_double_precision! {
        /// The tangent, of an angle in radians.
        tan: libm::tan,
        /// The arc sine, from -pi/2 to pi/2.
        asin: libm::asin,
        /// The arc cosine, from 0 to pi.
        acos: libm::acos,
        /// The arc tangent, from -pi/2 to pi/2.
        atan: libm::atan,
        /// The hyperbolic sine.
        sinh: libm::sinh,
        /// The hyperbolic cosine.
        cosh: libm::cosh,
        /// The inverse hyperbolic sine.
        asinh: libm::asinh,
        /// The inverse hyperbolic cosine, for `x` from 1 on.
        acosh: libm::acosh,
        /// The inverse hyperbolic tangent, for `x` between -1 and 1.
        atanh: libm::atanh,
        /// The logarithm to base 10.
        log10: libm::log10,
        /// The cube root, of either sign.
        cbrt: libm::cbrt,
        /// The inverse of the error function.
        erf_inv: special::erf_inv,
        /// `ln |gamma(x)|`.
        ln_gamma: libm::lgamma,
    }

    /// The angle of the point `(x, self)`, from -pi to pi.
    #[inline]
    fn atan2(self, x: Self) -> Self {
        Self::from_f64(libm::atan2(self.as_f64(), x.as_f64()))
    }

    /// `sqrt(self^2 + other^2)`, without overflow on the way.
    #[inline]
    fn hypot(self, other: Self) -> Self {
        Self::from_f64(libm::hypot(self.as_f64(), other.as_f64()))
    }

    /// The derivative of order `n + 1` of `ln |gamma(x)|`.
    #[inline]
    fn polygamma(self, n: u32) -> Self {
        Self::from_f64(special::polygamma(n, self.as_f64()))
    }

    /// The derivative of order `n` of `sin(pi x) / (pi x)`.
    #[inline]
    fn sinc(self, n: u32) -> Self {
        Self::from_f64(special::sinc(n, self.as_f64()))
    }

    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;

    /// The nearest whole number, the even one of two.
    fn round_ties_even(self) -> Self;

    /// A real power, of all numbers as IEEE 754 says.
    fn powf(self, exponent: Self) -> Self;
}

macro_rules! real {
    ($($t:ident by $micro:path;)*) => {$(
        impl Real for $t {
            const NAME: &'static str = stringify!($t);

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $t
            }

            #[inline(always)]
            fn as_f64(self) -> f64 {
                self.into()
            }

            elementary! {
                exp: exp, exp_m1: expm1, exp2: exp2,
                ln: ln, ln_1p: ln1p, log2: log2,
                sin: sin, cos: cos, sin_near: sin_near, cos_near: cos_near,
                tanh: tanh, sigmoid: sigmoid, erf: erf, erfc: erfc,
            }

            #[inline(always)]
            fn is_near(self) -> bool {
                elementary::is_near(self)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn round_ties_even(self) -> Self {
                self.round_ties_even()
            }

            #[inline(always)]
            fn powf(self, exponent: Self) -> Self {
                elementary::powf(self, exponent)
            }
        }

        impl sealed::Kernels for $t {
            #[inline]
            fn micro() -> Micro<Self> {
                $micro()
            }
        }
    )*};
}

real! {
    f32 by micro::singles::widest;
    f64 by micro::doubles::widest;
}

mod sealed {
    use crate::scalar::micro::Micro;

    /// What kernels ask of a type, and of nobody else.
    pub trait Kernels: crate::scalar::Lanes + bytemuck::Pod {
        /// The library's kernels for tiles, for this CPU.
        fn micro() -> Micro<Self>;
    }
}
