//! The family of maps that are linear in their second operand; the first one says which elements.
//!
//! The first operand is an index, or what an index is found from: no derivative flows to it. So
//! the map and its transpose state both rules, as they do for [linear](super::linear) maps.

use std::any::Any;
use std::fmt::Debug;

use crate::op::{
    Call, Cost, Dependence, DynOp, Formula, Operation, SampleSet, Samples, Stacked, Term, family,
    operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// A map that reads or adds elements of its second operand at places which its first operand tells.
pub trait Selection: Clone + PartialEq + Debug + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");

    /// The shape of the result.
    ///
    /// # Errors
    /// The reason, as a sentence, if the operands do not fit.
    fn shape(&self, index: &Shape, x: &Shape) -> Result<Shape, String>;

    /// Writes every element of the result.
    fn eval<T: Real>(&self, index: View<'_, T>, x: View<'_, T>, out: &mut [T]);

    /// The transpose of `x -> y`, for an `x` of this shape, applied to a cotangent.
    fn transpose<'t, T: Real>(&self, index: Var<'t, T>, x: &Shape, bar: Var<'t, T>) -> Var<'t, T>;

    /// The op applied to many operands at once.
    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Var<'t, T>;

    /// The scalar operations of one evaluation.
    fn cost(&self, x: &Shape, result: &Shape) -> Cost;

    /// The distance of the first operand to the nearest one at which it tells other elements.
    fn kink_distance<T: Real>(&self, _index: View<'_, T>) -> T {
        T::infinity()
    }

    /// The elements of the second operand on which an element of the result depends.
    fn dependence(&self, _x: &Shape, _result: &Shape) -> Dependence {
        Dependence::Everything
    }

    /// Where to test the map.
    fn samples(samples: &mut Samples<Self>);
}

shell! {
    /// Shell of a [`Selection`].
    Selected of Selection as family::Selection
}

impl<T: Real, O: Selection> DynOp<T> for Selected<O> {
    as_written!(O);

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [index, x] = operands(args)?;
        self.0.shape(index, x)
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        self.0.eval(args[0], args[1], out);
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let tangent = tangents[1]?;
        Some(tangent.tape().record(self.clone(), &[call.arg(0), tangent]))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        (arg == 1).then(|| self.0.transpose(call.arg(0), &call.arg(1).shape(), bar))
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(self.0.stacked(operands))
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(args[1], result)
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        self.0.kink_distance(args[0])
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        match arg {
            0 => Dependence::Nothing,
            _ => self.0.dependence(args[1], result),
        }
    }
}
