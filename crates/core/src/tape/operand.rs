//! What may stand beside a variable.
//!
//! One trait, so that operators are one implementation for all right sides: the type of
//! `x * 2.0` is known before that of `2.0` is, and literals need no suffix. On the left the
//! language wants an implementation for each type. Literals are inferred there as long as
//! `f64` is the only number, so it is.

use super::{Tape, Var};
use crate::scalar::Real;
use crate::tensor::Tensor;

/// What can stand beside a variable of `T`: another one, a number, or data.
///
/// Operators and methods of two operands take it:
///
/// ```
/// use wengert_core::{Tensor, grad};
///
/// let x = Tensor::from([1.0, 2.0, 3.0]);
/// let gradient = grad(|w| (1.0 - w * &x).maximum(0.0).sum(), &Tensor::from(0.4));
/// assert_eq!(gradient.item(), -3.0); // the first two are positive
/// ```
///
/// *Numbers* are `f32` or `f64` beside variables of either precision, and are rounded to that of the
/// variable. The same holds for the numbers that methods take (`powf`, `clamp`, ...). So a function over
/// `T: Real` is written like one over `f64`, with the number on either side. On the left of an operator a
/// number is an `f64`: an `f32` stands on the right, or is converted (`f64::from`).
///
/// ```
/// use wengert_core::{Real, Var};
///
/// fn swish<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
///     x / (1.0 + (-x).exp())
/// }
/// ```
///
/// *Data* have the precision of the variable and are constants: a tensor or a reference to one, an
/// array, a vector or slice. Tensors and arrays may stand on either side.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand beside a variable of `{T}`",
    label = "neither a variable, nor a number, nor data of `{T}`",
    note = "these can: another variable, `f64` and `f32`, and tensors (`&Tensor<{T}>`), arrays and vectors of `{T}`",
    note = "a whole number becomes one by `as f64`, a tensor of another precision by `.cast()`"
)]
pub trait Operand<'t, T: Real> {
    /// The operand as a value on a tape: a constant, unless it is a variable.
    #[track_caller]
    fn on(self, tape: &'t Tape<T>) -> Var<'t, T>;
}

impl<'t, T: Real> Operand<'t, T> for Var<'t, T> {
    #[inline(always)]
    fn on(self, _: &'t Tape<T>) -> Var<'t, T> {
        self
    }
}

// Whatever is no number is told as no operand, rather than as no number.
#[diagnostic::do_not_recommend]
impl<'t, T: Real, N: Real> Operand<'t, T> for N {
    #[track_caller]
    #[inline]
    fn on(self, tape: &'t Tape<T>) -> Var<'t, T> {
        tape.scalar_constant(T::from_f64(self.as_f64()))
    }
}

macro_rules! data {
    ($([$($generics:tt)*] $data:ty;)*) => {$(
        impl<'t, T: Real $($generics)*> Operand<'t, T> for $data {
            #[track_caller]
            #[inline]
            fn on(self, tape: &'t Tape<T>) -> Var<'t, T> {
                tape.constant(self)
            }
        }
    )*};
}

data! {
    [] &Tensor<T>;
    [] Tensor<T>;
    [] Vec<T>;
    [] &[T];
    [, const N: usize] [T; N];
    [, const N: usize, const M: usize] [[T; M]; N];
}
