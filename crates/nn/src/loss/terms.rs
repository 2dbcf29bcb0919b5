//! Terms of losses, as functions of two numbers each.
//!
//! Put together from others, they would lose what counts: a difference of nearly equal numbers its
//! digits, and a product of 0 and infinity its value.

use wengert_core::Number;
use wengert_core::op::{Cost, Domain, Elementwise, Formula, Samples};

/// `p x` of a share `p`, and 0 where the share is 0, even if `x` is infinite or NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ShareOf;

impl Elementwise<2> for ShareOf {
    const NAME: &'static str = "share_of";
    const FORMULA: Formula = Formula::new(
        "p x, 0 where p = 0",
        "dy = x dp + p dx",
        r"y = p\,x,\quad \dot y = x\,\dot p + p\,\dot x",
    );
    const COST: Cost = Cost::muls(1);

    #[inline(always)]
    fn eval<A: Number>(self, [p, x]: [A; 2]) -> A {
        p.equal(p.constant(0.0)).select(p, p * x)
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [p, x]: [A; 2], _: A) -> A {
        if arg == 0 { x } else { p }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(ShareOf, [Domain::reals(), Domain::reals()]);
    }
}

/// `-t ln sigmoid(x) - (1 - t) ln sigmoid(-x)`, of a logit `x` and the probability `t` of yes.
///
/// For `t` of 0 or 1 it is `softplus(x)` or `softplus(-x)` to the last digit, and 0 where the logit
/// is infinite and right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogLossOfYes;

impl Elementwise<2> for LogLossOfYes {
    const NAME: &'static str = "log_loss";
    const FORMULA: Formula = Formula::new(
        "-t ln sigmoid(x) - (1 - t) ln sigmoid(-x)",
        "dy = ((1 - t) sigmoid(x) - t sigmoid(-x)) dx - x dt",
        r"y = -t \ln \sigma(x) - (1 - t) \ln \sigma(-x),\quad \dot y = ((1 - t)\,\sigma(x) - t\,\sigma(-x))\,\dot x - x\,\dot t",
    );
    const COST: Cost = Cost { adds: 3, muls: 1, nonlinear: 2, ..Cost::NONE };

    #[inline(always)]
    fn eval<A: Number>(self, [x, t]: [A; 2]) -> A {
        // max(x, 0) - x t, with x taken out: its factor is an exact 0 where the target is met.
        let zero = x.constant(0.0);
        let factor = x.greater(zero).select(t.constant(1.0) - t, -t);
        let linear = factor.equal(zero).select(zero, factor * x);
        linear + (-x.abs()).exp().ln1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, arg: usize, [x, t]: [A; 2], _: A) -> A {
        if arg == 1 {
            return -x;
        }
        (t.constant(1.0) - t) * x.sigmoid() - t * (-x).sigmoid()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(LogLossOfYes, [Domain::reals(), Domain::between(0.0, 1.0)]);
    }
}

#[cfg(test)]
mod tests {
    use wengert_core::check;

    use super::*;

    #[test]
    fn terms_pass_the_harness() {
        check::op(ShareOf).assert();
        check::op(LogLossOfYes).assert();
    }
}
