//! Exponentials and logarithms.
//!
//! Each derivative is taken in the form that loses least: that of `expm1` is
//! `exp x` and not `y + 1`, which would cancel for very negative `x`.

use std::f64::consts::{LN_2, LOG2_E, LOG10_E};

use super::power::quotient_unless;
use crate::op::{Cost, Domain, Elementwise, Formula, Samples};
use crate::scalar::Number;

/// The exponential `e^x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exp;

impl Elementwise<1> for Exp {
    const NAME: &'static str = "exp";
    const FORMULA: Formula = Formula::new("e^x", "dy = y dx", r"y = e^x,\quad \dot y = y\,\dot x");
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.exp()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Exp, [Domain::reals()]);
    }
}

/// `e^x - 1`, without cancellation near 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expm1;

impl Elementwise<1> for Expm1 {
    const NAME: &'static str = "expm1";
    const FORMULA: Formula =
        Formula::new("e^x - 1", "dy = e^x dx", r"y = e^x - 1,\quad \dot y = e^x\,\dot x");
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.expm1()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.exp()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Expm1, [Domain::reals()]);
    }
}

/// The natural logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ln;

impl Elementwise<1> for Ln {
    const NAME: &'static str = "ln";
    const FORMULA: Formula =
        Formula::new("ln x", "dy = dx / x", r"y = \ln x,\quad \dot y = \dot x / x");
    const COST: Cost = Cost::nonlinear(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.ln()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Ln, [Domain::positive()]);
    }
}

/// `ln(1 + x)`, without cancellation near 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ln1p;

impl Elementwise<1> for Ln1p {
    const NAME: &'static str = "ln1p";
    const FORMULA: Formula = Formula::new(
        "ln(1 + x)",
        "dy = dx / (1 + x)",
        r"y = \ln(1 + x),\quad \dot y = \dot x / (1 + x)",
    );
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.ln1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        (x + x.constant(1.0)).reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Ln1p, [Domain::between(-0.7, 2.0)]);
    }
}

/// `2^x`, exact for whole `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exp2;

impl Elementwise<1> for Exp2 {
    const NAME: &'static str = "exp2";
    const FORMULA: Formula =
        Formula::new("2^x", "dy = ln(2) y dx", r"y = 2^x,\quad \dot y = \ln(2)\,y\,\dot x");
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.exp2()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y * y.constant(LN_2)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Exp2, [Domain::reals()]);
    }
}

/// The logarithm to base 2, exact for powers of 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log2;

impl Elementwise<1> for Log2 {
    const NAME: &'static str = "log2";
    const FORMULA: Formula = Formula::new(
        "log2 x",
        "dy = dx / (ln(2) x)",
        r"y = \log_2 x,\quad \dot y = \dot x / (\ln(2)\,x)",
    );
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.log2()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(LOG2_E) / x
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Log2, [Domain::positive()]);
    }
}

/// The logarithm to base 10.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log10;

impl Elementwise<1> for Log10 {
    const NAME: &'static str = "log10";
    const FORMULA: Formula = Formula::new(
        "log10 x",
        "dy = dx / (ln(10) x)",
        r"y = \log_{10} x,\quad \dot y = \dot x / (\ln(10)\,x)",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::log10(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(LOG10_E) / x
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Log10, [Domain::positive()]);
    }
}

/// `ln(e^a + e^b)`, by the larger of the two, so that nothing overflows. Where both
/// are the same infinity, each has half of the derivative.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let (a, b) = (tape.variable(1000.0_f64), tape.variable(1000.0));
/// assert_eq!(a.log_add_exp(b).item(), 1000.0 + 2.0_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogAddExp;

impl Elementwise<2> for LogAddExp {
    const NAME: &'static str = "log_add_exp";
    const FORMULA: Formula = Formula::new(
        "ln(e^a + e^b)",
        "dy = sigmoid(a - b) da + sigmoid(b - a) db",
        r"y = \ln(e^a + e^b),\quad \dot y = \sigma(a - b)\,\dot a + \sigma(b - a)\,\dot b",
    )
    .with_convention("halves where both are the same infinity");
    const COST: Cost = Cost { adds: 4, nonlinear: 2, ..Cost::NONE };

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        let larger = a.greater_equal(b).select(a, b);
        // Infinite ones have no difference.
        let difference = a.equal(b).select(a.constant(0.0), a - b);
        larger + (-difference.abs()).exp().ln1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], _: A) -> A {
        let same_infinity = a.equal(b) * a.abs().equal(a.constant(f64::INFINITY));
        let difference = same_infinity.select(a.constant(0.0), a - b);
        if arg == 0 { difference.sigmoid() } else { (-difference).sigmoid() }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(LogAddExp, [Domain::reals(), Domain::reals()]);
    }
}

/// `x ln y`, and 0 where `x` is 0, whatever `y` is, unless NaN. The derivative with
/// respect to `y` is 0 where both are 0; that with respect to `x` is `ln y` everywhere.
///
/// ```
/// use wengert_core::Tape;
///
/// // The entropy of a distribution that has a zero.
/// let tape = Tape::new();
/// let p = tape.variable([0.5, 0.5, 0.0]);
/// assert_eq!((-p.xlogy(p)).sum().item(), 2.0_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Xlogy;

impl Elementwise<2> for Xlogy {
    const NAME: &'static str = "xlogy";
    const FORMULA: Formula = Formula::new(
        "x ln y, 0 where x = 0",
        "dz = ln y dx + x / y dy",
        r"z = x \ln y,\quad \dot z = \ln y\,\dot x + x / y\,\dot y",
    )
    .with_convention("0 for y where both are 0");
    const COST: Cost = Cost::muls(1).and(Cost::nonlinear(1));

    #[inline(always)]
    fn eval<A: Number>(self, [x, y]: [A; 2]) -> A {
        let (product, zero) = (x * y.ln(), x.constant(0.0));
        // A number that is not equal to itself is NaN.
        x.equal(zero).select(y.equal(y).select(zero, product), product)
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [x, y]: [A; 2], _: A) -> A {
        if arg == 0 {
            return y.ln();
        }
        let zero = y.constant(0.0);
        let both = x.equal(zero) * y.equal(zero);
        quotient_unless(both, x, y)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Xlogy, [Domain::reals(), Domain::positive()]);
    }
}
