//! The memory of adjoints.
//!
//! A fast sweep adds up adjoints where they lie, and uses the memory of those that it has consumed
//! again. So it says of each adjoint when it is [held](Recorder::hold) and when it is
//! [let go](Recorder::let_go); what nobody holds is recycled. Finished sweeps are kept, to be
//! repeated by the next recording.

use std::panic::Location;

use super::node::{Kind, Node, Origin};
use super::recorder::Recorder;
use super::sweeps::{Adjoints, Sweep};
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

/// Who is shown the gradients of parameters during a sweep, by their keys.
pub(crate) type Ready<'a, T> = &'a mut dyn FnMut(u64, View<'_, T>);

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

impl<T: Real> Recorder<T> {
    /// The adjoint after an op has added terms to it in place. Its memory is its own.
    pub(crate) fn accumulate<O: DynOp<T>>(
        &mut self,
        op: O,
        sum: Adjoint,
        terms: &[Var<'_, T>],
    ) -> Adjoint {
        assert!(sum.owned, "what others read is not added to");
        let sum = sum.id;
        let args: Args<NodeId> =
            [sum].into_iter().chain(terms.iter().map(|term| term.id())).collect();
        let location = self.node(sum).location;
        let agrees = self.nodes.get(self.len).is_some_and(|node| {
            node.kind == Kind::Accumulated
                && node.args(&self.spilled) == &args[..]
                && self.ops.agrees(node.origin, &op)
        });
        if !agrees {
            self.diverge();
            let mut node = self.node(sum).with_args(&args, &mut self.spilled);
            node.kind = Kind::Accumulated;
            node.origin = self.ops.insert(op);
            self.push(node);
        }
        Adjoint { id: self.carry_out(location), owned: true }
    }

    /// What a rule gave, as an adjoint that is its own if the rule, whose nodes begin
    /// at `first`, has computed it and handed it to nobody else.
    pub(crate) fn given(&self, term: NodeId, first: usize) -> Adjoint {
        let owned = !self.records_derivatives && term.index() >= first && self.owns_memory(term);
        Adjoint { id: term, owned }
    }

    /// The adjoint of a node in a backward sweep.
    pub(crate) fn adjoint(&self, sweep: usize, id: NodeId) -> Option<NodeId> {
        self.sweeps.adjoint(sweep, id)
    }

    /// Whether the memory of a node is its own.
    fn owns_memory(&self, id: NodeId) -> bool {
        self.node(id).kind == Kind::Kernel
    }

    /// Repeats a backward sweep, if the earlier recording had the same one here.
    /// Returns its number.
    pub(crate) fn repeat_sweep(
        &mut self,
        output: NodeId,
        seed: NodeId,
        ready: &mut Option<Ready<'_, T>>,
    ) -> Option<usize> {
        // Its nodes are shown as recorded by the lines that they had; and they read what waits on a lazy
        // tape.
        if self.moved || self.waiting.is_some() {
            return None;
        }
        let (sweep, end) = self.sweeps.next(output, seed, self.len)?;
        let start = match ready {
            Some(ready) => self.repeat_and_show(sweep, output, ready),
            None => self.len,
        };
        for index in start..end {
            self.evaluate(index);
        }
        self.len = end;
        Some(self.sweeps.advance())
    }

    /// Evaluates the nodes of a sweep up to the last gradient of a parameter, and shows each when it is
    /// there, in the order in which the sweep came to them. Returns the next node.
    fn repeat_and_show(&mut self, sweep: usize, output: NodeId, ready: Ready<'_, T>) -> usize {
        let mut next = self.len;
        for leaf in (0..=output.index()).rev().map(NodeId::new) {
            // Those of other values are gone.
            let Some(adjoint) = self.sweeps.adjoint(sweep, leaf) else { continue };
            while next <= adjoint.index() {
                self.evaluate(next);
                next += 1;
            }
            self.show(leaf, adjoint, ready);
        }
        next
    }

    /// Shows the gradients of all parameters, in the order in which the sweep came to them.
    fn show_all(&mut self, sweep: usize, output: NodeId, ready: Ready<'_, T>) {
        for leaf in (0..=output.index()).rev().map(NodeId::new) {
            if let Some(adjoint) = self.sweeps.adjoint(sweep, leaf) {
                self.show(leaf, adjoint, ready);
            }
        }
    }

    /// Lets `ready` see the adjoint of a leaf, if that stands for a parameter.
    pub(crate) fn show(&mut self, leaf: NodeId, adjoint: NodeId, ready: Ready<'_, T>) {
        let Origin::Parameter(key) = self.node(leaf).origin else { return };
        self.settle(adjoint);
        let parameters = &self.parameters;
        if parameters.find(key).and_then(|position| parameters.get(position)) == Some(leaf) {
            // Nothing that the sweep records depends on who has looked.
            let place = self.node(adjoint).place;
            ready(key, self.store.blocks().view(place, self.layout(adjoint)));
        }
    }

    /// The adjoints of all parameters that were recorded no later than the output.
    fn parameter_adjoints(&self, sweep: usize, output: NodeId) -> impl Iterator<Item = NodeId> {
        let parameters = self.parameters.nodes().filter(move |&parameter| parameter <= output);
        parameters.filter_map(move |parameter| self.sweeps.adjoint(sweep, parameter))
    }

    /// Computes them where they wait, and nothing else.
    fn settle_parameter_adjoints(&mut self, sweep: usize, output: NodeId) {
        if self.waiting.is_some() {
            let adjoints: Vec<NodeId> = self.parameter_adjoints(sweep, output).collect();
            adjoints.into_iter().for_each(|adjoint| self.settle(adjoint));
        }
    }

    /// Begins a backward sweep, for which the memory of adjoints that it has
    /// consumed is used again.
    pub(crate) fn begin_sweep(&mut self) -> Adjoints {
        let slots = self.nodes[..self.len].iter().filter_map(|node| node.place.slot());
        self.scratch.first_slot = slots.max().map_or(0, |slot| slot + 1);
        self.scratch.readers.clear();
        self.store.recycle_no_more();
        self.sweeps.value_read.set(false);
        self.sweeps.table()
    }

    /// Declares that an adjoint of the sweep in progress is read later on.
    pub(crate) fn hold(&mut self, adjoint: NodeId) {
        if let Some(slot) = self.node(adjoint).place.slot() {
            let readers = &mut self.scratch.readers;
            readers.resize(readers.len().max(slot + 1), 0);
            readers[slot] += 1;
        }
    }

    /// Takes back one [`hold`](Self::hold).
    pub(crate) fn let_go(&mut self, adjoint: NodeId) {
        if let Some(slot) = self.node(adjoint).place.slot() {
            self.scratch.readers[slot] -= 1;
            self.recycle_unread(slot);
        }
    }

    /// Declares that a rule of the sweep in progress, whose nodes begin at `first`,
    /// is done: of its results only adjoints are read later on.
    pub(crate) fn end_rule(&mut self, first: usize) {
        for index in first..self.len {
            if let Some(slot) = self.nodes[index].place.slot() {
                self.recycle_unread(slot);
            }
        }
    }

    /// Recycles a slot that the sweep in progress has made if no adjoint that is
    /// held lies there.
    fn recycle_unread(&mut self, slot: usize) {
        let is_unread = self.scratch.readers.get(slot).is_none_or(|&readers| readers == 0);
        if slot >= self.scratch.first_slot && is_unread && self.waiting.is_none() {
            self.store.recycle(slot);
        }
    }

    /// Keeps a backward sweep whose nodes begin at `start`. Returns its number.
    pub(super) fn keep_sweep(
        &mut self,
        output: NodeId,
        seed: NodeId,
        start: usize,
        adjoints: Adjoints,
    ) -> usize {
        self.store.recycle_no_more();
        let nodes = start..self.len;
        // The memory of large values from outside is not kept.
        let is_kept = |node: &Node<T>| node.kind != Kind::Given || node.place.is_packed();
        let repeats =
            !self.sweeps.value_read.get() && self.nodes[nodes.clone()].iter().all(is_kept);
        self.sweeps.put(Sweep { output, seed, nodes, adjoints, repeats });
        self.sweeps.advance()
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

    /// Remembers that a value was looked at: see [`data_dependent_read`](Self::data_dependent_read).
    #[track_caller]
    pub(crate) fn note_read(&self, id: NodeId) {
        let mut inner = self.inner.borrow_mut();
        let nodes = inner.len();
        inner.reads.push((id, nodes, Location::caller()));
    }

    /// Runs a backward sweep, which fills the table and shows gradients to `ready`, and keeps it. Returns
    /// its number.
    pub(crate) fn keep_sweep<'r>(
        &self,
        output: NodeId,
        seed: NodeId,
        ready: Option<Ready<'r, T>>,
        sweep: impl FnOnce(&mut Adjoints, Option<Ready<'r, T>>),
    ) -> usize {
        let (start, mut adjoints, is_frugal) = {
            let mut inner = self.inner.borrow_mut();
            (inner.len(), inner.begin_sweep(), inner.frugal.is_some())
        };
        // Nothing is there to be shown before all is computed.
        let (during, after) = if is_frugal { (None, ready) } else { (ready, None) };
        sweep(&mut adjoints, during);
        let mut inner = self.inner.borrow_mut();
        let number = inner.keep_sweep(output, seed, start, adjoints);
        inner.compute_frugally(number, output);
        if let Some(ready) = after {
            inner.show_all(number, output, ready);
        }
        number
    }

    /// The adjoint of a parameter that was recorded no later than the output.
    #[inline]
    pub(crate) fn parameter_adjoint(
        &self,
        sweep: usize,
        key: u64,
        output: NodeId,
    ) -> Option<NodeId> {
        let inner = self.inner.borrow();
        let parameter = inner.parameters.get(inner.parameters.find(key)?)?;
        inner.sweeps.adjoint(sweep, parameter).filter(|_| parameter <= output)
    }

    /// Whether the adjoints of all parameters that were recorded no later than the output are finite.
    pub(crate) fn parameter_adjoints_are_finite(&self, sweep: usize, output: NodeId) -> bool {
        self.inner.borrow_mut().settle_parameter_adjoints(sweep, output);
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
        inner.parameter_adjoints(sweep, output).all(is_finite)
    }
}
