//! An op applied to many operands at once, which lie along a leading axis.
//!
//! What [`Tape::vmap`](crate::tape::Tape::vmap) asks of ops. Elementwise functions broadcast, maps
//! of axes move their axes on by one, functions of rows do not mind further leading axes,
//! and a product is one of larger matrices. An op that says nothing is applied to one operand
//! after the other, so that none is left out; the suite holds every answer against that.

use std::fmt;

use crate::scalar::Real;
use crate::tape::{Args, OpHandle, Var};
use crate::tensor::Shape;

/// Operands of an op, of which some have one more leading axis: the op is to be applied to
/// each along it.
#[derive(Clone, Copy)]
pub struct Stacked<'a, 't, T: Real> {
    op: &'a OpHandle<T>,
    args: &'a [Var<'t, T>],
    is_stacked: &'a [bool],
    extent: usize,
}

impl<T: Real> fmt::Debug for Stacked<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stacked")
            .field("args", &self.args)
            .field("is_stacked", &self.is_stacked)
            .finish_non_exhaustive()
    }
}

impl<'a, 't, T: Real> Stacked<'a, 't, T> {
    pub(crate) fn new(
        op: &'a OpHandle<T>,
        args: &'a [Var<'t, T>],
        is_stacked: &'a [bool],
        extent: usize,
    ) -> Self {
        Self { op, args, is_stacked, extent }
    }

    /// The op as it is, on operands that broadcast together: for elementwise functions.
    #[track_caller]
    pub fn broadcast(&self) -> Var<'t, T> {
        self.recorded(&self.aligned())
    }

    /// The op as it is, on operands that all have the leading axis: for ops that treat each
    /// row, matrix or plane by itself.
    #[track_caller]
    pub fn each(&self) -> Var<'t, T> {
        self.recorded(&self.all_whole())
    }

    #[track_caller]
    pub(crate) fn recorded(&self, args: &[Var<'t, T>]) -> Var<'t, T> {
        args[0].tape().record_again(self.op, args)
    }

    /// How many there are.
    pub fn extent(&self) -> usize {
        self.extent
    }

    /// Whether an operand has the leading axis.
    pub fn is_stacked(&self, arg: usize) -> bool {
        self.is_stacked[arg]
    }

    /// An operand as it is, with the leading axis or without.
    pub fn arg(&self, arg: usize) -> Var<'t, T> {
        self.args[arg]
    }

    /// A shape behind the leading axis.
    pub fn shape(&self, each: &Shape) -> Shape {
        each.inserting(0, self.extent)
    }

    /// The number of axes that each of an operand's elements along the leading axis has.
    pub fn rank(&self, arg: usize) -> usize {
        self.args[arg].rank() - usize::from(self.is_stacked[arg])
    }

    /// An operand with `rank` axes behind the leading one, if it has that: it then
    /// broadcasts as each of its elements would.
    pub fn filled_up(&self, arg: usize, rank: usize) -> Var<'t, T> {
        match self.is_stacked[arg] {
            true => filled_up(self.args[arg], rank),
            false => self.args[arg],
        }
    }

    /// All operands, to be broadcast together.
    fn aligned(&self) -> Args<Var<'t, T>> {
        let rank = (0..self.args.len()).map(|arg| self.rank(arg)).max().unwrap_or(0);
        (0..self.args.len()).map(|arg| self.filled_up(arg, rank)).collect()
    }

    /// An operand with the leading axis; one that has none is repeated.
    pub fn whole(&self, arg: usize) -> Var<'t, T> {
        match self.is_stacked[arg] {
            true => self.args[arg],
            false => self.args[arg].broadcast_to(self.shape(&self.args[arg].shape())),
        }
    }

    /// All operands with the leading axis.
    pub fn all_whole(&self) -> Args<Var<'t, T>> {
        (0..self.args.len()).map(|arg| self.whole(arg)).collect()
    }

    /// The operands of one application.
    pub(crate) fn one(&self, index: usize) -> Args<Var<'t, T>> {
        let one = |(var, is_stacked): (&Var<'t, T>, &bool)| match is_stacked {
            true => var.slice(0, index..=index).squeeze(0),
            false => *var,
        };
        self.args.iter().zip(self.is_stacked).map(one).collect()
    }
}

/// A stack with at least `rank` axes behind the leading one, by axes of extent 1.
pub(crate) fn filled_up<T: Real>(stack: Var<'_, T>, rank: usize) -> Var<'_, T> {
    let shape = stack.shape();
    let Some(missing) = (rank + 1).checked_sub(shape.rank()).filter(|&missing| missing > 0) else {
        return stack;
    };
    let ones = std::iter::repeat_n(&1, missing);
    stack.reshape(shape[..1].iter().chain(ones).chain(&shape[1..]).copied().collect::<Shape>())
}
