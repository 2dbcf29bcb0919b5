//! A loop run forwards, with some states kept, and swept back over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::schedule::{Action, Online, Schedule};
use super::segment::{CHANGED, Spare, joined, same, wanted_of};
use super::step::{Count, Step};
use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};

/// The state of a loop that was run forwards, to be swept back over.
pub(super) struct Run<T> {
    /// The arguments, to know that the run is the one that is asked for.
    args: Vec<Tensor<T>>,
    steps: usize,
    /// The states kept, each with the number of the step after it.
    kept: Vec<(usize, Vec<Tensor<T>>)>,
    /// The state before the last step, unless it is not at hand.
    last: Option<Vec<Tensor<T>>>,
}

/// What a loop has beside its tape; its tangents and adjoints have the same.
#[derive(Clone)]
pub(super) struct Memory<T: Real> {
    /// For how many states there is room, the first one included.
    pub(super) keep: usize,
    /// Where steps are recorded.
    pub(super) spare: Rc<Spare<T>>,
    /// The most elements of states that were kept at a time.
    most: Rc<Cell<usize>>,
}

impl<T: Real> Memory<T> {
    /// With room for ten states.
    pub(super) fn new() -> Self {
        Self { keep: 10, spare: Spare::new(), most: Rc::default() }
    }

    /// With room for `c` states.
    #[track_caller]
    pub(super) fn keep(self, c: usize) -> Self {
        assert!(c > 0, "the first state is kept at least");
        Self { keep: c, ..self }
    }

    /// Remembers how many elements of states were held.
    fn note(&self, elements: usize) {
        self.most.set(self.most.get().max(elements));
    }

    /// The most bytes that runs have held: states, and the recording of a step.
    pub(super) fn peak(&self) -> usize {
        self.most.get() * size_of::<T>() + self.spare.peak()
    }
}

pub(super) struct Core<T: Real> {
    pub(super) step: Rc<dyn Step<T>>,
    pub(super) count: Count<T>,
    pub(super) memory: Memory<T>,
    /// How many of the arguments are the state.
    pub(super) states: usize,
    /// How many of those behind are inputs of which each step has its own part.
    pub(super) inputs: usize,
    /// The shapes of what each step gives beside the state.
    pub(super) outputs: Vec<Shape>,
    /// The elements of the state.
    pub(super) elements: usize,
    /// Whether a reverse sweep may follow.
    pub(super) is_swept: bool,
    pub(super) run: RefCell<Option<Run<T>>>,
}

impl<T: Real> Core<T> {
    pub(super) fn new(
        step: Rc<dyn Step<T>>,
        count: Count<T>,
        memory: Memory<T>,
        state: &[Var<'_, T>],
        is_swept: bool,
    ) -> Self {
        Self {
            step,
            count,
            memory,
            states: state.len(),
            inputs: 0,
            outputs: Vec::new(),
            elements: state.iter().map(|state| state.elements()).sum(),
            is_swept,
            run: RefCell::new(None),
        }
    }

    /// With inputs of which each step has its own part, and results of each step.
    pub(super) fn scanning(self, inputs: usize, outputs: Vec<Shape>) -> Self {
        Self { inputs, outputs, ..self }
    }

    /// The elements of the last state and of all outputs.
    pub(super) fn total(&self) -> usize {
        let each: usize = self.outputs.iter().map(Shape::elements).sum();
        match self.count {
            Count::Known(n) => self.elements + n * each,
            Count::While(_) => self.elements,
        }
    }

    /// Where in the loop's value the output of a step lies.
    fn place(&self, output: usize, k: usize) -> std::ops::Range<usize> {
        let Count::Known(n) = self.count else { unreachable!("a scan knows its length") };
        let before: usize = self.outputs[..output].iter().map(Shape::elements).sum();
        let own = self.outputs[output].elements();
        let start = self.elements + n * before + k * own;
        start..start + own
    }

    /// One step, values only: the next state, and outputs.
    fn next(&self, k: usize, state: &[Tensor<T>], rest: &[Tensor<T>]) -> Vec<Tensor<T>> {
        let (inputs, shared) = rest.split_at(self.inputs);
        self.memory.spare.with(|tape| {
            let state = taken_in(tape, state);
            let inputs = taken_in(tape, &parts_of(inputs, k));
            let shared = taken_in(tape, shared);
            let next = self.step.record(k, &state, &inputs, &shared);
            next.iter().map(|next| owned_value(*next)).collect()
        })
    }

    fn advance(
        &self,
        mut state: Vec<Tensor<T>>,
        steps: std::ops::Range<usize>,
        rest: &[Tensor<T>],
        mut outputs: Option<&mut [Vec<T>]>,
    ) -> Vec<Tensor<T>> {
        for k in steps {
            state = self.next(k, &state, rest);
            let own = state.split_off(self.states);
            for (all, own) in outputs.iter_mut().flat_map(|all| all.iter_mut()).zip(own) {
                all.extend(own.iter());
            }
        }
        state
    }

    /// The whole loop, with states kept for a sweep back: the value as one vector.
    pub(super) fn forward(&self, args: Vec<Tensor<T>>) -> (Run<T>, Vec<T>) {
        let (first, rest) = args.split_at(self.states);
        let mut outputs: Vec<Vec<T>> = vec![Vec::new(); self.outputs.len()];
        let mut state = first.to_vec();
        let mut kept = vec![(0, state.clone())];
        let mut last = None;
        let steps = match &self.count {
            Count::Known(n) => {
                let mut k = 0;
                for action in Schedule::new(*n, self.memory.keep) {
                    match action {
                        Action::Advance(steps) => {
                            state = self.advance(state, k..k + steps, rest, Some(&mut outputs));
                            k += steps;
                        }
                        Action::Keep(step) => kept.push((step, state.clone())),
                        // From here on backwards.
                        _ => break,
                    }
                }
                if k < *n {
                    let end = self.advance(state.clone(), k..k + 1, rest, Some(&mut outputs));
                    last = Some(std::mem::replace(&mut state, end));
                }
                *n
            }
            Count::While(_) => {
                let mut online = Online::new(self.memory.keep);
                let mut k = 0;
                while self.count.goes_on(k, &state) {
                    if k > 0
                        && let Some(gone) = online.offer(k)
                    {
                        gone.inspect(|&gone| drop(kept.remove(gone)));
                        kept.push((k, state.clone()));
                    }
                    state = self.next(k, &state, rest);
                    k += 1;
                }
                k
            }
        };
        self.note(kept.len() + usize::from(last.is_some()));
        let value = state.iter().flat_map(Tensor::to_vec).chain(outputs.into_iter().flatten());
        let value = value.collect();
        (Run { args, steps, kept, last }, value)
    }

    /// Remembers how many states were held.
    fn note(&self, states: usize) {
        self.memory.note((states + 1) * self.elements);
    }

    /// The adjoints of the wanted arguments, one after another.
    pub(super) fn backward(
        &self,
        args: Vec<Tensor<T>>,
        wanted: &[bool],
        cotangent: Vec<T>,
        value: &[T],
    ) -> Vec<T> {
        let run = self.run.take().filter(|run| agree(&run.args, &args));
        let Run { args, steps, mut kept, last } = run.unwrap_or_else(|| self.forward(args).0);
        let (first, rest) = args.split_at(self.states);
        let mut adjoints = Reversal::new(self, rest, wanted, &cotangent, value);
        let stack: Vec<usize> = kept.iter().map(|&(step, _)| step).collect();
        let at_hand = last.as_ref().map(|_| steps - 1);
        let (mut state, mut k) = (last.unwrap_or_default(), at_hand.unwrap_or(0));
        for action in Schedule::from_end(steps, stack, self.memory.keep, at_hand) {
            match action {
                Action::Advance(steps) => {
                    state = self.advance(state, k..k + steps, rest, None);
                    k += steps;
                }
                Action::Keep(step) => {
                    kept.push((step, state.clone()));
                    self.note(kept.len());
                }
                Action::Restore => {
                    let (step, kept) = kept.last().expect("the schedule keeps count");
                    (k, state) = (*step, kept.clone());
                }
                Action::Drop => drop(kept.pop()),
                Action::Reverse(step) => {
                    self.memory.spare.with(|tape| adjoints.reverse(tape, step, &state));
                }
            }
        }
        adjoints.of_wanted(first, wanted)
    }
}

/// The adjoints of a run that is gone back over, step by step.
struct Reversal<'a, T: Real> {
    core: &'a Core<T>,
    inputs: &'a [Tensor<T>],
    shared: &'a [Tensor<T>],
    wanted_inputs: &'a [bool],
    wanted_shared: &'a [bool],
    cotangent: &'a [T],
    value: &'a [T],
    /// Of the state behind the step to be reversed next.
    adjoint: Vec<T>,
    of_inputs: Vec<Vec<T>>,
    of_shared: Vec<T>,
    /// What that step has to give.
    expected: Vec<T>,
}

impl<'a, T: Real> Reversal<'a, T> {
    fn new(
        core: &'a Core<T>,
        rest: &'a [Tensor<T>],
        wanted: &'a [bool],
        cotangent: &'a [T],
        value: &'a [T],
    ) -> Self {
        let (inputs, shared) = rest.split_at(core.inputs);
        let (wanted_inputs, wanted_shared) = wanted[core.states..].split_at(core.inputs);
        let sizes = |args: &[Tensor<T>]| args.iter().map(Tensor::len).collect::<Vec<_>>();
        let zeros = |size| vec![T::zero(); size];
        Self {
            core,
            inputs,
            shared,
            wanted_inputs,
            wanted_shared,
            cotangent,
            value,
            adjoint: cotangent[..core.elements].to_vec(),
            of_inputs: wanted_of(&sizes(inputs), wanted_inputs).map(zeros).collect(),
            of_shared: zeros(wanted_of(&sizes(shared), wanted_shared).sum()),
            expected: value[..core.elements].to_vec(),
        }
    }

    /// Records a step at the state before it, and sweeps back over it.
    fn reverse(&mut self, tape: &Tape<T>, step: usize, state: &[Tensor<T>]) {
        let vars = taken_in(tape, state);
        let inputs = taken_in(tape, &parts_of(self.inputs, step));
        let shared = taken_in(tape, self.shared);
        let next = joined(&self.core.step.record(step, &vars, &inputs, &shared));
        for output in 0..self.core.outputs.len() {
            let place = self.core.place(output, step);
            self.adjoint.extend_from_slice(&self.cotangent[place.clone()]);
            self.expected.extend_from_slice(&self.value[place]);
        }
        let expected = self.expected.iter().copied();
        assert!(next.with_value(|next| same(next.iter(), expected)), "{CHANGED}");
        self.expected = state.iter().flat_map(|state| state.to_vec()).collect();
        let wanted: Vec<_> = vars
            .iter()
            .copied()
            .chain(wanted_of(&inputs, self.wanted_inputs))
            .chain(wanted_of(&shared, self.wanted_shared))
            .collect();
        tape.without_gradients(|| {
            let adjoints = next.vjp(tape.constant(&self.adjoint[..]), &wanted);
            self.take_over(step, &adjoints, vars.len());
        });
    }

    /// Takes the adjoints of a step: those of `states` states first, then those of its part of the
    /// inputs, and of what is shared, which are added up.
    fn take_over(&mut self, step: usize, adjoints: &[Var<'_, T>], states: usize) {
        let (own, rest) = adjoints.split_at(states);
        let (parts, rest) = rest.split_at(self.of_inputs.len());
        for (part, whole) in parts.iter().zip(&mut self.of_inputs) {
            let start = step * part.elements();
            let place = &mut whole[start..start + part.elements()];
            part.with_value(|part| part.copy_to(place));
        }
        self.adjoint.clear();
        for own in own {
            own.with_value(|own| self.adjoint.extend(own.iter()));
        }
        let mut sums = self.of_shared.iter_mut();
        for term in rest {
            term.with_value(|term| {
                for (term, sum) in term.iter().zip(&mut sums) {
                    *sum += term;
                }
            });
        }
    }

    /// The adjoints of the wanted arguments; `first` are the states before the first step.
    fn of_wanted(self, first: &[Tensor<T>], wanted: &[bool]) -> Vec<T> {
        let mut start = 0;
        let mut result = Vec::new();
        for (state, wanted) in first.iter().zip(wanted) {
            let own = start..start + state.len();
            start = own.end;
            if *wanted {
                result.extend_from_slice(&self.adjoint[own]);
            }
        }
        result.extend(self.of_inputs.into_iter().flatten());
        result.extend(self.of_shared);
        result
    }
}

/// What a step has of each input.
fn parts_of<T: Real>(inputs: &[Tensor<T>], k: usize) -> Vec<Tensor<T>> {
    let part = |input: &Tensor<T>| {
        let (buffer, offset, layout) = input.parts();
        let (layout, moved) = layout.sliced(0, k, 1, 1);
        let layout = layout.reshaped(&input.shape()[1..].into()).expect("an axis of extent 1");
        Tensor::from_parts(buffer.clone(), (offset as isize + moved) as usize, layout)
    };
    inputs.iter().map(part).collect()
}

fn taken_in<'t, T: Real>(tape: &'t Tape<T>, values: &[Tensor<T>]) -> Vec<Var<'t, T>> {
    values.iter().map(|value| tape.variable(value)).collect()
}

/// A value as a tensor that shares no memory with its tape.
pub(super) fn owned_value<T: Real>(var: Var<'_, T>) -> Tensor<T> {
    var.with_value(|view| view.to_tensor())
}

fn agree<T: Real>(a: &[Tensor<T>], b: &[Tensor<T>]) -> bool {
    let pairs = || a.iter().zip(b);
    pairs().all(|(a, b)| a.shape() == b.shape())
        && pairs().flat_map(|(a, b)| a.iter().zip(b.iter())).all(|(a, b)| a == b)
}
