//! Elemental functions: what the tape is a list of.
//!
//! An op is one struct with one `impl`, holding all that is known of it: name,
//! formula, shape rule, evaluation, derivative, cost, kinks, and where to test it.
//! Most ops belong to a *family*, whose trait asks only for what is particular to
//! the op; forward and reverse rules then follow from the same statement and
//! cannot disagree:
//!
//! | family | the op states | follows |
//! | --- | --- | --- |
//! | [`Elementwise`] | the function and its local partials | jvp, vjp, Taylor, broadcasting |
//! | [`Linear`] | the map and its transpose | jvp = map, vjp = transpose, Taylor = map |
//! | [`Bilinear`] | the map and its two transposes | jvp, vjp, Taylor by convolution |
//! | [`RowReduction`] | the gradient of a row | jvp, vjp, Taylor by the jvp |
//! | [`Selection`] | the map of the second operand, and its transpose | as linear in it |
//! | [`Op`] | jvp and vjp by hand | Taylor, by the jvp |
//!
//! Rules are written with [`Var`] operations, so every order of derivative
//! exists. The adjoint of broadcasting stands in one place, [`Var::sum_to`].
//!
//! *Invariant*: adding an op touches its family's file and one line of
//! [`registry`]; an op without samples does not compile.

mod bilinear;
mod elementwise;
pub mod family;
mod knowledge;
mod linear;
mod matrix;
pub mod registry;
mod rows;
mod user;
mod window;

// The library: what a file of it makes public is an op, or what describes one.
pub use bilinear::*;
pub use elementwise::*;
pub use linear::*;
pub use matrix::*;
pub use rows::*;
pub use window::*;

pub use crate::tape::elemental::{
    Accumulating, Along, Call, Cost, Dependence, DynOp, Elementary, Formula, Role, Series,
    SeriesCall, Stacked, Summing, System, Term, TwoFactors,
};
pub(crate) use crate::tape::elemental::{add_terms, filled_up};
pub use family::bilinear::Bilinear;
pub use family::elementwise::{Elementwise, Partials};
pub use family::general::Op;
pub use family::linear::{Linear, Shapes};
pub use family::row_reduction::RowReduction;
pub use family::selection::Selection;
pub use knowledge::samples::{self, Domain, SampleSet, Samples, ShapeClass};
pub use user::custom::{custom_jvp, custom_vjp};
pub(crate) use user::opaque::Opaque;

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// Any op, whatever its family.
///
/// `Family` is inferred: a type that implements one of the families' traits is an
/// operation of that family.
pub trait Operation<T: Real, Family>: Sized {
    /// The object-safe shell.
    type Dyn: DynOp<T>;

    /// Wraps the op.
    fn into_dyn(self) -> Self::Dyn;

    /// The op's samples.
    fn sample_set() -> SampleSet<T>;
}

impl<T: Real> Tape<T> {
    /// Records an op, the user's or built in, on its operands.
    ///
    /// # Panics
    /// If the operands do not fit the op, or belong to another tape.
    #[track_caller]
    pub fn apply<'t, Family>(
        &'t self,
        op: impl Operation<T, Family>,
        args: &[Var<'t, T>],
    ) -> Var<'t, T> {
        self.record(op.into_dyn(), args)
    }
}

/// # Ops of any kind
impl<T: Real> Var<'_, T> {
    /// Records an op of one operand, the user's or built in.
    ///
    /// # Panics
    /// If the shape does not fit the op.
    #[track_caller]
    #[inline]
    pub fn apply<Family>(self, op: impl Operation<T, Family>) -> Self {
        self.tape().apply(op, &[self])
    }
}

/// The operands, if there are `N` of them.
pub(crate) fn operands<'a, const N: usize>(args: &[&'a Shape]) -> Result<[&'a Shape; N], String> {
    <[&Shape; N]>::try_from(args).map_err(|_| format!("takes {N} operands, not {}", args.len()))
}
