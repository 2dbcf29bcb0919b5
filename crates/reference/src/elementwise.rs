//! Functions of one element of each operand, by the formulas of the C library and of textbooks.

use std::any::Any;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, LN_2};

use wengert_core::op::{
    Abs, Acos, Acosh, Add, Asin, Asinh, Atan, Atan2, Atanh, Cbrt, Ceil, Clamp, Cos, Cosh, Div, Elu,
    Equal, Erf, ErfInv, Erfc, Exp, Exp2, Expm1, Floor, Gelu, GeluTanh, Greater, GreaterEqual,
    Hypot, LeakyRelu, Less, LessEqual, Ln, Ln1p, LnGamma, Log2, Log10, LogAddExp, LogSigmoid,
    Maximum, Minimum, Mish, Mul, Neg, NotEqual, Polygamma, Pow, Powf, Powi, Reciprocal, Relu,
    Remainder, Round, Select, Sigmoid, Sign, Silu, Sin, Sinc, Sinh, Softplus, Softsign, Sqrt,
    Square, Sub, Tan, Tanh, Trunc, Xlogy,
};

use crate::estimate::{Estimate, exact, within};
use crate::{Array, Precision, What, indices, special};

/// A function of each element of the operands, stretched to a common shape.
fn broadcast<const N: usize, R: Into<Estimate>>(
    args: &[Array],
    function: impl Fn([f64; N]) -> R,
) -> What {
    let rank = args.iter().map(Array::rank).max().unwrap_or(0);
    let extent = |axis: usize| {
        let of = |arg: &Array| (axis + arg.rank()).checked_sub(rank).map(|axis| arg.shape[axis]);
        args.iter().filter_map(of).find(|&extent| extent != 1).unwrap_or(1)
    };
    let shape: Vec<usize> = (0..rank).map(extent).collect();
    let at = |index: &[usize]| function(std::array::from_fn(|k| args[k].stretched_at(index)));
    let elements = indices(&shape).map(|index| at(&index).into()).collect();
    (shape, elements).into()
}

macro_rules! definitions {
    ($op:ident, $args:ident; $($pattern:pat, [$($x:ident),+] => $value:expr;)*) => {
        $(if let Some($pattern) = $op.downcast_ref() {
            return Some(broadcast($args, |[$($x),+]| $value));
        })*
    };
}

pub(crate) fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    let round = |x: f64| precision.round(x);
    definitions! { op, args;
        Neg, [x] => exact(-x);
        Add, [a, b] => within(1.0, a + b);
        Sub, [a, b] => within(1.0, a - b);
        Mul, [a, b] => within(1.0, a * b);
        Div, [a, b] => within(1.0, a / b);
        Abs, [x] => exact(x.abs());
        Maximum, [a, b] => exact(if a >= b || a.is_nan() { a } else { b });
        Minimum, [a, b] => exact(if a <= b || a.is_nan() { a } else { b });
        Square, [x] => within(1.0, x * x);
        Sqrt, [x] => within(1.0, x.sqrt());
        Reciprocal, [x] => within(1.0, 1.0 / x);
        // One rounding for each of the products.
        Powi(n), [x] => within(4.0 + 2.0 * f64::from(*n).abs(), x.powf(f64::from(*n)));
        Powf(p), [x] => x.powf(round(*p));
        Pow, [a, b] => a.powf(b);
        Cbrt, [x] => x.cbrt();
        Hypot, [a, b] => a.hypot(b);
        Exp, [x] => x.exp();
        Expm1, [x] => x.exp_m1();
        Ln, [x] => x.ln();
        Ln1p, [x] => x.ln_1p();
        Exp2, [x] => x.exp2();
        Log2, [x] => x.log2();
        Log10, [x] => x.log10();
        LogAddExp, [a, b] => log_add_exp(a, b);
        Xlogy, [x, y] => if x == 0.0 && !y.is_nan() { 0.0 } else { x * y.ln() };
        Sin, [x] => x.sin();
        Cos, [x] => x.cos();
        Tan, [x] => x.tan();
        Asin, [x] => x.asin();
        Acos, [x] => x.acos();
        Atan, [x] => x.atan();
        Atan2, [y, x] => y.atan2(x);
        Sinh, [x] => x.sinh();
        Cosh, [x] => x.cosh();
        Asinh, [x] => asinh(x);
        Acosh, [x] => acosh(x);
        Atanh, [x] => atanh(x);
        Erf, [x] => special::erf(x);
        Erfc, [x] => special::erfc(x);
        ErfInv, [x] => special::erf_inv(x);
        LnGamma, [x] => special::ln_gamma(x);
        Polygamma(n), [x] => special::polygamma(*n, x);
        Sinc(n), [x] => special::sinc(*n, x);
        Floor, [x] => exact(x.floor());
        Ceil, [x] => exact(x.ceil());
        Round, [x] => exact(x.round_ties_even());
        Trunc, [x] => exact(x.trunc());
        Sign, [x] => exact(if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x });
        Remainder, [a, b] => within(1.0, remainder(a, b));
        Clamp { low, high }, [x] => exact(x.clamp(round(*low), round(*high)));
        Tanh, [x] => x.tanh();
        Sigmoid, [x] => sigmoid(x);
        Softplus, [x] => softplus(x);
        Relu, [x] => exact(if x <= 0.0 { 0.0 } else { x });
        LeakyRelu(slope), [x] => within(2.0, if x > 0.0 { x } else { round(*slope) * x });
        Elu { scale, alpha, width }, [x] => elu(x, *scale, *alpha, *width);
        LogSigmoid, [x] => -softplus(-x);
        Silu, [x] => gated(x, sigmoid(x), 1.0);
        Gelu, [x] => gated(x, 0.5 * special::erfc(-x * FRAC_1_SQRT_2).value, x * x);
        GeluTanh, [x] => {
            let u = FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x);
            gated(x, sigmoid(2.0 * u), u.abs())
        };
        Mish, [x] => gated(x, softplus(x).tanh(), 1.0);
        Softsign, [x] => x / (1.0 + x.abs());
        Greater, [a, b] => indicator(a > b);
        GreaterEqual, [a, b] => indicator(a >= b);
        Less, [a, b] => indicator(a < b);
        LessEqual, [a, b] => indicator(a <= b);
        Equal, [a, b] => indicator(a == b);
        NotEqual, [a, b] => indicator(a != b);
        Select, [mask, a, b] => exact(if mask == 0.0 { b } else { a });
    }
    None
}

fn indicator(holds: bool) -> Estimate {
    exact(if holds { 1.0 } else { 0.0 })
}

fn log_add_exp(a: f64, b: f64) -> Estimate {
    let largest = a.max(b);
    // Where both are the same infinity, their difference is no number.
    let value = match a == b {
        true => a + LN_2,
        false => largest + (-(a - b).abs()).exp().ln_1p(),
    };
    let value = if a.is_nan() || b.is_nan() { f64::NAN } else { value };
    // The term that is added to the larger one is rounded: ln 2, where both are the same.
    let rounded = if a == b { LN_2 / 2.0 } else { 4.0 * largest.abs().min(1e300) };
    Estimate { value, error: 4.0 * value.abs() + rounded }
}

/// The remainder with the sign of the divisor, from the one with the sign of `a`, which is exact.
fn remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

fn asinh(x: f64) -> f64 {
    // ln(x + sqrt(x^2 + 1)), as 1 and what is added to it.
    let size = x.abs();
    let y = if size > 1e9 {
        size.ln() + LN_2
    } else {
        (size + size * size / (1.0 + (size * size + 1.0).sqrt())).ln_1p()
    };
    y.copysign(x)
}

fn acosh(x: f64) -> f64 {
    let above = x - 1.0;
    if x > 1e9 { x.ln() + LN_2 } else { (above + (above * (above + 2.0)).sqrt()).ln_1p() }
}

fn atanh(x: f64) -> f64 {
    (0.5 * (2.0 * x.abs() / (1.0 - x.abs())).ln_1p()).copysign(x)
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// `x` times a gate between 0 and 1 that closes for negative `x` faster than `x` falls, from an
/// argument that a rounding moves by a share of `size`.
fn gated(x: f64, gate: f64, size: f64) -> Estimate {
    let value = if gate == 0.0 { 0.0 } else { x * gate };
    Estimate {
        value,
        error: 8.0 * value.abs() * (1.0 + if value == 0.0 { 0.0 } else { size.min(1e4) }),
    }
}

fn elu(x: f64, scale: f64, alpha: f64, width: f64) -> Estimate {
    if x > 0.0 {
        return (scale * x).into();
    }
    let z = x / width;
    let value = scale * alpha * z.exp_m1();
    Estimate { value, error: 8.0 * value.abs() * (1.0 + z.abs().min(1e4)) }
}
