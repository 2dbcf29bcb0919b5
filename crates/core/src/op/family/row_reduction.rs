//! The family of functions that make one number of each row.
//!
//! Both rules follow from one statement, the gradient of a row times a number: with the tangents
//! of the row's elements, summed, it is the tangent of the result; with the result's cotangent it
//! is the adjoint of the row.

use std::any::Any;
use std::fmt::Debug;

use crate::kernel::each_row::{for_each_row, for_each_row_of};
use crate::op::rows::row_shape;
use crate::op::{
    Call, Cost, Dependence, DynOp, Formula, Operation, SampleSet, Samples, Stacked, Term, family,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// A function of rows, the last axis at a time, that makes one number of each.
pub trait RowReduction: Clone + PartialEq + Debug + Sync + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");

    /// The value for a row without elements.
    ///
    /// # Errors
    /// What such a row is or has not, as the end of a sentence.
    fn of_nothing(&self) -> Result<f64, &'static str>;

    /// The value for a row.
    fn reduce<T: Real>(&self, row: &[T]) -> T;

    /// The gradient of each row of `x`, whose value is `y`, times `factor`, which broadcasts to
    /// the shape of `x`.
    fn scaled_gradient<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        y: Var<'t, T>,
        factor: Var<'t, T>,
    ) -> Var<'t, T>;

    /// The scalar operations for `elements` in all rows together, and `rows` results.
    fn cost(&self, elements: usize, rows: usize) -> Cost;

    /// The distance of a row to the nearest one where there is no derivative.
    fn kink_distance<T: Real>(&self, _row: &[T]) -> T {
        T::infinity()
    }

    /// Where to test the function.
    fn samples(samples: &mut Samples<Self>);
}

shell! {
    /// Shell of a [`RowReduction`].
    Reduced of RowReduction as family::RowReduction
}

impl<T: Real, O: RowReduction> DynOp<T> for Reduced<O> {
    as_written!(O);

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let (lead, count) = row_shape(args)?;
        match self.0.of_nothing() {
            Err(reason) if count == 0 => Err(format!("rows of {} {reason}", args[0])),
            _ => Ok(lead),
        }
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        // Rows without elements are not visited.
        if let Ok(value) = self.0.of_nothing() {
            out.fill(T::from_f64(value));
        }
        for_each_row_of([args[0]], out, |[row], y| y[0] = self.0.reduce(row));
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some(self.0.scaled_gradient(call.arg(0), call.value(), tangents[0]?).sum_over(-1))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(self.0.scaled_gradient(call.arg(0), call.value(), bar.unsqueeze(-1)))
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.each())
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(args[0].elements(), result.elements())
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        let mut distance = T::infinity();
        for_each_row(args[0], |_, row| distance = distance.min(self.0.kink_distance(row)));
        distance
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }
}
