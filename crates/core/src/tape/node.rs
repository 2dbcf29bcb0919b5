//! One line of the Wengert list.

use std::any::Any;
use std::panic::Location;
use std::rc::Rc;

use super::layouts::LayoutId;
use super::recorder::{Plan, Signature};
use super::store::Place;
use crate::Real;
use crate::op::DynOp;

/// The position of a node on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

impl NodeId {
    #[inline]
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("a tape holds fewer than 2^32 nodes"))
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What produced a node's value.
#[derive(Clone, Copy)]
pub(crate) enum Origin<T: Real> {
    /// A value given from outside.
    Leaf,
    /// An op without parameters, which needs no memory of its own.
    Unit(&'static dyn DynOp<T>),
    /// An op with parameters, by its number in [`Ops`].
    Stored(u32),
}

/// Arguments that fit into the node itself.
pub(crate) const INLINE_ARGS: usize = 4;

/// A node: the op, its arguments, and where the value lies. It is copied about a
/// great deal, so it is kept within one cache line.
#[derive(Clone, Copy)]
pub(crate) struct Node<T: Real> {
    pub(crate) origin: Origin<T>,
    /// The arguments, or the first one's position in the list of spilled ones.
    pub(crate) args: [NodeId; INLINE_ARGS],
    pub(crate) arg_count: u16,
    /// Whether a variable feeds it and derivatives were being recorded.
    pub(crate) active: bool,
    /// Whether the value's memory belongs to this node alone and may be added to.
    pub(crate) owned: bool,
    pub(crate) layout: LayoutId,
    pub(crate) place: Place,
    /// The source line that recorded it.
    pub(crate) location: &'static Location<'static>,
}

/// An op on its way into a rule, without a borrow of the tape.
#[derive(Clone)]
pub(crate) enum OpHandle<T: Real> {
    Unit(&'static dyn DynOp<T>),
    Stored(Rc<dyn DynOp<T>>),
}

impl<T: Real> OpHandle<T> {
    #[inline]
    pub(crate) fn get(&self) -> &dyn DynOp<T> {
        match self {
            OpHandle::Unit(op) => *op,
            OpHandle::Stored(op) => &**op,
        }
    }
}

/// The ops with parameters, in the order of recording, each with its last plan.
///
/// A program that repeats itself records the same ops in the same order, so after
/// a reset each op is compared with the one that stood in its position before; as
/// long as they agree, nothing is allocated and the plan is at hand.
pub(crate) struct Ops<T: Real> {
    entries: Vec<Entry<T>>,
    used: usize,
}

struct Entry<T: Real> {
    op: Rc<dyn DynOp<T>>,
    plan: Option<(Signature, Plan)>,
}

impl<T: Real> Ops<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), used: 0 }
    }

    #[inline]
    pub(crate) fn insert<O: DynOp<T>>(&mut self, op: O) -> Origin<T> {
        if size_of::<O>() == 0 {
            // A type without fields occupies no memory, so this box leaks none.
            return Origin::Unit(Box::leak(Box::new(op)));
        }
        self.store(op)
    }

    #[inline(never)]
    fn store<O: DynOp<T>>(&mut self, op: O) -> Origin<T> {
        let position = self.used;
        self.used += 1;
        match self.entries.get_mut(position) {
            Some(entry) if op.equals(&*entry.op as &dyn Any) => {}
            Some(entry) => *entry = Entry { op: Rc::new(op), plan: None },
            None => self.entries.push(Entry { op: Rc::new(op), plan: None }),
        }
        Origin::Stored(position as u32)
    }

    #[inline]
    pub(super) fn plan(&self, position: u32, signature: &Signature) -> Option<Plan> {
        match &self.entries[position as usize].plan {
            Some((own, plan)) if own == signature => Some(*plan),
            _ => None,
        }
    }

    pub(super) fn set_plan(&mut self, position: u32, signature: Signature, plan: Plan) {
        self.entries[position as usize].plan = Some((signature, plan));
    }

    #[inline]
    pub(crate) fn get(&self, origin: Origin<T>) -> Option<&dyn DynOp<T>> {
        match origin {
            Origin::Leaf => None,
            Origin::Unit(op) => Some(op),
            Origin::Stored(position) => Some(&*self.entries[position as usize].op),
        }
    }

    #[inline]
    pub(crate) fn handle(&self, origin: Origin<T>) -> Option<OpHandle<T>> {
        match origin {
            Origin::Leaf => None,
            Origin::Unit(op) => Some(OpHandle::Unit(op)),
            Origin::Stored(position) => {
                Some(OpHandle::Stored(self.entries[position as usize].op.clone()))
            }
        }
    }

    pub(crate) fn reset(&mut self) {
        self.used = 0;
    }
}
