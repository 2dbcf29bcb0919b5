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
//! | [`Op`] | jvp and vjp by hand | Taylor, by the jvp |
//!
//! Rules are written with [`Var`] operations, so every order of derivative
//! exists. The adjoint of broadcasting stands in one place, [`Var::sum_to`].
//!
//! *Invariant*: adding an op touches its family's file and one line of
//! [`registry`]; an op without samples does not compile.

mod activation;
mod along;
mod arithmetic;
mod bilinear;
mod compare;
mod convolution;
mod cotangent;
mod custom;
mod degenerate;
mod dependence;
mod determinant;
mod dimensions;
mod elementwise;
mod expm;
mod exponential;
mod factorise;
mod hyperbolic;
mod index;
mod linear;
mod movement;
mod order;
mod pool;
mod power;
mod prod;
mod product;
pub mod registry;
mod rounding;
mod row;
pub mod samples;
mod scan;
mod series;
mod solve;
mod special;
mod step;
mod stop;
mod sum;
mod symmetric;
mod triangle;
mod trigonometric;
mod turned;
mod window;

use std::any::Any;
use std::fmt::Debug;

// The library: what a file of it makes public is an op, or what describes one.
pub use activation::*;
pub use along::*;
pub use arithmetic::*;
pub use compare::*;
pub use convolution::*;
pub use degenerate::*;
pub use determinant::*;
pub use expm::*;
pub use exponential::*;
pub use factorise::*;
pub use hyperbolic::*;
pub use index::*;
pub use movement::*;
pub use order::*;
pub use pool::*;
pub use power::*;
pub use prod::*;
pub use product::*;
pub use rounding::*;
pub use row::*;
pub use scan::*;
pub use solve::*;
pub use special::*;
pub use sum::*;
pub use symmetric::*;
pub use triangle::*;
pub use trigonometric::*;
pub use turned::*;

pub use crate::tape::elemental::{
    Along, Call, Cost, Dependence, DynOp, Formula, Series, SeriesCall, Stacked, System,
};
pub(crate) use crate::tape::elemental::{add_terms, filled_up};
pub use bilinear::Bilinear;
pub use custom::{custom_jvp, custom_vjp};
pub use elementwise::{Elementwise, Partials};
pub use linear::{Linear, Shapes};
pub use samples::{Domain, SampleSet, Samples, ShapeClass};
pub use window::{PerAxis, PerSide};

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, View};

/// An op that states both of its rules by hand.
///
/// Prefer a family where one fits. `vjp` and `jvp` are written with [`Var`]
/// operations; the harness proves that they agree.
pub trait Op: Clone + PartialEq + Debug + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");
    /// Whether a derivative can differ from zero.
    const DIFFERENTIABLE: bool = true;
    /// Whether each row or matrix counts for itself, so that all operands may have further
    /// leading axes.
    const LEADING_AXES: bool = false;

    /// The shape of the result.
    ///
    /// # Errors
    /// The reason, as a sentence, if the operands do not fit.
    fn shape(&self, args: &[&Shape]) -> Result<Shape, String>;

    /// Writes every element of the result.
    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]);

    /// The tangent of the result: the Jacobian applied to the arguments'
    /// tangents. `None` stands for zero.
    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>>;

    /// What the result's cotangent adds to the adjoint of one argument: the
    /// transposed Jacobian applied to it. `None` stands for zero.
    ///
    /// What a rule records may depend on the op, on shapes, and on values that it
    /// reads, but on nothing else: a program that repeats itself repeats its
    /// backward sweep without asking the rules, unless one has read a value.
    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>>;

    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t, T: Real>(&self, _operands: &Stacked<'_, 't, T>) -> Option<Var<'t, T>> {
        None
    }

    /// The scalar operations of one evaluation.
    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost;

    /// The distance to the nearest point where the op has no derivative.
    fn kink_distance<T: Real>(&self, _args: &[View<'_, T>]) -> T {
        T::infinity()
    }

    /// The elements of operand `arg` on which an element of the result depends.
    fn dependence(&self, _args: &[&Shape], _arg: usize, _result: &Shape) -> Dependence {
        Dependence::Everything
    }

    /// Where to test the op.
    fn samples(samples: &mut Samples<Self>);
}

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

/// Markers that tell the families apart.
pub mod family {
    /// The family of [`Op`](super::Op).
    #[derive(Clone, Copy, Debug)]
    pub enum General {}
    /// The family of [`Elementwise`](super::Elementwise) with `N` operands.
    #[derive(Clone, Copy, Debug)]
    pub enum Elementwise<const N: usize> {}
    /// The family of [`Linear`](super::Linear).
    #[derive(Clone, Copy, Debug)]
    pub enum Linear {}
    /// The family of [`Bilinear`](super::Bilinear).
    #[derive(Clone, Copy, Debug)]
    pub enum Bilinear {}
}

/// Shell of an [`Op`].
#[derive(Clone, Debug, PartialEq)]
pub struct General<O>(O);

impl<T: Real, O: Op> Operation<T, family::General> for O {
    type Dyn = General<O>;

    #[inline]
    fn into_dyn(self) -> General<O> {
        General(self)
    }

    fn sample_set() -> SampleSet<T> {
        let mut samples = Samples::new();
        Self::samples(&mut samples);
        samples.erase()
    }
}

impl<T: Real, O: Op> DynOp<T> for General<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn formula(&self) -> Formula {
        O::FORMULA
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        self.0.shape(args)
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        self.0.eval(args, out);
    }

    fn is_differentiable(&self) -> bool {
        O::DIFFERENTIABLE
    }

    fn jvp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        self.0.jvp(call, tangents)
    }

    fn vjp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        self.0.vjp(call, arg, cotangent)
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Option<Var<'t, T>> {
        if const { O::LEADING_AXES } {
            return Some(operands.each());
        }
        self.0.stacked(operands)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(args, result)
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        self.0.kink_distance(args)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        self.0.dependence(args, arg, result)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// The operands, if there are `N` of them.
pub(crate) fn operands<'a, const N: usize>(args: &[&'a Shape]) -> Result<[&'a Shape; N], String> {
    <[&Shape; N]>::try_from(args).map_err(|_| format!("takes {N} operands, not {}", args.len()))
}
