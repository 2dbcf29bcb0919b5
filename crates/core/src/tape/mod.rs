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

mod dependence;
mod layouts;
mod leaf;
mod memory;
mod node;
mod parameters;
mod places;
mod recorder;
pub(crate) mod store;
mod sweeps;
mod training;

use std::cell::RefCell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

pub use leaf::Leaf;
pub use memory::Memory;
use node::{INLINE_ARGS, Origin};
pub(crate) use node::{NodeId, OpHandle};
pub use places::Scope;
use recorder::Recorder;
pub(crate) use sweeps::Adjoints;

use crate::op::accumulate::AddWhole;
use crate::op::{DynOp, Operation};
use crate::tensor::{Shape, Tensor, View};
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
    inner: RefCell<Recorder<T>>,
}

/// Tables of the sweeps, kept so that a sweep in steady state allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Adjoints or tangents of sweeps in progress, one region after another.
    pub(crate) adjoints: Adjoints,
    /// For a sweep in progress: the nodes that it goes through.
    pub(crate) marks: Vec<bool>,
    /// For a backward sweep in progress: how many adjoints lie in each slot of a
    /// large value.
    readers: Vec<u32>,
    /// The first slot that it makes.
    first_slot: usize,
}

/// The adjoint of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adjoint {
    pub(crate) id: NodeId,
    /// Whether it is a sum that this sweep has made, or what one rule has computed for
    /// one operand, so that more may be added in place. A rule may hand its cotangent on
    /// to several operands as it is; as their adjoints it is not owned.
    pub(crate) owned: bool,
}

impl From<NodeId> for Adjoint {
    fn from(id: NodeId) -> Self {
        Self { id, owned: false }
    }
}

/// Restores the mode of a tape, even if what it is for panics.
pub(crate) struct ModeGuard<'a, T: Real> {
    tape: &'a Tape<T>,
    before: bool,
    /// The node with which the mode began.
    start: usize,
}

impl<T: Real> Drop for ModeGuard<'_, T> {
    fn drop(&mut self) {
        let mut inner = self.tape.inner.borrow_mut();
        if !inner.records_derivatives {
            inner.detach_from(self.start);
        }
        inner.records_derivatives = self.before;
    }
}

impl<T: Real> Tape<T> {
    /// An empty tape.
    #[track_caller]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
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

    /// Records an op whose type is forgotten, such as that of a sample in the
    /// [registry](crate::op::registry).
    #[doc(hidden)]
    #[track_caller]
    pub fn apply_dyn<'t>(&'t self, op: Rc<dyn DynOp<T>>, args: &[Var<'t, T>]) -> Var<'t, T> {
        self.record(op, args)
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

    /// Runs `body` without recording derivatives: what it computes counts as a constant in all
    /// that is recorded afterwards. For inference, for monitoring a cost, and for targets that
    /// are to be held fixed.
    ///
    /// Within `body`, derivatives are asked for as elsewhere ([`Var::grad`], [`Var::vjp`],
    /// [`Var::jvp`], [`Var::taylor`]), and go through what `body` has computed: forces of an
    /// energy that is only evaluated, for instance. They are computed faster than when they are
    /// recorded, from formulas that are not kept, so a derivative *of* such a derivative is
    /// refused: take the first one outside.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0);
    /// let (y, force) = tape.without_gradients(|| {
    ///     let y = x * x;
    ///     let [slope] = y.grad([x]);
    ///     (y, -slope)
    /// });
    /// assert_eq!(force.item(), -4.0);
    /// assert!(!y.is_active());
    /// let [dx] = (y * x).grad([x]);
    /// assert_eq!(dx.item(), 4.0); // of 4 x
    /// ```
    #[doc(alias = "no_grad")]
    pub fn without_gradients<R>(&self, body: impl FnOnce() -> R) -> R {
        let _mode = self.mode(false);
        body()
    }

    /// Runs `body` with derivatives recorded, whatever the mode: for functions of which
    /// derivatives of any order are asked, and for what reads the formulas of rules.
    pub(crate) fn with_gradients<R>(&self, body: impl FnOnce() -> R) -> R {
        let _mode = self.mode(true);
        body()
    }

    /// Records derivatives, or does not, as long as the guard lives. Unlike a closure it leaves the
    /// caller's line to what comes after it.
    pub(crate) fn mode(&self, records_derivatives: bool) -> ModeGuard<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let before = std::mem::replace(&mut inner.records_derivatives, records_derivatives);
        ModeGuard { tape: self, before, start: inner.len() }
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

    /// Whether this recording is, so far, the one before it: the same operations on
    /// the same values' numbers, layouts and modes, so that whatever followed from
    /// those holds again.
    pub(crate) fn follows(&self) -> bool {
        self.inner.borrow().follows
    }

    /// The largest absolute value, of those that are finite, in the nodes from a
    /// number on.
    pub(crate) fn largest_since(&self, first: usize) -> T {
        let inner = self.inner.borrow();
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
        let inner = self.inner.borrow();
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
        let inner = self.inner.borrow();
        inner.tensor(id)
    }

    /// Lets `read` see a value without copying it.
    pub(crate) fn with_value<R>(&self, id: NodeId, read: impl FnOnce(View<'_, T>) -> R) -> R {
        read(self.inner.borrow().view(id))
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

    #[inline]
    pub(crate) fn records_derivatives(&self) -> bool {
        self.inner.borrow().records_derivatives
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

    /// Nodes recorded from now on count as recorded by the line that recorded
    /// `id`.
    #[inline]
    pub(crate) fn record_on_behalf(&self, id: Option<NodeId>) {
        let mut inner = self.inner.borrow_mut();
        inner.on_behalf = id.map(|id| inner.node(id).location).or(inner.places.caller);
    }

    #[inline]
    pub(crate) fn take_scratch(&self) -> Scratch {
        std::mem::take(&mut self.inner.borrow_mut().scratch)
    }

    #[inline]
    pub(crate) fn return_scratch(&self, scratch: Scratch) {
        self.inner.borrow_mut().scratch = scratch;
    }

    /// Remembers that a value was looked at: see [`fateful_read`](Self::fateful_read).
    #[track_caller]
    pub(crate) fn note_read(&self, id: NodeId) {
        let mut inner = self.inner.borrow_mut();
        let nodes = inner.len();
        inner.reads.push((id, nodes, Location::caller()));
    }

    /// The adjoint after `term` is added to it: in place if its memory is its own.
    pub(crate) fn accumulate<'t>(&'t self, sum: Adjoint, term: Var<'t, T>) -> Adjoint {
        if sum.owned {
            return self.accumulate_by(AddWhole, sum, &[term]);
        }
        let id = (self.var(sum.id) + term).id();
        Adjoint { id, owned: !self.records_derivatives() }
    }

    /// The adjoint after an op has added terms to it in place. Its memory is its own.
    pub(crate) fn accumulate_by<'t, O: DynOp<T>>(
        &'t self,
        op: O,
        sum: Adjoint,
        terms: &[Var<'t, T>],
    ) -> Adjoint {
        assert!(sum.owned, "what others read is not added to");
        let args: Args<NodeId> =
            [sum.id].into_iter().chain(terms.iter().map(|term| term.id())).collect();
        let id = self.inner.borrow_mut().accumulate(op, &args);
        Adjoint { id, owned: true }
    }

    /// What a rule gave, as an adjoint that is its own if the rule, whose nodes begin
    /// at `first`, has computed it and handed it to nobody else.
    pub(crate) fn given(&self, term: Var<'_, T>, first: usize) -> Adjoint {
        let inner = self.inner.borrow();
        let owned = !inner.records_derivatives
            && term.id().index() >= first
            && inner.owns_memory(term.id());
        Adjoint { id: term.id(), owned }
    }

    /// Repeats a backward sweep, if the earlier recording had the same one here.
    /// Returns its number.
    pub(crate) fn repeat_sweep(&self, output: NodeId, seed: NodeId) -> Option<usize> {
        self.inner.borrow_mut().repeat_sweep(output, seed)
    }

    /// Runs a backward sweep, which fills the table, and keeps it. Returns its
    /// number.
    pub(crate) fn keep_sweep(
        &self,
        output: NodeId,
        seed: NodeId,
        sweep: impl FnOnce(&mut Adjoints),
    ) -> usize {
        let (start, mut adjoints) = {
            let mut inner = self.inner.borrow_mut();
            (inner.len(), inner.begin_sweep())
        };
        sweep(&mut adjoints);
        self.inner.borrow_mut().keep_sweep(output, seed, start, adjoints)
    }

    /// Lets `read` see the adjoint of a parameter that was recorded no later than
    /// the output.
    #[inline]
    pub(crate) fn with_parameter_adjoint<R>(
        &self,
        sweep: usize,
        key: u64,
        output: NodeId,
        read: impl FnOnce(View<'_, T>) -> R,
    ) -> Option<R> {
        let inner = self.inner.borrow();
        let parameter = inner.parameters.get(inner.parameters.find(key)?)?;
        let adjoint = inner.sweeps.adjoint(sweep, parameter).filter(|_| parameter <= output)?;
        Some(read(inner.view(adjoint)))
    }

    /// Whether the adjoints of all parameters that were recorded no later than the output are finite.
    pub(crate) fn parameter_adjoints_are_finite(&self, sweep: usize, output: NodeId) -> bool {
        let inner = self.inner.borrow();
        let adjoint = |parameter| inner.sweeps.adjoint(sweep, parameter);
        let mut parameters = inner.parameters.nodes().filter(|&parameter| parameter <= output);
        parameters.all(|it| adjoint(it).is_none_or(|adjoint| inner.view(adjoint).is_finite()))
    }

    /// Declares that an adjoint of the backward sweep in progress is read later on.
    pub(crate) fn hold(&self, adjoint: NodeId) {
        self.inner.borrow_mut().hold(adjoint);
    }

    /// Takes back one [`hold`](Self::hold). Memory that nobody holds is used again.
    pub(crate) fn let_go(&self, adjoint: NodeId) {
        self.inner.borrow_mut().let_go(adjoint);
    }

    /// Declares that a rule of the backward sweep in progress, whose nodes begin at
    /// `first`, is done.
    pub(crate) fn end_rule(&self, first: usize) {
        self.inner.borrow_mut().end_rule(first);
    }

    /// The adjoint of a node in a backward sweep.
    pub(crate) fn adjoint(&self, sweep: usize, id: NodeId) -> Option<NodeId> {
        self.inner.borrow().sweeps.adjoint(sweep, id)
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
