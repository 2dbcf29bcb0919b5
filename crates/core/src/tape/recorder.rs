//! The tape's state, and how one operation is recorded.
//!
//! This is the hot path of small models: an operation on a few numbers should
//! cost tens of nanoseconds. Programs repeat themselves, so **a recording follows
//! the one before it**. A reset keeps the nodes. The next recording walks along
//! them, and as long as it does the same, each node stands there with its layout
//! and its place in memory; only the value is computed. At the first
//! difference the rest of the old nodes is forgotten.
//!
//! New nodes take the same way: a node is put at the end of the list, and then
//! followed. A panic in a kernel therefore leaves a node that nobody has a handle
//! of, and that the next operation follows or forgets.
//!
//! *Invariant*: `nodes[..len]` is the recording, and everything in the nodes
//! behind it is what the earlier recording had there *after the same beginning*.

use std::any::{Any, TypeId};
use std::ops::Range;
use std::panic::Location;

use super::layouts::{Layouts, SCALAR};
use super::leaf::Leaf;
use super::names::Names;
use super::node::{INLINE_ARGS, Kind, Node, NodeId, OpHandle, Ops, Origin, line};
use super::parameters::Parameters;
use super::places::Places;
use super::plan::{Plan, Plans};
use super::store::Store;
use super::sweeps::Sweeps;
use super::training::Mode;
use super::{Args, Scratch, Var};
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tensor::{Buffer, Layout, Shape, Tensor, View};

pub(crate) struct Recorder<T: Real> {
    /// This recording, and behind it what an earlier one had.
    pub(super) nodes: Vec<Node<T>>,
    /// How many nodes this recording has.
    pub(super) len: usize,
    /// Arguments of nodes that have too many to hold themselves.
    pub(super) spilled: Vec<NodeId>,
    pub(super) plans: Plans,
    pub(super) layouts: Layouts,
    pub(super) store: Store<T>,
    pub(super) ops: Ops<T>,
    pub(super) parameters: Parameters,
    pub(super) sweeps: Sweeps,
    /// Whether this recording is the beginning of the one before it.
    pub(super) follows: bool,
    /// Whether a node that was followed is now recorded by another source line.
    pub(super) moved: bool,
    /// Whether derivatives of what is recorded now may be asked for later.
    pub(super) records_derivatives: bool,
    /// What was recorded without gradients, by each body that is over, in the order of their
    /// ends.
    pub(super) detached: Vec<Range<usize>>,
    /// While a sweep records, the line of the operation that it differentiates.
    pub(super) on_behalf: Option<&'static Location<'static>>,
    /// Which layers have recorded what.
    pub(super) places: Places,
    /// What values are called.
    pub(super) names: Names,
    pub(super) scratch: Scratch,
    /// What the tape records for.
    pub(super) mode: Mode,
    /// Who looked at which value, and how many nodes there were then.
    pub(super) reads: Vec<(NodeId, usize, &'static Location<'static>)>,
    /// On a [lazy](super::lazy) tape, of each node whether its value waits.
    pub(super) waiting: Option<Vec<bool>>,
    /// On a [frugal](super::frugal) tape, how many nodes its last sweep left behind.
    pub(super) frugal: Option<usize>,
}

impl<T: Real> Recorder<T> {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            len: 0,
            spilled: Vec::new(),
            plans: Plans::default(),
            layouts: Layouts::new(),
            store: Store::default(),
            ops: Ops::new(),
            parameters: Parameters::default(),
            sweeps: Sweeps::default(),
            follows: false,
            moved: false,
            records_derivatives: true,
            detached: Vec::new(),
            on_behalf: None,
            places: Places::default(),
            names: Names::default(),
            scratch: Scratch::default(),
            mode: Mode::default(),
            reads: Vec::new(),
            waiting: None,
            frugal: None,
        }
    }

    pub(super) fn reset(&mut self) {
        self.len = 0;
        self.follows = true;
        if let Some(waiting) = &mut self.waiting {
            waiting.clear();
        }
        self.frugal = self.frugal.map(|_| 0);
        self.store.release_shared();
        self.parameters.forget();
        self.records_derivatives = true;
        self.detached.clear();
        self.on_behalf = None;
        self.places.reset();
        self.names.reset();
        self.sweeps.reset();
        self.moved = false;
        self.reads.clear();
        self.mode.reset();
        // A program whose shapes never repeat would otherwise grow without bound.
        const PLENTY: usize = 1 << 14;
        if self.layouts.len() > PLENTY {
            self.diverge();
            self.layouts = Layouts::new();
            self.plans = Plans::default();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> &Node<T> {
        &self.nodes[id.index()]
    }

    #[inline]
    pub(super) fn ops(&self) -> &Ops<T> {
        &self.ops
    }

    /// Forgets what the earlier recording had behind this one.
    #[inline(never)]
    pub(super) fn diverge(&mut self) {
        self.follows = false;
        self.sweeps.diverge();
        let Self { nodes, spilled, store, ops, .. } = self;
        let forgotten = &nodes[self.len..];
        // Small values, ops and lists stand in the order of nodes, so the first that
        // a forgotten node has is the first that is free. Slots of large values
        // are numbered in that order, but may be taken again.
        let first_small =
            forgotten.iter().find(|node| node.kind.owns_memory() && node.place.is_packed());
        if let Some(node) = first_small {
            store.truncate_small(node.place);
        }
        if !forgotten.is_empty() {
            let slots = nodes[..self.len].iter().filter_map(|node| node.place.slot());
            store.truncate_large(slots.max().map_or(0, |slot| slot + 1));
        }
        let stored = |node: &Node<T>| match node.origin {
            Origin::Stored(position) => Some(position),
            _ => None,
        };
        if let Some(position) = forgotten.iter().find_map(stored) {
            ops.truncate(position as usize);
        }
        if let Some(start) = forgotten.iter().find_map(Node::spilled) {
            spilled.truncate(start);
        }
        nodes.truncate(self.len);
    }

    /// From now on, what was recorded from a node on counts as constant.
    pub(super) fn detach_from(&mut self, start: usize) {
        if start < self.len {
            self.detached.push(start..self.len);
        }
    }

    /// Puts a node at the end of the recording, to be carried out.
    pub(super) fn push(&mut self, node: Node<T>) {
        debug_assert_eq!(self.nodes.len(), self.len, "the earlier recording is forgotten");
        self.nodes.push(node);
    }

    /// Takes the next node into the recording.
    #[inline]
    fn advance(&mut self, location: &'static Location<'static>) -> NodeId {
        self.advance_at(self.on_behalf.unwrap_or(location))
    }

    /// As [`advance`](Self::advance), whoever is acted for.
    #[inline]
    fn advance_at(&mut self, location: &'static Location<'static>) -> NodeId {
        let id = NodeId::new(self.len);
        let node = &mut self.nodes[self.len];
        self.moved |= !std::ptr::eq(node.location, location);
        node.location = location;
        self.len += 1;
        id
    }

    #[inline]
    pub(super) fn leaf(
        &mut self,
        value: impl Leaf<T>,
        origin: Origin<T>,
        variable: bool,
        location: &'static Location<'static>,
    ) -> NodeId {
        let active = variable && self.records_derivatives;
        value.with(|view, buffer| self.take_in(view, buffer, origin, active, location))
    }

    #[inline(never)]
    fn take_in(
        &mut self,
        view: View<'_, T>,
        buffer: Option<&Buffer<T>>,
        origin: Origin<T>,
        active: bool,
        location: &'static Location<'static>,
    ) -> NodeId {
        let agrees = self.nodes.get(self.len).is_some_and(|node| {
            let layout = self.layouts.get(node.layout);
            let has_room = || match node.place.is_packed() {
                true => layout.shape() == view.shape(),
                false => {
                    layout == view.layout() && self.store.has_room_for(node.place, view, buffer)
                }
            };
            node.active == active && node.origin.is_leaf(origin) && has_room()
        });
        if !agrees {
            self.diverge();
            let place = self.store.room_for(view, buffer);
            let layout = if place.is_packed() && !view.layout().is_contiguous() {
                self.layouts.intern(&Layout::contiguous(view.shape().clone()))
            } else {
                self.layouts.intern(view.layout())
            };
            let mut node = Node::new(origin, Kind::Given, layout, place, location);
            node.active = active;
            self.push(node);
        }
        self.store.take_in(self.nodes[self.len].place, view, buffer);
        match origin {
            // It has the line that made it, whoever takes it in.
            Origin::Parameter(_) => self.advance_at(location),
            _ => self.advance(location),
        }
    }

    #[inline(never)]
    pub(super) fn scalar(&mut self, value: T, location: &'static Location<'static>) -> NodeId {
        let agrees = self.nodes.get(self.len).is_some_and(|node| {
            !node.active && node.layout == SCALAR && matches!(node.origin, Origin::Leaf)
        });
        if !agrees {
            self.diverge();
            let place = self.store.room(1);
            self.push(Node::new(Origin::Leaf, Kind::Given, SCALAR, place, location));
        }
        self.store.write_scalar(self.nodes[self.len].place, value);
        self.advance(location)
    }

    /// A constant whose elements are written here.
    pub(super) fn filled(
        &mut self,
        shape: &Shape,
        location: &'static Location<'static>,
        fill: impl FnOnce(&mut [T]),
    ) -> NodeId {
        let layout = self.layouts.intern(&Layout::contiguous(shape.clone()));
        let agrees = self.nodes.get(self.len).is_some_and(|node| {
            let is_own = node.place.slot().is_none_or(|slot| self.store.is_own(slot));
            !node.active && node.layout == layout && matches!(node.origin, Origin::Leaf) && is_own
        });
        if !agrees {
            self.diverge();
            let place = self.store.room(shape.elements());
            self.push(Node::new(Origin::Leaf, Kind::Given, layout, place, location));
        }
        self.store.write(self.nodes[self.len].place, shape.elements(), |_, out| fill(out));
        self.advance(location)
    }

    /// Records an op once more, if the earlier recording had the same one here.
    #[inline(never)]
    pub(super) fn follow(
        &mut self,
        op: &dyn DynOp<T>,
        args: &[Var<'_, T>],
        location: &'static Location<'static>,
    ) -> Option<NodeId> {
        let node = self.nodes.get(self.len)?;
        let own = node.args(&self.spilled);
        let agrees = own.len() == args.len()
            && own.iter().zip(args).all(|(own, arg)| *own == arg.id())
            && node.records_derivatives == self.records_derivatives
            && node.kind != Kind::Accumulated
            && self.ops.agrees(node.origin, op);
        agrees.then(|| self.carry_out(location))
    }

    /// Records an op that the earlier recording did not have here.
    #[track_caller]
    pub(super) fn record<O: DynOp<T>>(&mut self, op: O, args: &[Var<'_, T>]) -> NodeId {
        self.diverge();
        let origin = self.ops.insert(op);
        self.record_new(origin, TypeId::of::<O>(), args)
    }

    /// As [`record`](Self::record), for an op that the tape has already.
    #[track_caller]
    pub(super) fn record_again(&mut self, op: &OpHandle<T>, args: &[Var<'_, T>]) -> NodeId {
        self.diverge();
        let origin = self.ops.insert_again(op);
        self.record_new(origin, (op.get() as &dyn Any).type_id(), args)
    }

    #[track_caller]
    fn record_new(&mut self, origin: Origin<T>, op: TypeId, args: &[Var<'_, T>]) -> NodeId {
        let location = Location::caller();
        let args: &[NodeId] = &args.iter().map(|arg| arg.id()).collect::<Args<NodeId>>();
        let plan = self.plan(origin, op, args);
        let op = self.ops.get(origin).expect("a recorded op is no leaf");
        // An op is asked by its operands whether it takes scalars, and on a lazy tape those wait.
        let is_asked = args.len() <= INLINE_ARGS && self.waiting.is_none();
        let numbers = || args.iter().map(|arg| self.number(*arg)).collect::<Option<Args<T>>>();
        let scalar = is_asked && numbers().is_some_and(|xs| op.eval_scalar(&xs).is_some());
        let (kind, layout, place) = match plan {
            Plan::View { layout, moved } => {
                (Kind::View, layout, self.node(args[0]).place.moved(moved))
            }
            Plan::Compute { layout } => {
                let place = self.store.room(self.layouts.get(layout).elements());
                (if scalar { Kind::Scalar } else { Kind::Kernel }, layout, place)
            }
        };
        let active = self.records_derivatives
            && op.is_differentiable()
            && args.iter().any(|arg| self.node(*arg).active);
        let node = Node::new(origin, kind, layout, place, location);
        let mut node = node.with_args(args, &mut self.spilled);
        node.active = active;
        node.records_derivatives = self.records_derivatives;
        self.push(node);
        self.carry_out(location)
    }

    /// Computes the value of the next node, and takes the node in.
    #[inline]
    pub(super) fn carry_out(&mut self, location: &'static Location<'static>) -> NodeId {
        match self.waiting {
            None => self.evaluate(self.len),
            Some(_) => self.wait(),
        }
        self.advance(location)
    }

    pub(super) fn evaluate(&mut self, index: usize) {
        let Self { nodes, layouts, store, ops, spilled, .. } = self;
        let node = &nodes[index];
        let args = node.args(spilled);
        let Some(op) = ops.get(node.origin) else { return };
        match node.kind {
            Kind::Given | Kind::View => {}
            Kind::Scalar => {
                let mut values = [T::zero(); INLINE_ARGS];
                for (value, arg) in values.iter_mut().zip(args) {
                    *value = store.scalar(nodes[arg.index()].place);
                }
                let value = op.eval_scalar(&values[..args.len()]);
                store.write_scalar(node.place, value.expect("the op has a scalar form"));
            }
            Kind::Kernel => {
                let layout = layouts.get(node.layout);
                store.write(node.place, layout.elements(), |blocks, out| {
                    let view = |arg: &NodeId| {
                        let node = &nodes[arg.index()];
                        blocks.view(node.place, layouts.get(node.layout))
                    };
                    // Arrays rather than a list: this runs for every operation.
                    match args {
                        [a] => op.eval(&[view(a)], layout.shape(), out),
                        [a, b] => op.eval(&[view(a), view(b)], layout.shape(), out),
                        [a, b, c] => op.eval(&[view(a), view(b), view(c)], layout.shape(), out),
                        [a, b, c, d] => {
                            let views = [view(a), view(b), view(c), view(d)];
                            op.eval(&views, layout.shape(), out);
                        }
                        _ => {
                            let views: Args<View<'_, T>> = args.iter().map(view).collect();
                            op.eval(&views, layout.shape(), out);
                        }
                    }
                });
            }
            Kind::Accumulated => {
                let elements = layouts.get(node.layout).elements();
                store.accumulate(node.place, elements, |blocks, sum| {
                    let view = |arg: &NodeId| {
                        let node = &nodes[arg.index()];
                        blocks.view(node.place, layouts.get(node.layout))
                    };
                    match args {
                        [_, a] => op.add_into(&[view(a)], sum),
                        [_, a, b] => op.add_into(&[view(a), view(b)], sum),
                        _ => {
                            let terms: Args<View<'_, T>> = args[1..].iter().map(view).collect();
                            op.add_into(&terms, sum);
                        }
                    }
                });
            }
        }
    }

    #[inline]
    pub(super) fn args(&self, id: NodeId) -> &[NodeId] {
        self.node(id).args(&self.spilled)
    }

    /// The value of a scalar.
    fn number(&self, id: NodeId) -> Option<T> {
        let node = self.node(id);
        (node.layout == SCALAR).then(|| self.store.scalar(node.place))
    }

    #[inline]
    pub(super) fn layout(&self, id: NodeId) -> &Layout {
        self.layouts.get(self.node(id).layout)
    }

    #[inline]
    pub(super) fn shape(&self, id: NodeId) -> &Shape {
        self.layout(id).shape()
    }

    #[inline]
    pub(super) fn view(&self, id: NodeId) -> View<'_, T> {
        self.sweeps.value_read.set(true);
        self.store.blocks().view(self.node(id).place, self.layout(id))
    }

    pub(super) fn tensor(&self, id: NodeId) -> Tensor<T> {
        self.sweeps.value_read.set(true);
        self.store.tensor(self.node(id).place, self.layout(id))
    }

    pub(super) fn describe(&self, id: NodeId) -> String {
        let node = self.node(id);
        let name = match node.origin {
            Origin::Parameter(key) => self.parameters.name(key),
            _ => "",
        };
        let what = match self.ops.get(node.origin) {
            Some(op) => op.name(),
            None if !name.is_empty() => name,
            None if node.active => "variable",
            None if matches!(node.origin, Origin::Frozen) => "frozen parameter",
            None => "constant",
        };
        let (shape, place) = (self.shape(id), self.places.of(id));
        // A parameter with a name has the line that made it.
        let at = if name.is_empty() { "at" } else { "a parameter made at" };
        let place = if name.is_empty() { place.to_string() } else { String::new() };
        format!("v{} = {what}, shape {shape}, {at} {}{place}", id.index(), line(node.location))
    }
}
