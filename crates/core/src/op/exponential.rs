//! Exponentials, logarithms and circular functions.
//!
//! Each derivative is taken in the form that loses least: that of `expm1` is
//! `exp x` and not `y + 1`, which would cancel for very negative `x`.

use super::{Cost, Domain, Elementwise, Formula, Samples};
use crate::Real;
use crate::number::Number;

/// The exponential `e^x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exp;

impl Elementwise<1> for Exp {
    const NAME: &'static str = "exp";
    const FORMULA: Formula = Formula::new("e^x", "dy = y dx", r"y = e^x,\quad \dot y = y\,\dot x");
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.exp()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y
    }

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
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.exp_m1()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.exp()
    }

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

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.ln()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.reciprocal()
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.ln())
    }

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
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.ln_1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        (x + x.constant(1.0)).reciprocal()
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Ln1p, [Domain::between(-0.7, 2.0)]);
    }
}

/// The sine, of an angle in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sin;

impl Elementwise<1> for Sin {
    const NAME: &'static str = "sin";
    const FORMULA: Formula =
        Formula::new("sin x", "dy = cos x dx", r"y = \sin x,\quad \dot y = \cos x\,\dot x");
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.sin()
    }

    #[inline(always)]
    fn is_near<T: Real>(self, [x]: [T; 1]) -> bool {
        x.is_near()
    }

    #[inline(always)]
    fn eval_near<T: Real>(self, [x]: [T; 1]) -> T {
        x.sin_near()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.cos()
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.sin())
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Sin, [Domain::reals()]);
    }
}

/// The cosine, of an angle in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cos;

impl Elementwise<1> for Cos {
    const NAME: &'static str = "cos";
    const FORMULA: Formula =
        Formula::new("cos x", "dy = -sin x dx", r"y = \cos x,\quad \dot y = -\sin x\,\dot x");
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.cos()
    }

    #[inline(always)]
    fn is_near<T: Real>(self, [x]: [T; 1]) -> bool {
        x.is_near()
    }

    #[inline(always)]
    fn eval_near<T: Real>(self, [x]: [T; 1]) -> T {
        x.cos_near()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        -x.sin()
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.cos())
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Cos, [Domain::reals()]);
    }
}
