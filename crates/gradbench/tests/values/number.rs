//! Numbers of many digits, in which functions are computed by plain loops and differentiated by differences.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use astro_float_num::{BigFloat, Consts, RoundingMode, Sign};

/// Bits of a mantissa.
const BITS: usize = 128;
const ROUNDING: RoundingMode = RoundingMode::ToEven;

thread_local! {
    static CONSTANTS: RefCell<Consts> = RefCell::new(Consts::new().expect("memory for constants"));
}

/// A number of about 38 digits.
#[derive(Clone, Debug)]
pub struct Big(BigFloat);

pub fn big(x: f64) -> Big {
    Big(BigFloat::from_f64(x, BITS))
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl $trait<&Big> for &Big {
            type Output = Big;
            fn $method(self, other: &Big) -> Big {
                Big(self.0.$method(&other.0, BITS, ROUNDING))
            }
        }
        impl $trait for Big {
            type Output = Big;
            fn $method(self, other: Big) -> Big {
                (&self).$method(&other)
            }
        }
        impl $trait<f64> for Big {
            type Output = Big;
            fn $method(self, other: f64) -> Big {
                (&self).$method(&big(other))
            }
        }
    )*};
}
operators!(Add add, Sub sub, Mul mul, Div div);

impl Neg for Big {
    type Output = Big;
    fn neg(self) -> Big {
        Big(self.0.neg())
    }
}

macro_rules! functions {
    ($($name:ident),*) => {$(
        pub fn $name(&self) -> Big {
            CONSTANTS.with(|constants| Big(self.0.$name(BITS, ROUNDING, &mut constants.borrow_mut())))
        }
    )*};
}

impl Big {
    functions!(exp, ln, sin, cos, tanh);

    pub fn sqrt(&self) -> Big {
        Big(self.0.sqrt(BITS, ROUNDING))
    }

    pub fn sigmoid(&self) -> Big {
        big(1.0) / ((-self.clone()).exp() + 1.0)
    }

    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// To about the nearest double.
    pub fn to_f64(&self) -> f64 {
        if self.0.is_zero() {
            return 0.0;
        }
        let (words, _, sign, exponent, _) = self.0.as_raw_parts().expect("a finite number");
        let leading = *words.last().expect("a mantissa") as f64;
        let magnitude = leading * 2_f64.powi(exponent - 64);
        if sign == Sign::Neg { -magnitude } else { magnitude }
    }
}

pub fn sum(terms: impl IntoIterator<Item = Big>) -> Big {
    terms.into_iter().fold(big(0.0), |sum, term| sum + term)
}

pub fn bigs(x: &[f64]) -> Vec<Big> {
    x.iter().map(|&x| big(x)).collect()
}

pub fn floats(x: &[Big]) -> Vec<f64> {
    x.iter().map(Big::to_f64).collect()
}

/// The Jacobian of a function, a row for each input: central differences, whose error is of
/// the order of `h^2` = 2e-22.
pub fn differences(f: impl Fn(&[Big]) -> Vec<Big>, x: &[f64]) -> Vec<Vec<f64>> {
    let h = 2_f64.powi(-36);
    let quotients = |i: usize| {
        let at = |h: f64| {
            let mut x = bigs(x);
            x[i] = x[i].clone() + h;
            f(&x)
        };
        let (above, below) = (at(h), at(-h));
        above.iter().zip(&below).map(|(a, b)| ((a - b) / (2.0 * h)).to_f64()).collect()
    };
    (0..x.len()).map(quotients).collect()
}

/// The gradient of a function with one value.
pub fn gradient(f: impl Fn(&[Big]) -> Big, x: &[f64]) -> Vec<f64> {
    differences(|x| vec![f(x)], x).concat()
}
