//! An op applied to many operands at once, which lie along a leading axis.
//!
//! What [`Tape::vmap`](crate::Tape::vmap) asks of ops. Elementwise functions broadcast, maps
//! of axes move their axes on by one, functions of rows do not mind further leading axes,
//! and a product is one of larger matrices. An op that says nothing is applied to one operand
//! after the other, so that none is left out; the suite holds every answer against that.

use crate::tape::Args;
use crate::tensor::Shape;
use crate::{Real, Var};

/// Operands of an op, of which some have one more leading axis: the op is to be applied to
/// each along it.
#[derive(Clone, Copy, Debug)]
pub struct Stacked<'a, 't, T: Real> {
    args: &'a [Var<'t, T>],
    is_stacked: &'a [bool],
    extent: usize,
}

impl<'a, 't, T: Real> Stacked<'a, 't, T> {
    pub(crate) fn new(args: &'a [Var<'t, T>], is_stacked: &'a [bool], extent: usize) -> Self {
        Self { args, is_stacked, extent }
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

    /// An operand with so many axes behind the leading one, if it has that: axes of extent
    /// 1 fill up, so that it broadcasts as each of its elements would.
    pub fn filled_up(&self, arg: usize, rank: usize) -> Var<'t, T> {
        let var = self.args[arg];
        let own = self.rank(arg);
        if !self.is_stacked[arg] || own >= rank {
            return var;
        }
        let shape = var.shape();
        let ones = std::iter::repeat_n(1, rank - own);
        var.reshape(
            [self.extent]
                .into_iter()
                .chain(ones)
                .chain(shape[1..].iter().copied())
                .collect::<Shape>(),
        )
    }

    /// All operands, to be broadcast together.
    pub fn aligned(&self) -> Args<Var<'t, T>> {
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
