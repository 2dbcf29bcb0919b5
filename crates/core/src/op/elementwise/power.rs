//! Powers and roots.

use crate::op::{Cost, Domain, Elementwise, Formula, Samples};
use crate::scalar::{Number, Real};

/// `x^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square;

impl Elementwise<1> for Square {
    const NAME: &'static str = "square";
    const FORMULA: Formula =
        Formula::new("x^2", "dy = 2 x dx", r"y = x^2,\quad \dot y = 2 x\,\dot x");
    const COST: Cost = Cost::muls(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.square()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x + x
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Square, [Domain::reals()]);
    }
}

/// The square root; its derivative at 0 is infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sqrt;

impl Elementwise<1> for Sqrt {
    const NAME: &'static str = "sqrt";
    const FORMULA: Formula =
        Formula::new("sqrt x", "dy = dx / (2 y)", r"y = \sqrt x,\quad \dot y = \dot x / (2 y)");
    const COST: Cost = Cost::nonlinear(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.sqrt()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y.constant(0.5) / y
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Sqrt, [Domain::positive()]);
    }
}

/// `1 / x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reciprocal;

impl Elementwise<1> for Reciprocal {
    const NAME: &'static str = "reciprocal";
    const FORMULA: Formula =
        Formula::new("1 / x", "dy = -y^2 dx", r"y = 1 / x,\quad \dot y = -y^2\,\dot x");
    const COST: Cost = Cost::divs(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.reciprocal()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        -(y * y)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Reciprocal, [Domain::positive()]);
    }
}

/// A whole power `x^n`, for any `x`; `x^0` is 1 everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Powi(pub i32);

impl Elementwise<1> for Powi {
    const NAME: &'static str = "powi";
    const FORMULA: Formula =
        Formula::new("x^n", "dy = n x^(n-1) dx", r"y = x^n,\quad \dot y = n x^{n-1}\,\dot x");
    const COST: Cost = Cost::muls(4);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.powi(self.0)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(self.0.into()) * x.powi(self.0 - 1)
    }

    fn slopes(self) -> Option<[f64; 1]> {
        match self.0 {
            0 => Some([0.0]),
            1 => Some([1.0]),
            _ => None,
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for exponent in [-2, 0, 1, 3] {
            samples.over(Powi(exponent), [Domain::positive()]);
        }
        samples.over(Powi(5), [Domain::reals()]);
    }
}

/// A real power `x^p`, for `x > 0`; NaN for negative `x` unless `p` is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Powf(pub f64);

impl Elementwise<1> for Powf {
    const NAME: &'static str = "powf";
    const FORMULA: Formula =
        Formula::new("x^p", "dy = p x^(p-1) dx", r"y = x^p,\quad \dot y = p\,x^{p-1}\,\dot x");
    const COST: Cost = Cost::nonlinear(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.powf(self.0)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(self.0) * x.powf(self.0 - 1.0)
    }

    fn slopes(self) -> Option<[f64; 1]> {
        match self.0 {
            0.0 => Some([0.0]),
            1.0 => Some([1.0]),
            _ => None,
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for exponent in [-0.5, 1.5, 2.7] {
            samples.over(Powf(exponent), [Domain::positive()]);
        }
    }
}

/// The cube root, of either sign; its derivative at 0 is infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cbrt;

impl Elementwise<1> for Cbrt {
    const NAME: &'static str = "cbrt";
    const FORMULA: Formula = Formula::new(
        "cbrt x",
        "dy = dx / (3 y^2)",
        r"y = \sqrt[3] x,\quad \dot y = \dot x / (3 y^2)",
    )
    .with_convention("infinite at 0");
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::cbrt(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        (y * y * y.constant(3.0)).reciprocal()
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Cbrt, [Domain::reals()]);
    }
}

/// `a / b`, and 0 where `is_zero` holds, as are all derivatives there.
#[inline(always)]
pub(in crate::op) fn quotient_unless<A: Number>(is_zero: A, a: A, b: A) -> A {
    let (zero, one) = (a.constant(0.0), a.constant(1.0));
    is_zero.select(zero, a / is_zero.select(one, b))
}

/// `a / b`, and 0 where `b` is.
#[inline(always)]
pub(in crate::op) fn quotient_or_zero<A: Number>(a: A, b: A) -> A {
    quotient_unless(b.equal(b.constant(0.0)), a, b)
}

/// `sqrt(a^2 + b^2)`, without overflow on the way. The derivative at the origin is 0.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let (a, b) = (tape.variable(3e200_f64), tape.variable(4e200));
/// let y = a.hypot(b);
/// let [slope] = y.grad([a]);
/// assert!((y.item() / 5e200 - 1.0).abs() < 1e-15);
/// assert!((slope.item() - 0.6).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hypot;

impl Elementwise<2> for Hypot {
    const NAME: &'static str = "hypot";
    const FORMULA: Formula = Formula::new(
        "sqrt(a^2 + b^2)",
        "dy = (a da + b db) / y",
        r"y = \sqrt{a^2 + b^2},\quad \dot y = (a\,\dot a + b\,\dot b) / y",
    )
    .with_convention("0 at the origin");
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a.hypot(b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], y: A) -> A {
        quotient_or_zero(if arg == 0 { a } else { b }, y)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        a.hypot(b)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Hypot, [Domain::reals(), Domain::reals()]);
    }
}

/// A power `a^b` with a variable as exponent; NaN for negative `a` unless `b` is whole.
///
/// `0^0` is 1. There, the derivative with respect to `a` is 0; with respect to `b` it
/// is 0 wherever `a` is 0, and NaN where `a` is negative.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let (a, b) = (tape.variable(0.0_f64), tape.variable(2.0));
/// let y = a.pow(b);
/// let [da, db] = y.grad([a, b]);
/// assert_eq!((y.item(), da.item(), db.item()), (0.0, 0.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pow;

impl Elementwise<2> for Pow {
    const NAME: &'static str = "pow";
    const FORMULA: Formula = Formula::new(
        "a^b",
        "dy = b a^(b-1) da + y ln a db",
        r"y = a^b,\quad \dot y = b\,a^{b-1}\,\dot a + y \ln a\,\dot b",
    )
    .with_convention("0 for b where a = 0; 0 for a at 0^0");
    const COST: Cost = Cost::nonlinear(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a.pow(b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], y: A) -> A {
        let (zero, one) = (a.constant(0.0), a.constant(1.0));
        let is_zero = a.equal(zero);
        if arg == 0 {
            let both = is_zero * b.equal(zero);
            both.select(zero, b * both.select(one, a).pow(b - one))
        } else {
            y * is_zero.select(one, a).ln()
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Pow, [Domain::positive(), Domain::reals()]);
    }
}
