//! The four operations, and choosing between two numbers.

use crate::op::{Cost, Domain, Elementwise, Formula, Partials, Samples};
use crate::scalar::{Number, Real};

/// `-x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neg;

impl Elementwise<1> for Neg {
    const NAME: &'static str = "neg";
    const FORMULA: Formula = Formula::new("-x", "dy = -dx", r"y = -x,\quad \dot y = -\dot x");
    const COST: Cost = Cost::adds(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        -x
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(-1.0)
    }

    fn slopes(self) -> Option<[f64; 1]> {
        Some([-1.0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Neg, [Domain::reals()]);
    }
}

/// `a + b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add;

impl Elementwise<2> for Add {
    const NAME: &'static str = "add";
    const FORMULA: Formula =
        Formula::new("a + b", "dy = da + db", r"y = a + b,\quad \dot y = \dot a + \dot b");
    const COST: Cost = Cost::adds(1);

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a + b
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(1.0)
    }

    fn slopes(self) -> Option<[f64; 2]> {
        Some([1.0, 1.0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Add, [Domain::reals(), Domain::reals()]);
    }
}

/// `a - b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sub;

impl Elementwise<2> for Sub {
    const NAME: &'static str = "sub";
    const FORMULA: Formula =
        Formula::new("a - b", "dy = da - db", r"y = a - b,\quad \dot y = \dot a - \dot b");
    const COST: Cost = Cost::adds(1);

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a - b
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(if arg == 0 { 1.0 } else { -1.0 })
    }

    fn slopes(self) -> Option<[f64; 2]> {
        Some([1.0, -1.0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Sub, [Domain::reals(), Domain::reals()]);
    }
}

/// `a b`, element by element: the Hadamard product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mul;

impl Elementwise<2> for Mul {
    const NAME: &'static str = "mul";
    const FORMULA: Formula = Formula::new(
        "a b",
        "dy = b da + a db",
        r"y = a \circ b,\quad \dot y = b \circ \dot a + a \circ \dot b",
    );
    const COST: Cost = Cost::muls(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a * b
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], _: A) -> A {
        if arg == 0 { b } else { a }
    }

    fn partial_operand(self, arg: usize) -> Option<usize> {
        Some(1 - arg)
    }

    fn identity<T: Real>(self, known: [Option<T>; 2]) -> Option<usize> {
        known.iter().position(|&factor| factor == Some(T::one())).map(|one| 1 - one)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Mul, [Domain::reals(), Domain::reals()]);
    }
}

/// `a / b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Div;

impl Elementwise<2> for Div {
    const NAME: &'static str = "div";
    const FORMULA: Formula = Formula::new(
        "a / b",
        "dy = (da - y db) / b",
        r"y = a / b,\quad \dot y = (\dot a - y\,\dot b) / b",
    );
    const COST: Cost = Cost::divs(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a / b
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [_, b]: [A; 2], y: A) -> A {
        if arg == 0 { b.reciprocal() } else { -(y / b) }
    }

    fn identity<T: Real>(self, [_, b]: [Option<T>; 2]) -> Option<usize> {
        (b == Some(T::one())).then_some(0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Div, [Domain::reals(), Domain::positive()]);
    }
}

/// `|x|`. The derivative at 0 is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abs;

impl Elementwise<1> for Abs {
    const NAME: &'static str = "abs";
    const FORMULA: Formula = Formula::new(
        "|x|",
        "dy = sign(x) dx",
        r"y = |x|,\quad \dot y = \operatorname{sign}(x)\,\dot x",
    )
    .with_convention("0 at 0");
    const COST: Cost = Cost::adds(1);
    const PARTIALS: Partials = Partials::Pieces;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.abs()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        let zero = x.constant(0.0);
        x.greater(zero) - x.less(zero)
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Abs, [Domain::reals()]);
    }
}

/// The larger of two numbers. Where they are equal, the derivative goes to the
/// first. NaN in either gives NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maximum;

impl Elementwise<2> for Maximum {
    const NAME: &'static str = "maximum";
    const FORMULA: Formula = Formula::new(
        "max(a, b)",
        "dy = da where a >= b, else db",
        r"y = \max(a, b),\quad \dot y = [a \ge b]\,\dot a + [a < b]\,\dot b",
    )
    .with_convention("all to a where a = b");
    const COST: Cost = Cost::adds(1);
    const PARTIALS: Partials = Partials::Choices;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        // A number that is not equal to itself is NaN.
        a.equal(a).select(a.greater_equal(b).select(a, b), a)
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], _: A) -> A {
        if arg == 0 { a.greater_equal(b) } else { a.less(b) }
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Maximum, [Domain::reals(), Domain::reals()]);
    }
}

/// The smaller of two numbers. Where they are equal, the derivative goes to the
/// first. NaN in either gives NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum;

impl Elementwise<2> for Minimum {
    const NAME: &'static str = "minimum";
    const FORMULA: Formula = Formula::new(
        "min(a, b)",
        "dy = da where a <= b, else db",
        r"y = \min(a, b),\quad \dot y = [a \le b]\,\dot a + [a > b]\,\dot b",
    )
    .with_convention("all to a where a = b");
    const COST: Cost = Cost::adds(1);
    const PARTIALS: Partials = Partials::Choices;

    #[inline(always)]
    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a.equal(a).select(a.less_equal(b).select(a, b), a)
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [a, b]: [A; 2], _: A) -> A {
        if arg == 0 { a.less_equal(b) } else { a.greater(b) }
    }

    fn kink_distance<T: Real>(self, [a, b]: [T; 2]) -> T {
        (a - b).abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Minimum, [Domain::reals(), Domain::reals()]);
    }
}
