//! Rounding, signs, remainders and bounds: functions in pieces.
//!
//! Steps have the derivative 0 everywhere, at the jumps by convention, and are said
//! not to be differentiable: sweeps do not follow them.

use super::piecewise::step;
use crate::op::{Cost, Domain, Elementwise, Formula, Partials, Samples};
use crate::scalar::{Number, Real};

step! {
    /// The greatest whole number up to `x`. No derivative flows through it.
    Floor([x]: 1) = "floor" {
        formula: "floor x", r"y = \lfloor x \rfloor", "0 at the steps";
        value: x.floor();
        distance: (x - x.round()).abs();
    }
}

step! {
    /// The least whole number from `x` on. No derivative flows through it.
    Ceil([x]: 1) = "ceil" {
        formula: "ceil x", r"y = \lceil x \rceil", "0 at the steps";
        value: x.ceil();
        distance: (x - x.round()).abs();
    }
}

step! {
    /// The nearest whole number, the even one of two, as NumPy, PyTorch and JAX have it.
    /// No derivative flows through it.
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let y = tape.constant([0.5, 1.5, 2.5]).round();
    /// assert_eq!(y.value().to_vec(), [0.0, 2.0, 2.0]);
    /// ```
    Round([x]: 1) = "round" {
        formula: "nearest whole number, ties to even", r"y = \operatorname{round} x", "0 at the steps";
        value: x.round();
        distance: (x - x.floor() - T::from_f64(0.5)).abs();
    }
}

step! {
    /// The whole part of `x`, towards 0. No derivative flows through it.
    Trunc([x]: 1) = "trunc" {
        formula: "whole part of x", r"y = \operatorname{trunc} x", "0 at the steps";
        value: x.trunc();
        distance: {
            let size = x.abs();
            if size < T::one() { T::one() - size } else { (size - size.round()).abs() }
        };
    }
}

step! {
    /// 1 for positive numbers, -1 for negative ones, 0 for 0. No derivative flows through
    /// it. NaN stays NaN.
    Sign([x]: 1) = "sign" {
        formula: "-1, 0 or 1, as x is", r"y = \operatorname{sign} x", "0 at 0";
        value: {
            let zero = x.constant(0.0);
            let below = x.less(zero).select(x.constant(-1.0), x);
            x.greater(zero).select(x.constant(1.0), below)
        };
        distance: x.abs();
    }
}

/// `a - b floor(a / b)`, with the sign of `b`, as Python, NumPy, PyTorch and JAX have
/// it; NaN where `b` is 0. At the jumps, multiples of `b`, the derivative is that of
/// the piece which begins there.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let (a, b) = (tape.variable(-1.0_f64), tape.variable(3.0));
/// let y = a.remainder(b);
/// assert_eq!((y.item(), y.grad([b])[0].item()), (2.0, 1.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remainder;

impl Elementwise<2> for Remainder {
    const NAME: &'static str = "remainder";
    const FORMULA: Formula = Formula::new(
        "a - b floor(a / b)",
        "dy = da - floor(a / b) db",
        r"y = a - b \lfloor a / b \rfloor,\quad \dot y = \dot a - \lfloor a / b \rfloor\,\dot b",
    )
    .with_convention("of the piece that begins there");
    const COST: Cost = Cost { adds: 2, divs: 1, ..Cost::NONE };
    const PARTIALS: Partials = Partials::Pieces;
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        // The library's remainder is exact, with the sign of `a`.
        let (rest, zero) = (A::opaque([a, b], |[a, b]| a % b), a.constant(0.0));
        let has_sign = rest.less(zero).equal(b.less(zero));
        rest.equal(zero).select(rest, has_sign.select(rest, rest + b))
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], y: A) -> A {
        if arg == 0 { y.constant(1.0) } else { (y - a) / b }
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        let quotient = a / b;
        (quotient - quotient.round()).abs() * b.abs() / (T::one() + quotient.abs())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Remainder, [Domain::reals(), Domain::between(1.2, 2.2)]);
    }
}

/// `x`, cut off at two bounds. The derivative at the bounds is 1. NaN stays NaN.
///
/// ```
/// use wengert_core::{Tensor, grad};
///
/// let x = Tensor::from([-2.0, -1.0, 0.5, 3.0]);
/// assert_eq!(grad(|x| x.clamp(-1.0, 1.0).sum(), &x).to_vec(), [0.0, 1.0, 1.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// The lower bound, which may be infinite.
    pub low: f64,
    /// The upper bound, which may be infinite; not below the lower one.
    pub high: f64,
}

impl Elementwise<1> for Clamp {
    const NAME: &'static str = "clamp";
    const FORMULA: Formula = Formula::new(
        "min(max(x, low), high)",
        "dy = dx where low <= x <= high, else 0",
        r"y = \min(\max(x, l), h),\quad \dot y = [l \le x \le h]\,\dot x",
    )
    .with_convention("1 at the bounds");
    const COST: Cost = Cost::adds(2);
    const PARTIALS: Partials = Partials::Choices;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.clamp(self.low, self.high)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.greater_equal(x.constant(self.low)) * x.less_equal(x.constant(self.high))
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        (x - T::from_f64(self.low)).abs().min((x - T::from_f64(self.high)).abs())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Clamp { low: -1.0, high: 0.5 }, [Domain::reals()]);
        samples.over(Clamp { low: f64::NEG_INFINITY, high: 0.5 }, [Domain::reals()]);
    }
}
