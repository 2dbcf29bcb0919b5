//! Comparisons and selection: masks of ones and zeros.

use super::{Cost, Domain, Elementwise, Formula, Samples};
use crate::Real;
use crate::number::{Number, indicator};

/// 1 where `a > b`, else 0. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Greater;

impl Elementwise<2> for Greater {
    const NAME: &'static str = "greater";
    const FORMULA: Formula =
        Formula::new("1 where a > b, else 0", "dy = 0", r"y = [a > b],\quad \dot y = 0")
            .with_convention("0 at the steps");
    const COST: Cost = Cost::adds(1);
    const DIFFERENTIABLE: bool = false;

    #[inline(always)]
    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        indicator(a > b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(0.0)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Greater, [Domain::reals(), Domain::reals()]);
    }
}

/// 1 where `a >= b`, else 0. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GreaterEqual;

impl Elementwise<2> for GreaterEqual {
    const NAME: &'static str = "greater_equal";
    const FORMULA: Formula =
        Formula::new("1 where a >= b, else 0", "dy = 0", r"y = [a \ge b],\quad \dot y = 0")
            .with_convention("0 at the steps");
    const COST: Cost = Cost::adds(1);
    const DIFFERENTIABLE: bool = false;

    #[inline(always)]
    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        indicator(a >= b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(0.0)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(GreaterEqual, [Domain::reals(), Domain::reals()]);
    }
}

/// 1 where `a < b`, else 0. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Less;

impl Elementwise<2> for Less {
    const NAME: &'static str = "less";
    const FORMULA: Formula =
        Formula::new("1 where a < b, else 0", "dy = 0", r"y = [a < b],\quad \dot y = 0")
            .with_convention("0 at the steps");
    const COST: Cost = Cost::adds(1);
    const DIFFERENTIABLE: bool = false;

    #[inline(always)]
    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        indicator(a < b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(0.0)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Less, [Domain::reals(), Domain::reals()]);
    }
}

/// 1 where `a <= b`, else 0. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LessEqual;

impl Elementwise<2> for LessEqual {
    const NAME: &'static str = "less_equal";
    const FORMULA: Formula =
        Formula::new("1 where a <= b, else 0", "dy = 0", r"y = [a \le b],\quad \dot y = 0")
            .with_convention("0 at the steps");
    const COST: Cost = Cost::adds(1);
    const DIFFERENTIABLE: bool = false;

    #[inline(always)]
    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        indicator(a <= b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(0.0)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(LessEqual, [Domain::reals(), Domain::reals()]);
    }
}

/// 1 where `a == b`, else 0. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Equal;

impl Elementwise<2> for Equal {
    const NAME: &'static str = "equal";
    const FORMULA: Formula =
        Formula::new("1 where a == b, else 0", "dy = 0", r"y = [a = b],\quad \dot y = 0")
            .with_convention("0 at the steps");
    const COST: Cost = Cost::adds(1);
    const DIFFERENTIABLE: bool = false;

    #[inline(always)]
    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        indicator(a == b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(0.0)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Equal, [Domain::reals(), Domain::reals()]);
    }
}

/// 1 where `a != b`, else 0. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotEqual;

impl Elementwise<2> for NotEqual {
    const NAME: &'static str = "not_equal";
    const FORMULA: Formula =
        Formula::new("1 where a != b, else 0", "dy = 0", r"y = [a \ne b],\quad \dot y = 0")
            .with_convention("0 at the steps");
    const COST: Cost = Cost::adds(1);
    const DIFFERENTIABLE: bool = false;

    #[inline(always)]
    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        indicator(a != b)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(0.0)
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(NotEqual, [Domain::reals(), Domain::reals()]);
    }
}

/// The second operand where the first is not zero, else the third. No derivative
/// flows to the first. Both branches are computed; a NaN in the one that is not
/// chosen stays out of the value, but its own rule still runs: where that would
/// multiply 0 by infinity, guard the branch's operand too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Select;

impl Elementwise<3> for Select {
    const NAME: &'static str = "select";
    const FORMULA: Formula = Formula::new(
        "a where mask != 0, else b",
        "dy = da where mask != 0, else db",
        r"y = m\,?\,a : b,\quad \dot y = m\,?\,\dot a : \dot b",
    );
    const COST: Cost = Cost::adds(1);

    #[inline(always)]
    fn eval<T: Real>(self, [mask, a, b]: [T; 3]) -> T {
        if mask == T::zero() { b } else { a }
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [mask, _, _]: [A; 3], _: A) -> A {
        let (zero, one) = (mask.constant(0.0), mask.constant(1.0));
        match arg {
            0 => zero,
            1 => mask.select(one, zero),
            _ => mask.select(zero, one),
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Select, [Domain::mask(), Domain::reals(), Domain::reals()]);
    }
}
