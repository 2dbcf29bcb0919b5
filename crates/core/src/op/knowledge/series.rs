//! Arithmetic of power series: G&W, Tables 13.1 and 13.2.
//!
//! Three convolutions do all the work: product, square and quotient. The other
//! functions are solutions of differential equations in these, such as `y' = y x'` for the
//! exponential, and solving them coefficient by coefficient is the recursion of
//! Table 13.2. The cost of degree `d` is therefore of the order `d^2`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::FRAC_2_SQRT_PI;
use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::op::elementwise::power::quotient_or_zero;
use crate::op::{Elementwise, Erf, Exp2, Expm1, Ln1p, Log2, Series, System, Term};
use crate::scalar::{Number, Real};
use crate::tape::Var;
use crate::tape::elemental::convolution;

impl<'t, T: Real> Series<'_, 't, T> {
    /// A function of the values at `t = 0`, which stays as it is.
    fn step(self, other: Self, mask: impl Fn(Var<'t, T>, Var<'t, T>) -> Var<'t, T> + 't) -> Self {
        let (a, b) = (self.id, other.id);
        self.system
            .defined(move |system, k| (k == 0).then(|| mask(system.start(a), system.start(b))))
    }

    /// An op of one operand, by its partial.
    fn through(self, op: impl Elementwise<1>) -> Self {
        let x = self.id;
        self.solution(
            move |system| system.start(x).apply(op),
            |y| op.partial(0, [self], y) * self.rate(),
        )
    }

    /// Hyperbolic sine and cosine, each the other's derivative.
    fn hyperbolic(self) -> [Self; 2] {
        let (x, rate) = (self.id, self.rate());
        let mut cosh = self;
        let sinh = self.solution(
            move |system| system.start(x).sinh(),
            |sinh| {
                cosh = self.solution(move |system| system.start(x).cosh(), |_| sinh * rate);
                cosh * rate
            },
        );
        [sinh, cosh]
    }

    /// Sine and cosine, each the other's derivative but for a sign.
    fn circular(self) -> [Self; 2] {
        let (x, rate) = (self.id, self.rate());
        let mut cos = self;
        let sin = self.solution(
            move |system| system.start(x).sin(),
            |sin| {
                cos = self.solution(move |system| system.start(x).cos(), |_| -(sin * rate));
                cos * rate
            },
        );
        [sin, cos]
    }
}

impl<'t, T: Real> Series<'_, 't, T> {
    /// A power with the exponent at `t = 0`. It takes `d^3` operations.
    fn held_pow(self, exponent: Self) -> Self {
        let (x, e) = (self.id, exponent.id);
        let powers = Descent::default();
        // The exponents by level; what has come to 0 stays there, as the factor 0 is all that counts.
        let exponents: RefCell<Vec<Var<'t, T>>> = RefCell::default();
        self.system.defined(move |system, k| {
            let exponent = |level: usize| {
                let mut exponents = exponents.borrow_mut();
                while exponents.len() <= level {
                    let next = match exponents.last() {
                        None => system.start(e),
                        Some(&last) => {
                            let zero = system.tape.scalar_constant(T::zero());
                            last.equal(zero).select(zero, last - T::one())
                        }
                    };
                    exponents.push(next);
                }
                exponents[level]
            };
            powers.coefficient(
                [0, k],
                &|i| system.at(x, i),
                &|level, k| (k == 0).then(|| Some(system.start(x).pow(exponent(level)))),
                &|level, x| Some(x * exponent(level)),
            )
        })
    }

    /// A function of which every derivative at one point is known, by order: the
    /// powers of what is added to the point, each weighted by its Taylor coefficient.
    /// It takes `d^3` operations, for functions that solve no equation in simpler ones.
    fn composed(self, derivative: impl Fn(Var<'t, T>, u32) -> Var<'t, T> + 't) -> Self {
        let x = self.id;
        let powers = Powers::default();
        self.system.defined(move |system, k| {
            if k == 0 {
                return Some(derivative(system.start(x), 0));
            }
            let mut weight = T::one();
            let terms = (1..=k).map(|j| {
                weight /= T::from_f64(j as f64);
                let order = u32::try_from(j).expect("a degree is small");
                let power = powers.coefficient(&|i| system.at(x, i), j, k)?;
                Some(power * (derivative(system.start(x), order) * weight))
            });
            crate::op::add_terms(terms.collect::<Vec<_>>())
        })
    }
}

/// Coefficients of the powers `x^e`, `x^(e-1)`, `x^(e-2)`, ... of a series, by level, each found
/// once. The derivative of one is a multiple of the next, so nothing is divided by `x`, which may
/// be 0 or pass through it.
struct Descent<'t, T: Real>(RefCell<HashMap<[usize; 2], Term<'t, T>>>);

impl<T: Real> Default for Descent<'_, T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<'t, T: Real> Descent<'t, T> {
    /// The coefficient of `t^k` at a level, where `known` gives those that are found otherwise,
    /// which are the first of each power at least, `times_exponent` multiplies by the exponent of
    /// a level, and `at` gives the coefficients of `x`.
    fn coefficient(
        &self,
        [level, k]: [usize; 2],
        at: &dyn Fn(usize) -> Term<'t, T>,
        known: &dyn Fn(usize, usize) -> Option<Term<'t, T>>,
        times_exponent: &dyn Fn(usize, Var<'t, T>) -> Term<'t, T>,
    ) -> Term<'t, T> {
        if let Some(&found) = self.0.borrow().get(&[level, k]) {
            return found;
        }
        let found = known(level, k).unwrap_or_else(|| {
            // k y_k = e times the sum of j x_j (x^(e-1))_(k-j).
            convolution(1..=k, |j| {
                let x = at(j)?;
                let x = times_exponent(level, x * T::from_f64(j as f64 / k as f64))?;
                Some(x * self.coefficient([level + 1, k - j], at, known, times_exponent)?)
            })
        });
        self.0.borrow_mut().insert([level, k], found);
        found
    }
}

/// Coefficients of powers of what a series adds to its start, each found once.
struct Powers<'t, T: Real>(RefCell<HashMap<[usize; 2], Term<'t, T>>>);

impl<T: Real> Default for Powers<'_, T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<'t, T: Real> Powers<'t, T> {
    /// Coefficient `k` of the power `j`, by those of the power before it.
    fn coefficient(&self, at: &dyn Fn(usize) -> Term<'t, T>, j: usize, k: usize) -> Term<'t, T> {
        if j == 1 {
            return at(k);
        }
        if let Some(&known) = self.0.borrow().get(&[j, k]) {
            return known;
        }
        let found =
            convolution(1..=k + 1 - j, |i| Some(at(i)? * self.coefficient(at, j - 1, k - i)?));
        self.0.borrow_mut().insert([j, k], found);
        found
    }
}

impl<T: Real> Neg for Series<'_, '_, T> {
    type Output = Self;

    fn neg(self) -> Self {
        let x = self.id;
        self.system.defined(move |system, k| Some(-system.at(x, k)?))
    }
}

impl<T: Real> Add for Series<'_, '_, T> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (a, b) = (self.id, other.id);
        self.system.defined(move |system, k| match (system.at(a, k), system.at(b, k)) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        })
    }
}

impl<T: Real> Sub for Series<'_, '_, T> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let (a, b) = (self.id, other.id);
        self.system.defined(move |system, k| match (system.at(a, k), system.at(b, k)) {
            (Some(a), Some(b)) => Some(a - b),
            (a, b) => a.or_else(|| Some(-b?)),
        })
    }
}

impl<T: Real> Mul for Series<'_, '_, T> {
    type Output = Self;

    // Orders are subtracted, not numbers.
    #[allow(clippy::suspicious_arithmetic_impl)]
    fn mul(self, other: Self) -> Self {
        if self.id == other.id {
            return self.square();
        }
        let (a, b) = (self.id, other.id);
        self.system.defined(move |system, k| {
            convolution(0..=k, |j| Some(system.at(a, j)? * system.at(b, k - j)?))
        })
    }
}

impl<T: Real> Div for Series<'_, '_, T> {
    type Output = Self;

    /// `b y = a`, solved for the last coefficient of `y`.
    fn div(self, other: Self) -> Self {
        let (a, b) = (self.id, other.id);
        let y = self.system.given(Vec::new());
        let own = y.id;
        y.define(move |system, k| {
            let lower = convolution(1..=k, |j| Some(system.at(b, j)? * system.at(own, k - j)?));
            let rest = match (system.at(a, k), lower) {
                (Some(a), Some(lower)) => a - lower,
                (a, lower) => a.or_else(|| Some(-lower?))?,
            };
            Some(rest / system.start(b))
        });
        y
    }
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
            self.step(self, |x, _| x.$method())
        }
    )*};
}

impl<'t, T: Real> Number for Series<'_, 't, T> {
    by_partials!(expm1: Expm1, exp2: Exp2, ln1p: Ln1p, log2: Log2, erf: Erf);
    steps!(floor, ceil, round, trunc);

    fn opaque<const N: usize>(x: [Self; N], f: fn([f64; N]) -> f64) -> Self {
        let ids = x.map(|x| x.id);
        x[0].system.defined(move |system, k| {
            (k == 0).then(|| Number::opaque(ids.map(|id| system.start(id)), f))
        })
    }

    fn constant(self, value: f64) -> Self {
        self.system.constant(self.system.tape.scalar_constant(T::from_f64(value)))
    }

    fn exp(self) -> Self {
        let x = self.id;
        self.solution(move |system| system.start(x).exp(), |y| y * self.rate())
    }

    fn ln(self) -> Self {
        let x = self.id;
        self.solution(move |system| system.start(x).ln(), |_| self.rate() / self)
    }

    fn sin(self) -> Self {
        self.circular()[0]
    }

    fn cos(self) -> Self {
        self.circular()[1]
    }

    fn tanh(self) -> Self {
        let x = self.id;
        self.solution(
            move |system| system.start(x).tanh(),
            |y| (y.constant(1.0) - y.square()) * self.rate(),
        )
    }

    fn sigmoid(self) -> Self {
        let x = self.id;
        self.solution(move |system| system.start(x).sigmoid(), |y| (y - y.square()) * self.rate())
    }

    fn sqrt(self) -> Self {
        let x = self.id;
        let half = self.constant(0.5);
        self.solution(move |system| system.start(x).sqrt(), |y| half * self.rate() / y)
    }

    fn abs(self) -> Self {
        let zero = self.constant(0.0);
        self * (self.greater(zero) - self.less(zero))
    }

    fn square(self) -> Self {
        let x = self.id;
        self.system.defined(move |system, k| {
            // Each product of two different coefficients appears twice.
            let pairs =
                convolution(0..k.div_ceil(2), |j| Some(system.at(x, j)? * system.at(x, k - j)?));
            let twice = pairs.map(|pairs| pairs + pairs);
            let middle = if k % 2 == 0 { system.at(x, k / 2).map(|x| x * x) } else { None };
            crate::op::add_terms([twice, middle])
        })
    }

    fn reciprocal(self) -> Self {
        self.constant(1.0) / self
    }

    /// By squaring, so that a base of 0 is no obstacle.
    fn powi(self, exponent: i32) -> Self {
        if exponent < 0 {
            // The least exponent has no opposite.
            return (self.powi(-(exponent + 1)) * self).reciprocal();
        }
        match exponent {
            0 => self.constant(1.0),
            1 => self,
            2 => self.square(),
            _ if exponent % 2 == 0 => self.powi(exponent / 2).square(),
            _ => self.powi(exponent - 1) * self,
        }
    }

    /// A power of 0 has as many derivatives as its exponent says.
    fn powf(self, exponent: f64) -> Self {
        let x = self.id;
        if exponent >= 0.0 {
            let powers = Descent::default();
            let at = move |level: usize| exponent - level as f64;
            // From here on exponents are negative; no degree comes down here from a large one.
            let last = (exponent < 1e6).then(|| {
                let level = exponent as usize + 1;
                (level, self.powf(at(level)).id)
            });
            return self.system.defined(move |system, k| {
                powers.coefficient(
                    [0, k],
                    &|i| system.at(x, i),
                    &|level, k| match last {
                        Some((negative, last)) if level == negative => Some(system.at(last, k)),
                        _ => (k == 0).then(|| Some(system.start(x).powf(at(level)))),
                    },
                    &|level, x| (at(level) != 0.0).then(|| x * T::from_f64(at(level))),
                )
            });
        }
        let scale = self.constant(exponent);
        self.solution(
            move |system| system.start(x).powf(exponent),
            |y| y * (scale * self.rate()) / self,
        )
    }

    /// Where the base is 0, powers of it take the exponent as fixed, and `0^0` does not move with
    /// the base: the conventions of the derivative.
    fn pow(self, exponent: Self) -> Self {
        if exponent.is_constant() {
            return self.held_pow(exponent);
        }
        let (zero, one) = (self.constant(0.0), self.constant(1.0));
        let is_zero = self.equal(zero);
        let base = is_zero.select(one, self);
        let start = |base: Self| {
            let (base, exponent) = (base.id, exponent.id);
            move |system: &System<'t, T>| system.start(base).pow(system.start(exponent))
        };
        let moving = self.solution(start(base), |y| {
            y * (exponent.rate() * base.ln() + exponent * base.rate() / base)
        });
        let both = is_zero * exponent.equal(zero);
        let slope = exponent * both.select(one, self).held_pow(exponent - one);
        let slope = both.select(zero, slope);
        let held = self.solution(start(self), |_| slope * self.rate());
        is_zero.select(held, moving)
    }

    /// At the origin, the derivative is 0.
    fn hypot(self, other: Self) -> Self {
        let (a, b) = (self.id, other.id);
        self.solution(
            move |system| system.start(a).hypot(system.start(b)),
            |y| quotient_or_zero(self * self.rate() + other * other.rate(), y),
        )
    }

    fn sinh(self) -> Self {
        self.hyperbolic()[0]
    }

    fn cosh(self) -> Self {
        self.hyperbolic()[1]
    }

    fn erfc(self) -> Self {
        let x = self.id;
        let scale = self.constant(-FRAC_2_SQRT_PI);
        self.solution(
            move |system| system.start(x).erfc(),
            |_| scale * (-self.square()).exp() * self.rate(),
        )
    }

    fn polygamma(self, n: u32) -> Self {
        self.composed(move |x, order| x.polygamma(n + order))
    }

    fn sinc_derivative(self, n: u32) -> Self {
        self.composed(move |x, order| x.sinc_derivative(n + order))
    }

    fn clamp(self, low: f64, high: f64) -> Self {
        let [low, high] = [low, high].map(|bound| self.constant(bound));
        self.less(low).select(low, self.greater(high).select(high, self))
    }

    fn greater(self, other: Self) -> Self {
        self.step(other, |a, b| a.greater(b))
    }

    fn greater_equal(self, other: Self) -> Self {
        self.step(other, |a, b| a.greater_equal(b))
    }

    fn less(self, other: Self) -> Self {
        self.step(other, |a, b| a.less(b))
    }

    fn less_equal(self, other: Self) -> Self {
        self.step(other, |a, b| a.less_equal(b))
    }

    fn equal(self, other: Self) -> Self {
        self.step(other, |a, b| a.equal(b))
    }

    fn select(self, yes: Self, no: Self) -> Self {
        let (mask, yes, no) = (self.id, yes.id, no.id);
        self.system.defined(move |system, k| {
            let (yes, no) = (system.at(yes, k), system.at(no, k));
            let zero = || system.tape.scalar_constant(T::zero());
            (yes.is_some() || no.is_some()).then(|| {
                let branches = [yes, no].map(|branch| branch.unwrap_or_else(zero));
                system.start(mask).select(branches[0], branches[1])
            })
        })
    }
}
