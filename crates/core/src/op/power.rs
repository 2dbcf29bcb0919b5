//! Powers and roots.

use super::{Cost, Domain, Elementwise, Formula, Samples};
use crate::Real;
use crate::number::Number;

/// `x^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square;

impl Elementwise<1> for Square {
    const NAME: &'static str = "square";
    const FORMULA: Formula =
        Formula::new("x^2", "dy = 2 x dx", r"y = x^2,\quad \dot y = 2 x\,\dot x");
    const COST: Cost = Cost::muls(1);

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x * x
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x + x
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.square())
    }

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

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.sqrt()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y.constant(0.5) / y
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.sqrt())
    }

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

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.recip()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        -(y * y)
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.reciprocal())
    }

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

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
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
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.powi(self.0))
    }

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

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.powf(T::from_f64(self.0))
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
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.powf(self.0))
    }

    fn samples(samples: &mut Samples<Self>) {
        for exponent in [-0.5, 1.5, 2.7] {
            samples.over(Powf(exponent), [Domain::positive()]);
        }
    }
}
