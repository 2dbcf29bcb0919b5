//! Activation functions of neural networks.
//!
//! The derivative at a kink is a convention, written at each op.

use super::{Cost, Domain, Elementwise, Formula, Samples};
use crate::Real;
use crate::number::Number;

/// The hyperbolic tangent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tanh;

impl Elementwise<1> for Tanh {
    const NAME: &'static str = "tanh";
    const FORMULA: Formula = Formula::new(
        "tanh x",
        "dy = (1 - y^2) dx",
        r"y = \tanh x,\quad \dot y = (1 - y^2)\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.tanh()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y.constant(1.0) - y * y
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.tanh())
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Tanh, [Domain::reals()]);
    }
}

/// The logistic function `1 / (1 + e^-x)`: equation (1) of Higham & Higham, with
/// its derivative (2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoid;

impl Elementwise<1> for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const FORMULA: Formula = Formula::new(
        "1 / (1 + e^-x)",
        "dy = y (1 - y) dx",
        r"y = \frac{1}{1 + e^{-x}},\quad \dot y = y (1 - y)\,\dot x",
    );
    const COST: Cost = Cost { adds: 2, divs: 1, nonlinear: 1, muls: 0 };

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.sigmoid()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y * (y.constant(1.0) - y)
    }

    #[inline]
    fn closed_form<A: Number>(self, [x]: [A; 1]) -> Option<A> {
        Some(x.sigmoid())
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Sigmoid, [Domain::reals()]);
    }
}

/// `ln(1 + e^x)`, a smooth [`Relu`]; exact for large `x`, where `e^x` overflows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softplus;

impl Elementwise<1> for Softplus {
    const NAME: &'static str = "softplus";
    const FORMULA: Formula = Formula::new(
        "ln(1 + e^x)",
        "dy = sigmoid(x) dx",
        r"y = \ln(1 + e^x),\quad \dot y = \sigma(x)\,\dot x",
    );
    const COST: Cost = Cost { adds: 3, nonlinear: 2, ..Cost::NONE };

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x.max(T::zero()) + (-x.abs()).exp().ln_1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.sigmoid()
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Softplus, [Domain::reals()]);
    }
}

/// The rectified linear unit: equation (31) of Higham & Higham.
///
/// The derivative at 0 is 0. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relu;

impl Elementwise<1> for Relu {
    const NAME: &'static str = "relu";
    const FORMULA: Formula = Formula::new(
        "max(x, 0)",
        "dy = dx where x > 0, else 0",
        r"y = \max(x, 0),\quad \dot y = [x > 0]\,\dot x",
    );
    const COST: Cost = Cost::adds(1);

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        if x <= T::zero() { T::zero() } else { x }
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.greater(x.constant(0.0))
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(Relu, [Domain::reals()]);
    }
}

/// `x` where positive, else `slope * x`. The derivative at 0 is the slope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu(pub f64);

impl Elementwise<1> for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const FORMULA: Formula = Formula::new(
        "x where x > 0, else slope x",
        "dy = dx where x > 0, else slope dx",
        r"y = \max(x, 0) + s \min(x, 0),\quad \dot y = ([x > 0] + s [x \le 0])\,\dot x",
    );
    const COST: Cost = Cost { adds: 1, muls: 1, ..Cost::NONE };

    #[inline(always)]
    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        if x <= T::zero() { x * T::from_f64(self.0) } else { x }
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.greater(x.constant(0.0)).select(x.constant(1.0), x.constant(self.0))
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(LeakyRelu(0.01), [Domain::reals()]);
        samples.over(LeakyRelu(0.3), [Domain::reals()]);
    }
}
