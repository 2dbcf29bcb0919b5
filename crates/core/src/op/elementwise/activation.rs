//! Activation functions of neural networks.
//!
//! The derivative at a kink is a convention, written at each op.
//!
//! Those that gate their operand, `x` times a number from 0 to 1, are 0 where that has
//! vanished, and so are their derivatives, out to infinity: there the operand is held
//! at a bound, so that it is not infinite times 0.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::op::{Cost, Domain, Elementwise, Formula, Partials, Samples};
use crate::scalar::{Number, Real};

/// The hyperbolic tangent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tanh;

impl Elementwise<1> for Tanh {
    const NAME: &'static str = "tanh";
    const FORMULA: Formula = Formula::new(
        "tanh x",
        "dy = (1 - y^2) dx",
        r"y = \tanh x,\quad \dot y = (1 - y^2)\,\dot x",
    )
    .with_convention("exactly 0 where y rounds to 1 or -1, from |x| of 19.1 (f32: 9.1) on");
    const COST: Cost = Cost::nonlinear(1);
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.tanh()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y.constant(1.0) - y * y
    }

    #[inline]
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
    )
    .with_convention("exactly 0 where y rounds to 1, from x of 37.5 (f32: 17.4) on");
    const COST: Cost = Cost { adds: 2, divs: 1, nonlinear: 1, muls: 0 };
    const IS_CLOSED_FORM: bool = true;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.sigmoid()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        y * (y.constant(1.0) - y)
    }

    #[inline]
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
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let zero = x.constant(0.0);
        x.greater(zero).select(x, zero) + (-x.abs()).exp().ln1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.sigmoid()
    }

    #[inline]
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
    )
    .with_convention("0 at 0");
    const COST: Cost = Cost::adds(1);
    const PARTIALS: Partials = Partials::Choices;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let zero = x.constant(0.0);
        x.less_equal(zero).select(zero, x)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, _: [A; 1], y: A) -> A {
        // The value says as much as the argument, and the layer after this one keeps it anyway.
        y.greater(y.constant(0.0))
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    #[inline]
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
    )
    .with_convention("slope at 0");
    const COST: Cost = Cost { adds: 1, muls: 1, ..Cost::NONE };
    const PARTIALS: Partials = Partials::Pieces;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.less_equal(x.constant(0.0)).select(x * x.constant(self.0), x)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], y: A) -> A {
        // As in `Relu`, where the value has the argument's sign.
        let sign = if self.0 >= 0.0 { y } else { x };
        sign.greater(x.constant(0.0)).select(x.constant(1.0), x.constant(self.0))
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(LeakyRelu(0.01), [Domain::reals()]);
        samples.over(LeakyRelu(0.3), [Domain::reals()]);
    }
}

/// `ln(1 / (1 + e^-x))`, without cancellation for large `x` and without overflow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSigmoid;

impl Elementwise<1> for LogSigmoid {
    const NAME: &'static str = "log_sigmoid";
    const FORMULA: Formula = Formula::new(
        "ln(1 / (1 + e^-x))",
        "dy = sigmoid(-x) dx",
        r"y = \ln \sigma(x),\quad \dot y = \sigma(-x)\,\dot x",
    );
    const COST: Cost = Cost { adds: 3, nonlinear: 2, ..Cost::NONE };

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let zero = x.constant(0.0);
        x.greater(zero).select(zero, x) - (-x.abs()).exp().ln1p()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        (-x).sigmoid()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(LogSigmoid, [Domain::reals()]);
    }
}

/// Where gates made of `e^x` have vanished, in double precision as well.
const GATE_CLOSED: f64 = 800.0;

/// The number, or a bound that it lies below. NaN stays NaN.
#[inline(always)]
fn at_least<A: Number>(x: A, bound: f64) -> A {
    let bound = x.constant(bound);
    x.less(bound).select(bound, x)
}

/// `x sigmoid(x)`, also called swish (Elfwing, Uchibe and Doya, 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Silu;

impl Elementwise<1> for Silu {
    const NAME: &'static str = "silu";
    const FORMULA: Formula = Formula::new(
        "x sigmoid(x)",
        "dy = (s + x s (1 - s)) dx, s = sigmoid(x)",
        r"y = x\,\sigma(x),\quad \dot y = (\sigma(x) + x\,\sigma(x)\,\sigma(-x))\,\dot x",
    );
    const COST: Cost = Cost { adds: 2, muls: 1, divs: 1, nonlinear: 1 };

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        at_least(x, -GATE_CLOSED) * x.sigmoid()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        let x = x.clamp(-GATE_CLOSED, GATE_CLOSED);
        let gate = x.sigmoid();
        gate + x * gate * (-x).sigmoid()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Silu, [Domain::reals()]);
    }
}

/// Where the normal distribution has vanished, in double precision as well.
const NORMAL_ZERO: f64 = 40.0;

/// The Gaussian error linear unit `x P(X <= x)`, for normal `X` (Hendrycks and Gimpel,
/// 2016). The probability is taken by `erfc`, so that it is relatively accurate for
/// negative `x` too.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let y = tape.constant(-10.0_f64).gelu().item();
/// assert!((y / -7.619853024160525e-23 - 1.0).abs() < 1e-13);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gelu;

impl Elementwise<1> for Gelu {
    const NAME: &'static str = "gelu";
    const FORMULA: Formula = Formula::new(
        "x Phi(x), Phi(x) = erfc(-x / sqrt 2) / 2",
        "dy = (Phi(x) + x phi(x)) dx, phi(x) = e^(-x^2/2) / sqrt(2 pi)",
        r"y = x\,\Phi(x),\quad \dot y = (\Phi(x) + x\,\varphi(x))\,\dot x",
    );
    const COST: Cost = Cost { muls: 3, nonlinear: 1, ..Cost::NONE };

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        at_least(x, -NORMAL_ZERO) * probability(x)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        let x = x.clamp(-NORMAL_ZERO, NORMAL_ZERO);
        let density =
            (x * x * x.constant(-0.5)).exp() * x.constant(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
        probability(x) + x * density
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Gelu, [Domain::reals()]);
    }
}

/// The probability that a normal variable is at most `x`.
#[inline(always)]
fn probability<A: Number>(x: A) -> A {
    (x * x.constant(-FRAC_1_SQRT_2)).erfc() * x.constant(0.5)
}

/// [`Gelu`] with the normal distribution approximated by a hyperbolic tangent, in the
/// form of a sigmoid: `x (1 + tanh u) / 2 = x sigmoid(2u)`, without cancellation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeluTanh;

impl Elementwise<1> for GeluTanh {
    const NAME: &'static str = "gelu_tanh";
    const FORMULA: Formula = Formula::new(
        "x (1 + tanh u) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3)",
        "dy = (s + x s (1 - s) 2 u') dx, s = sigmoid(2u)",
        r"y = x\,\sigma(2u),\quad u = \sqrt{2/\pi}\,(x + 0.044715\,x^3),\quad \dot y = (\sigma(2u) + 2 x\,\sigma(2u)\,\sigma(-2u)\,u')\,\dot x",
    );
    const COST: Cost = Cost { adds: 3, muls: 5, divs: 1, nonlinear: 1 };

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        at_least(x, -NORMAL_ZERO) * twice_u(x).sigmoid()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        // Beyond, the gate is open or closed to the last bit, and u' may overflow.
        let x = x.clamp(-NORMAL_ZERO, NORMAL_ZERO);
        let exponent = twice_u(x);
        let gate = exponent.sigmoid();
        let slope = (x * x * x.constant(3.0 * CUBIC) + x.constant(1.0)) * x.constant(LINEAR);
        gate + x * gate * (-exponent).sigmoid() * slope
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(GeluTanh, [Domain::reals()]);
    }
}

/// `2 sqrt(2 / pi)`.
const LINEAR: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
/// The coefficient of the cubic term.
const CUBIC: f64 = 0.044715;

/// `2 sqrt(2 / pi) (x + 0.044715 x^3)`.
#[inline(always)]
fn twice_u<A: Number>(x: A) -> A {
    (x * x * x.constant(CUBIC) + x.constant(1.0)) * x * x.constant(LINEAR)
}

/// `x tanh(softplus(x))` (Misra, 2019).
///
/// With `s = sigmoid(x)` and `q = sigmoid(-x)` the hyperbolic tangent is
/// `s (1 + q) / (1 + q^2)`, in which nothing overflows or cancels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mish;

impl Elementwise<1> for Mish {
    const NAME: &'static str = "mish";
    const FORMULA: Formula = Formula::new(
        "x tanh(ln(1 + e^x))",
        "dy = (t + x s (1 - t^2)) dx, t = tanh(ln(1 + e^x)), s = sigmoid(x)",
        r"y = x\,t,\quad t = \tanh(\ln(1 + e^x)),\quad \dot y = (t + x\,\sigma(x)\,(1 - t^2))\,\dot x",
    );
    const COST: Cost = Cost { adds: 4, muls: 3, divs: 3, nonlinear: 2 };

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let [gate, _] = mish_gate(x);
        at_least(x, -GATE_CLOSED) * gate
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        let x = x.clamp(-GATE_CLOSED, GATE_CLOSED);
        let [gate, slope] = mish_gate(x);
        gate + x * slope
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Mish, [Domain::reals()]);
    }
}

/// `t = tanh(softplus(x))` and its derivative `s (1 - t^2)`.
#[inline(always)]
fn mish_gate<A: Number>(x: A) -> [A; 2] {
    let one = x.constant(1.0);
    let (s, q) = (x.sigmoid(), (-x).sigmoid());
    let below = (one + q * q).reciprocal();
    let root = (q + q) * below;
    [s * (one + q) * below, s * root * root]
}

/// `x / (1 + |x|)`. It has a derivative at 0, which has a kink; the second one there is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softsign;

impl Elementwise<1> for Softsign {
    const NAME: &'static str = "softsign";
    const FORMULA: Formula = Formula::new(
        "x / (1 + |x|)",
        "dy = dx / (1 + |x|)^2",
        r"y = \frac{x}{1 + |x|},\quad \dot y = \frac{\dot x}{(1 + |x|)^2}",
    )
    .with_convention("second derivative 0 at 0");
    const COST: Cost = Cost { adds: 2, divs: 1, ..Cost::NONE };

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let (size, one) = (x.abs(), x.constant(1.0));
        let quotient = size / (one + size);
        let size = size.equal(x.constant(f64::INFINITY)).select(one, quotient);
        x.less(x.constant(0.0)).select(-size, size)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        let slope = (x.abs() + x.constant(1.0)).reciprocal();
        slope * slope
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Softsign, [Domain::reals()]);
    }
}

/// Exponential linear units: `scale x` where positive, else
/// `scale alpha (e^(x / width) - 1)`. The derivative at 0 is that from the left.
///
/// Three functions of the literature are of this kind: `elu` (Clevert, Unterthiner and
/// Hochreiter, 2015) has scale and width 1, [`selu`](crate::tape::Var::selu) (Klambauer et al., 2017)
/// fixed numbers, and `celu` (Barron, 2017) a width of `alpha`, which makes it smooth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    /// The slope for positive numbers.
    pub scale: f64,
    /// The depth of the exponential.
    pub alpha: f64,
    /// The width of the exponential.
    pub width: f64,
}

impl Elementwise<1> for Elu {
    const NAME: &'static str = "elu";
    const FORMULA: Formula = Formula::new(
        "scale x where x > 0, else scale alpha (e^(x / width) - 1)",
        "dy = scale dx where x > 0, else scale alpha / width e^(x / width) dx",
        r"y = \lambda ([x > 0]\,x + [x \le 0]\,\alpha (e^{x/w} - 1)),\quad \dot y = \lambda ([x > 0] + [x \le 0]\,\tfrac{\alpha}{w} e^{x/w})\,\dot x",
    )
    .with_convention("from the left at 0");
    const COST: Cost = Cost { adds: 2, muls: 2, divs: 1, nonlinear: 1 };
    const PARTIALS: Partials = Partials::Pieces;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let below = x.constant(self.scale * self.alpha) * (x / x.constant(self.width)).expm1();
        x.greater(x.constant(0.0)).select(x.constant(self.scale) * x, below)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        // Bounded, so that the piece that is not chosen stays finite.
        let power = (x.clamp(f64::NEG_INFINITY, 0.0) / x.constant(self.width)).exp();
        let below = power * x.constant(self.scale * self.alpha / self.width);
        x.greater(x.constant(0.0)).select(x.constant(self.scale), below)
    }

    fn kink_distance<T: Real>(self, [x]: [T; 1]) -> T {
        x.abs()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Elu { scale: 1.0, alpha: 0.7, width: 1.0 }, [Domain::reals()]);
        samples.over(Elu { scale: 1.5, alpha: 2.0, width: 2.0 }, [Domain::reals()]);
    }
}
