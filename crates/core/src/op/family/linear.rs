//! The family of linear maps.
//!
//! A linear op is its own derivative: the tangent of the result is the op applied
//! to the tangents, and the adjoint is the transposed op applied to the
//! cotangent. Stating the transpose therefore states everything.

use std::any::Any;
use std::fmt::Debug;

use crate::op::{
    Call, Cost, Dependence, DynOp, Formula, Operation, Role, SampleSet, Samples, Series,
    SeriesCall, Stacked, Summing, Term, family,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// A map that is linear in all of its operands together.
pub trait Linear: Clone + PartialEq + Debug + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");

    /// The shape of the result.
    ///
    /// # Errors
    /// The reason, as a sentence, if the operands do not fit.
    fn shape(&self, args: &[&Shape]) -> Result<Shape, String>;

    /// For maps that only look at elements in another way: the layout of the
    /// result, and how far its first element lies from the operand's.
    fn view(&self, _arg: &Layout) -> Option<(Layout, isize)> {
        None
    }

    /// For maps that add up all elements of their operand: the number by which the
    /// sum is then divided.
    fn total(&self, _arg: &Shape) -> Option<f64> {
        None
    }

    /// For maps that add up the rows of their operand, all that stands along its first axes: the
    /// number by which each sum is then divided.
    fn sum_of_rows(&self, _arg: &Shape) -> Option<f64> {
        None
    }

    /// Writes every element of the result.
    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]);

    /// The transposed map's part for operand `arg`: from a cotangent of the
    /// result to what it adds to that operand's adjoint.
    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        arg: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T>;

    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t, T: Real>(&self, _operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        None
    }

    /// The elements of operand `arg` on which an element of the result depends.
    fn dependence(&self, _args: &[&Shape], _arg: usize, _result: &Shape) -> Dependence {
        Dependence::Everything
    }

    /// The scalar operations of one evaluation.
    fn cost(&self, _args: &[&Shape], _result: &Shape) -> Cost {
        Cost::NONE
    }

    /// Where to test the map.
    fn samples(samples: &mut Samples<Self>);
}

/// The shapes of the operands: all of them that a transpose may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Shapes<'a, 't, T: Real>(&'a [Var<'t, T>]);

impl<T: Real> Shapes<'_, '_, T> {
    /// The shape of one operand.
    pub fn of(self, arg: usize) -> Shape {
        self.0[arg].shape()
    }
}

shell! {
    /// Shell of a [`Linear`] op.
    LinearMap of Linear as family::Linear
}

impl<T: Real, L: Linear> DynOp<T> for LinearMap<L> {
    as_written!(L);

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        self.0.shape(args)
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        self.0.view(arg)
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        self.0.eval(args, out);
    }

    fn role(&self) -> Role<'_, T> {
        Role::Linear(self)
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        if tangents.iter().all(Option::is_none) {
            return None;
        }
        let tape = call.value().tape();
        let tangents: Vec<Var<'t, T>> = tangents
            .iter()
            .zip(call.args())
            .map(|(tangent, arg)| tangent.unwrap_or_else(|| arg.zeros_like()))
            .collect();
        Some(tape.record(self.clone(), &tangents))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(self.0.transpose(Shapes(call.args()), arg, bar))
    }

    fn taylor<'s, 't>(&self, call: SeriesCall<'s, 't, T>) -> Series<'s, 't, T> {
        call.linear()
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        self.0.stacked(operands)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(args, result)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        self.0.dependence(args, arg, result)
    }
}

impl<L: Linear> Summing for LinearMap<L> {
    fn total(&self, arg: &Shape) -> Option<f64> {
        self.0.total(arg)
    }

    fn sum_of_rows(&self, arg: &Shape) -> Option<f64> {
        self.0.sum_of_rows(arg)
    }
}
