//! Functions of rows that keep the shape: their adjoint in one go.

use std::any::Any;

use crate::kernel::each_row::for_each_row_of;
use crate::op::{Call, Cost, DynOp, Op, Stacked, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::no_rules;
use crate::tensor::{Shape, View};

/// A function of rows that keeps the shape, and its adjoint in one go.
pub(super) trait RowMap: Op + Sync {
    /// Writes the product of the transposed Jacobian and `c`, for one row, where
    /// `y` is the function's value at `x`.
    fn adjoint<T: Real>(&self, x: &[T], y: &[T], c: &[T], out: &mut [T]);
}

/// The adjoint in one pass over memory, in sweeps that keep nothing; in others it
/// has to be recorded as a formula.
pub(super) fn fused<'t, T: Real, O: RowMap>(
    op: &O,
    call: &Call<'_, 't, T>,
    bar: Var<'t, T>,
) -> Term<'t, T> {
    record_one_pass(RowAdjoint(op.clone()), &[call.arg(0), call.value(), bar])
}

/// Records an adjoint in one pass over memory, if this sweep keeps nothing.
pub(super) fn record_one_pass<'t, T: Real>(op: impl DynOp<T>, args: &[Var<'t, T>]) -> Term<'t, T> {
    let tape = args[0].tape();
    (!tape.records_derivatives()).then(|| tape.record(op, args))
}

/// The adjoint of a function of rows applied to a cotangent. Only sweeps that keep
/// nothing record it, so it needs no rule.
#[derive(Clone, Debug, PartialEq)]
struct RowAdjoint<O>(O);

impl<T: Real, O: RowMap> DynOp<T> for RowAdjoint<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(args[0].clone())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        for_each_row_of([args[0], args[1], args[2]], out, |[x, y, c], out| {
            self.0.adjoint(x, y, c, out);
        });
    }

    no_rules!();

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.each())
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(&args[..1], result)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}
