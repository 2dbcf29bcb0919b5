//! The family of functions that act on each element by itself.
//!
//! An elementwise op states its value and its local partials, once, as formulas
//! over numbers. In a sweep that keeps nothing, value and partial run as one loop
//! over memory ([`PartialProduct`]); in a recorded sweep the same formula is
//! recorded, so that it can be differentiated again. Operands broadcast, and the
//! adjoint of that is [`Var::sum_to`], here and for every family.

use std::fmt::Debug;

use crate::op::{Cost, Formula, Samples};
use crate::scalar::{Number, Real};

/// How the partials of a function act on a tangent or a cotangent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partials {
    /// They are factors.
    Factors,
    /// They are 1 where the operand was chosen, and 0 where another was: what comes is
    /// passed on or dropped, and no infinity or NaN gets through where it is dropped.
    Choices,
    /// The function is put together from pieces. Where a partial is 0, so is that of the
    /// whole piece, and what comes is dropped; elsewhere it is a factor.
    Pieces,
}

impl Partials {
    /// A tangent or a cotangent times a partial.
    #[inline(always)]
    pub(super) fn scale<A: Number>(self, factor: A, partial: A) -> A {
        let zero = partial.constant(0.0);
        match self {
            Self::Factors => factor * partial,
            Self::Choices => partial.select(factor, zero),
            // The factor is chosen before, for the adjoint of the partial, and the product
            // after, for the partial's own tangent.
            Self::Pieces => {
                let is_zero = partial.equal(zero);
                is_zero.select(zero, is_zero.select(zero, factor) * partial)
            }
        }
    }
}

/// A function of `N` numbers, at most 8, applied element by element.
///
/// ```
/// use wengert_core::op::{Domain, Elementwise, Samples};
/// use wengert_core::{Number, Tape};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Swish;
///
/// impl Elementwise<1> for Swish {
///     const NAME: &'static str = "swish";
///     fn eval<A: Number>(self, [x]: [A; 1]) -> A {
///         x / (x.constant(1.0) + (-x).exp())
///     }
///     fn partial<A: Number>(self, _: usize, [x]: [A; 1], y: A) -> A {
///         let s = x.sigmoid();
///         s + y * (x.constant(1.0) - s)
///     }
///     fn samples(samples: &mut Samples<Self>) {
///         samples.over(Swish, [Domain::reals()]);
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.variable([0.0, 1.0]);
/// let y = x.apply(Swish).sum();
/// assert_eq!(y.backward().wrt(x).at(&[0]), 0.5);
/// ```
pub trait Elementwise<const N: usize>: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");
    /// The scalar operations for one element.
    const COST: Cost = Cost::nonlinear(1);
    /// Whether derivatives flow through it at all.
    const DIFFERENTIABLE: bool = true;
    /// Whether loops over it can be vectorised. A function that calls a library for
    /// every number says no, and is not compiled for every vector width in vain.
    const VECTORISES: bool = true;
    /// How partials act. A function that chooses says so: what was not chosen gets an exact
    /// 0, even where 0 is multiplied by infinity.
    const PARTIALS: Partials = Partials::Factors;

    /// Whether Taylor mode reads the value, since it is one function of [`Number`], or a product: it then
    /// needs one convolution. Otherwise Taylor mode solves `y' = sum of partial x'`, which is as
    /// exact, takes one for each partial and each function in it, and knows the partial's choices at
    /// kinks.
    const IS_CLOSED_FORM: bool = false;
    /// Whether the operands are angles: value and partials take sines and cosines of operands, and of
    /// nothing else. Loops over blocks of angles that are [near](Real::is_near) 0 are then vectorised.
    const ARE_ANGLES: bool = false;

    /// The value, from the operands' values. It chooses by [`select`](Number::select), and calls a
    /// library by [`opaque`](Number::opaque).
    fn eval<A: Number>(self, x: [A; N]) -> A;

    /// The derivative of the value `y` with respect to operand `arg`, counted
    /// from 0.
    fn partial<A: Number>(self, arg: usize, x: [A; N], y: A) -> A;

    /// The partials of a function that is linear in its operands. A slope of 1
    /// or 0 costs nothing.
    #[inline]
    fn slopes(self) -> Option<[f64; N]> {
        None
    }

    /// For products: which operand the partial with respect to `arg` is.
    #[inline]
    fn partial_operand(self, _arg: usize) -> Option<usize> {
        None
    }

    /// Which operand the function equals, to the last bit, where some operands are
    /// known numbers: `x` for `x * 1`. Programs leave such functions out.
    fn identity<T: Real>(self, _known: [Option<T>; N]) -> Option<usize> {
        None
    }

    /// The distance to the nearest point where the function has no derivative.
    fn kink_distance<T: Real>(self, _x: [T; N]) -> T {
        T::infinity()
    }

    /// Where to test the function.
    fn samples(samples: &mut Samples<Self>);
}
