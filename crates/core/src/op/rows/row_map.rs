//! Functions of rows that keep the shape: their adjoint in one go.

use std::any::Any;

use crate::kernel::each_row::for_each_row_of;
use crate::op::{Call, Cost, DynOp, Op, Stacked, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::no_rules;
use crate::tensor::{Shape, View};

/// A function of rows that keeps the shape, and its adjoint in one go, which reads `N` rows: those of
/// the argument or the value that it needs, and the cotangent's. Others need not be kept for it.
pub(super) trait RowMap<const N: usize>: Op + Sync {
    /// Writes the product of the transposed Jacobian and the cotangent, for one row.
    fn adjoint<T: Real>(&self, read: [&[T]; N], out: &mut [T]);
}

/// The adjoint in one pass over memory, in sweeps that keep nothing; in others it
/// has to be recorded as a formula.
pub(super) fn fused<'t, T: Real, O: RowMap<N>, const N: usize>(
    op: &O,
    read: [Var<'t, T>; N],
) -> Term<'t, T> {
    record_one_pass(RowAdjoint::<O, N>(op.clone()), &read)
}

/// Records an adjoint in one pass over memory, if this sweep keeps nothing.
pub(super) fn record_one_pass<'t, T: Real>(op: impl DynOp<T>, args: &[Var<'t, T>]) -> Term<'t, T> {
    let tape = args[0].tape();
    (!tape.records_derivatives()).then(|| tape.record(op, args))
}

/// The adjoint of a function of rows applied to a cotangent. Only sweeps that keep
/// nothing record it, so it needs no rule.
#[derive(Clone, Debug, PartialEq)]
struct RowAdjoint<O, const N: usize>(O);

impl<T: Real, O: RowMap<N>, const N: usize> DynOp<T> for RowAdjoint<O, N> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(args[0].clone())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        let args: [View<'_, T>; N] = std::array::from_fn(|k| args[k]);
        for_each_row_of(args, out, |read, out| self.0.adjoint(read, out));
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
