//! A loop run forwards, with some states kept, and swept back over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::schedule::{Action, Online, Schedule};
use super::segment::{CHANGED, Spare, joined, same, wanted_of};
use super::steps::{Count, Step};
use crate::tensor::Tensor;
use crate::{Real, Tape, Var};

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

pub(super) struct Core<T: Real> {
    pub(super) step: Rc<dyn Step<T>>,
    pub(super) count: Count<T>,
    pub(super) keep: usize,
    /// How many of the arguments are the state.
    pub(super) states: usize,
    /// The elements of the state.
    pub(super) elements: usize,
    /// Whether a reverse sweep may follow.
    pub(super) is_swept: bool,
    pub(super) run: RefCell<Option<Run<T>>>,
    pub(super) spare: Rc<Spare<T>>,
    pub(super) most: Rc<Cell<usize>>,
}

impl<T: Real> Core<T> {
    pub(super) fn new(
        step: Rc<dyn Step<T>>,
        count: Count<T>,
        keep: usize,
        state: &[Var<'_, T>],
        is_swept: bool,
    ) -> Self {
        Self {
            step,
            count,
            keep,
            states: state.len(),
            elements: state.iter().map(|state| state.elements()).sum(),
            is_swept,
            run: RefCell::new(None),
            spare: Spare::new(),
            most: Rc::default(),
        }
    }

    /// With memory, and its account, that other loops have too.
    pub(super) fn sharing(self, spare: Rc<Spare<T>>, most: Rc<Cell<usize>>) -> Self {
        Self { spare, most, ..self }
    }

    /// One step, values only.
    fn next(&self, k: usize, state: &[Tensor<T>], shared: &[Tensor<T>]) -> Vec<Tensor<T>> {
        self.spare.with(|tape| {
            let state = taken_in(tape, state);
            let shared = taken_in(tape, shared);
            let next = self.step.record(k, &state, &shared);
            next.iter().map(|next| owned_value(*next)).collect()
        })
    }

    fn advance(
        &self,
        mut state: Vec<Tensor<T>>,
        steps: std::ops::Range<usize>,
        shared: &[Tensor<T>],
    ) -> Vec<Tensor<T>> {
        for k in steps {
            state = self.next(k, &state, shared);
        }
        state
    }

    /// The whole loop, with states kept for a sweep back.
    pub(super) fn forward(&self, args: Vec<Tensor<T>>) -> (Run<T>, Vec<Tensor<T>>) {
        let (first, shared) = args.split_at(self.states);
        let mut state = first.to_vec();
        let mut kept = vec![(0, state.clone())];
        let mut last = None;
        let steps = match &self.count {
            Count::Known(n) => {
                let mut k = 0;
                for action in Schedule::new(*n, self.keep) {
                    match action {
                        Action::Advance(steps) => {
                            state = self.advance(state, k..k + steps, shared);
                            k += steps;
                        }
                        Action::Keep(step) => kept.push((step, state.clone())),
                        // From here on backwards.
                        _ => break,
                    }
                }
                if k < *n {
                    let end = self.next(k, &state, shared);
                    last = Some(std::mem::replace(&mut state, end));
                }
                *n
            }
            Count::While(_) => {
                let mut online = Online::new(self.keep);
                let mut k = 0;
                while self.count.goes_on(k, &state) {
                    if k > 0
                        && let Some(gone) = online.offer(k)
                    {
                        gone.inspect(|&gone| drop(kept.remove(gone)));
                        kept.push((k, state.clone()));
                    }
                    state = self.next(k, &state, shared);
                    k += 1;
                }
                k
            }
        };
        self.note(kept.len() + usize::from(last.is_some()));
        (Run { args, steps, kept, last }, state)
    }

    /// Remembers how many states were held.
    fn note(&self, states: usize) {
        self.most.set(self.most.get().max((states + 1) * self.elements));
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
        let (first, shared) = args.split_at(self.states);
        let wanted_shared = &wanted[self.states..];
        let sizes: Vec<usize> = shared.iter().map(Tensor::len).collect();
        let mut shared_adjoints = vec![T::zero(); wanted_of(&sizes, wanted_shared).sum()];
        let mut adjoint = cotangent;
        let stack: Vec<usize> = kept.iter().map(|&(step, _)| step).collect();
        let at_hand = last.as_ref().map(|_| steps - 1);
        let (mut state, mut k) = (last.unwrap_or_default(), at_hand.unwrap_or(0));
        // What the step to be reversed next has to give.
        let mut expected = value.to_vec();
        for action in Schedule::from_end(steps, stack, self.keep, at_hand) {
            match action {
                Action::Advance(steps) => {
                    state = self.advance(state, k..k + steps, shared);
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
                Action::Reverse(step) => self.spare.with(|tape| {
                    let vars = taken_in(tape, &state);
                    let shared = taken_in(tape, shared);
                    let next = joined(&self.step.record(step, &vars, &shared));
                    let is_same =
                        next.with_value(|next| same(next.iter(), expected.iter().copied()));
                    assert!(is_same, "{CHANGED}");
                    expected = state.iter().flat_map(|state| state.to_vec()).collect();
                    let inputs: Vec<_> =
                        vars.iter().copied().chain(wanted_of(&shared, wanted_shared)).collect();
                    tape.without_gradients(|| {
                        let adjoints = next.vjp(tape.constant(&adjoint[..]), &inputs);
                        let (own, rest) = adjoints.split_at(vars.len());
                        adjoint.clear();
                        for own in own {
                            own.with_value(|own| adjoint.extend(own.iter()));
                        }
                        let mut sums = shared_adjoints.iter_mut();
                        for term in rest {
                            term.with_value(|term| {
                                for (term, sum) in term.iter().zip(&mut sums) {
                                    *sum += term;
                                }
                            });
                        }
                    });
                }),
            }
        }
        let mut start = 0;
        let mut result = Vec::new();
        for (state, wanted) in first.iter().zip(wanted) {
            let own = start..start + state.len();
            start = own.end;
            if *wanted {
                result.extend_from_slice(&adjoint[own]);
            }
        }
        result.extend(shared_adjoints);
        result
    }
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
