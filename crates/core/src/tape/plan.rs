//! What becomes of an operation, kept for the next one on operands that lie in the same way.

use std::any::TypeId;
use std::hash::{Hash, Hasher};

use super::layouts::LayoutId;
use super::node::INLINE_ARGS;
use crate::hash::{WordHasher, mixed};

/// The layouts of an operation's operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) layouts: [LayoutId; INLINE_ARGS],
    pub(super) count: usize,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// The result looks at the operand's memory, from this many elements after its first one.
    View { layout: LayoutId, moved: isize },
    /// The result is computed into memory of its own.
    Compute { layout: LayoutId },
}

/// Plans of ops without parameters, found by op and signature, for programs that
/// do not repeat themselves. Each has one place in the table, where a newer one
/// replaces it.
#[derive(Default)]
pub(super) struct Plans(Vec<Option<(TypeId, Signature, Plan)>>);

impl Plans {
    const PLACES: usize = 256;

    fn place(op: TypeId, signature: &Signature) -> usize {
        let mut hasher = WordHasher::default();
        op.hash(&mut hasher);
        let layouts = signature.layouts.into_iter().map(|layout| u64::from(layout.number()));
        let hash = mixed([hasher.finish()].into_iter().chain(layouts));
        // The top bits depend on all of the key.
        (hash >> (u64::BITS - Self::PLACES.ilog2())) as usize
    }

    pub(super) fn get(&self, op: TypeId, signature: &Signature) -> Option<Plan> {
        match self.0.get(Self::place(op, signature)) {
            Some(Some((own, of, plan))) if *own == op && of == signature => Some(*plan),
            _ => None,
        }
    }

    pub(super) fn insert(&mut self, op: TypeId, signature: Signature, plan: Plan) {
        self.0.resize(Self::PLACES, None);
        self.0[Self::place(op, &signature)] = Some((op, signature, plan));
    }
}
