//! The tape's state, and how one operation is recorded.
//!
//! This is the hot path of small models: an operation on a few numbers should
//! cost tens of nanoseconds, shape rules, layouts and all. So what an op makes of
//! the layouts of its operands is worked out once and remembered ([`Plans`]), and
//! nothing is allocated that the recording before this one did not leave behind.

use std::any::TypeId;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::Location;

use indexmap::IndexMap;

use super::layouts::{LayoutId, Layouts, SCALAR, WordHasher};
use super::leaf::Leaf;
use super::node::{INLINE_ARGS, Node, NodeId, Ops, Origin};
use super::store::{Place, Store};
use super::{Args, Scratch};
use crate::op::DynOp;
use crate::tensor::{Layout, Shape, Tensor, View};
use crate::{Real, Var};

pub(super) struct Recorder<T: Real> {
    pub(super) nodes: Vec<Node<T>>,
    /// Arguments of nodes that have too many to hold themselves.
    spilled: Vec<NodeId>,
    plans: Plans,
    layouts: Layouts,
    store: Store<T>,
    pub(super) ops: Ops<T>,
    pub(super) parameters: IndexMap<u64, NodeId, BuildHasherDefault<WordHasher>>,
    /// Whether derivatives of what is recorded now may be asked for later.
    pub(super) records_derivatives: bool,
    /// While a sweep records, the line of the operation that it differentiates.
    pub(super) on_behalf: Option<&'static Location<'static>>,
    pub(super) scratch: Scratch,
    /// Who looked at which value, and how many nodes there were then.
    pub(super) reads: Vec<(NodeId, usize, &'static Location<'static>)>,
}

/// The layouts of an operation's operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    layouts: [LayoutId; INLINE_ARGS],
    count: usize,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// The result looks at the operand's memory, so far from its first element.
    View { layout: LayoutId, moved: isize },
    /// The result is computed into memory of its own.
    Compute { layout: LayoutId },
}

/// Plans of ops without parameters, found by op and signature. Each has one place
/// in the table, where a newer one replaces it. (Ops with parameters carry their
/// plan with them: see [`Ops`].)
#[derive(Default)]
struct Plans(Vec<Option<(TypeId, Signature, Plan)>>);

impl Plans {
    const PLACES: usize = 256;

    #[inline]
    fn place(op: TypeId, signature: &Signature) -> usize {
        let mut hasher = WordHasher::default();
        op.hash(&mut hasher);
        let mix = |hash: u64, layout: LayoutId| {
            (hash.rotate_left(5) ^ u64::from(layout.number())).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        };
        let hash = signature.layouts.into_iter().fold(hasher.finish(), mix);
        // The top bits depend on all of the key.
        (hash >> (u64::BITS - Self::PLACES.ilog2())) as usize
    }

    #[inline]
    fn get(&self, op: TypeId, signature: &Signature) -> Option<Plan> {
        match self.0.get(Self::place(op, signature)) {
            Some(Some((own, of, plan))) if *own == op && of == signature => Some(*plan),
            _ => None,
        }
    }

    fn insert(&mut self, op: TypeId, signature: Signature, plan: Plan) {
        self.0.resize(Self::PLACES, None);
        self.0[Self::place(op, &signature)] = Some((op, signature, plan));
    }
}

impl<T: Real> Recorder<T> {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            spilled: Vec::new(),
            plans: Plans::default(),
            layouts: Layouts::new(),
            store: Store::default(),
            ops: Ops::new(),
            parameters: IndexMap::default(),
            records_derivatives: true,
            on_behalf: None,
            scratch: Scratch::default(),
            reads: Vec::new(),
        }
    }

    pub(super) fn reset(&mut self) {
        self.nodes.clear();
        self.spilled.clear();
        self.store.reset();
        self.ops.reset();
        self.parameters.clear();
        self.records_derivatives = true;
        self.on_behalf = None;
        self.scratch.adjoints.clear();
        self.reads.clear();
        // A program whose shapes never repeat would otherwise grow without bound.
        const PLENTY: usize = 1 << 14;
        if self.layouts.len() > PLENTY {
            self.layouts = Layouts::new();
            self.plans = Plans::default();
            self.ops = Ops::new();
        }
    }

    #[inline]
    fn push(
        &mut self,
        origin: Origin<T>,
        args: &[NodeId],
        active: bool,
        layout: LayoutId,
        place: Place,
        location: &'static Location<'static>,
    ) -> NodeId {
        let id = NodeId::new(self.nodes.len());
        let mut inline = [NodeId::new(0); INLINE_ARGS];
        if args.len() <= INLINE_ARGS {
            inline[..args.len()].copy_from_slice(args);
        } else {
            inline[0] = NodeId::new(self.spilled.len());
            self.spilled.extend_from_slice(args);
        }
        self.nodes.push(Node {
            origin,
            args: inline,
            arg_count: u16::try_from(args.len()).expect("an op has fewer than 65536 arguments"),
            active,
            owned: false,
            layout,
            place,
            location: self.on_behalf.unwrap_or(location),
        });
        id
    }

    #[inline]
    pub(super) fn leaf(
        &mut self,
        value: impl Leaf<T>,
        variable: bool,
        location: &'static Location<'static>,
    ) -> NodeId {
        let active = variable && self.records_derivatives;
        let Self { layouts, store, .. } = self;
        let (layout, place) = value.with(|view, buffer| {
            let place = store.insert(view, buffer);
            if place.is_packed() && !view.layout().is_contiguous() {
                (layouts.intern(&Layout::contiguous(view.shape().clone())), place)
            } else {
                (layouts.intern(view.layout()), place)
            }
        });
        self.push(Origin::Leaf, &[], active, layout, place, location)
    }

    #[inline]
    pub(super) fn scalar(&mut self, value: T, location: &'static Location<'static>) -> NodeId {
        let place = self.store.push_scalar(value);
        self.push(Origin::Leaf, &[], false, SCALAR, place, location)
    }

    /// Records an op. Only what depends on the op's type is compiled for each op;
    /// a program's step should fit into the instruction cache.
    #[inline]
    pub(super) fn record<O: DynOp<T>>(
        &mut self,
        op: O,
        args: &[Var<'_, T>],
        location: &'static Location<'static>,
    ) -> NodeId {
        let node = |arg: &Var<'_, T>| &self.nodes[arg.id().index()];
        if args.len() <= INLINE_ARGS && args.iter().all(|arg| node(arg).layout == SCALAR) {
            let mut values = [T::zero(); INLINE_ARGS];
            let mut ids = [NodeId::new(0); INLINE_ARGS];
            let mut active = false;
            for (i, arg) in args.iter().enumerate() {
                ids[i] = arg.id();
                values[i] = self.store.scalar(node(arg).place);
                active |= node(arg).active;
            }
            if let Some(value) = op.eval_scalar(&values[..args.len()]) {
                let active = active && self.records_derivatives && op.is_differentiable();
                let place = self.store.push_scalar(value);
                let origin = self.ops.insert(op);
                return self.push(origin, &ids[..args.len()], active, SCALAR, place, location);
            }
        }
        let origin = self.ops.insert(op);
        self.record_general(origin, TypeId::of::<O>(), args, location)
    }

    #[inline(never)]
    fn record_general(
        &mut self,
        origin: Origin<T>,
        op: TypeId,
        args: &[Var<'_, T>],
        location: &'static Location<'static>,
    ) -> NodeId {
        if args.len() > INLINE_ARGS {
            let ids: Args<NodeId> = args.iter().map(|arg| arg.id()).collect();
            let plan = self.make_plan(origin, &ids, location);
            return self.carry_out(plan, origin, &ids, location);
        }
        let mut ids = [NodeId::new(0); INLINE_ARGS];
        let mut signature = Signature { layouts: [SCALAR; INLINE_ARGS], count: args.len() };
        for (i, arg) in args.iter().enumerate() {
            ids[i] = arg.id();
            signature.layouts[i] = self.nodes[arg.id().index()].layout;
        }
        let ids = &ids[..args.len()];
        let known = match origin {
            Origin::Stored(position) => self.ops.plan(position, &signature),
            _ => self.plans.get(op, &signature),
        };
        let plan = known.unwrap_or_else(|| {
            let plan = self.make_plan(origin, ids, location);
            match origin {
                Origin::Stored(position) => self.ops.set_plan(position, signature, plan),
                _ => self.plans.insert(op, signature, plan),
            }
            plan
        });
        self.carry_out(plan, origin, ids, location)
    }

    /// Applies the shape rule.
    #[cold]
    fn make_plan(
        &mut self,
        origin: Origin<T>,
        args: &[NodeId],
        location: &'static Location<'static>,
    ) -> Plan {
        let op = self.ops.get(origin).expect("a recorded op is no leaf");
        let shape = match self.infer(op, args) {
            Ok(shape) => shape,
            Err(reason) => self.reject(op.name(), args, &reason, location),
        };
        if let [arg] = args
            && let Some((layout, moved)) = op.view(self.layout(*arg))
        {
            return Plan::View { layout: self.layouts.intern(&layout), moved };
        }
        Plan::Compute { layout: self.layouts.intern(&Layout::contiguous(shape)) }
    }

    #[inline]
    fn carry_out(
        &mut self,
        plan: Plan,
        origin: Origin<T>,
        args: &[NodeId],
        location: &'static Location<'static>,
    ) -> NodeId {
        let Self { nodes, layouts, store, ops, .. } = self;
        let op = ops.get(origin).expect("a recorded op is no leaf");
        let active = self.records_derivatives
            && op.is_differentiable()
            && args.iter().any(|arg| nodes[arg.index()].active);
        match plan {
            Plan::View { layout, moved } => {
                let place = nodes[args[0].index()].place.moved(moved);
                self.push(origin, args, active, layout, place, location)
            }
            Plan::Compute { layout: id } => {
                let layout = layouts.get(id);
                let place = store.produce(layout.elements(), |blocks, out| {
                    let view = |arg: &NodeId| {
                        let node = &nodes[arg.index()];
                        blocks.view(node.place, layouts.get(node.layout))
                    };
                    // Arrays rather than a list: this runs for every operation.
                    match args {
                        [a] => op.eval(&[view(a)], layout.shape(), out),
                        [a, b] => op.eval(&[view(a), view(b)], layout.shape(), out),
                        [a, b, c] => op.eval(&[view(a), view(b), view(c)], layout.shape(), out),
                        _ => {
                            let views: Args<View<'_, T>> = args.iter().map(view).collect();
                            op.eval(&views, layout.shape(), out);
                        }
                    }
                });
                self.push(origin, args, active, id, place, location)
            }
        }
    }

    fn infer(&self, op: &dyn DynOp<T>, args: &[NodeId]) -> Result<Shape, String> {
        let shapes: Args<&Shape> = args.iter().map(|&arg| self.shape(arg)).collect();
        op.shape(&shapes)
    }

    /// Stops with a message that shows the operands and where they came from.
    #[cold]
    fn reject(
        &self,
        name: &str,
        args: &[NodeId],
        reason: &str,
        location: &'static Location<'static>,
    ) -> ! {
        let mut message = format!("{name}: {reason}\n  at {location}");
        for (i, &arg) in args.iter().enumerate() {
            message += &format!("\n  operand {}: {}", i + 1, self.describe(arg));
        }
        panic!("{message}");
    }

    /// Adds `term` into `sum` if the sum's memory is its own. The result is a node
    /// like any other sum, so that the tape still tells what was computed; only its
    /// memory is that of `sum`, which is not read again.
    pub(super) fn accumulate<O: DynOp<T>>(
        &mut self,
        add: O,
        sum: NodeId,
        term: NodeId,
        location: &'static Location<'static>,
    ) -> Option<NodeId> {
        let (target, source) = (self.nodes[sum.index()], self.nodes[term.index()]);
        if !target.owned {
            return None;
        }
        self.store.accumulate(target.place, source.place, self.layouts.get(source.layout));
        let origin = self.ops.insert(add);
        let Node { layout, place, active, .. } = target;
        let id = self.push(origin, &[sum, term], active, layout, place, location);
        self.nodes[id.index()].owned = true;
        Some(id)
    }

    #[inline]
    pub(super) fn args(&self, id: NodeId) -> &[NodeId] {
        let node = &self.nodes[id.index()];
        let count = usize::from(node.arg_count);
        if count <= INLINE_ARGS {
            &node.args[..count]
        } else {
            &self.spilled[node.args[0].index()..][..count]
        }
    }

    #[inline]
    fn layout(&self, id: NodeId) -> &Layout {
        self.layouts.get(self.nodes[id.index()].layout)
    }

    #[inline]
    pub(super) fn shape(&self, id: NodeId) -> &Shape {
        self.layout(id).shape()
    }

    #[inline]
    pub(super) fn view(&self, id: NodeId) -> View<'_, T> {
        self.store.blocks().view(self.nodes[id.index()].place, self.layout(id))
    }

    pub(super) fn tensor(&self, id: NodeId) -> Tensor<T> {
        self.store.tensor(self.nodes[id.index()].place, self.layout(id))
    }

    pub(super) fn describe(&self, id: NodeId) -> String {
        let node = &self.nodes[id.index()];
        let what = match self.ops.get(node.origin) {
            Some(op) => op.name(),
            None if node.active => "variable",
            None => "constant",
        };
        format!("v{} = {what}, shape {}, at {}", id.index(), self.shape(id), node.location)
    }
}
