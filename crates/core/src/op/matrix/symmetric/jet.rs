//! Taylor coefficients of a function of one number.
//!
//! A [`Jet`] is a number that moves, as a truncated power series, and it is a [`Number`]: so
//! the value and the partial of an elementwise op give its coefficients at any point. The
//! rules are those of G&W, Tables 13.1 and 13.2; `op/knowledge/series` has them for tensors.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::kernel::spectral::{Coefficients, TERMS};
use crate::op::{Elementwise, Erf, Exp2, Expm1, Ln1p, Log2};
use crate::scalar::{Number, Plain, Reads};

/// A number as a power series, of `TERMS` coefficients.
#[derive(Clone, Copy, Debug)]
pub(in crate::op) struct Jet(Coefficients);

/// The coefficients of `f(at + unit t)`.
pub(in crate::op) fn coefficients<F: Elementwise<1>>(f: F, at: f64, unit: f64) -> Coefficients {
    let mut x = Jet::flat(at);
    x.0[1] = unit;
    x.through(f).0
}

impl Jet {
    /// A number that does not move.
    fn flat(value: f64) -> Self {
        let mut jet = [0.0; TERMS];
        jet[0] = value;
        Self(jet)
    }

    fn value(self) -> f64 {
        self.0[0]
    }

    /// An op of one operand, by its partial.
    fn through(self, f: impl Elementwise<1>) -> Self {
        let value = f.eval([Plain(self.value())]).0;
        let slope = |y| f.partial(0, [self], y);
        // A slope that follows from the operand alone is found at one stroke.
        match f.partial(0, [Reads::of(0)], Reads::of(1)).contain(1) {
            true => self.solved(value, slope),
            false => self.integrated(value, slope(Self::flat(value))),
        }
    }

    /// Coefficient `k` of the integral of `slope x'`.
    fn step(self, slope: &Self, k: usize) -> f64 {
        // What does not move adds nothing, whatever the slope.
        let moves = (1..=k).filter(|&j| self.0[j] != 0.0);
        moves.map(|j| j as f64 * self.0[j] * slope.0[k - j]).sum::<f64>() / k as f64
    }

    /// The function with this value, and with this slope along `self`.
    fn integrated(self, value: f64, slope: Self) -> Self {
        let mut y = Self::flat(value);
        (1..TERMS).for_each(|k| y.0[k] = self.step(&slope, k));
        y
    }

    /// The same where the slope follows from the function: coefficient `k` of a slope needs
    /// those of the function up to `k`.
    fn solved(self, value: f64, slope: impl Fn(Self) -> Self) -> Self {
        let mut y = Self::flat(value);
        for k in 1..TERMS {
            y.0[k] = self.step(&slope(y), k);
        }
        y
    }

    /// A function from its derivatives at the value.
    fn composed(self, derivative: impl Fn(usize) -> f64) -> Self {
        let mut moved = self;
        moved.0[0] = 0.0;
        let factorials = (1..TERMS).scan(1.0, |factorial, m| {
            *factorial *= m as f64;
            Some(*factorial)
        });
        let mut sum = Self::flat(derivative(0));
        let mut power = Self::flat(1.0);
        for (m, factorial) in (1..).zip(factorials) {
            power = power * moved;
            let coefficient = derivative(m) / factorial;
            // The power begins with `t^m`.
            (m..TERMS)
                .filter(|&k| power.0[k] != 0.0)
                .for_each(|k| sum.0[k] += coefficient * power.0[k]);
        }
        sum
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self(self.0.map(f))
    }
}

impl Neg for Jet {
    type Output = Self;

    fn neg(self) -> Self {
        self.map(Neg::neg)
    }
}

impl Add for Jet {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k] + other.0[k]))
    }
}

impl Sub for Jet {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k] - other.0[k]))
    }
}

impl Mul for Jet {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| (0..=k).map(|j| self.0[j] * other.0[k - j]).sum()))
    }
}

impl Div for Jet {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let mut quotient = Self::flat(0.0);
        for k in 0..TERMS {
            let known: f64 = (0..k).map(|j| quotient.0[j] * other.0[k - j]).sum();
            quotient.0[k] = (self.0[k] - known) / other.0[0];
        }
        quotient
    }
}

/// The derivatives of a function whose fourth one is the function.
fn cycle(derivatives: [f64; 4]) -> impl Fn(usize) -> f64 {
    move |m| derivatives[m % 4]
}

macro_rules! compare {
    ($($method:ident),*) => {$(
        fn $method(self, other: Self) -> Self {
            Self::flat(Plain(self.value()).$method(Plain(other.value())).0)
        }
    )*};
}

macro_rules! by_partials {
    ($($method:ident: $op:ident),*) => {$(
        fn $method(self) -> Self {
            self.through($op)
        }
    )*};
}

macro_rules! steps {
    ($($method:ident),*) => {$(
        fn $method(self) -> Self {
            Self::flat(Plain(self.value()).$method().0)
        }
    )*};
}

impl Number for Jet {
    compare!(greater, greater_equal, less, less_equal, equal);
    by_partials!(expm1: Expm1, exp2: Exp2, ln1p: Ln1p, log2: Log2, erf: Erf);
    steps!(floor, ceil, round, trunc);

    fn opaque<const N: usize>(x: [Self; N], f: fn([f64; N]) -> f64) -> Self {
        Self::flat(f(x.map(Self::value)))
    }

    fn constant(self, value: f64) -> Self {
        Self::flat(value)
    }

    fn exp(self) -> Self {
        let value = self.value().exp();
        self.composed(|_| value)
    }

    fn ln(self) -> Self {
        self.integrated(self.value().ln(), self.reciprocal())
    }

    fn sin(self) -> Self {
        let (sin, cos) = self.value().sin_cos();
        self.composed(cycle([sin, cos, -sin, -cos]))
    }

    fn cos(self) -> Self {
        let (sin, cos) = self.value().sin_cos();
        self.composed(cycle([cos, -sin, -cos, sin]))
    }

    fn tanh(self) -> Self {
        self.solved(self.value().tanh(), |y| y.constant(1.0) - y * y)
    }

    fn sigmoid(self) -> Self {
        let value = Plain(self.value()).sigmoid().0;
        self.solved(value, |y| y * (y.constant(1.0) - y))
    }

    fn sinh(self) -> Self {
        let (sinh, cosh) = (self.value().sinh(), self.value().cosh());
        self.composed(cycle([sinh, cosh, sinh, cosh]))
    }

    fn cosh(self) -> Self {
        let (sinh, cosh) = (self.value().sinh(), self.value().cosh());
        self.composed(cycle([cosh, sinh, cosh, sinh]))
    }

    fn erfc(self) -> Self {
        let value = Plain(self.value()).erfc().0;
        self.integrated(
            value,
            (-(self * self)).exp() * self.constant(-std::f64::consts::FRAC_2_SQRT_PI),
        )
    }

    fn polygamma(self, n: u32) -> Self {
        self.composed(|m| Plain(self.value()).polygamma(n + m as u32).0)
    }

    fn sinc_derivative(self, n: u32) -> Self {
        self.composed(|m| Plain(self.value()).sinc_derivative(n + m as u32).0)
    }

    fn sqrt(self) -> Self {
        self.solved(self.value().sqrt(), |y| y.constant(0.5) / y)
    }

    fn abs(self) -> Self {
        let zero = self.constant(0.0);
        self * (self.greater(zero) - self.less(zero))
    }

    fn square(self) -> Self {
        self * self
    }

    fn reciprocal(self) -> Self {
        self.constant(1.0) / self
    }

    fn powi(self, exponent: i32) -> Self {
        let mut power = self.constant(1.0);
        (0..exponent.unsigned_abs()).for_each(|_| power = power * self);
        if exponent < 0 { power.reciprocal() } else { power }
    }

    fn powf(self, exponent: f64) -> Self {
        if (0.0..=16.0).contains(&exponent) && exponent.fract() == 0.0 {
            return self.powi(exponent as i32);
        }
        self.solved(self.value().powf(exponent), |y| y * self.constant(exponent) / self)
    }

    fn pow(self, exponent: Self) -> Self {
        (exponent * self.ln()).exp()
    }

    fn hypot(self, other: Self) -> Self {
        let scale = self.constant(self.value().abs().max(other.value().abs()));
        let (x, y) = (self / scale, other / scale);
        (x * x + y * y).sqrt() * scale
    }

    fn clamp(self, low: f64, high: f64) -> Self {
        match self.value() {
            x if x < low => Self::flat(low),
            x if x > high => Self::flat(high),
            _ => self,
        }
    }

    fn select(self, yes: Self, no: Self) -> Self {
        if self.value() == 0.0 { no } else { yes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Exp, Ln, Sigmoid, Sqrt, Tanh};

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-13 * expected.abs(), "{found}, not {expected}");
    }

    #[test]
    fn functions_in_terms_of_others() {
        let mut x = Jet::flat(0.75);
        (x.0[1], x.0[2]) = (1.0, 0.25);
        let [one, ln_2] = [1.0, std::f64::consts::LN_2].map(|value| x.constant(value));
        for (found, expected) in [
            (x.expm1(), x.exp() - one),
            (x.exp2(), (x * ln_2).exp()),
            (x.ln1p(), (x + one).ln()),
            (x.log2(), x.ln() / ln_2),
            (x.erf(), one - x.erfc()),
            (x.round() + x.ceil() + x.floor() + x.trunc(), one + one),
            (Jet::opaque([x, one], |[x, y]| x.max(y)), one),
        ] {
            (0..TERMS).for_each(|k| near(found.0[k], expected.0[k]));
        }
    }

    #[test]
    fn coefficients_of_elementary_functions() {
        let mut factorial = 1.0;
        let mut binomial = 1.0;
        let (exp, ln, sqrt) =
            (coefficients(Exp, 0.5, 1.0), coefficients(Ln, 2.0, 1.0), coefficients(Sqrt, 2.0, 1.0));
        for k in 0..TERMS {
            near(exp[k], 0.5_f64.exp() / factorial);
            let power = 2.0_f64.powi(k as i32);
            near(sqrt[k], binomial * 2.0_f64.sqrt() / power);
            if k > 0 {
                near(ln[k], if k % 2 == 0 { -1.0 } else { 1.0 } / (k as f64 * power));
            }
            factorial *= (k + 1) as f64;
            binomial *= (0.5 - k as f64) / (k + 1) as f64;
        }
        // tanh x = x - x^3 / 3 + 2 x^5 / 15 - 17 x^7 / 315, sigmoid x = (1 + tanh(x / 2)) / 2.
        let (tanh, sigmoid) = (coefficients(Tanh, 0.0, 1.0), coefficients(Sigmoid, 0.0, 1.0));
        for (k, expected) in [(1, 1.0), (3, -1.0 / 3.0), (5, 2.0 / 15.0), (7, -17.0 / 315.0)] {
            near(tanh[k], expected);
            near(sigmoid[k], expected / 2.0_f64.powi(k as i32 + 1));
            assert_eq!([tanh[k - 1], sigmoid[k - 1]], [0.0, if k == 1 { 0.5 } else { 0.0 }]);
        }
    }
}
