//! Hyperbolic functions and their inverses, those of the `libm` library.
//!
//! The tangent is vectorised and stands with the activation functions.

use super::trigonometric::one_less_square;
use crate::op::{Cost, Domain, Elementwise, Formula, Samples};
use crate::scalar::Number;

/// The hyperbolic sine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sinh;

impl Elementwise<1> for Sinh {
    const NAME: &'static str = "sinh";
    const FORMULA: Formula =
        Formula::new("sinh x", "dy = cosh x dx", r"y = \sinh x,\quad \dot y = \cosh x\,\dot x");
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.sinh()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.cosh()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Sinh, [Domain::reals()]);
    }
}

/// The hyperbolic cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosh;

impl Elementwise<1> for Cosh {
    const NAME: &'static str = "cosh";
    const FORMULA: Formula =
        Formula::new("cosh x", "dy = sinh x dx", r"y = \cosh x,\quad \dot y = \sinh x\,\dot x");
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.cosh()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.sinh()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Cosh, [Domain::reals()]);
    }
}

/// The inverse hyperbolic sine. Its derivative is stated by the value: `x^2` may
/// overflow where the derivative does not.
///
/// ```
/// use wengert_core::{Tensor, grad};
///
/// let slope = grad(|x| x.asinh(), &Tensor::scalar(1e200_f64)).item();
/// assert!((slope * 1e200 - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asinh;

impl Elementwise<1> for Asinh {
    const NAME: &'static str = "asinh";
    const FORMULA: Formula = Formula::new(
        "asinh x",
        "dy = dx / cosh y",
        r"y = \operatorname{arsinh} x,\quad \dot y = \dot x / \cosh y",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::asinh(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y.cosh().reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Asinh, [Domain::reals()]);
    }
}

/// The inverse hyperbolic cosine; NaN below 1, where its derivative is infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acosh;

impl Elementwise<1> for Acosh {
    const NAME: &'static str = "acosh";
    const FORMULA: Formula = Formula::new(
        "acosh x",
        "dy = dx / sqrt(x^2 - 1)",
        r"y = \operatorname{arcosh} x,\quad \dot y = \dot x / \sqrt{x^2 - 1}",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::acosh(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        let one = x.constant(1.0);
        ((x - one).sqrt() * (x + one).sqrt()).reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Acosh, [Domain::between(1.3, 3.0)]);
    }
}

/// The inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atanh;

impl Elementwise<1> for Atanh {
    const NAME: &'static str = "atanh";
    const FORMULA: Formula = Formula::new(
        "atanh x",
        "dy = dx / (1 - x^2)",
        r"y = \operatorname{artanh} x,\quad \dot y = \dot x / (1 - x^2)",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::atanh(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        one_less_square(x).reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Atanh, [Domain::between(-0.8, 0.8)]);
    }
}
