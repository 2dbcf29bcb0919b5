//! Loops of many steps, of which few states are kept.

use std::fmt;
use std::rc::Rc;

use super::looped::Loop;
use super::run::{Core, Memory};
use super::segment::divided;
use super::step::{Count, Step, check_step};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, Tensor};

/// A loop that is differentiated with `c` states kept, instead of all of them.
///
/// The step takes its number, the state (one or several tensors) and what all steps
/// share, and gives the next state, of the same shapes.
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
/// A reverse sweep takes [`forward_steps(n, c)`](super::forward_steps) steps and one
/// more, for the value, beside the `n` that it records one at a time. A tangent of the
/// loop is a loop again, of pairs, and so are the adjoints of that; the adjoint's
/// derivative records the loop as a whole.
pub struct Steps<T: Real, F, const N: usize, const K: usize> {
    step: Rc<dyn Step<T>>,
    memory: Memory<T>,
    function: std::marker::PhantomData<F>,
}

impl<T: Real, F, const N: usize, const K: usize> Steps<T, F, N, K>
where
    F: for<'s> Fn(usize, [Var<'s, T>; N], [Var<'s, T>; K]) -> [Var<'s, T>; N] + 'static,
{
    /// Takes the step. Ten states are kept, unless [`keep`](Self::keep) says otherwise.
    pub fn new(step: F) -> Self {
        Self {
            step: Rc::new(Function::<F, N, K>(step)),
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
    /// If the inputs lie on several tapes, a step gives other shapes than it takes, or
    /// takes in parameters of its own: those are given as what the steps share.
    #[track_caller]
    pub fn run<'t>(
        &self,
        n: usize,
        state: [Var<'t, T>; N],
        shared: [Var<'t, T>; K],
    ) -> [Var<'t, T>; N] {
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
        let args: Vec<_> = state.into_iter().chain(shared).collect();
        let tape = args.first().expect("a loop has a state").tape();
        let shapes: Vec<Shape> = state.iter().map(|state| state.shape()).collect();
        let is_swept = tape.records_derivatives() && args.iter().any(|arg| arg.is_active());
        let core = Core::new(self.step.clone(), count, self.memory.clone(), &state, is_swept);
        let looped = Loop(Rc::new(core));
        let results = divided(tape.record(looped, &args), shapes);
        results.try_into().unwrap_or_else(|_| unreachable!("one result a state"))
    }

    /// The most bytes that the loop's runs have held beside the tape: states, and the
    /// recording of a step.
    pub fn peak(&self) -> usize {
        self.memory.peak()
    }
}

impl<T: Real, F, const N: usize, const K: usize> fmt::Debug for Steps<T, F, N, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "steps of {N} states and {K} shared values, {} states kept", self.memory.keep)
    }
}

struct Function<F, const N: usize, const K: usize>(F);

impl<T: Real, F, const N: usize, const K: usize> Step<T> for Function<F, N, K>
where
    F: for<'s> Fn(usize, [Var<'s, T>; N], [Var<'s, T>; K]) -> [Var<'s, T>; N],
{
    fn record<'t>(
        &self,
        k: usize,
        state: &[Var<'t, T>],
        _: &[Var<'t, T>],
        shared: &[Var<'t, T>],
    ) -> Vec<Var<'t, T>> {
        let own = std::array::from_fn(|i| state[i]);
        let next = (self.0)(k, own, std::array::from_fn(|i| shared[i]));
        check_step(k, &next, state);
        next.to_vec()
    }
}
