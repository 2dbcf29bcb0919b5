//! Loops of many steps, of which few states are kept.

use std::fmt;
use std::rc::Rc;

use super::function::{Function, Operands};
use super::looped::Loop;
use super::run::{Core, Memory, check_number};
use super::segment::divided;
use super::step::{Count, Known};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Tensor;

/// A loop that is differentiated with few states kept, instead of all that its steps compute.
///
/// The step takes its number, the state (one or several tensors) and what all steps
/// share, and gives the next state, of the same shapes. The number is a scalar like any other value,
/// but for having no derivative. Where steps read numbers of their own, or give some, a
/// [`Scan`](super::Scan) is the loop; where they differ in kind, it is a loop in Rust.
///
/// ```
/// use wengert_core::{Tape, checkpoint::Steps};
///
/// // x' = -a x by Euler's method, 100 steps, with 4 states kept.
/// let decay = Steps::new(|_, [x], [a]| [x - a * x * 0.01]).keep(4);
/// let tape = Tape::new();
/// let (x, a) = (tape.variable(1.0), tape.variable(2.0));
/// let [end] = decay.run(100, [x], [a]);
/// let gradients = end.backward();
/// assert!((gradients.wrt(x).item() - 0.98_f64.powi(100)).abs() < 1e-15);
/// assert!((gradients.wrt(a).item() + 0.98_f64.powi(99)).abs() < 1e-15);
/// ```
///
/// # One recording
///
/// The closure is called once for operands of some shapes, when the loop is run with them first. What it
/// records is compiled, the step forwards and the step back. The loop runs such a
/// [program](crate::Program) once for each step; neither its memory nor the time to compile it depends on the number
/// of steps. All that is no operand is fixed from then on: constants, what the closure captures, random
/// numbers that it has drawn. What is to change is handed in as a shared value.
///
/// ```
/// use wengert_core::{Tape, checkpoint::Steps};
///
/// let calls = std::rc::Rc::new(std::cell::Cell::new(0));
/// let counted = calls.clone();
/// let sum = Steps::new(move |k, [x], []| {
///     counted.set(counted.get() + 1);
///     [x + k]
/// });
/// let tape = Tape::new();
/// let [end] = sum.run(101, [tape.constant(0.0)], []);
/// assert_eq!((end.item(), calls.get()), (5050.0, 1));
/// ```
///
/// A closure that looks at a value which depends on its operands ([`Var::item`], [`Var::value`]) may decide on it. It is
/// called at each step, and its step is recorded each time, which takes ten times as long if states are small.
/// If it gives another value when it is called again, a sweep panics.
///
/// # Cost
///
/// A reverse sweep takes [`forward_steps(n, c)`](super::forward_steps) steps and one
/// more, for the value, and `n` steps back. A tangent of the
/// loop is a loop again, of pairs, and so are the adjoints of that; the adjoint's
/// derivative records the loop as a whole.
pub struct Steps<T: Real, F, const N: usize, const K: usize> {
    closure: Rc<dyn Function<T>>,
    known: Known<T>,
    memory: Memory<T>,
    function: std::marker::PhantomData<F>,
}

impl<T: Real, F, const N: usize, const K: usize> Steps<T, F, N, K>
where
    F: for<'s> Fn(Var<'s, T>, [Var<'s, T>; N], [Var<'s, T>; K]) -> [Var<'s, T>; N] + 'static,
{
    /// Takes the step. As many states are kept as fit into a mebibyte, and ten at least (ten for a [loop of
    /// unknown length](Self::run_while)), unless [`keep`](Self::keep) says otherwise.
    pub fn new(step: F) -> Self {
        Self {
            closure: Rc::new(Closure::<F, N, K>(step)),
            known: Known::new(),
            memory: Memory::new(),
            function: std::marker::PhantomData,
        }
    }

    /// With room for `c` states, the first one included.
    ///
    /// # Panics
    /// If there is room for none.
    #[must_use]
    #[track_caller]
    pub fn keep(self, c: usize) -> Self {
        Self { memory: self.memory.keep(c), ..self }
    }

    /// The state after `n` steps.
    ///
    /// # Panics
    /// If the inputs lie on several tapes; if a step gives other shapes than it takes, or
    /// takes in parameters of its own: those are given as what the steps share; or if
    /// the number of a step is none of `T`, as whole numbers beyond 2<sup>24</sup> of `f32`.
    #[track_caller]
    pub fn run<'t>(
        &self,
        n: usize,
        state: [Var<'t, T>; N],
        shared: [Var<'t, T>; K],
    ) -> [Var<'t, T>; N] {
        check_number::<T>(n.saturating_sub(1));
        self.record(Count::Known(n), state, shared)
    }

    /// A `while` loop: the state before the first step for which `goes_on`, of the step's number and
    /// the state, does not hold. How many steps that takes need not be known: states are
    /// kept as the loop goes (online checkpointing). The number of steps is taken as
    /// fixed by derivatives.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, checkpoint::Steps};
    ///
    /// // Newton's method for the square root.
    /// let newton = Steps::new(|_, [x], [a]| [(x + a / x) * 0.5]).keep(2);
    /// let tape = Tape::new();
    /// let (x, a) = (tape.constant(1.0_f64), tape.variable(2.0));
    /// let goes_on = |k, [x]: &[Tensor<f64>; 1]| k < 50 && (x.item().powi(2) - 2.0).abs() > 1e-12;
    /// let [root] = newton.run_while(goes_on, [x], [a]);
    /// let derivative = root.backward().wrt(a).item();
    /// assert!((derivative - 0.5 / 2.0_f64.sqrt()).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[track_caller]
    pub fn run_while<'t>(
        &self,
        goes_on: impl Fn(usize, &[Tensor<T>; N]) -> bool + 'static,
        state: [Var<'t, T>; N],
        shared: [Var<'t, T>; K],
    ) -> [Var<'t, T>; N] {
        let goes_on = move |k: usize, state: &[Tensor<T>]| {
            goes_on(k, state.first_chunk().expect("a state of the step"))
        };
        self.record(Count::While(Rc::new(goes_on)), state, shared)
    }

    #[track_caller]
    fn record<'t>(
        &self,
        count: Count<T>,
        state: [Var<'t, T>; N],
        shared: [Var<'t, T>; K],
    ) -> [Var<'t, T>; N] {
        const { assert!(N > 0, "a loop has a state") };
        let args: Vec<_> = state.into_iter().chain(shared).collect();
        let tape = state[0].tape();
        let step = self.known.step(&self.closure, &self.memory.spare, [&state, &[], &shared]);
        let shapes = step.signature().state.clone();
        let is_swept = tape.records_derivatives() && args.iter().any(|arg| arg.is_active());
        let core = Core::new(step, count, self.memory.clone(), is_swept);
        let looped = Loop(Rc::new(core));
        let results = divided(tape.record(looped, &args), shapes);
        results.try_into().unwrap_or_else(|_| unreachable!("one result a state"))
    }

    /// The most bytes that the loop's runs have held beside the tape: states, the programs of a step, and
    /// its recording.
    pub fn peak(&self) -> usize {
        self.memory.peak()
    }

    /// How many steps the loop's runs have taken: those forwards, those that sweeps repeated, and
    /// those that they went back over.
    pub fn taken(&self) -> usize {
        self.memory.taken()
    }
}

impl<T: Real, F, const N: usize, const K: usize> fmt::Debug for Steps<T, F, N, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "steps of {N} states and {K} shared values, {}", self.memory.room_in_words())
    }
}

struct Closure<F, const N: usize, const K: usize>(F);

impl<T: Real, F, const N: usize, const K: usize> Function<T> for Closure<F, N, K>
where
    F: for<'s> Fn(Var<'s, T>, [Var<'s, T>; N], [Var<'s, T>; K]) -> [Var<'s, T>; N],
{
    fn record<'t>(&self, operands: Operands<'_, 't, T>) -> Vec<Var<'t, T>> {
        let Operands { k, state, shared, .. } = operands;
        let own = std::array::from_fn(|i| state[i]);
        (self.0)(k, own, std::array::from_fn(|i| shared[i])).to_vec()
    }
}
