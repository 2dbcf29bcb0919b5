//! Circular functions and their inverses.
//!
//! Sine and cosine are vectorised; the others are those of the `libm` library.

use super::power::quotient_or_zero;
use crate::op::{Cost, Domain, Elementwise, Formula, Samples};
use crate::scalar::{Number, Real};

/// The sine, of an angle in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sin;

impl Elementwise<1> for Sin {
    const NAME: &'static str = "sin";
    const FORMULA: Formula =
        Formula::new("sin x", "dy = cos x dx", r"y = \sin x,\quad \dot y = \cos x\,\dot x");
    const COST: Cost = Cost::nonlinear(1);
    const IS_CLOSED_FORM: bool = true;
    const ARE_ANGLES: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.sin()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.cos()
    }

    #[inline]
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
    const IS_CLOSED_FORM: bool = true;
    const ARE_ANGLES: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.cos()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        -x.sin()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Cos, [Domain::reals()]);
    }
}

/// The tangent, of an angle in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tan;

impl Elementwise<1> for Tan {
    const NAME: &'static str = "tan";
    const FORMULA: Formula =
        Formula::new("tan x", "dy = (1 + y^2) dx", r"y = \tan x,\quad \dot y = (1 + y^2)\,\dot x");
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::tan(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y * y + y.constant(1.0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Tan, [Domain::between(-1.2, 1.2)]);
    }
}

/// The arc sine, from -pi/2 to pi/2; NaN beyond -1 and 1, where its derivative is
/// infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asin;

impl Elementwise<1> for Asin {
    const NAME: &'static str = "asin";
    const FORMULA: Formula = Formula::new(
        "asin x",
        "dy = dx / sqrt(1 - x^2)",
        r"y = \arcsin x,\quad \dot y = \dot x / \sqrt{1 - x^2}",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::asin(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        one_less_square(x).sqrt().reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Asin, [Domain::between(-0.8, 0.8)]);
    }
}

/// The arc cosine, from 0 to pi; NaN beyond -1 and 1, where its derivative is
/// infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acos;

impl Elementwise<1> for Acos {
    const NAME: &'static str = "acos";
    const FORMULA: Formula = Formula::new(
        "acos x",
        "dy = -dx / sqrt(1 - x^2)",
        r"y = \arccos x,\quad \dot y = -\dot x / \sqrt{1 - x^2}",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::acos(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        -one_less_square(x).sqrt().reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Acos, [Domain::between(-0.8, 0.8)]);
    }
}

/// `1 - x^2` without cancellation near -1 and 1.
#[inline(always)]
pub(in crate::op) fn one_less_square<A: Number>(x: A) -> A {
    let one = x.constant(1.0);
    (one - x) * (one + x)
}

/// The arc tangent, from -pi/2 to pi/2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atan;

impl Elementwise<1> for Atan {
    const NAME: &'static str = "atan";
    const FORMULA: Formula = Formula::new(
        "atan x",
        "dy = dx / (1 + x^2)",
        r"y = \arctan x,\quad \dot y = \dot x / (1 + x^2)",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::atan(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        (x * x + x.constant(1.0)).reciprocal()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Atan, [Domain::reals()]);
    }
}

/// The angle of the point `(x, y)`, from -pi to pi; the operands are `y` and `x`.
///
/// It jumps by 2 pi across the negative `x` axis. At the origin it has no derivative,
/// and 0 is taken.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let (y, x) = (tape.variable(1.0_f64), tape.variable(0.0));
/// assert_eq!(y.atan2(x).item(), std::f64::consts::FRAC_PI_2);
/// let [dy, dx] = y.atan2(x).grad([y, x]);
/// assert_eq!((dy.item(), dx.item()), (0.0, -1.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atan2;

impl Elementwise<2> for Atan2 {
    const NAME: &'static str = "atan2";
    const FORMULA: Formula = Formula::new(
        "angle of the point (x, y)",
        "dt = (x dy - y dx) / (x^2 + y^2)",
        r"\theta = \operatorname{atan2}(y, x),\quad \dot \theta = (x \dot y - y \dot x) / (x^2 + y^2)",
    )
    .with_convention("0 at the origin; a jump across x < 0, y = 0");
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [y, x]: [A; 2]) -> A {
        A::opaque([y, x], |[y, x]| libm::atan2(y, x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [y, x]: [A; 2], _: A) -> A {
        // The radius by itself divides twice: its square may overflow or vanish.
        let radius = y.hypot(x);
        let by_radius = |a| quotient_or_zero(quotient_or_zero(a, radius), radius);
        if arg == 0 { by_radius(x) } else { -by_radius(y) }
    }

    fn kink_distance<T: Real>(self, [y, x]: [T; 2]) -> T {
        if x < T::zero() { y.abs() } else { y.hypot(x) }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Atan2, [Domain::reals(), Domain::reals()]);
    }
}
