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
//!
//! Training repeats the same program. So a reset keeps the nodes, and the next
//! recording follows them for as long as it does the same: see `recorder`.

mod adjoints;
mod dependence;
pub(crate) mod elemental;
mod frugal;
mod infer;
mod layouts;
mod lazy;
mod leaf;
mod memory;
mod mode;
mod names;
mod node;
mod operand;
mod parameters;
mod places;
mod plan;
mod recorder;
pub(crate) mod store;
mod sweeps;
mod training;
mod var;

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

pub(crate) use adjoints::{Adjoint, Ready, Scratch};
pub use leaf::Leaf;
pub use memory::Memory;
use node::{INLINE_ARGS, Origin};
pub(crate) use node::{NodeId, OpHandle, line};
pub use operand::Operand;
pub use places::Layers;
use recorder::Recorder;
pub(crate) use sweeps::Adjoints;
pub use var::Var;

use crate::scalar::Real;
use crate::tensor::{Shape, Tensor, View};
pub(crate) use elemental::DynOp;

/// Arguments of one operation: rarely more than four.
pub(crate) type Args<X> = SmallVec<[X; INLINE_ARGS]>;

/// A list of operations on tensors, recorded as they are computed.
///
/// Values are computed at once, but on a [lazy](Self::lazy) tape; what the tape adds is the memory of how. Handles
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
    inner: RefCell<Recorder<T>>,
}

impl<T: Real> Tape<T> {
    /// An empty tape.
    ///
    /// # Panics
    /// If one of the environment variables `WENGERT_THREADS`, `WENGERT_SIMD` and `WENGERT_NATIVE` has a
    /// value that means nothing: see [`threads::count`](crate::kernel::threads::count),
    /// [`instruction_set`](crate::scalar::instruction_set) and
    /// [`Program::native`](crate::Program::native).
    #[track_caller]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        crate::kernel::check_environment();
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            made: Location::caller(),
            inner: RefCell::new(Recorder::new()),
        }
    }

    /// Takes in a value with respect to which derivatives can be asked for: an
    /// independent variable.
    #[doc(alias = "tensor")]
    #[track_caller]
    pub fn variable(&self, value: impl Leaf<T>) -> Var<'_, T> {
        self.leaf(value, true)
    }

    /// Takes in a value that derivatives treat as fixed.
    #[doc(alias("as_tensor", "asarray"))]
    #[track_caller]
    pub fn constant(&self, value: impl Leaf<T>) -> Var<'_, T> {
        self.leaf(value, false)
    }

    #[track_caller]
    #[inline]
    fn leaf(&self, value: impl Leaf<T>, variable: bool) -> Var<'_, T> {
        let location = Location::caller();
        self.var(self.inner.borrow_mut().leaf(value, Origin::Leaf, variable, location))
    }

    #[track_caller]
    #[inline]
    pub(crate) fn scalar_constant(&self, value: T) -> Var<'_, T> {
        let location = Location::caller();
        self.var(self.inner.borrow_mut().scalar(value, location))
    }

    /// Records an op whose type is forgotten, such as that of a sample in the
    /// [registry](crate::op::registry).
    #[doc(hidden)]
    #[track_caller]
    pub fn apply_dyn<'t>(&'t self, op: &Rc<dyn DynOp<T>>, args: &[Var<'t, T>]) -> Var<'t, T> {
        self.record_again(&OpHandle::Stored(op.clone()), args)
    }

    #[track_caller]
    #[inline]
    pub(crate) fn record<'t, O: DynOp<T>>(&'t self, op: O, args: &[Var<'t, T>]) -> Var<'t, T> {
        let location = Location::caller();
        let id = self.follow(&op, args, location);
        // Not by a closure, which would have a line of its own.
        self.var(match id {
            Some(id) => id,
            None => self.inner.borrow_mut().record(op, args),
        })
    }

    /// The part of recording that does not depend on the op's type: a step of a
    /// small program should fit into the instruction cache.
    #[track_caller]
    #[inline(never)]
    fn follow(
        &self,
        op: &dyn DynOp<T>,
        args: &[Var<'_, T>],
        location: &'static Location<'static>,
    ) -> Option<NodeId> {
        for arg in args {
            self.expect_own(*arg);
        }
        self.inner.borrow_mut().follow(op, args, location)
    }

    /// The recorder itself, for sweeps.
    #[inline]
    pub(crate) fn recorder(&self) -> RefMut<'_, Recorder<T>> {
        self.inner.borrow_mut()
    }

    /// Stops if a variable lives on another tape.
    #[track_caller]
    #[inline]
    pub(crate) fn expect_own(&self, var: Var<'_, T>) {
        if !std::ptr::eq(self, var.tape()) {
            self.reject_stranger(var);
        }
    }

    #[cold]
    #[track_caller]
    fn reject_stranger(&self, var: Var<'_, T>) -> ! {
        panic!(
            "operands on two tapes: {self} and {}; a computation lives on one tape, so take the \
             value across with `tape.constant(other.value())`",
            var.tape()
        );
    }

    /// Forgets all nodes and keeps their memory for the next recording.
    ///
    /// A tape that records the same program again allocates nothing; programs that
    /// alternate, such as training and monitoring, are best given a tape each.
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
        self.inner.get_mut().reset();
    }

    /// Whether this recording is the beginning of the one before it: the same operations on
    /// the same values' numbers, layouts and modes, so that whatever followed from
    /// those holds again.
    pub(crate) fn follows(&self) -> bool {
        self.inner.borrow().follows
    }

    /// The largest absolute value, of those that are finite, in the nodes from a
    /// number on.
    pub(crate) fn largest_since(&self, first: usize) -> T {
        let inner = self.settled((0..self.len()).map(NodeId::new));
        let larger = |largest: T, x: T| if x.is_finite() { largest.max(x.abs()) } else { largest };
        (first..inner.len()).fold(T::zero(), |largest, node| {
            inner.view(NodeId::new(node)).iter().fold(largest, larger)
        })
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.inner.borrow().len()
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
        self.first_non_finite_until(NodeId::new(self.len().checked_sub(1)?))
    }

    /// The same, among the nodes up to one of them.
    pub(crate) fn first_non_finite_until(&self, last: NodeId) -> Option<String> {
        let inner = self.settled((0..=last.index()).map(NodeId::new));
        let kept = inner.kept_values();
        let id = (0..=last.index())
            .filter(|&index| kept[index])
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
        self.inner.borrow().node(id).location
    }

    /// The key of a node that stands for a parameter or state.
    pub(crate) fn key_of(&self, id: NodeId) -> Option<u64> {
        match self.inner.borrow().node(id).origin {
            Origin::Parameter(key) => Some(key),
            _ => None,
        }
    }

    pub(crate) fn shape_of(&self, id: NodeId) -> Shape {
        self.inner.borrow().shape(id).clone()
    }

    pub(crate) fn rank_of(&self, id: NodeId) -> usize {
        self.inner.borrow().shape(id).rank()
    }

    pub(crate) fn elements_of(&self, id: NodeId) -> usize {
        self.inner.borrow().layout(id).elements()
    }

    pub(crate) fn value_of(&self, id: NodeId) -> Tensor<T> {
        self.settled([id]).tensor(id)
    }

    /// Lets `read` see a value without copying it.
    pub(crate) fn with_value<R>(&self, id: NodeId, read: impl FnOnce(View<'_, T>) -> R) -> R {
        let inner = self.inner.borrow();
        if inner.waiting.is_none() {
            return read(inner.view(id));
        }
        drop(inner);
        self.with_late_value(id, read)
    }

    #[inline]
    pub(crate) fn is_active(&self, id: NodeId) -> bool {
        self.inner.borrow().node(id).active
    }

    /// Whether a node passes no derivative on, though it was recorded in a mode in which it might.
    pub(crate) fn is_cut(&self, id: NodeId) -> bool {
        let inner = self.inner.borrow();
        let node = inner.node(id);
        let feeds = inner.args(id).iter().any(|&arg| inner.node(arg).active);
        !node.active && node.records_derivatives && feeds
    }

    /// Whether two nodes have the same shape.
    #[inline]
    pub(crate) fn same_shape(&self, a: NodeId, b: NodeId) -> bool {
        let inner = self.inner.borrow();
        inner.node(a).layout == inner.node(b).layout || inner.shape(a) == inner.shape(b)
    }

    /// Of each node whether its value is still there: a backward sweep uses the
    /// memory of its own intermediate results again.
    pub(crate) fn kept_values(&self) -> Vec<bool> {
        self.inner.borrow().kept_values()
    }

    /// What the tape holds, in bytes.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.variable(&Tensor::<f64>::ones([1000]));
    /// x.sin().sum().backward();
    /// let memory = tape.memory();
    /// assert!(memory.values >= 8000 && memory.adjoints >= 8000);
    /// assert!(memory.peak >= memory.values + memory.adjoints);
    /// println!("{memory}");
    /// ```
    pub fn memory(&self) -> Memory {
        let inner = self.inner.borrow();
        let bytes = |elements: usize| elements * size_of::<T>();
        let [values, adjoints] = inner.elements_of_values().map(bytes);
        let [held, peak] = inner.elements_held().map(bytes);
        Memory { values, adjoints, idle: held.saturating_sub(values + adjoints), peak }
    }

    /// A node's op and arguments, for a rule; `None` for a leaf.
    #[inline]
    pub(crate) fn call(&self, id: NodeId) -> Option<(OpHandle<T>, Args<Var<'_, T>>)> {
        let inner = self.inner.borrow();
        let op = inner.ops().handle(inner.node(id).origin)?;
        let args = inner.args(id);
        if args.len() > INLINE_ARGS {
            return Some((op, args.iter().map(|&arg| self.var(arg)).collect()));
        }
        // Whole, rather than one by one: this runs for every node of a sweep.
        let mut vars = [self.var(NodeId::new(0)); INLINE_ARGS];
        for (var, &arg) in vars.iter_mut().zip(args) {
            *var = self.var(arg);
        }
        Some((op, SmallVec::from_buf_and_len(vars, args.len())))
    }

    /// Records an op that the tape has already, on other operands.
    #[track_caller]
    pub(crate) fn record_again<'t>(&'t self, op: &OpHandle<T>, args: &[Var<'t, T>]) -> Var<'t, T> {
        let location = Location::caller();
        let id = self.follow(op.get(), args, location);
        self.var(match id {
            Some(id) => id,
            None => self.inner.borrow_mut().record_again(op, args),
        })
    }

    /// What a node is and where it was recorded.
    pub(crate) fn describe(&self, id: NodeId) -> String {
        self.inner.borrow().describe(id)
    }

    /// Runs `body`, whose values count as recorded at the caller's line.
    #[track_caller]
    pub(crate) fn on_behalf_of_caller<R>(&self, body: impl FnOnce() -> R) -> R {
        let caller = self.inner.borrow().places.caller.unwrap_or(Location::caller());
        let before = self.inner.borrow_mut().on_behalf.replace(caller);
        let result = body();
        self.inner.borrow_mut().on_behalf = before;
        result
    }

    /// Nodes recorded from now on count as recorded by this line.
    pub(crate) fn record_at(&self, location: Option<&'static Location<'static>>) {
        let mut inner = self.inner.borrow_mut();
        inner.on_behalf = location.or(inner.places.caller);
    }

    /// A constant that counts as taken in by another line.
    pub(crate) fn constant_at(
        &self,
        value: &Tensor<T>,
        location: &'static Location<'static>,
    ) -> Var<'_, T> {
        self.var(self.inner.borrow_mut().leaf(value, Origin::Leaf, false, location))
    }

    /// Nodes recorded from now on count as recorded by the line that recorded
    /// `id`.
    #[inline]
    pub(crate) fn record_on_behalf(&self, id: Option<NodeId>) {
        let mut inner = self.inner.borrow_mut();
        inner.on_behalf = id.map(|id| inner.node(id).location).or(inner.places.caller);
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
        write!(f, "tape {} (made at {})", self.number, line(self.made))
    }
}

impl<T: Real> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} with {} nodes", self.len())
    }
}
