//! What sweeps ask of a tape: tables of adjoints, adjoints that are added up in place, and the
//! sweeps themselves, which are kept.

use std::panic::Location;

use super::sweeps::Adjoints;
use super::{Args, NodeId, Tape, Var};
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tensor::{View, are_finite};

/// Tables of the sweeps, kept so that a sweep in steady state allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Adjoints or tangents of sweeps in progress, one region after another.
    pub(crate) adjoints: Adjoints,
    /// For a sweep in progress: the nodes that it goes through.
    pub(crate) marks: Vec<bool>,
    /// For a backward sweep in progress: how many adjoints lie in each slot of a
    /// large value.
    pub(super) readers: Vec<u32>,
    /// The first slot that it makes.
    pub(super) first_slot: usize,
}

/// The adjoint of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adjoint {
    pub(crate) id: NodeId,
    /// Whether it is a sum that this sweep has made, or what one rule has computed for
    /// one operand, so that more may be added in place. A rule may hand its cotangent on
    /// to several operands as it is; as their adjoints it is not owned.
    pub(crate) owned: bool,
}

impl From<NodeId> for Adjoint {
    fn from(id: NodeId) -> Self {
        Self { id, owned: false }
    }
}

impl<T: Real> Tape<T> {
    #[inline]
    pub(crate) fn take_scratch(&self) -> Scratch {
        std::mem::take(&mut self.inner.borrow_mut().scratch)
    }

    #[inline]
    pub(crate) fn return_scratch(&self, scratch: Scratch) {
        self.inner.borrow_mut().scratch = scratch;
    }

    /// Remembers that a value was looked at: see [`fateful_read`](Self::fateful_read).
    #[track_caller]
    pub(crate) fn note_read(&self, id: NodeId) {
        let mut inner = self.inner.borrow_mut();
        let nodes = inner.len();
        inner.reads.push((id, nodes, Location::caller()));
    }

    /// The adjoint after an op has added terms to it in place. Its memory is its own.
    pub(crate) fn accumulate_by<'t, O: DynOp<T>>(
        &'t self,
        op: O,
        sum: Adjoint,
        terms: &[Var<'t, T>],
    ) -> Adjoint {
        assert!(sum.owned, "what others read is not added to");
        let args: Args<NodeId> =
            [sum.id].into_iter().chain(terms.iter().map(|term| term.id())).collect();
        let id = self.inner.borrow_mut().accumulate(op, &args);
        Adjoint { id, owned: true }
    }

    /// What a rule gave, as an adjoint that is its own if the rule, whose nodes begin
    /// at `first`, has computed it and handed it to nobody else.
    pub(crate) fn given(&self, term: Var<'_, T>, first: usize) -> Adjoint {
        let inner = self.inner.borrow();
        let owned = !inner.records_derivatives
            && term.id().index() >= first
            && inner.owns_memory(term.id());
        Adjoint { id: term.id(), owned }
    }

    /// Repeats a backward sweep, if the earlier recording had the same one here.
    /// Returns its number.
    pub(crate) fn repeat_sweep(&self, output: NodeId, seed: NodeId) -> Option<usize> {
        self.inner.borrow_mut().repeat_sweep(output, seed)
    }

    /// Runs a backward sweep, which fills the table, and keeps it. Returns its
    /// number.
    pub(crate) fn keep_sweep(
        &self,
        output: NodeId,
        seed: NodeId,
        sweep: impl FnOnce(&mut Adjoints),
    ) -> usize {
        let (start, mut adjoints) = {
            let mut inner = self.inner.borrow_mut();
            (inner.len(), inner.begin_sweep())
        };
        sweep(&mut adjoints);
        self.inner.borrow_mut().keep_sweep(output, seed, start, adjoints)
    }

    /// Lets `read` see the adjoint of a parameter that was recorded no later than
    /// the output.
    #[inline]
    pub(crate) fn with_parameter_adjoint<R>(
        &self,
        sweep: usize,
        key: u64,
        output: NodeId,
        read: impl FnOnce(View<'_, T>) -> R,
    ) -> Option<R> {
        let inner = self.inner.borrow();
        let parameter = inner.parameters.get(inner.parameters.find(key)?)?;
        let adjoint = inner.sweeps.adjoint(sweep, parameter).filter(|_| parameter <= output)?;
        Some(read(inner.view(adjoint)))
    }

    /// Whether the adjoints of all parameters that were recorded no later than the output are finite.
    pub(crate) fn parameter_adjoints_are_finite(&self, sweep: usize, output: NodeId) -> bool {
        let inner = self.inner.borrow();
        let blocks = inner.store.blocks();
        // Small values lie side by side. One look at all of them, others among them, costs a small
        // model less than one at each of its adjoints.
        let small_are_finite = are_finite(blocks.small());
        if small_are_finite && blocks.are_all_small() {
            return true;
        }
        let is_finite = |adjoint| {
            (small_are_finite && inner.node(adjoint).place.is_packed())
                || inner.view(adjoint).is_finite()
        };
        let mut parameters = inner.parameters.nodes().filter(|&parameter| parameter <= output);
        parameters.all(|parameter| inner.sweeps.adjoint(sweep, parameter).is_none_or(is_finite))
    }

    /// Declares that an adjoint of the backward sweep in progress is read later on.
    pub(crate) fn hold(&self, adjoint: NodeId) {
        self.inner.borrow_mut().hold(adjoint);
    }

    /// Takes back one [`hold`](Self::hold). Memory that nobody holds is used again.
    pub(crate) fn let_go(&self, adjoint: NodeId) {
        self.inner.borrow_mut().let_go(adjoint);
    }

    /// Declares that a rule of the backward sweep in progress, whose nodes begin at
    /// `first`, is done.
    pub(crate) fn end_rule(&self, first: usize) {
        self.inner.borrow_mut().end_rule(first);
    }

    /// The adjoint of a node in a backward sweep.
    pub(crate) fn adjoint(&self, sweep: usize, id: NodeId) -> Option<NodeId> {
        self.inner.borrow().sweeps.adjoint(sweep, id)
    }
}
