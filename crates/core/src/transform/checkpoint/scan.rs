//! Loops over the parts of inputs, with results of every step: recurrences.

use std::fmt;
use std::rc::Rc;

use super::function::{Function, Operands};
use super::looped::Loop;
use super::run::{Core, Memory};
use super::segment::divided;
use super::step::{Count, Known};
use crate::scalar::Real;
use crate::tape::Var;

/// A recurrence: each step takes the state, its own part of some inputs and what all steps
/// share, and gives the next state and some outputs; those of all steps are stacked.
///
/// A recurrent network is one, and so is a time series model or a Kalman filter. It is
/// compiled, and differentiated with few states kept, as [`Steps`](super::Steps) are, and a program
/// contains it as one instruction.
///
/// ```
/// use wengert_core::{Tape, checkpoint::Scan};
///
/// // A moving average, and its squares.
/// let average = Scan::new(|[m], [x], [a]| {
///     let next = m * a + x * (1.0 - a);
///     ([next], [next.square()])
/// });
/// let tape = Tape::new();
/// let (m, x, a) = (tape.variable(0.0), tape.variable([1.0, 3.0, 2.0]), tape.variable(0.5));
/// let ([end], [squares]) = average.run([m], [x], [a]);
/// assert_eq!((end.item(), squares.value().to_vec()), (1.875, vec![0.25, 3.0625, 3.515625]));
/// assert_eq!(end.backward().wrt(x).to_vec(), [0.125, 0.25, 0.5]);
/// ```
pub struct Scan<T: Real, F, const N: usize, const I: usize, const K: usize, const M: usize> {
    closure: Rc<dyn Function<T>>,
    known: Known<T>,
    memory: Memory<T>,
    function: std::marker::PhantomData<F>,
}

impl<T: Real, F, const N: usize, const I: usize, const K: usize, const M: usize>
    Scan<T, F, N, I, K, M>
where
    F: for<'s> Fn(
            [Var<'s, T>; N],
            [Var<'s, T>; I],
            [Var<'s, T>; K],
        ) -> ([Var<'s, T>; N], [Var<'s, T>; M])
        + 'static,
{
    /// Takes the step. As many states are kept as fit into a mebibyte, and ten at least, unless
    /// [`keep`](Self::keep) says otherwise.
    pub fn new(step: F) -> Self {
        Self {
            closure: Rc::new(Closure::<F, N, I, K, M>(step)),
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

    /// The state after a step for each part along the inputs' first axis, and the outputs of
    /// all steps along a new first axis.
    ///
    /// # Panics
    /// If the inputs' first axes differ or are empty; if the values lie on several tapes; or if
    /// a step gives a state of another shape than it takes, or takes in parameters of its own:
    /// those are given as what the steps share.
    #[track_caller]
    pub fn run<'t>(
        &self,
        state: [Var<'t, T>; N],
        inputs: [Var<'t, T>; I],
        shared: [Var<'t, T>; K],
    ) -> ([Var<'t, T>; N], [Var<'t, T>; M]) {
        const { assert!(N > 0 && I > 0, "a scan has a state and an input") };
        let tape = state[0].tape();
        let extent = |input: &Var<'t, T>| input.shape().first().copied();
        let n = extent(&inputs[0]).unwrap_or(0);
        for input in &inputs {
            assert!(
                n > 0 && extent(input) == Some(n),
                "a scan takes a step for each part along its inputs' first axis, which is not empty \
                 and the same for all; {} and {} are given",
                inputs[0].describe(),
                input.describe()
            );
        }
        let args: Vec<_> = state.into_iter().chain(inputs).chain(shared).collect();
        let step = self.known.step(&self.closure, &self.memory.spare, [&state, &inputs, &shared]);
        let (shapes, outputs) = (step.signature().state.clone(), step.signature().outputs.clone());
        let is_swept = tape.records_derivatives() && args.iter().any(|arg| arg.is_active());
        let core = Core::new(step, Count::Known(n), self.memory.clone(), is_swept);
        let value = tape.record(Loop(Rc::new(core)), &args);
        let all = outputs.iter().map(|output| output.inserting(0, n));
        let mut results = divided(value, shapes.into_iter().chain(all));
        let outputs = results.split_off(N);
        let exactly = "one result for each";
        (results.try_into().expect(exactly), outputs.try_into().expect(exactly))
    }

    /// The most bytes that runs have held beside the tape: states, the programs of a step, and its
    /// recording.
    pub fn peak(&self) -> usize {
        self.memory.peak()
    }
}

impl<T: Real, F, const N: usize, const I: usize, const K: usize, const M: usize> fmt::Debug
    for Scan<T, F, N, I, K, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scan of {I} inputs, {N} states and {M} outputs, {}", self.memory.room_in_words())
    }
}

struct Closure<F, const N: usize, const I: usize, const K: usize, const M: usize>(F);

impl<T: Real, F, const N: usize, const I: usize, const K: usize, const M: usize> Function<T>
    for Closure<F, N, I, K, M>
where
    F: for<'s> Fn(
        [Var<'s, T>; N],
        [Var<'s, T>; I],
        [Var<'s, T>; K],
    ) -> ([Var<'s, T>; N], [Var<'s, T>; M]),
{
    fn record<'t>(&self, operands: Operands<'_, 't, T>) -> Vec<Var<'t, T>> {
        let (next, outputs) = (self.0)(
            std::array::from_fn(|i| operands.state[i]),
            std::array::from_fn(|i| operands.inputs[i]),
            std::array::from_fn(|i| operands.shared[i]),
        );
        next.into_iter().chain(outputs).collect()
    }
}
