//! One line of the Wengert list.

use std::any::Any;
use std::panic::Location;
use std::rc::Rc;

use super::layouts::LayoutId;
use super::store::Place;
use crate::scalar::Real;
use crate::tape::elemental::DynOp;

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
    /// A value given from outside that is known by a key.
    Parameter(u64),
    /// A parameter that is not trained.
    Frozen,
    /// An op without parameters, which needs no memory of its own.
    Unit(&'static dyn DynOp<T>),
    /// An op with parameters, by its number in [`Ops`].
    Stored(u32),
}

impl<T: Real> Origin<T> {
    /// Whether both are the same kind of value from outside.
    #[inline]
    pub(super) fn is_leaf(self, other: Self) -> bool {
        match (self, other) {
            (Origin::Leaf, Origin::Leaf) | (Origin::Frozen, Origin::Frozen) => true,
            (Origin::Parameter(own), Origin::Parameter(other)) => own == other,
            _ => false,
        }
    }
}

/// How a node comes by its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is given.
    Given,
    /// By one function of numbers: operands and result are scalars.
    Scalar,
    /// A kernel writes it into memory of its own.
    Kernel,
    /// It looks at the operand's memory.
    View,
    /// The second operand is added into the memory of the first one, whose value
    /// is lost: the sum of adjoints in a sweep.
    Accumulated,
}

impl Kind {
    /// Whether the value lies in memory that no earlier node has.
    pub(crate) fn owns_memory(self) -> bool {
        matches!(self, Kind::Given | Kind::Scalar | Kind::Kernel)
    }
}

/// Arguments that fit into the node itself.
pub(crate) const INLINE_ARGS: usize = 4;

/// Marks a node whose arguments stand in a list of the tape's.
const SPILLED: u8 = u8::MAX;

/// A node: the op, its arguments, and where the value lies. One cache line.
#[derive(Clone, Copy)]
pub(crate) struct Node<T: Real> {
    pub(super) origin: Origin<T>,
    /// The arguments; or where they begin in the tape's list, and how many.
    args: [NodeId; INLINE_ARGS],
    /// How many arguments there are, or [`SPILLED`].
    arg_count: u8,
    pub(super) kind: Kind,
    /// Whether a variable feeds it and derivatives were being recorded.
    pub(super) active: bool,
    /// Whether derivatives were being recorded.
    pub(super) records_derivatives: bool,
    pub(super) layout: LayoutId,
    pub(super) place: Place,
    /// The source line that recorded it.
    pub(super) location: &'static Location<'static>,
}

const _: () = assert!(size_of::<Node<f64>>() == 64);

impl<T: Real> Node<T> {
    /// A node without arguments.
    #[inline]
    pub(super) fn new(
        origin: Origin<T>,
        kind: Kind,
        layout: LayoutId,
        place: Place,
        location: &'static Location<'static>,
    ) -> Self {
        let args = [NodeId(0); INLINE_ARGS];
        let (active, records_derivatives) = (false, false);
        Self {
            origin,
            args,
            arg_count: 0,
            kind,
            active,
            records_derivatives,
            layout,
            place,
            location,
        }
    }

    /// The node with arguments, which go to `list` if they are too many.
    pub(super) fn with_args(mut self, args: &[NodeId], list: &mut Vec<NodeId>) -> Self {
        if args.len() <= INLINE_ARGS {
            self.args[..args.len()].copy_from_slice(args);
            self.arg_count = args.len() as u8;
        } else {
            self.args[..2].copy_from_slice(&[NodeId::new(list.len()), NodeId::new(args.len())]);
            self.arg_count = SPILLED;
            list.extend_from_slice(args);
        }
        self
    }

    #[inline]
    pub(super) fn args<'a>(&'a self, list: &'a [NodeId]) -> &'a [NodeId] {
        match self.spilled() {
            None => &self.args[..usize::from(self.arg_count)],
            Some(start) => &list[start..][..self.args[1].index()],
        }
    }

    /// Where the arguments begin in the list, if they stand there.
    #[inline]
    pub(super) fn spilled(&self) -> Option<usize> {
        (self.arg_count == SPILLED).then(|| self.args[0].index())
    }
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

/// The ops with parameters, in the order of recording.
pub(crate) struct Ops<T: Real>(Vec<Rc<dyn DynOp<T>>>);

impl<T: Real> Ops<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn insert<O: DynOp<T>>(&mut self, op: O) -> Origin<T> {
        if const { size_of::<O>() == 0 } {
            // A type without fields occupies no memory, so this box leaks none.
            return Origin::Unit(Box::leak(Box::new(op)));
        }
        self.0.push(Rc::new(op));
        Origin::Stored(u32::try_from(self.0.len() - 1).expect("fewer than 2^32 ops"))
    }

    pub(super) fn insert_again(&mut self, op: &OpHandle<T>) -> Origin<T> {
        match op {
            OpHandle::Unit(op) => Origin::Unit(*op),
            OpHandle::Stored(op) => {
                self.0.push(op.clone());
                Origin::Stored(u32::try_from(self.0.len() - 1).expect("fewer than 2^32 ops"))
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, origin: Origin<T>) -> Option<&dyn DynOp<T>> {
        match origin {
            Origin::Leaf | Origin::Parameter(_) | Origin::Frozen => None,
            Origin::Unit(op) => Some(op),
            Origin::Stored(position) => Some(&*self.0[position as usize]),
        }
    }

    #[inline]
    pub(crate) fn handle(&self, origin: Origin<T>) -> Option<OpHandle<T>> {
        match origin {
            Origin::Leaf | Origin::Parameter(_) | Origin::Frozen => None,
            Origin::Unit(op) => Some(OpHandle::Unit(op)),
            Origin::Stored(position) => Some(OpHandle::Stored(self.0[position as usize].clone())),
        }
    }

    /// Whether a node's op is `op`, parameters included.
    #[inline]
    pub(super) fn agrees(&self, origin: Origin<T>, op: &dyn DynOp<T>) -> bool {
        self.get(origin).is_some_and(|own| own.equals(op as &dyn Any))
    }

    /// Forgets the ops from a position on.
    pub(super) fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }
}

/// A source line as messages name it: without folders that its path enters only to leave them again,
/// as those of examples do that stand beside their package.
pub(crate) fn line(location: &Location<'_>) -> String {
    let mut folders: Vec<&str> = Vec::new();
    for part in location.file().split('/') {
        match folders.last() {
            Some(&last) if part == ".." && last != ".." && !last.is_empty() => _ = folders.pop(),
            _ => folders.push(part),
        }
    }
    format!("{}:{}:{}", folders.join("/"), location.line(), location.column())
}
