//! The tape: R. E. Wengert's evaluation list, on tensors.
//!
//! A tape is the *evaluation trace* of Griewank & Walther (section 2.2): nodes
//! in the order of recording, each the value of one elemental function of
//! earlier nodes. Order is the whole trick: walking the list forwards gives
//! tangents, walking it backwards gives adjoints, and neither sorts or recurses.
//!
//! *Invariant*: a node's arguments stand before it, and nothing is ever removed
//! but by [`Tape::reset`], which the borrow checker allows only when no handle is
//! left. The tape knows no op by name.

mod layouts;
mod node;
mod store;

use std::cell::RefCell;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;
use smallvec::SmallVec;

use layouts::{Layouts, SCALAR, WordHasher};
use node::{INLINE_ARGS, Node, Ops, Origin};
pub(crate) use node::{NodeId, OpHandle};
use store::Store;

use crate::op::{DynOp, Operation};
use crate::tensor::{Layout, Shape, Tensor, View};
use crate::{Real, Var};

/// Arguments of one operation: rarely more than four.
pub(crate) type Args<X> = SmallVec<[X; INLINE_ARGS]>;

/// A list of operations on tensors, recorded as they are computed.
///
/// Values are computed at once; what the tape adds is the memory of how. Handles
/// ([`Var`]) are `Copy` and borrow the tape.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let x = tape.variable(2.0);
/// let y = x.sin() * x;
/// let gradient = y.backward().wrt(x).item();
/// assert_eq!(gradient, 2.0_f64.cos() * 2.0 + 2.0_f64.sin());
/// ```
pub struct Tape<T: Real> {
    number: u64,
    made: &'static Location<'static>,
    inner: RefCell<Inner<T>>,
}

struct Inner<T: Real> {
    nodes: Vec<Node<T>>,
    /// Arguments of nodes that have too many to hold themselves.
    spilled: Vec<NodeId>,
    layouts: Layouts,
    store: Store<T>,
    ops: Ops<T>,
    parameters: IndexMap<u64, NodeId, BuildHasherDefault<WordHasher>>,
    /// Whether derivatives of what is recorded now may be asked for later.
    records_derivatives: bool,
    /// While a sweep records, the line of the operation that it differentiates.
    on_behalf: Option<&'static Location<'static>>,
    scratch: Scratch,
}

/// Tables of the sweeps, kept so that a sweep in steady state allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Adjoints of finished backward sweeps, one region after another.
    pub(crate) adjoints: Vec<Option<NodeId>>,
    /// For a sweep in progress: the nodes that it goes through.
    pub(crate) marks: Vec<bool>,
}

impl<T: Real> Tape<T> {
    /// An empty tape.
    #[track_caller]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            made: Location::caller(),
            inner: RefCell::new(Inner {
                nodes: Vec::new(),
                spilled: Vec::new(),
                layouts: Layouts::new(),
                store: Store::default(),
                ops: Ops::new(),
                parameters: IndexMap::default(),
                records_derivatives: true,
                on_behalf: None,
                scratch: Scratch::default(),
            }),
        }
    }

    /// Takes in a value with respect to which derivatives can be asked for: an
    /// independent variable.
    #[track_caller]
    pub fn variable(&self, value: impl Into<Tensor<T>>) -> Var<'_, T> {
        self.leaf(&value.into(), true)
    }

    /// Takes in a value that derivatives treat as fixed.
    #[track_caller]
    pub fn constant(&self, value: impl Into<Tensor<T>>) -> Var<'_, T> {
        self.leaf(&value.into(), false)
    }

    /// The variable that stands for a parameter kept outside of the tape. The
    /// first call after a reset takes the value in; later calls with the same key
    /// return the same variable.
    #[track_caller]
    pub fn parameter(&self, key: u64, value: &Tensor<T>) -> Var<'_, T> {
        if let Some(&id) = self.inner.borrow().parameters.get(&key) {
            return self.var(id);
        }
        let var = self.leaf(value, true);
        self.inner.borrow_mut().parameters.insert(key, var.id());
        var
    }

    #[track_caller]
    fn leaf(&self, value: &Tensor<T>, variable: bool) -> Var<'_, T> {
        let location = Location::caller();
        let mut inner = self.inner.borrow_mut();
        let layout = inner.layouts.intern(value.parts().2);
        let place = inner.store.insert(value);
        let active = variable && inner.records_derivatives;
        self.var(inner.push(Origin::Leaf, &[], active, layout, place, location))
    }

    #[track_caller]
    pub(crate) fn scalar_constant(&self, value: T) -> Var<'_, T> {
        let location = Location::caller();
        let mut inner = self.inner.borrow_mut();
        let place = inner.store.push_scalar(value);
        self.var(inner.push(Origin::Leaf, &[], false, SCALAR, place, location))
    }

    /// Records an op, of one's own or built in, on its operands.
    ///
    /// # Panics
    /// If the operands do not fit the op, or belong to another tape.
    #[track_caller]
    pub fn apply<'t, Family>(
        &'t self,
        op: impl Operation<T, Family>,
        args: &[Var<'t, T>],
    ) -> Var<'t, T> {
        self.record(op.into_dyn(), args)
    }

    #[track_caller]
    #[inline]
    pub(crate) fn record<'t, O: DynOp<T>>(&'t self, op: O, args: &[Var<'t, T>]) -> Var<'t, T> {
        let location = Location::caller();
        for arg in args {
            self.check_identity(arg);
        }
        self.var(self.inner.borrow_mut().record(op, args, location))
    }

    #[inline]
    #[track_caller]
    fn check_identity(&self, var: &Var<'_, T>) {
        if !std::ptr::eq(self, var.tape()) {
            panic!(
                "operands on two tapes: {self} and {}; a computation lives on one tape, so take \
                 the value across with `tape.constant(other.value())`",
                var.tape()
            );
        }
    }

    /// Runs `body` without recording derivatives: what it computes counts as
    /// constant. For inference and for monitoring a cost.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0);
    /// let y = tape.without_gradients(|| x * x);
    /// assert!(!y.is_active());
    /// ```
    pub fn without_gradients<R>(&self, body: impl FnOnce() -> R) -> R {
        /// Restores the mode even if `body` panics.
        struct Restore<'a, T: Real>(&'a Tape<T>, bool);
        impl<T: Real> Drop for Restore<'_, T> {
            fn drop(&mut self) {
                self.0.inner.borrow_mut().records_derivatives = self.1;
            }
        }
        let before = self.inner.borrow().records_derivatives;
        let _restore = Restore(self, before);
        self.inner.borrow_mut().records_derivatives = false;
        body()
    }

    /// Forgets all nodes and keeps their memory for the next recording.
    ///
    /// The exclusive borrow is the proof that no [`Var`] outlives the nodes.
    ///
    /// ```compile_fail
    /// # use wengert_core::Tape;
    /// let mut tape = Tape::new();
    /// let x = tape.variable(1.0);
    /// tape.reset();
    /// x.sin(); // the borrow checker objects
    /// ```
    pub fn reset(&mut self) {
        let inner = self.inner.get_mut();
        inner.nodes.clear();
        inner.spilled.clear();
        inner.store.reset();
        inner.layouts.trim();
        inner.ops.reset();
        inner.parameters.clear();
        inner.records_derivatives = true;
        inner.on_behalf = None;
        inner.scratch.adjoints.clear();
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.inner.borrow().nodes.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first value that is not finite, as a message that names the
    /// operation, its operands and the source line, or `None` if all are finite.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(-1.0);
    /// let y = x.ln() + 1.0;
    /// assert!(tape.first_non_finite().unwrap().contains("ln"));
    /// ```
    pub fn first_non_finite(&self) -> Option<String> {
        let inner = self.inner.borrow();
        let id = (0..inner.nodes.len())
            .map(NodeId::new)
            .find(|&id| inner.view(id).iter().any(|x| !x.is_finite()))?;
        let value = inner.view(id).iter().find(|x| !x.is_finite())?;
        let mut message = format!("{value} in {}", inner.describe(id));
        for &arg in inner.args(id) {
            message += &format!("\n  from {}", inner.describe(arg));
        }
        Some(message)
    }

    #[inline]
    pub(crate) fn var(&self, id: NodeId) -> Var<'_, T> {
        Var::new(self, id)
    }

    /// The source line that recorded a node.
    pub(crate) fn location_of(&self, id: NodeId) -> &'static Location<'static> {
        self.inner.borrow().nodes[id.index()].location
    }

    pub(crate) fn shape_of(&self, id: NodeId) -> Shape {
        self.inner.borrow().shape(id).clone()
    }

    pub(crate) fn value_of(&self, id: NodeId) -> Tensor<T> {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id.index()];
        inner.store.tensor(node.place, inner.layouts.get(node.layout))
    }

    /// Lets `read` see a value without copying it.
    pub(crate) fn with_value<R>(&self, id: NodeId, read: impl FnOnce(View<'_, T>) -> R) -> R {
        read(self.inner.borrow().view(id))
    }

    #[inline]
    pub(crate) fn is_active(&self, id: NodeId) -> bool {
        self.inner.borrow().nodes[id.index()].active
    }

    #[inline]
    pub(crate) fn records_derivatives(&self) -> bool {
        self.inner.borrow().records_derivatives
    }

    /// Whether two nodes have the same shape.
    #[inline]
    pub(crate) fn same_shape(&self, a: NodeId, b: NodeId) -> bool {
        let inner = self.inner.borrow();
        inner.nodes[a.index()].layout == inner.nodes[b.index()].layout
            || inner.shape(a) == inner.shape(b)
    }

    /// A node's op and arguments, for a rule; `None` for a leaf.
    #[inline]
    pub(crate) fn call(&self, id: NodeId) -> Option<(OpHandle<T>, Args<Var<'_, T>>)> {
        let inner = self.inner.borrow();
        let op = inner.ops.handle(inner.nodes[id.index()].origin)?;
        Some((op, inner.args(id).iter().map(|&arg| self.var(arg)).collect()))
    }

    /// Marks the nodes up to `output` that depend on one of the inputs.
    pub(crate) fn mark_from(
        &self,
        inputs: &[Var<'_, T>],
        output: NodeId,
        mut marks: Vec<bool>,
    ) -> Vec<bool> {
        let inner = self.inner.borrow();
        let count = output.index() + 1;
        marks.clear();
        marks.resize(count, false);
        let mut first = count;
        for input in inputs.iter().map(|input| input.id().index()).filter(|&i| i < count) {
            marks[input] = true;
            first = first.min(input);
        }
        for index in first..count {
            marks[index] |= inner.nodes[index].active
                && inner.args(NodeId::new(index)).iter().any(|arg| marks[arg.index()]);
        }
        marks
    }

    /// What a node is and where it was recorded.
    pub(crate) fn describe(&self, id: NodeId) -> String {
        self.inner.borrow().describe(id)
    }

    pub(crate) fn parameter_id(&self, key: u64) -> Option<NodeId> {
        self.inner.borrow().parameters.get(&key).copied()
    }

    /// Nodes recorded from now on count as recorded by the line that recorded
    /// `id`.
    #[inline]
    pub(crate) fn record_on_behalf(&self, id: Option<NodeId>) {
        let mut inner = self.inner.borrow_mut();
        inner.on_behalf = id.map(|id| inner.nodes[id.index()].location);
    }

    #[inline]
    pub(crate) fn take_scratch(&self) -> Scratch {
        std::mem::take(&mut self.inner.borrow_mut().scratch)
    }

    #[inline]
    pub(crate) fn return_scratch(&self, scratch: Scratch) {
        self.inner.borrow_mut().scratch = scratch;
    }

    /// Adds `term` to the adjoint `sum`: in place if the sum's memory is its own.
    pub(crate) fn accumulate<'t>(&'t self, sum: Var<'t, T>, term: Var<'t, T>) -> Var<'t, T> {
        if self.records_derivatives() {
            return sum + term;
        }
        if self.inner.borrow_mut().accumulate(sum.id(), term.id()) {
            return sum;
        }
        let total = sum + term;
        self.inner.borrow_mut().nodes[total.id().index()].owned = true;
        total
    }

    /// The adjoint of a backward sweep, which starts at `region`.
    pub(crate) fn adjoint(&self, region: usize, id: NodeId) -> Option<NodeId> {
        self.inner.borrow().scratch.adjoints.get(region + id.index()).copied().flatten()
    }
}

impl<T: Real> Inner<T> {
    #[inline]
    fn push(
        &mut self,
        origin: Origin<T>,
        args: &[NodeId],
        active: bool,
        layout: layouts::LayoutId,
        place: store::Place,
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
    fn record<O: DynOp<T>>(
        &mut self,
        op: O,
        args: &[Var<'_, T>],
        location: &'static Location<'static>,
    ) -> NodeId {
        let mut ids = [NodeId::new(0); INLINE_ARGS];
        if args.len() <= INLINE_ARGS {
            let mut active = false;
            let mut scalars = true;
            let mut values = [T::zero(); INLINE_ARGS];
            for (i, arg) in args.iter().enumerate() {
                let node = &self.nodes[arg.id().index()];
                ids[i] = arg.id();
                active |= node.active;
                scalars &= node.layout == SCALAR;
                if scalars {
                    values[i] = self.store.scalar(node.place);
                }
            }
            if scalars && let Some(value) = op.eval_scalar(&values[..args.len()]) {
                let active = active && self.records_derivatives && op.is_differentiable();
                let place = self.store.push_scalar(value);
                let origin = self.ops.insert(op);
                return self.push(origin, &ids[..args.len()], active, SCALAR, place, location);
            }
        }
        let ids: Args<NodeId> = args.iter().map(|arg| arg.id()).collect();
        let origin = self.ops.insert(op);
        self.record_general(origin, &ids, location)
    }

    #[inline(never)]
    fn record_general(
        &mut self,
        origin: Origin<T>,
        args: &[NodeId],
        location: &'static Location<'static>,
    ) -> NodeId {
        let op = self.ops.get(origin).expect("a recorded op is no leaf");
        let active = self.records_derivatives
            && op.is_differentiable()
            && args.iter().any(|arg| self.nodes[arg.index()].active);
        let shape = match self.infer(op, args) {
            Ok(shape) => shape,
            Err(reason) => self.reject(op.name(), args, &reason, location),
        };
        if let [arg] = args
            && let node = &self.nodes[arg.index()]
            && let Some((layout, moved)) = op.view(self.layouts.get(node.layout))
        {
            let place = node.place.moved(moved);
            let layout = self.layouts.intern(&layout);
            return self.push(origin, args, active, layout, place, location);
        }
        let layout = self.layouts.intern(&Layout::contiguous(shape));
        let Self { nodes, layouts, store, .. } = self;
        let shape = layouts.get(layout).shape();
        let place = store.produce(shape.elements(), |blocks, out| {
            let views: Args<View<'_, T>> = args
                .iter()
                .map(|arg| {
                    let node = &nodes[arg.index()];
                    blocks.view(node.place, layouts.get(node.layout))
                })
                .collect();
            op.eval(&views, shape, out);
        });
        self.push(origin, args, active, layout, place, location)
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

    fn accumulate(&mut self, sum: NodeId, term: NodeId) -> bool {
        let (target, source) = (self.nodes[sum.index()], self.nodes[term.index()]);
        if target.owned {
            self.store.accumulate(target.place, source.place, self.layouts.get(source.layout));
        }
        target.owned
    }

    #[inline]
    fn args(&self, id: NodeId) -> &[NodeId] {
        let node = &self.nodes[id.index()];
        let count = usize::from(node.arg_count);
        if count <= INLINE_ARGS {
            &node.args[..count]
        } else {
            &self.spilled[node.args[0].index()..][..count]
        }
    }

    fn shape(&self, id: NodeId) -> &Shape {
        self.layouts.get(self.nodes[id.index()].layout).shape()
    }

    fn view(&self, id: NodeId) -> View<'_, T> {
        let node = &self.nodes[id.index()];
        self.store.blocks().view(node.place, self.layouts.get(node.layout))
    }

    fn describe(&self, id: NodeId) -> String {
        let node = &self.nodes[id.index()];
        let what = match self.ops.get(node.origin) {
            Some(op) => op.name(),
            None if node.active => "variable",
            None => "constant",
        };
        format!("v{} = {what}, shape {}, at {}", id.index(), self.shape(id), node.location)
    }
}

impl<T: Real> Default for Tape<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> fmt::Display for Tape<T> {
    /// The tape's name in messages: its number and where it was made.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tape {} (made at {})", self.number, self.made)
    }
}

impl<T: Real> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} with {} nodes", self.len())
    }
}
