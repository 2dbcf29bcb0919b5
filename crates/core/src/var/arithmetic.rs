//! Operators, methods with a number beside the variable, and formulas over
//! variables.

use std::ops;

use crate::op::{Add, Div, LeakyRelu, Mul, Neg, Opaque, Powf, Powi, Select, Sinc, Sub};
use crate::scalar::{Number, Real};
use crate::tape::{Operand, Var};
use crate::tensor::Tensor;

macro_rules! operators {
    ($($op:ident $method:ident, $assign:ident $assign_method:ident;)*) => {$(
        impl<'t, T: Real, R: Operand<'t, T>> ops::$op<R> for Var<'t, T> {
            type Output = Var<'t, T>;

            #[track_caller]
            #[inline]
            fn $method(self, other: R) -> Self {
                let other = other.on(self.tape());
                self.tape().apply($op, &[self, other])
            }
        }

        impl<'t, T: Real, R: Operand<'t, T>> ops::$assign<R> for Var<'t, T> {
            #[track_caller]
            #[inline]
            fn $assign_method(&mut self, other: R) {
                *self = ops::$op::$method(*self, other);
            }
        }

        left! {
            $op $method:
            [] f64;
            [] &Tensor<T>;
            [] Tensor<T>;
            [, const N: usize] [T; N];
            [, const N: usize, const M: usize] [[T; M]; N];
        }
    )*};
}

macro_rules! left {
    ($op:ident $method:ident: $([$($generics:tt)*] $left:ty;)*) => {$(
        impl<'t, T: Real $($generics)*> ops::$op<Var<'t, T>> for $left {
            type Output = Var<'t, T>;

            #[track_caller]
            #[inline]
            fn $method(self, other: Var<'t, T>) -> Var<'t, T> {
                let own = self.on(other.tape());
                other.tape().apply($op, &[own, other])
            }
        }
    )*};
}

operators! {
    Add add, AddAssign add_assign;
    Sub sub, SubAssign sub_assign;
    Mul mul, MulAssign mul_assign;
    Div div, DivAssign div_assign;
}

impl<'t, T: Real> ops::Neg for Var<'t, T> {
    type Output = Var<'t, T>;

    #[track_caller]
    #[inline]
    fn neg(self) -> Self {
        self.apply(Neg)
    }
}

/// # Powers and choices
impl<'t, T: Real> Var<'t, T> {
    /// A whole power, of any base; `x^0` is 1.
    #[doc(alias("pow", "power"))]
    #[track_caller]
    pub fn powi(self, exponent: i32) -> Self {
        self.apply(Powi(exponent))
    }

    /// A real power, of a base greater than 0.
    #[doc(alias("pow", "power"))]
    #[track_caller]
    pub fn powf(self, exponent: f64) -> Self {
        self.apply(Powf(exponent))
    }

    /// `x` where positive, else `slope * x`.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.apply(LeakyRelu(slope))
    }

    /// `yes` where `self` is not 0, else `no`; no derivative flows to `self`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([-1.0, 4.0]);
    /// let positive = x.greater(0.0);
    /// assert_eq!(positive.select(x, -x).value().to_vec(), [1.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, or the operands are on two tapes.
    #[doc(alias = "where")]
    #[track_caller]
    pub fn select(self, yes: impl Operand<'t, T>, no: impl Operand<'t, T>) -> Self {
        let tape = self.tape();
        tape.apply(Select, &[self, yes.on(tape), no.on(tape)])
    }
}

macro_rules! unary {
    ($($method:ident)*) => {$(
        fn $method(self) -> Self {
            Var::$method(self)
        }
    )*};
}

macro_rules! binary {
    ($($method:ident)*) => {$(
        fn $method(self, other: Self) -> Self {
            Var::$method(self, other)
        }
    )*};
}

impl<T: Real> Number for Var<'_, T> {
    fn constant(self, value: f64) -> Self {
        self.constant_like(value)
    }

    unary!(exp expm1 exp2 ln ln1p log2 sin cos tanh sigmoid sinh cosh erf erfc sqrt abs square reciprocal);
    unary!(floor ceil round trunc);
    binary!(pow hypot greater greater_equal less less_equal equal);

    fn powi(self, exponent: i32) -> Self {
        Var::powi(self, exponent)
    }

    fn powf(self, exponent: f64) -> Self {
        Var::powf(self, exponent)
    }

    fn polygamma(self, n: u32) -> Self {
        Var::polygamma(self, n)
    }

    fn sinc_derivative(self, n: u32) -> Self {
        self.apply(Sinc(n))
    }

    fn clamp(self, low: f64, high: f64) -> Self {
        Var::clamp(self, low, high)
    }

    fn select(self, yes: Self, no: Self) -> Self {
        Var::select(self, yes, no)
    }

    fn opaque<const N: usize>(x: [Self; N], f: fn([f64; N]) -> f64) -> Self {
        x[0].tape().apply(Opaque(f), &x)
    }
}
