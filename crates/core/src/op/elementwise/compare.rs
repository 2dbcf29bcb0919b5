//! Comparisons and selection: masks of ones and zeros.

use super::piecewise::step;
use crate::op::{Cost, Domain, Elementwise, Formula, Partials, Samples};
use crate::scalar::{Number, Real};

step! {
    /// 1 where `a > b`, else 0. No derivative flows through it.
    Greater([a, b]: 2) = "greater" {
        formula: "1 where a > b, else 0", r"y = [a > b]", "0 at the steps";
        value: a.greater(b);
        distance: (a - b).abs();
    }
}

step! {
    /// 1 where `a >= b`, else 0. No derivative flows through it.
    GreaterEqual([a, b]: 2) = "greater_equal" {
        formula: "1 where a >= b, else 0", r"y = [a \ge b]", "0 at the steps";
        value: a.greater_equal(b);
        distance: (a - b).abs();
    }
}

step! {
    /// 1 where `a < b`, else 0. No derivative flows through it.
    Less([a, b]: 2) = "less" {
        formula: "1 where a < b, else 0", r"y = [a < b]", "0 at the steps";
        value: a.less(b);
        distance: (a - b).abs();
    }
}

step! {
    /// 1 where `a <= b`, else 0. No derivative flows through it.
    LessEqual([a, b]: 2) = "less_equal" {
        formula: "1 where a <= b, else 0", r"y = [a \le b]", "0 at the steps";
        value: a.less_equal(b);
        distance: (a - b).abs();
    }
}

step! {
    /// 1 where `a == b`, else 0. No derivative flows through it.
    Equal([a, b]: 2) = "equal" {
        formula: "1 where a == b, else 0", r"y = [a = b]", "0 at the steps";
        value: a.equal(b);
        distance: (a - b).abs();
    }
}

step! {
    /// 1 where `a != b`, else 0. No derivative flows through it.
    NotEqual([a, b]: 2) = "not_equal" {
        formula: "1 where a != b, else 0", r"y = [a \ne b]", "0 at the steps";
        value: a.equal(b).select(a.constant(0.0), a.constant(1.0));
        distance: (a - b).abs();
    }
}

/// The second operand where the first is not zero, else the third. No derivative
/// flows to the first. Both branches are computed; a NaN in the one that is not
/// chosen stays out of the value, and its adjoint is 0. But its own rule still runs:
/// where that would multiply this 0 by infinity, guard the branch's operand too.
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
    const PARTIALS: Partials = Partials::Choices;

    #[inline(always)]
    fn eval<A: Number>(self, [mask, a, b]: [A; 3]) -> A {
        mask.select(a, b)
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
