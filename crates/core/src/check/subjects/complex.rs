//! Complex numbers, as a reading of [`Number`] for the complex step.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E};
use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::scalar::{Number, Plain, indicator};

/// A complex number in double precision.
///
/// Functions of [`Number`]s can be evaluated at it. Arithmetic and elementary functions are those of
/// complex analysis, with the principal branches. What has no complex derivative, absolute values,
/// comparisons, clamping, rounding, goes by the real part, so that the imaginary part carries the
/// derivative on whichever side of the kink the number lies. The special functions (`erf`, `erfc`,
/// `polygamma`, `sinc_derivative`), `expm1`, `exp2`, `ln1p` and `log2` are taken to first order in the
/// imaginary part, which is all that a [complex step](super::reference::complex_step) has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex {
    /// The real part.
    pub re: f64,
    /// The imaginary part.
    pub im: f64,
}

impl From<f64> for Complex {
    fn from(re: f64) -> Self {
        Self { re, im: 0.0 }
    }
}

impl Complex {
    /// A number from its parts.
    pub const fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    /// A function of which value and derivative at the real part are known.
    fn to_first_order(self, value: f64, slope: f64) -> Self {
        Self::new(value, self.im * slope)
    }

    fn times_i(self) -> Self {
        Self::new(-self.im, self.re)
    }

    /// A function of the real part without a derivative.
    fn flat(value: f64) -> Self {
        Self::from(value)
    }
}

impl Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl Sub for Complex {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.re - other.re, self.im - other.im)
    }
}

impl Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::new(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
    }
}

impl Div for Complex {
    type Output = Self;

    /// By Smith's method, without overflow on the way.
    fn div(self, other: Self) -> Self {
        if other.re.abs() >= other.im.abs() {
            let ratio = other.im / other.re;
            let scale = other.re + other.im * ratio;
            Self::new((self.re + self.im * ratio) / scale, (self.im - self.re * ratio) / scale)
        } else {
            let ratio = other.re / other.im;
            let scale = other.re * ratio + other.im;
            Self::new((self.re * ratio + self.im) / scale, (self.im * ratio - self.re) / scale)
        }
    }
}

impl Neg for Complex {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.re, -self.im)
    }
}

/// Functions of which the slope follows from operand and value.
macro_rules! to_first_order {
    ($($method:ident: $slope:expr;)*) => {$(
        fn $method(self) -> Self {
            let value = Plain(self.re).$method().0;
            let slope: fn(f64, f64) -> f64 = $slope;
            self.to_first_order(value, slope(self.re, value))
        }
    )*};
}

macro_rules! steps {
    ($($method:ident),*) => {$(
        fn $method(self) -> Self {
            Self::flat(Plain(self.re).$method().0)
        }
    )*};
}

impl Number for Complex {
    to_first_order! {
        expm1: |x, _| x.exp();
        exp2: |_, y| y * LN_2;
        ln1p: |x, _| 1.0 / (1.0 + x);
        log2: |x, _| LOG2_E / x;
        erf: |x, _| FRAC_2_SQRT_PI * (-x * x).exp();
        erfc: |x, _| -FRAC_2_SQRT_PI * (-x * x).exp();
    }

    steps!(floor, ceil, round, trunc);

    fn opaque<const N: usize>(x: [Self; N], f: fn([f64; N]) -> f64) -> Self {
        Self::flat(f(x.map(|x| x.re)))
    }

    fn constant(self, value: f64) -> Self {
        Self::from(value)
    }

    fn exp(self) -> Self {
        let (sin, cos) = self.im.sin_cos();
        let size = self.re.exp();
        Self::new(size * cos, size * sin)
    }

    fn ln(self) -> Self {
        Self::new(self.re.hypot(self.im).ln(), self.im.atan2(self.re))
    }

    fn sin(self) -> Self {
        let (sin, cos) = self.re.sin_cos();
        Self::new(sin * self.im.cosh(), cos * self.im.sinh())
    }

    fn cos(self) -> Self {
        let (sin, cos) = self.re.sin_cos();
        Self::new(cos * self.im.cosh(), -sin * self.im.sinh())
    }

    fn tanh(self) -> Self {
        let (real, imaginary) = (self.re.tanh(), self.im.tan());
        Self::new(real, imaginary) / Self::new(1.0, real * imaginary)
    }

    fn sigmoid(self) -> Self {
        // The exponential that does not overflow.
        let one = Self::from(1.0);
        if self.re >= 0.0 {
            one / (one + (-self).exp())
        } else {
            let exp = self.exp();
            exp / (one + exp)
        }
    }

    fn sinh(self) -> Self {
        -self.times_i().sin().times_i()
    }

    fn cosh(self) -> Self {
        self.times_i().cos()
    }

    fn polygamma(self, n: u32) -> Self {
        let at = |n| Plain(self.re).polygamma(n).0;
        self.to_first_order(at(n), at(n + 1))
    }

    fn sinc_derivative(self, n: u32) -> Self {
        let at = |n| Plain(self.re).sinc_derivative(n).0;
        self.to_first_order(at(n), at(n + 1))
    }

    fn sqrt(self) -> Self {
        let size = self.re.hypot(self.im);
        if self.re >= 0.0 {
            let re = ((size + self.re) / 2.0).sqrt();
            Self::new(re, if re == 0.0 { 0.0 } else { self.im / (2.0 * re) })
        } else {
            let im = ((size - self.re) / 2.0).sqrt().copysign(self.im);
            Self::new(self.im / (2.0 * im), im)
        }
    }

    fn abs(self) -> Self {
        match self.re.partial_cmp(&0.0) {
            Some(std::cmp::Ordering::Less) => -self,
            Some(std::cmp::Ordering::Equal) => Self::flat(0.0),
            _ => self,
        }
    }

    fn square(self) -> Self {
        self * self
    }

    fn reciprocal(self) -> Self {
        Self::from(1.0) / self
    }

    fn powi(self, exponent: i32) -> Self {
        let (mut power, mut square) = (Self::from(1.0), self);
        let mut rest = exponent.unsigned_abs();
        while rest > 0 {
            if rest % 2 == 1 {
                power = power * square;
            }
            square = square * square;
            rest /= 2;
        }
        if exponent < 0 { power.reciprocal() } else { power }
    }

    fn powf(self, exponent: f64) -> Self {
        self.pow(Self::from(exponent))
    }

    fn pow(self, exponent: Self) -> Self {
        // Of a negative number too, where the logarithm has an imaginary part of its own.
        let whole = exponent.re as i32;
        if exponent == Self::from(f64::from(whole)) {
            return self.powi(whole);
        }
        if self == Self::from(0.0) {
            return Self::flat(0.0_f64.powf(exponent.re));
        }
        (exponent * self.ln()).exp()
    }

    fn hypot(self, other: Self) -> Self {
        let scale = self.re.abs().max(other.re.abs());
        if scale == 0.0 {
            return (self * self + other * other).sqrt();
        }
        let scale = Self::from(scale);
        let (a, b) = (self / scale, other / scale);
        scale * (a * a + b * b).sqrt()
    }

    fn clamp(self, low: f64, high: f64) -> Self {
        if self.re < low {
            Self::flat(low)
        } else if self.re > high {
            Self::flat(high)
        } else {
            self
        }
    }

    fn greater(self, other: Self) -> Self {
        Self::flat(indicator(self.re > other.re))
    }

    fn greater_equal(self, other: Self) -> Self {
        Self::flat(indicator(self.re >= other.re))
    }

    fn less(self, other: Self) -> Self {
        Self::flat(indicator(self.re < other.re))
    }

    fn less_equal(self, other: Self) -> Self {
        Self::flat(indicator(self.re <= other.re))
    }

    fn equal(self, other: Self) -> Self {
        Self::flat(indicator(self.re == other.re))
    }

    fn select(self, yes: Self, no: Self) -> Self {
        if self.re == 0.0 { no } else { yes }
    }
}
