//! Which node stands for which parameter.

use std::cell::Cell;
use std::hash::BuildHasherDefault;

use indexmap::IndexMap;

use super::layouts::WordHasher;
use super::node::NodeId;

/// The nodes of parameters, by key.
///
/// A model shows its parameters in the same order again and again: to the tape, and
/// to the optimiser. So the entry that is looked for is usually the one after the
/// last, and no key is hashed.
#[derive(Default)]
pub(super) struct Parameters {
    entries: IndexMap<u64, Entry, BuildHasherDefault<WordHasher>>,
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
