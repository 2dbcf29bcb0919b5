//! What a tape asks of an elemental function.
//!
//! A list of operations needs to know of each what it computes and how derivatives pass through
//! it. [`DynOp`] is this question, and this folder holds everything that it is put in terms of.
//! The answers stand in the room of ops, which the tape does not see.

/// What computes in one go what a rule would record has no rules itself.
macro_rules! no_rules {
    () => {
        fn has_rules(&self) -> bool {
            false
        }

        fn jvp<'t>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
            unreachable!("it has no rules")
        }

        fn vjp<'t>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
            unreachable!("it has no rules")
        }
    };
}
pub(crate) use no_rules;

mod call;
mod cost;
mod dependence;
mod formula;
mod role;
mod series;
mod stacked;

pub(crate) use call::add_terms;
pub use call::{Call, Term};
pub use cost::Cost;
pub use dependence::{Along, Dependence};
pub use formula::Formula;
pub use role::{Accumulating, Elementary, Role, Summing, TwoFactors};
pub(crate) use series::convolution;
pub use series::{Series, SeriesCall, System};
pub use stacked::Stacked;
pub(crate) use stacked::filled_up;

use std::any::Any;
use std::fmt::Debug;

use super::Var;
use crate::scalar::Real;
use crate::tensor::{Layout, Shape, View};

/// The object-safe side of every op: what tapes and sweeps call.
///
/// Nobody implements this by hand: it follows from a family's trait through
/// [`Operation`](crate::op::Operation).
#[doc(hidden)]
pub trait DynOp<T: Real>: Any + Debug {
    /// The name.
    fn name(&self) -> &'static str;
    /// The formula, of ops that stand in the registry.
    fn formula(&self) -> Formula {
        Formula::default()
    }
    /// The op as its author wrote it, without the shell of its family, for whoever wants
    /// to know its parameters. `()` for ops that nobody but core records.
    fn as_any(&self) -> &dyn Any {
        &()
    }
    /// The shape of the result, or the reason why there is none.
    ///
    /// # Errors
    /// The reason, as a sentence.
    fn shape(&self, args: &[&Shape]) -> Result<Shape, String>;
    /// For ops that only look at elements in another way: the layout of the
    /// result, and how far its first element lies from the argument's.
    fn view(&self, _arg: &Layout) -> Option<(Layout, isize)> {
        None
    }
    /// Writes every element of a result of the given shape.
    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]);
    /// The result for scalar arguments, where that is one number.
    #[inline]
    fn eval_scalar(&self, _args: &[T]) -> Option<T> {
        None
    }
    /// Whether a derivative can differ from zero.
    #[inline]
    fn is_differentiable(&self) -> bool {
        true
    }
    /// Whether it has derivative rules. What a fast sweep computes in one go has none: a sweep
    /// that is to be differentiated records the formula in its place.
    #[inline]
    fn has_rules(&self) -> bool {
        true
    }
    /// The tangent of the result.
    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T>;
    /// What the cotangent adds to one argument's adjoint.
    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T>;
    /// The Taylor coefficients of the result. Every op has them by its forward rule.
    fn taylor<'s, 't>(&self, call: SeriesCall<'s, 't, T>) -> Series<'s, 't, T> {
        call.by_jvp()
    }
    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t>(&self, _operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        None
    }
    /// The scalar operations of one evaluation.
    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost;
    /// The distance to the nearest kink.
    fn kink_distance(&self, _args: &[View<'_, T>]) -> T {
        T::infinity()
    }
    /// The elements of operand `arg` on which an element of the result depends.
    fn dependence(&self, _args: &[&Shape], _arg: usize, _result: &Shape) -> Dependence {
        Dependence::Everything
    }
    /// Whether `other` is the same op with the same parameters.
    fn equals(&self, other: &dyn Any) -> bool;
    /// What it is to those who compute with it in another way than operation by operation.
    #[inline]
    fn role(&self) -> Role<'_, T> {
        Role::Opaque
    }
}
