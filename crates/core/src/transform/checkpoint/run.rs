//! A loop run forwards, with some states kept, and swept back over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::function::elements;
use super::kept::Kept;
use super::schedule::{Action, Online, Schedule};
use super::segment::Spare;
use super::step::{Count, Step};
use super::walk::{At, Forward, Wanted};
use crate::scalar::Real;
use crate::tensor::{Shape, Tensor, View};

/// What a loop has beside its tape; its tangents and adjoints have the same.
#[derive(Clone)]
pub(super) struct Memory<T: Real> {
    /// For how many states there is room, the first one included, if the user has said so.
    pub(super) keep: Option<usize>,
    /// Where steps are recorded.
    pub(super) spare: Rc<Spare<T>>,
    /// The most elements of states that were kept at a time.
    most: Rc<Cell<usize>>,
    /// The bytes of programs.
    programs: Rc<Cell<usize>>,
    /// The steps taken, back and forth.
    taken: Rc<Cell<usize>>,
}

/// The bytes of states that a loop keeps, if nobody says how many: as many as stay in a second-level
/// cache. A step that need not be taken again costs nothing, and a loop over few numbers has states
/// that are smaller than what its steps compute.
const KEPT_BYTES: usize = 1 << 20;

/// The fewest states that are kept, if nobody says how many.
const KEPT_STATES: usize = 10;

impl<T: Real> Memory<T> {
    pub(super) fn new() -> Self {
        Self {
            keep: None,
            spare: Spare::new(),
            most: Rc::default(),
            programs: Rc::default(),
            taken: Rc::default(),
        }
    }

    /// With room for `c` states.
    #[track_caller]
    pub(super) fn keep(self, c: usize) -> Self {
        assert!(c > 0, "the first state is kept at least");
        Self { keep: Some(c), ..self }
    }

    /// For how many states there is room.
    fn room(&self, count: &Count<T>, elements: usize) -> usize {
        match (self.keep, count) {
            (Some(room), _) => room,
            (None, Count::Known(_)) => {
                KEPT_STATES.max(KEPT_BYTES / (elements * size_of::<T>()).max(1))
            }
            // Which one to give up for the next is looked for among all of them.
            (None, Count::While(_)) => KEPT_STATES,
        }
    }

    /// How many states are kept, to be read.
    pub(super) fn room_in_words(&self) -> String {
        match self.keep {
            Some(room) => format!("{room} states kept"),
            None => "as many states kept as are small enough".to_owned(),
        }
    }

    /// Remembers how many elements of states were held.
    fn note(&self, elements: usize) {
        self.most.set(self.most.get().max(elements));
    }

    fn note_program(&self, bytes: usize) {
        self.programs.set(self.programs.get() + bytes);
    }

    fn note_steps(&self, steps: usize) {
        self.taken.set(self.taken.get() + steps);
    }

    /// The most bytes that runs have held: states, programs, and the recording of a step.
    pub(super) fn peak(&self) -> usize {
        self.most.get() * size_of::<T>() + self.programs.get() + self.spare.peak()
    }

    /// The steps taken, back and forth.
    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }
}

/// The state of a loop that was run forwards, to be swept back over. The memory serves the next run.
pub(super) struct Run<T> {
    /// The arguments, one after another, to know that the run is the one that is asked for.
    args: Vec<T>,
    steps: usize,
    kept: Kept<T>,
    /// The state before the last step, unless it is not at hand.
    last: Option<Vec<T>>,
    /// Whether it can be swept back over.
    is_ready: bool,
}

impl<T: Real> Run<T> {
    fn new() -> Self {
        Self { args: Vec::new(), steps: 0, kept: Kept::new(), last: None, is_ready: false }
    }

    /// Whether it was a run for these arguments.
    fn is_for(&self, args: &[View<'_, T>]) -> bool {
        let mut own = &self.args[..];
        self.is_ready
            && args.iter().all(|arg| {
                let (first, rest) = own.split_at(arg.len());
                own = rest;
                arg.as_slice()
                    .map_or_else(|| arg.iter().eq(first.iter().copied()), |arg| arg == first)
            })
    }

    fn take_in(&mut self, args: &[View<'_, T>]) {
        self.args.clear();
        for arg in args {
            self.args.extend_from_slice(&arg.packed());
        }
        self.is_ready = false;
    }
}

/// The arguments of a loop, told apart.
#[derive(Clone, Copy)]
struct Parts<'a, T> {
    state: &'a [T],
    inputs: &'a [T],
    shared: &'a [T],
}

impl<'a, T> Parts<'a, T> {
    fn at(self, k: usize, n: usize, state: &'a [T]) -> At<'a, T> {
        At { k, n, state, inputs: self.inputs, shared: self.shared }
    }
}

pub(super) struct Core<T: Real> {
    pub(super) step: Rc<Step<T>>,
    pub(super) count: Count<T>,
    pub(super) memory: Memory<T>,
    /// Whether a reverse sweep may follow.
    pub(super) is_swept: bool,
    run: RefCell<Option<Run<T>>>,
}

impl<T: Real> Core<T> {
    pub(super) fn new(
        step: Rc<Step<T>>,
        count: Count<T>,
        memory: Memory<T>,
        is_swept: bool,
    ) -> Self {
        Self { step, count, memory, is_swept, run: RefCell::new(None) }
    }

    /// The elements of the state.
    pub(super) fn elements(&self) -> usize {
        elements(&self.step.signature().state)
    }

    /// How many steps there are, if that is known. A loop without a known end has no inputs and no outputs.
    fn known_steps(&self) -> usize {
        match self.count {
            Count::Known(n) => n,
            Count::While(_) => 0,
        }
    }

    /// The elements of the last state and of all outputs.
    pub(super) fn total(&self) -> usize {
        self.elements() + self.known_steps() * elements(&self.step.signature().outputs)
    }

    fn parts<'a>(&self, args: &'a [T]) -> Parts<'a, T> {
        let (state, rest) = args.split_at(self.elements());
        let inputs = self.known_steps() * elements(&self.step.signature().inputs);
        let (inputs, shared) = rest.split_at(inputs);
        Parts { state, inputs, shared }
    }

    fn room(&self) -> usize {
        self.memory.room(&self.count, self.elements())
    }

    /// Remembers how many states were held.
    fn note(&self, states: usize) {
        self.memory.note((states + 1) * self.elements());
    }

    /// The whole loop. Its value is the last state, and behind it the outputs.
    pub(super) fn forward(&self, args: &[View<'_, T>], value: &mut [T]) {
        let mut run = self.run.take().unwrap_or_else(Run::new);
        run.take_in(args);
        self.go(&mut run, self.is_swept, Some(value));
        self.run.replace(Some(run));
    }

    /// Runs forwards, with states kept if a sweep back is to follow.
    fn go(&self, run: &mut Run<T>, is_swept: bool, mut value: Option<&mut [T]>) {
        let Run { args, steps, kept, last, is_ready } = run;
        let parts = self.parts(args);
        let made = |bytes| self.memory.note_program(bytes);
        let n = self.known_steps();
        kept.clear(self.elements());
        *last = None;
        self.step.forwards(parts.at(0, n, parts.state), made, |forward| {
            forward.share(parts.shared);
            forward.set_state(parts.state);
            kept.push(0, parts.state);
            *steps = match &self.count {
                Count::Known(_) if !is_swept => {
                    self.advance(forward, 0..n, parts.inputs, value.as_deref_mut());
                    n
                }
                Count::Known(_) => {
                    let mut state = parts.state.to_vec();
                    let mut k = 0;
                    for action in Schedule::new(n, self.room()) {
                        match action {
                            Action::Advance(steps) => {
                                let steps = k..k + steps;
                                k = steps.end;
                                self.advance(forward, steps, parts.inputs, value.as_deref_mut());
                            }
                            Action::Keep(step) => {
                                forward.state(&mut state);
                                kept.push(step, &state);
                            }
                            // From here on backwards.
                            _ => break,
                        }
                    }
                    if k < n {
                        forward.state(&mut state);
                        *last = Some(state);
                        self.advance(forward, k..n, parts.inputs, value.as_deref_mut());
                    }
                    n
                }
                Count::While(_) => self.go_on(forward, parts, is_swept.then_some(kept)),
            };
            if let Some(value) = value {
                forward.state(&mut value[..self.elements()]);
            }
        });
        self.note(kept.len() + usize::from(last.is_some()));
        *is_ready = is_swept;
    }

    /// Goes on for as long as it is to, and gives the number of steps.
    fn go_on(
        &self,
        forward: &mut Forward<T>,
        parts: Parts<'_, T>,
        mut kept: Option<&mut Kept<T>>,
    ) -> usize {
        let mut numbers = parts.state.to_vec();
        let shapes = &self.step.signature().state;
        let mut state: Vec<Tensor<T>> =
            shapes.iter().map(|shape| Tensor::zeros(shape.clone())).collect();
        let mut online = Online::new(self.room());
        let mut k = 0;
        loop {
            let mut rest = &numbers[..];
            for tensor in &mut state {
                let (own, others) = rest.split_at(tensor.len());
                tensor.as_mut_slice().copy_from_slice(own);
                rest = others;
            }
            if !self.count.goes_on(k, &state) {
                return k;
            }
            if k > 0
                && let Some(kept) = kept.as_deref_mut()
                && let Some(gone) = online.offer(k)
            {
                gone.inspect(|&gone| kept.remove(gone));
                kept.push(k, &numbers);
            }
            check_number::<T>(k);
            self.advance(forward, k..k + 1, parts.inputs, None);
            forward.state(&mut numbers);
            k += 1;
        }
    }

    /// Takes some steps, and writes what they give beside the state.
    fn advance(
        &self,
        forward: &mut Forward<T>,
        steps: std::ops::Range<usize>,
        inputs: &[T],
        mut value: Option<&mut [T]>,
    ) {
        self.memory.note_steps(steps.len());
        let (signature, n) = (self.step.signature(), self.known_steps());
        for k in steps {
            forward.step(k, n, inputs);
            if let Some(value) = value.as_deref_mut() {
                for output in 0..signature.outputs.len() {
                    forward.output(output, &mut value[signature.place(n, output, k)]);
                }
            }
        }
    }

    /// Writes the adjoints of the wanted arguments, one after another.
    pub(super) fn backward(
        &self,
        args: &[View<'_, T>],
        wanted: &[bool],
        cotangent: &[T],
        value: &[T],
        out: &mut [T],
    ) {
        let mut run = self.run.take().unwrap_or_else(Run::new);
        if !run.is_for(args) {
            run.take_in(args);
            self.go(&mut run, true, None);
        }
        // What is kept is used up.
        run.is_ready = false;
        let signature = self.step.signature();
        let (wanted_states, rest) = wanted.split_at(signature.state.len());
        let (inputs, shared) = rest.split_at(signature.inputs.len());
        let wanted = Wanted { inputs: inputs.to_vec(), shared: shared.to_vec() };
        let Run { args, steps, kept, last, .. } = &mut run;
        let (parts, n, elements) = (self.parts(args), self.known_steps(), self.elements());
        let made = |bytes| self.memory.note_program(bytes);
        let mut state = vec![T::zero(); elements];
        let is_at_hand = last.is_some();
        match last {
            Some(last) => state.copy_from_slice(last),
            None => state.copy_from_slice(kept.last().1),
        }
        let last = state.clone();
        let at = parts.at(steps.saturating_sub(1), n, &last);
        let states = wanted_states.iter().zip(&signature.state).filter(|(wanted, _)| **wanted);
        let states: usize = states.map(|(_, shape)| shape.elements()).sum();
        let (of_states, rest) = out.split_at_mut(states);
        let of_inputs = inputs.iter().zip(&signature.inputs).filter(|(wanted, _)| **wanted);
        let of_inputs: Vec<usize> = of_inputs.map(|(_, shape)| shape.elements()).collect();
        let (into_inputs, sums) = rest.split_at_mut(n * of_inputs.iter().sum::<usize>());
        let mut adjoint = vec![T::zero(); elements];
        self.step.backwards(&wanted, at, made, |back| {
            back.begin(parts.shared, &cotangent[..elements], &value[..elements]);
            self.step.forwards(parts.at(0, n, parts.state), made, |forward| {
                forward.share(parts.shared);
                let mut sweep = Sweep { core: self, parts, forward, state, kept };
                let k = is_at_hand.then(|| *steps - 1);
                sweep.run(*steps, k, |step, state| {
                    back.step(parts.at(step, n, state), cotangent, value);
                    let mut whole = &mut *into_inputs;
                    for (part, &own) in of_inputs.iter().enumerate() {
                        let (stack, rest) = whole.split_at_mut(n * own);
                        back.part(part, &mut stack[step * own..][..own]);
                        whole = rest;
                    }
                });
            });
            back.end(&mut adjoint, sums);
        });
        write_wanted(&adjoint, &signature.state, wanted_states, of_states);
        self.run.replace(Some(run));
    }
}

/// A run that is gone back over.
struct Sweep<'a, T: Real> {
    core: &'a Core<T>,
    parts: Parts<'a, T>,
    forward: &'a mut Forward<T>,
    kept: &'a mut Kept<T>,
    /// The current state.
    state: Vec<T>,
}

impl<T: Real> Sweep<'_, T> {
    /// Brings the states before all `steps` steps, the last one first. `at_hand` is the number of the step that
    /// the current state is before, if it is of use.
    fn run(&mut self, steps: usize, at_hand: Option<usize>, mut reverse: impl FnMut(usize, &[T])) {
        let core = self.core;
        let stack: Vec<usize> = self.kept.steps().collect();
        let mut k = at_hand.unwrap_or(0);
        for action in Schedule::from_end(steps, stack, core.room(), at_hand) {
            match action {
                Action::Advance(steps) => {
                    self.forward.set_state(&self.state);
                    core.advance(self.forward, k..k + steps, self.parts.inputs, None);
                    self.forward.state(&mut self.state);
                    k += steps;
                }
                Action::Keep(step) => {
                    self.kept.push(step, &self.state);
                    core.note(self.kept.len());
                }
                Action::Restore => {
                    let (step, kept) = self.kept.last();
                    k = step;
                    self.state.copy_from_slice(kept);
                }
                Action::Drop => self.kept.drop_last(),
                Action::Reverse(step) => {
                    core.memory.note_steps(1);
                    reverse(step, &self.state);
                }
            }
        }
    }
}

/// Writes those of some values, which lie one after another, that are wanted.
fn write_wanted<T: Real>(mut all: &[T], shapes: &[Shape], wanted: &[bool], mut out: &mut [T]) {
    for (shape, wanted) in shapes.iter().zip(wanted) {
        let (own, rest) = all.split_at(shape.elements());
        all = rest;
        if *wanted {
            let (place, rest) = out.split_at_mut(own.len());
            place.copy_from_slice(own);
            out = rest;
        }
    }
}

/// Stops if the number of a step is none of the precision.
#[track_caller]
pub(super) fn check_number<T: Real>(k: usize) {
    // Whole numbers are exact up to the one whose neighbour is 2 away.
    let largest = (T::from_f64(2.0) / T::epsilon()).as_f64();
    assert!(
        k as f64 <= largest,
        "steps: a step takes its number as a scalar, and {} holds whole numbers up to {largest}, \
         which step {k} is beyond; take the loop apart, or compute in f64",
        std::any::type_name::<T>()
    );
}
