//! What formulas are written in.
//!
//! An elementwise op states its value and its local partials once, as formulas over any
//! [`Number`]. Plain floats ([`Plain`]) evaluate a formula, so that loops and the fast
//! sweeps run it in one pass over memory; tape variables record it, so that the
//! result can be differentiated again; others ask what it reads. All readings come from the
//! same line of source, hence cannot disagree.
//!
//! So a formula makes no choice by an `if`, which only floats could take, but by a
//! [`select`](Number::select) of two numbers. What is no formula, such as a function of a library,
//! it calls by [`opaque`](Number::opaque).

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Real;

/// A quantity on which formulas act: a plain float or a tape variable.
///
/// Comparisons give 1 where they hold and 0 elsewhere; no derivative flows
/// through them. None holds of NaN, so the side of a [`select`](Self::select) that is taken where
/// a comparison fails is NaN's.
///
/// ```
/// use wengert_core::{Number, Plain};
///
/// /// The derivative of tanh, from its value.
/// fn slope<A: Number>(y: A) -> A {
///     y.constant(1.0) - y * y
/// }
/// assert_eq!(slope(Plain(0.5)).0, 0.75);
/// ```
pub trait Number:
    Copy
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// The constant `value`, a number of the same kind as `self`.
    fn constant(self, value: f64) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// `e^x - 1`, without cancellation near 0.
    fn expm1(self) -> Self;
    /// `2^x`, exact for whole `x`.
    fn exp2(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + x)`, without cancellation near 0.
    fn ln1p(self) -> Self;
    /// The logarithm to base 2, exact for powers of 2.
    fn log2(self) -> Self;
    /// The sine, of an angle in radians.
    fn sin(self) -> Self;
    /// The cosine, of an angle in radians.
    fn cos(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The logistic function `1 / (1 + e^-x)`, the paper's equation (1).
    fn sigmoid(self) -> Self;
    /// The hyperbolic sine.
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The error function, the integral of `2 / sqrt(pi) e^-t^2` from 0 to `x`.
    fn erf(self) -> Self;
    /// The complement `1 - erf(x)` of the error function.
    fn erfc(self) -> Self;
    /// The derivative of order `n + 1` of `ln |gamma(x)|`.
    fn polygamma(self, n: u32) -> Self;
    /// The derivative of order `n` of `sin(pi x) / (pi x)`.
    fn sinc_derivative(self, n: u32) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// `x * x`.
    fn square(self) -> Self;
    /// `1 / x`.
    fn reciprocal(self) -> Self;
    /// A whole power.
    fn powi(self, exponent: i32) -> Self;
    /// A real power, for `x > 0`.
    fn powf(self, exponent: f64) -> Self;
    /// A power with a number as exponent.
    fn pow(self, exponent: Self) -> Self;
    /// `sqrt(self^2 + other^2)`, without overflow on the way.
    fn hypot(self, other: Self) -> Self;
    /// The number, cut off at two bounds.
    fn clamp(self, low: f64, high: f64) -> Self;
    /// The greatest whole number up to `x`. No derivative flows through it.
    fn floor(self) -> Self;
    /// The least whole number from `x` on. No derivative flows through it.
    fn ceil(self) -> Self;
    /// The nearest whole number, the even one of two. No derivative flows through it.
    fn round(self) -> Self;
    /// The whole part of `x`, towards 0. No derivative flows through it.
    fn trunc(self) -> Self;
    /// 1 where `self > other`, else 0.
    fn greater(self, other: Self) -> Self;
    /// 1 where `self >= other`, else 0.
    fn greater_equal(self, other: Self) -> Self;
    /// 1 where `self < other`, else 0.
    fn less(self, other: Self) -> Self;
    /// 1 where `self <= other`, else 0.
    fn less_equal(self, other: Self) -> Self;
    /// 1 where `self == other`, else 0.
    fn equal(self, other: Self) -> Self;
    /// `yes` where `self` is not zero, else `no`.
    fn select(self, yes: Self, no: Self) -> Self;
    /// A function of which nothing but its values is known, computed in double precision: one of a
    /// library, or one that takes branches and loops. It must not be in a derivative rule, since no
    /// derivative flows through it.
    ///
    /// ```
    /// use wengert_core::{Number, Plain};
    ///
    /// let y = Number::opaque([Plain(3.0_f32), Plain(4.0)], |[a, b]| a.hypot(b));
    /// assert_eq!(y.0, 5.0);
    /// ```
    fn opaque<const N: usize>(x: [Self; N], f: fn([f64; N]) -> f64) -> Self;
}

/// A float that evaluates a formula instead of recording it.
///
/// The wrapper keeps [`Number`]'s methods apart from the methods of the same
/// name that floats have on their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plain<T>(pub T);

/// 1 for true and 0 for false: the value of a comparison.
#[inline(always)]
pub(crate) fn indicator<T: Real>(holds: bool) -> T {
    if holds { T::one() } else { T::zero() }
}

/// Like [`Plain`], of floats whose sines and cosines are taken as those of angles
/// that are [near](Real::is_near): the same bits for those, by code without branches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near<T>(pub(crate) T);

macro_rules! operators {
    ($float:ident: $($trait:ident $method:ident),*) => {$(
        impl<T: Real> $trait for $float<T> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                $float($trait::$method(self.0, other.0))
            }
        }
    )*};
}

macro_rules! unary {
    ($float:ident: $($method:ident: $formula:expr),* $(,)?) => {$(
        #[inline(always)]
        fn $method(self) -> Self {
            let formula: fn(T) -> T = $formula;
            $float(formula(self.0))
        }
    )*};
}

macro_rules! compare {
    ($float:ident: $($method:ident: $symbol:tt),* $(,)?) => {$(
        #[inline(always)]
        fn $method(self, other: Self) -> Self {
            $float(indicator(self.0 $symbol other.0))
        }
    )*};
}

macro_rules! number {
    ($float:ident: $sin:ident, $cos:ident) => {
        operators!($float: Add add, Sub sub, Mul mul, Div div);

        impl<T: Real> Neg for $float<T> {
            type Output = Self;

            #[inline(always)]
            fn neg(self) -> Self {
                $float(-self.0)
            }
        }

        impl<T: Real> Number for $float<T> {
            #[inline(always)]
            fn constant(self, value: f64) -> Self {
                $float(T::from_f64(value))
            }

            unary! { $float:
                exp: T::exp,
                expm1: T::exp_m1,
                exp2: T::exp2,
                ln: T::ln,
                ln1p: T::ln_1p,
                log2: T::log2,
                sin: T::$sin,
                cos: T::$cos,
                tanh: T::tanh,
                sigmoid: T::sigmoid,
                sinh: T::sinh,
                cosh: T::cosh,
                erf: T::erf,
                erfc: T::erfc,
                sqrt: T::sqrt,
                abs: T::abs,
                square: |x| x * x,
                reciprocal: T::recip,
                floor: T::floor,
                ceil: T::ceil,
                round: T::round_ties_even,
                trunc: T::trunc,
            }

            compare! { $float:
                greater: >,
                greater_equal: >=,
                less: <,
                less_equal: <=,
                equal: ==,
            }

            #[inline(always)]
            fn powi(self, exponent: i32) -> Self {
                $float(self.0.powi(exponent))
            }

            #[inline(always)]
            fn powf(self, exponent: f64) -> Self {
                $float(self.0.powf(T::from_f64(exponent)))
            }

            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                $float(self.0.powf(exponent.0))
            }

            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                $float(self.0.hypot(other.0))
            }

            #[inline(always)]
            fn polygamma(self, n: u32) -> Self {
                $float(self.0.polygamma(n))
            }

            #[inline(always)]
            fn sinc_derivative(self, n: u32) -> Self {
                $float(self.0.sinc(n))
            }

            #[inline(always)]
            fn clamp(self, low: f64, high: f64) -> Self {
                $float(self.0.clamp(T::from_f64(low), T::from_f64(high)))
            }

            #[inline(always)]
            fn select(self, yes: Self, no: Self) -> Self {
                if self.0 == T::zero() { no } else { yes }
            }

            #[inline(always)]
            fn opaque<const N: usize>(x: [Self; N], f: fn([f64; N]) -> f64) -> Self {
                $float(T::from_f64(f(x.map(|x| x.0.as_f64()))))
            }
        }
    };
}

number!(Plain: sin, cos);
number!(Near: sin_near, cos_near);

/// Which quantities a formula reads: its third reading, in which a number is a set
/// of bits. So an op need not state what its rule keeps alive, and cannot get it
/// wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads(u16);

impl Reads {
    /// The quantity of a number.
    #[inline]
    pub(crate) fn of(index: usize) -> Self {
        Self(1 << index)
    }

    /// Whether the formula reads a quantity.
    #[inline]
    pub(crate) fn contain(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }
}

macro_rules! reads {
    ($($trait:ident $operator:ident),*; $($unary:ident),*; $($binary:ident),*) => {
        $(impl $trait for Reads {
            type Output = Self;

            // Whatever the operation, what both sides read is read.
            #[allow(clippy::suspicious_arithmetic_impl)]
            #[inline]
            fn $operator(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        })*

        impl Neg for Reads {
            type Output = Self;

            #[inline]
            fn neg(self) -> Self {
                self
            }
        }

        impl Number for Reads {
            $(#[inline]
            fn $unary(self) -> Self {
                self
            })*

            $(#[inline]
            fn $binary(self, other: Self) -> Self {
                Self(self.0 | other.0)
            })*

            #[inline]
            fn constant(self, _: f64) -> Self {
                Self(0)
            }

            #[inline]
            fn powi(self, _: i32) -> Self {
                self
            }

            #[inline]
            fn powf(self, _: f64) -> Self {
                self
            }

            #[inline]
            fn polygamma(self, _: u32) -> Self {
                self
            }

            #[inline]
            fn sinc_derivative(self, _: u32) -> Self {
                self
            }

            #[inline]
            fn clamp(self, _: f64, _: f64) -> Self {
                self
            }

            #[inline]
            fn select(self, yes: Self, no: Self) -> Self {
                Self(self.0 | yes.0 | no.0)
            }

            #[inline]
            fn opaque<const N: usize>(x: [Self; N], _: fn([f64; N]) -> f64) -> Self {
                Self(x.iter().fold(0, |read, x| read | x.0))
            }
        }
    };
}

reads! {
    Add add, Sub sub, Mul mul, Div div;
    exp, expm1, exp2, ln, ln1p, log2, sin, cos, tanh, sigmoid, sinh, cosh, erf, erfc, sqrt, abs, square,
    reciprocal, floor, ceil, round, trunc;
    pow, hypot, greater, greater_equal, less, less_equal, equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_reads_what_its_value_depends_on() {
        let [x, y, z] = [0, 1, 2].map(Reads::of);
        let formula = x.greater(x.constant(0.0)).select(y.exp(), y.constant(1.0) * y);
        assert!(formula.contain(0) && formula.contain(1) && !formula.contain(2));
        assert!((z - x).contain(2) && !z.constant(3.0).contain(2));
    }
}
