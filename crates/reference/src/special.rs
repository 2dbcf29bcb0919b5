//! Special functions by series, continued fractions and integrals, written out.
//!
//! They are slow, and operands repeat, so values are remembered.

use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::{FRAC_2_SQRT_PI, PI};

use crate::estimate::{Estimate, exact, unknown, within};

thread_local! {
    static REMEMBERED: RefCell<HashMap<(&'static str, u32, u64), Estimate>> = RefCell::default();
}

/// A function's value, computed once for each operand.
fn remembered(name: &'static str, order: u32, x: f64, of: impl Fn(f64) -> Estimate) -> Estimate {
    let key = (name, order, x.to_bits());
    if let Some(estimate) = REMEMBERED.with_borrow(|known| known.get(&key).copied()) {
        return estimate;
    }
    let estimate = of(x);
    REMEMBERED.with_borrow_mut(|known| {
        // Operands of random programs do not repeat for ever.
        if known.len() > 1 << 16 {
            known.clear();
        }
        known.insert(key, estimate);
    });
    estimate
}

/// `e^(-x^2)`, with the square in two parts, the larger of which is exact.
fn gauss(x: f64) -> f64 {
    let head = f64::from(x as f32);
    (-head * head).exp() * (-(x - head) * (x + head)).exp()
}

/// `2 / sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (1 3 5 ... (2n+1))`, whose terms have one sign.
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    FRAC_2_SQRT_PI * gauss(x) * sum
}

/// `e^(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + 2 / ...))))` for positive `x`.
fn erfc_fraction(x: f64) -> f64 {
    let terms = (250.0 / (x * x)).ceil().max(20.0) as u32;
    let tail = (1..=terms).rev().fold(x, |tail, k| x + f64::from(k) / 2.0 / tail);
    gauss(x) * FRAC_2_SQRT_PI / 2.0 / tail
}

pub(crate) fn erf(x: f64) -> Estimate {
    remembered("erf", 0, x, |x| match x.abs() {
        size if size.is_nan() => exact(x),
        size if size > 6.0 => within(4.0, 1.0_f64.copysign(x)),
        size if size < 2.0 => within(8.0, erf_series(x)),
        size => within(4.0, (1.0 - erfc_fraction(size)).copysign(x)),
    })
}

pub(crate) fn erfc(x: f64) -> Estimate {
    remembered("erfc", 0, x, |x| match x {
        x if x.is_nan() => exact(x),
        x if x > 30.0 => within(4.0, 0.0),
        x if x > 0.5 => within(16.0, erfc_fraction(x)),
        x => within(4.0, 1.0 - erf(x).value),
    })
}

/// The `x` of `erf x = y`, by Newton's steps from where halving an interval leads.
pub(crate) fn erf_inv(y: f64) -> Estimate {
    remembered("erf_inv", 0, y, |y| {
        let size = y.abs();
        if size.is_nan() || size > 1.0 {
            return exact(f64::NAN);
        }
        if size == 1.0 {
            return exact(f64::INFINITY.copysign(y));
        }
        // Near 1 the complement has the digits.
        let is_near_one = size > 0.75;
        let excess = |x: f64| match is_near_one {
            true => (1.0 - size) - erfc(x).value,
            false => erf(x).value - size,
        };
        let (mut low, mut high) = (if is_near_one { 0.5 } else { 0.0 }, 6.0);
        for _ in 0..12 {
            let middle = (low + high) / 2.0;
            if excess(middle) < 0.0 { low = middle } else { high = middle }
        }
        let mut x = (low + high) / 2.0;
        for _ in 0..6 {
            x -= excess(x) / (FRAC_2_SQRT_PI * gauss(x));
        }
        within(16.0, x.copysign(y))
    })
}

/// The Bernoulli numbers of even order from 2 on.
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
];

/// From where on Stirling's series is as good as exact.
const LARGE: f64 = 20.0;

/// `ln |gamma(x)|`, by Stirling's series far out, to which `gamma(x + 1) = x gamma(x)` leads.
pub(crate) fn ln_gamma(x: f64) -> Estimate {
    remembered("ln_gamma", 0, x, |x| {
        if x.is_nan() {
            return exact(x);
        }
        if x.is_infinite() || (x <= 0.0 && x == x.floor()) {
            return exact(f64::INFINITY);
        }
        if x < -1e3 {
            return unknown();
        }
        let (mut shifted, mut product, mut size) = (x, 0.0, 0.0);
        while shifted < LARGE {
            product += shifted.abs().ln();
            size += shifted.abs().ln().abs();
            shifted += 1.0;
        }
        let mut sum = (shifted - 0.5) * shifted.ln() - shifted + (2.0 * PI).ln() / 2.0;
        for (k, b) in (1..).zip(BERNOULLI) {
            let n = f64::from(2 * k);
            sum += b / (n * (n - 1.0) * shifted.powi(2 * k - 1));
        }
        let value = sum - product;
        // Where the shifts cancel, digits of the series are gone.
        Estimate { value, error: 8.0 * value.abs() + 2.0 * size + 4.0 * sum.abs() }
    })
}

/// The derivative of order `n` of digamma, by the derivatives of Stirling's series.
pub(crate) fn polygamma(n: u32, x: f64) -> Estimate {
    remembered("polygamma", n, x, |x| {
        let order = f64::from(n);
        if x.is_nan() {
            return exact(x);
        }
        if x <= 0.0 && x == x.floor() && x.is_finite() {
            return exact(if n % 2 == 1 { f64::INFINITY } else { f64::NAN });
        }
        if !(-1e3..1e15).contains(&x) || n > 20 {
            return unknown();
        }
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        let sign = if n.is_multiple_of(2) { -1.0 } else { 1.0 };
        let (mut value, mut size, mut shifted) = (0.0, 0.0, x);
        let mut add = |term: f64| {
            value += term;
            size += term.abs();
        };
        while shifted < LARGE + order {
            add(sign * factorial(n) / shifted.powi(n as i32 + 1));
            shifted += 1.0;
        }
        match n {
            0 => add(shifted.ln()),
            _ => add(sign * factorial(n - 1) / shifted.powi(n as i32)),
        }
        add(sign * factorial(n) / (2.0 * shifted.powi(n as i32 + 1)));
        for (k, b) in (1..).zip(BERNOULLI) {
            // (2k + n - 1)! / (2k)!
            let rising = (2 * k + 1..2 * k + n).map(f64::from).product::<f64>();
            let rising = if n == 0 { 1.0 / f64::from(2 * k) } else { rising };
            add(sign * b * rising / shifted.powi((2 * k + n) as i32));
        }
        Estimate { value, error: 16.0 * size }
    })
}

/// The derivative of order `n` of `sin(pi x) / (pi x)`, which is the integral of
/// `(pi t)^n cos(pi x t + n pi / 2)` for `t` from 0 to 1, by Gauss's rule of five points.
pub(crate) fn sinc(n: u32, x: f64) -> Estimate {
    const POINTS: [(f64, f64); 5] = [
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (0.906_179_845_938_664, 0.236_926_885_056_189_08),
        (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    ];
    remembered("sinc", n, x, |x| {
        if x.is_nan() {
            return exact(x);
        }
        if x.abs() > 1e3 || n > 30 {
            return unknown();
        }
        let panels = (8 * (8 + n + x.abs() as u32)).min(1 << 14);
        let width = 1.0 / f64::from(panels);
        let mut integral = 0.0;
        for panel in 0..panels {
            for (place, weight) in POINTS {
                let t = (f64::from(panel) + (1.0 + place) / 2.0) * width;
                let turn = f64::from(n % 4) * PI / 2.0;
                integral +=
                    weight / 2.0 * width * (PI * t).powi(n as i32) * (PI * x * t + turn).cos();
            }
        }
        Estimate { value: integral, error: 16.0 * PI.powi(n as i32) / f64::from(n + 1) }
    })
}
