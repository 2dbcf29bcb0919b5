//! Special functions: error functions, the gamma function's, and `sin(x) / x`.
//!
//! What has a family of derivatives is an op with their order as its parameter.

use std::f64::consts::FRAC_2_SQRT_PI;

use crate::op::{Cost, Domain, Elementwise, Formula, Samples};
use crate::scalar::{Number, special};

/// `2 / sqrt(pi) e^(-x^2)`: the derivative of the error function.
#[inline(always)]
fn erf_slope<A: Number>(x: A) -> A {
    (-(x * x)).exp() * x.constant(FRAC_2_SQRT_PI)
}

/// The error function, the integral of `2 / sqrt(pi) e^-t^2` from 0 to `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Erf;

impl Elementwise<1> for Erf {
    const NAME: &'static str = "erf";
    const FORMULA: Formula = Formula::new(
        "erf x",
        "dy = 2 / sqrt(pi) e^(-x^2) dx",
        r"y = \operatorname{erf} x,\quad \dot y = \tfrac{2}{\sqrt\pi} e^{-x^2}\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.erf()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        erf_slope(x)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Erf, [Domain::reals()]);
    }
}

/// `1 - erf(x)`, without cancellation for large `x`.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let y = tape.constant(20.0_f64).erfc().item();
/// assert!((y / 5.395865611607901e-176 - 1.0).abs() < 1e-14);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Erfc;

impl Elementwise<1> for Erfc {
    const NAME: &'static str = "erfc";
    const FORMULA: Formula = Formula::new(
        "1 - erf x",
        "dy = -2 / sqrt(pi) e^(-x^2) dx",
        r"y = 1 - \operatorname{erf} x,\quad \dot y = -\tfrac{2}{\sqrt\pi} e^{-x^2}\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.erfc()
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        -erf_slope(x)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Erfc, [Domain::reals()]);
    }
}

/// The inverse of the error function; infinite at -1 and 1, NaN beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErfInv;

impl Elementwise<1> for ErfInv {
    const NAME: &'static str = "erf_inv";
    const FORMULA: Formula = Formula::new(
        "inverse of erf",
        "dy = sqrt(pi) / 2 e^(y^2) dx",
        r"y = \operatorname{erf}^{-1} x,\quad \dot y = \tfrac{\sqrt\pi}{2} e^{y^2}\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| special::erf_inv(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [_]: [A; 1], y: A) -> A {
        (y * y).exp() * y.constant(1.0 / FRAC_2_SQRT_PI)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(ErfInv, [Domain::between(-0.8, 0.8)]);
    }
}

/// `ln |gamma(x)|`; infinite at 0 and at negative whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LnGamma;

impl Elementwise<1> for LnGamma {
    const NAME: &'static str = "ln_gamma";
    const FORMULA: Formula = Formula::new(
        "ln |gamma(x)|",
        "dy = digamma(x) dx",
        r"y = \ln |\Gamma(x)|,\quad \dot y = \psi(x)\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| libm::lgamma(x))
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.polygamma(0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(LnGamma, [Domain::positive()]);
    }
}

/// The derivative of order `n + 1` of `ln |gamma(x)|`: digamma for 0, trigamma for 1, up
/// to 169, beyond which `n!` overflows. At 0 and at negative whole numbers it is
/// infinite for odd `n`, and NaN for even, where the sign changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polygamma(pub u32);

impl Elementwise<1> for Polygamma {
    const NAME: &'static str = "polygamma";
    const FORMULA: Formula = Formula::new(
        "derivative n of digamma(x)",
        "dy = polygamma(n + 1, x) dx",
        r"y = \psi^{(n)}(x),\quad \dot y = \psi^{(n+1)}(x)\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.polygamma(self.0)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.polygamma(self.0 + 1)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Polygamma(0), [Domain::between(0.8, 2.5)]);
        samples.over(Polygamma(1), [Domain::between(-0.8, -0.2)]);
    }
}

/// The derivative of order `n` of `sin(pi x) / (pi x)`, which is 1 at 0. Each order is
/// computed by itself, so that none cancels near 0.
///
/// ```
/// use std::f64::consts::PI;
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let x = tape.variable(0.0_f64);
/// let [slope] = x.sinc().grad([x]);
/// let [bend] = slope.grad([x]);
/// assert_eq!(slope.item(), 0.0);
/// assert!((bend.item() + PI * PI / 3.0).abs() < 1e-14);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sinc(pub u32);

impl Elementwise<1> for Sinc {
    const NAME: &'static str = "sinc";
    const FORMULA: Formula = Formula::new(
        "derivative n of sin(pi x) / (pi x)",
        "dy = sinc(n + 1, x) dx",
        r"y = \operatorname{sinc}^{(n)}(x),\quad \operatorname{sinc} x = \frac{\sin \pi x}{\pi x},\quad \dot y = \operatorname{sinc}^{(n+1)}(x)\,\dot x",
    );
    const COST: Cost = Cost::nonlinear(1);
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x.sinc_derivative(self.0)
    }

    #[inline(always)]
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.sinc_derivative(self.0 + 1)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Sinc(0), [Domain::reals()]);
        samples.over(Sinc(2), [Domain::reals()]);
    }
}
