//! The adjoints of a reverse sweep: added up, handed on, and let go.
//!
//! Adjoints may be kept, as values like any other, or consumed: then their sums are added up in
//! place, and their memory is used again by the rest of the sweep.

use super::accumulate::{AddPart, AddProduct, AddWhole};
use crate::scalar::Real;
use crate::tape::elemental::{Call, DynOp};
use crate::tape::{Adjoint, NodeId, Tape, Var};
use crate::tensor::Layout;

/// What becomes of the adjoints of intermediate values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumed {
    Kept,
    /// Their memory is used again by the rest of the sweep.
    Recycled,
}

/// The table of a sweep in progress.
pub(super) struct AdjointsOf<'t, 'a, T: Real> {
    tape: &'t Tape<T>,
    table: &'a mut [Option<Adjoint>],
    recycles: bool,
}

impl<'t, 'a, T: Real> AdjointsOf<'t, 'a, T> {
    pub(super) fn new(
        tape: &'t Tape<T>,
        table: &'a mut [Option<Adjoint>],
        consumed: Consumed,
    ) -> Self {
        Self { tape, table, recycles: consumed == Consumed::Recycled }
    }

    /// Seeds an output. One that is given again gets the sum.
    pub(super) fn begin(&mut self, output: Var<'t, T>, seed: Var<'t, T>) {
        let seed = self.of(output.id()).map_or(seed, |before| before + seed);
        self.set(output.id(), seed.id().into());
    }

    /// The adjoint of a node, if anything has been added to it.
    pub(super) fn of(&self, id: NodeId) -> Option<Var<'t, T>> {
        self.table[id.index()].map(|adjoint| self.tape.var(adjoint.id))
    }

    /// Adds what a cotangent gives to the adjoint of an argument, by a rule whose nodes begin at
    /// `first`.
    pub(super) fn add(
        &mut self,
        op: &dyn DynOp<T>,
        call: &Call<'_, 't, T>,
        position: usize,
        bar: Var<'t, T>,
        first: usize,
    ) {
        let arg = call.arg(position);
        let before = self.table[arg.id().index()];
        if let Some(sum) = before.filter(|sum| sum.owned && self.recycles)
            && let Some(after) = self.add_in_place(op, call, position, bar, sum)
        {
            return self.set(arg.id(), after);
        }
        let Some(term) = op.vjp(call, position, bar) else { return };
        assert!(
            self.tape.same_shape(term.id(), arg.id()),
            "the reverse rule of {} gave shape {} for operand {}, which is {}",
            op.name(),
            term.shape(),
            position + 1,
            arg.describe()
        );
        let after = match before {
            Some(sum) if sum.owned => self.tape.recorder().accumulate(AddWhole, sum, &[term]),
            Some(sum) => {
                let id = (self.tape.var(sum.id) + term).id();
                Adjoint { id, owned: !self.tape.records_derivatives() }
            }
            // A rule of another operand may give the same variable.
            None if call.is_shared(term) => term.id().into(),
            None => self.tape.recorder().given(term.id(), first),
        };
        self.set(arg.id(), after);
    }

    /// A rule, whose nodes begin at `first`, has handed the adjoint of its node on.
    pub(super) fn end_rule(&mut self, id: NodeId, bar: Var<'t, T>, first: usize) {
        if self.recycles {
            let mut recorder = self.tape.recorder();
            recorder.end_rule(first);
            recorder.let_go(bar.id());
            self.table[id.index()] = None;
        }
    }

    /// Puts an adjoint in the place of the one before it.
    fn set(&mut self, id: NodeId, after: Adjoint) {
        let before = self.table[id.index()].replace(after);
        if self.recycles {
            let mut recorder = self.tape.recorder();
            recorder.hold(after.id);
            if let Some(before) = before {
                recorder.let_go(before.id);
            }
        }
    }

    /// Adds what a cotangent gives to an adjoint where that lies, if it need not be
    /// computed by itself first: for a part of the argument, and for products.
    fn add_in_place(
        &self,
        op: &dyn DynOp<T>,
        call: &Call<'_, 't, T>,
        position: usize,
        bar: Var<'t, T>,
        sum: Adjoint,
    ) -> Option<Adjoint> {
        if let Some(part) = part(op, call.arg(position)) {
            return Some(self.tape.recorder().accumulate(part, sum, &[bar]));
        }
        let factors = op.vjp_factors(call, position, bar)?;
        Some(self.tape.recorder().accumulate(AddProduct, sum, &factors))
    }
}

/// For ops that look at a part of their argument: how it lies there.
fn part<T: Real>(op: &dyn DynOp<T>, arg: Var<'_, T>) -> Option<AddPart> {
    let shape = arg.shape();
    let elements = shape.elements();
    let (layout, first) = op.view(&Layout::contiguous(shape))?;
    // Each element at most once: no broadcasting.
    let repeats = |(&extent, &stride): (&usize, &isize)| extent > 1 && stride == 0;
    let is_part =
        layout.elements() < elements && !layout.shape().iter().zip(layout.strides()).any(repeats);
    is_part.then(|| AddPart { layout, first: usize::try_from(first).expect("within the argument") })
}
