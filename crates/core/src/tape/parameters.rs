//! Which node stands for which parameter.

use std::cell::Cell;
use std::panic::Location;

use indexmap::IndexMap;

use super::node::{NodeId, Origin};
use super::{Tape, Var};
use crate::hash::Words;
use crate::scalar::Real;
use crate::tensor::Tensor;

/// The nodes of parameters, by key.
///
/// A model shows its parameters in the same order again and again: to the tape, and
/// to the optimiser. So the entry that is looked for is usually the one after the
/// last, and no key is hashed.
#[derive(Default)]
pub(super) struct Parameters {
    entries: IndexMap<u64, Entry, Words>,
    /// The number of the recording.
    recording: u64,
    /// Where the next search begins.
    next: Cell<usize>,
}

#[derive(Default)]
struct Entry {
    id: Option<NodeId>,
    /// The recording for which this holds.
    recording: u64,
    /// What messages call it, if anything.
    name: &'static str,
}

impl Parameters {
    /// The position of a key, whether it is known or not.
    #[inline]
    pub(super) fn position(&mut self, key: u64, name: &'static str) -> usize {
        self.find(key).unwrap_or_else(|| {
            let entry = Entry { name, ..Entry::default() };
            self.entries.insert_full(key, entry).0
        })
    }

    /// What messages call a parameter: nothing if it has no name.
    pub(super) fn name(&self, key: u64) -> &'static str {
        self.entries.get(&key).map_or("", |entry| entry.name)
    }

    /// The position of a known key.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        let next = self.next.get();
        let position = match self.entries.get_index(next) {
            Some((&found, _)) if found == key => next,
            _ => self.entries.get_index_of(&key)?,
        };
        self.next.set(if position + 1 == self.entries.len() { 0 } else { position + 1 });
        Some(position)
    }

    /// The node of the parameter at a position, if this recording has one.
    #[inline]
    pub(super) fn get(&self, position: usize) -> Option<NodeId> {
        let entry = &self.entries[position];
        entry.id.filter(|_| entry.recording == self.recording)
    }

    /// The keys of this recording, in the order in which they were first met.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        let is_known = |entry: &Entry| entry.id.is_some() && entry.recording == self.recording;
        self.entries.iter().filter(move |(_, entry)| is_known(entry)).map(|(&key, _)| key)
    }

    /// The nodes of this recording's parameters.
    #[inline]
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let is_known = |entry: &&Entry| entry.recording == self.recording;
        self.entries.values().filter(is_known).filter_map(|entry| entry.id)
    }

    pub(super) fn set(&mut self, position: usize, id: NodeId) {
        let recording = self.recording;
        let entry = &mut self.entries[position];
        (entry.id, entry.recording) = (Some(id), recording);
    }

    /// Begins a recording without parameters.
    pub(super) fn forget(&mut self) {
        self.recording += 1;
        // Models come and go; their keys do not return.
        const PLENTY: usize = 1 << 14;
        if self.entries.len() > PLENTY {
            self.entries.clear();
        }
    }
}

impl<T: Real> Tape<T> {
    /// The variable that stands for a parameter kept outside of the tape. The
    /// first call after a reset takes the value in; later calls with the same key
    /// return the same variable. What was taken in [without
    /// gradients](Self::without_gradients) does not count for calls outside of it.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let (tape, weight) = (Tape::new(), Tensor::from(2.0));
    /// let monitored = tape.without_gradients(|| tape.parameter(1, &weight).square());
    /// let cost = tape.parameter(1, &weight).square();
    /// assert!(cost.is_active() && !monitored.is_active());
    /// ```
    #[track_caller]
    pub fn parameter(&self, key: u64, value: &Tensor<T>) -> Var<'_, T> {
        self.named_parameter(key, value, "", Location::caller())
    }

    /// As [`parameter`](Self::parameter), with what messages say of it: a name, and the line that
    /// made it.
    pub fn named_parameter(
        &self,
        key: u64,
        value: &Tensor<T>,
        name: &'static str,
        made: &'static Location<'static>,
    ) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let position = inner.parameters.position(key, name);
        let known = inner.parameters.get(position);
        if let Some(id) = known
            && (inner.node(id).active || !inner.records_derivatives)
        {
            return self.var(id);
        }
        let id = inner.leaf(value, Origin::Parameter(key), true, made);
        inner.parameters.set(position, id);
        self.var(id)
    }

    /// A constant that stands for a parameter which is not trained: what asks for its gradient is
    /// told so.
    #[track_caller]
    pub fn frozen(&self, value: &Tensor<T>) -> Var<'_, T> {
        let location = Location::caller();
        self.var(self.inner.borrow_mut().leaf(value, Origin::Frozen, false, location))
    }

    /// What a node that stands for a parameter is called, if it has a name.
    pub(crate) fn parameter_name(&self, id: NodeId) -> Option<&'static str> {
        let inner = self.inner.borrow();
        match inner.node(id).origin {
            Origin::Parameter(key) => {
                Some(inner.parameters.name(key)).filter(|name| !name.is_empty())
            }
            _ => None,
        }
    }

    /// Whether a value is a parameter that is not trained.
    pub(crate) fn is_frozen(&self, id: NodeId) -> bool {
        matches!(self.inner.borrow().node(id).origin, Origin::Frozen)
    }

    /// The variable that stands for the parameter or state of a key, if the tape has
    /// taken it in.
    pub fn parameter_variable(&self, key: u64) -> Option<Var<'_, T>> {
        let inner = self.inner.borrow();
        let id = inner.parameters.get(inner.parameters.find(key)?)?;
        Some(self.var(id))
    }

    /// The keys of the parameters that were taken in since the reset.
    pub(crate) fn parameter_keys(&self) -> Vec<u64> {
        self.inner.borrow().parameters.keys().collect()
    }

    /// Lets another value stand for the parameter of a key from now on.
    #[track_caller]
    pub(crate) fn replace_parameter(&self, key: u64, value: Var<'_, T>) {
        self.expect_own(value);
        let mut inner = self.inner.borrow_mut();
        let position = inner.parameters.position(key, "");
        inner.parameters.set(position, value.id());
    }
}
