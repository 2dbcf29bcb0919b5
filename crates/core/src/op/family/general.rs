//! Ops that state both of their rules by hand.

use std::any::Any;
use std::fmt::Debug;

use crate::op::{
    Call, Cost, Dependence, DynOp, Formula, Operation, SampleSet, Samples, Stacked, Term, family,
};
use crate::scalar::Real;
use crate::tape::Var;
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
    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T>;

    /// What the result's cotangent adds to the adjoint of one argument: the
    /// transposed Jacobian applied to it. `None` stands for zero.
    ///
    /// What a rule records may depend on the op, on shapes, and on values that it
    /// reads, but on nothing else: a program that repeats itself repeats its
    /// backward sweep without asking the rules, unless one has read a value.
    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T>;

    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t, T: Real>(&self, _operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
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

shell! {
    /// Shell of an [`Op`].
    General of Op as family::General
}

impl<T: Real, O: Op> DynOp<T> for General<O> {
    as_written!(O);

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        self.0.shape(args)
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        self.0.eval(args, out);
    }

    fn is_differentiable(&self) -> bool {
        O::DIFFERENTIABLE
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        self.0.jvp(call, tangents)
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        self.0.vjp(call, arg, bar)
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
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
}
