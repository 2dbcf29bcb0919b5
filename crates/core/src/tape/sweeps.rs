//! The backward sweeps of a recording, kept for the next one.
//!
//! Rules depend on ops, shapes and activity, not on values. So when a recording
//! has followed an earlier one up to a sweep, the sweep would record the same
//! nodes again: their values are computed, and no rule is asked. A rule that did
//! look at a value is noticed, and its sweep is not repeated in this way.

use std::cell::Cell;
use std::ops::Range;

use super::{Adjoint, NodeId};

/// The adjoints of a sweep, by node.
pub(crate) type Adjoints = Vec<Option<Adjoint>>;

/// A finished backward sweep.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) output: NodeId,
    pub(super) seed: NodeId,
    /// The nodes that it recorded.
    pub(super) nodes: Range<usize>,
    pub(super) adjoints: Adjoints,
    /// Whether the same beginning leads to the same nodes.
    pub(super) repeats: bool,
}

/// The sweeps of this recording, and behind them those that an earlier one had.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    entries: Vec<Sweep>,
    len: usize,
    /// Whether a value was read since this was last set to `false`.
    pub(super) value_read: Cell<bool>,
}

impl Sweeps {
    /// The number of the next sweep and the end of its nodes, if it is this one: the earlier recording
    /// had it here.
    pub(super) fn next(
        &self,
        output: NodeId,
        seed: NodeId,
        start: usize,
    ) -> Option<(usize, usize)> {
        let sweep = self.entries.get(self.len)?;
        let is_next = sweep.repeats
            && sweep.output == output
            && sweep.seed == seed
            && sweep.nodes.start == start;
        is_next.then_some((self.len, sweep.nodes.end))
    }

    /// Takes the next sweep into the recording. Returns its number.
    pub(super) fn advance(&mut self) -> usize {
        self.len += 1;
        self.len - 1
    }

    /// An empty table for a sweep to come.
    pub(super) fn table(&mut self) -> Adjoints {
        let Some(old) = self.entries.get_mut(self.len) else { return Adjoints::new() };
        old.repeats = false;
        let mut table = std::mem::take(&mut old.adjoints);
        table.clear();
        table
    }

    /// Makes a sweep the next one.
    pub(super) fn put(&mut self, sweep: Sweep) {
        match self.entries.get_mut(self.len) {
            Some(place) => *place = sweep,
            None => self.entries.push(sweep),
        }
    }

    pub(super) fn adjoint(&self, sweep: usize, id: NodeId) -> Option<NodeId> {
        let adjoint = self.entries[sweep].adjoints.get(id.index())?;
        adjoint.map(|adjoint| adjoint.id)
    }

    /// Whether a sweep of this recording has recorded a node.
    pub(super) fn contain(&self, node: usize) -> bool {
        self.entries[..self.len].iter().any(|sweep| sweep.nodes.contains(&node))
    }

    /// What stands behind this recording no longer has the same beginning.
    pub(super) fn diverge(&mut self) {
        for sweep in self.entries[self.len..].iter_mut().take_while(|sweep| sweep.repeats) {
            sweep.repeats = false;
        }
    }

    pub(super) fn reset(&mut self) {
        self.len = 0;
    }
}
