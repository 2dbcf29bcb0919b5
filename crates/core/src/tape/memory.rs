//! How much memory a tape holds.

use std::fmt;

use super::node::Kind;
use super::recorder::Recorder;
use crate::scalar::Real;

/// What a tape holds, in bytes: the numbers, without the list of operations.
/// Tensors from outside, whose memory the tape shares, do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The values of the recording.
    pub values: usize,
    /// What backward sweeps have left: gradients, and the memory in which
    /// intermediate adjoints took turns.
    pub adjoints: usize,
    /// What waits for its next use.
    pub idle: usize,
    /// The most that was held at any time since the tape was made.
    pub peak: usize,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { values, adjoints, idle, peak } = *self;
        let [values, adjoints, idle, peak] = [values, adjoints, idle, peak].map(Bytes);
        write!(f, "values {values}, adjoints {adjoints}, idle {idle}; peak {peak}")
    }
}

/// Bytes in a unit that leaves few digits.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0 as f64;
        for unit in ["B", "KiB", "MiB"] {
            if amount < 1024.0 {
                return write!(f, "{amount:.*} {unit}", usize::from(unit != "B"));
            }
            amount /= 1024.0;
        }
        write!(f, "{amount:.1} GiB")
    }
}

impl<T: Real> Recorder<T> {
    /// Of each node whether its value is still there: a backward sweep uses the
    /// memory of its own intermediate results again, and fast sweeps add to adjoints in place.
    pub(super) fn kept_values(&self) -> Vec<bool> {
        let mut taken = Vec::new();
        let mut kept = vec![true; self.len];
        for (index, node) in self.nodes[..self.len].iter().enumerate().rev() {
            if node.kind == Kind::Accumulated {
                kept[node.args(&self.spilled)[0].index()] = false;
            }
            let Some(slot) = node.place.slot() else { continue };
            taken.resize(taken.len().max(slot + 1), false);
            // Backwards, the last value of a slot and views of it come first.
            kept[index] &= !taken[slot];
            taken[slot] |= node.kind.owns_memory();
        }
        kept
    }

    /// Elements that the values of the recording, and those of its backward
    /// sweeps, lie in.
    pub(super) fn elements_of_values(&self) -> [usize; 2] {
        let mut seen = vec![false; self.nodes.len()];
        let mut elements = [0; 2];
        for (index, node) in self.nodes[..self.len].iter().enumerate() {
            let part = usize::from(self.sweeps.contain(index));
            match node.place.slot() {
                Some(slot) if !std::mem::replace(&mut seen[slot], true) => {
                    elements[part] += self.store.slot_len(slot);
                }
                None if node.kind.owns_memory() => {
                    elements[part] += self.layouts.get(node.layout).elements();
                }
                _ => {}
            }
        }
        elements
    }

    pub(super) fn elements_held(&self) -> [usize; 2] {
        self.store.elements_held()
    }
}
