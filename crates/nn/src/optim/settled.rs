//! What is remembered of an element comes to rest at 0.
//!
//! A velocity whose gradients are 0 shrinks at every step, as that of a dead unit's weights or of a word
//! that does not come up. After some hundred steps it is below the normal numbers, and there it stays: 0.9
//! times the smallest number is rounded to the smallest number. Some CPUs take many times as long for a
//! product of such a number, at every step from then on. So what is remembered is 0 there.

use wengert_core::op::{Cost, Domain, Elementwise, Formula, Samples};
use wengert_core::{Number, Plain, Real};

/// `x`, or 0 where it lies below the normal numbers of a precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settled {
    smallest: f64,
}

impl Settled {
    pub(crate) fn of<T: Real>() -> Self {
        Self { smallest: T::min_positive_value().as_f64() }
    }

    /// The function of one number.
    #[inline(always)]
    pub(crate) fn at<T: Real>(self, x: Plain<T>) -> Plain<T> {
        self.eval([x])
    }
}

impl Elementwise<1> for Settled {
    const NAME: &'static str = "settled";
    const FORMULA: Formula =
        Formula::new("x, 0 where x is subnormal", "dy = dx", r"y = x,\quad \dot y = \dot x");
    const COST: Cost = Cost::NONE;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.abs().less(x.constant(self.smallest)).select(x.constant(0.0), x)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(1.0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Self::of::<f64>(), [Domain::reals()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settles_below<T: Real>(smallest: T, before: T) {
        let at = |x: T| Settled::of::<T>().at(Plain(x)).0;
        for sign in [T::one(), -T::one()] {
            for kept in [smallest, T::one(), T::max_value(), T::infinity()] {
                assert_eq!(at(sign * kept), sign * kept);
            }
            for lost in [before, before / T::from_f64(3.0), T::zero()] {
                assert_eq!(at(sign * lost), T::zero());
            }
        }
        assert!(at(T::nan()).is_nan());
    }

    #[test]
    fn the_smallest_normal_number_stays_and_the_one_before_does_not() {
        settles_below(f32::from_bits(0x0080_0000), f32::from_bits(0x007f_ffff));
        settles_below(f64::from_bits(1 << 52), f64::from_bits((1 << 52) - 1));
    }
}
