//! What a program was compiled from, kept to be computed again one operation after the other.
//!
//! A loop knows its steps in the same way: a function that was recorded once, to be recorded again on any
//! tape ([`Recording::record_on`]).
//!
//! A program shares, folds, fuses and places values; its recording does none of that. So the two
//! are independent ways to the same bits, and [`check::program`](crate::check::subjects::program) compares
//! them on whatever numbers are given. Constants share their memory with the tape that was recorded.

use std::panic::Location;

use super::Program;
use crate::scalar::Real;
use crate::tape::{Args, NodeId, OpHandle, Tape, Var, line};
use crate::tensor::{Shape, Tensor, View};

/// Where a value comes from.
enum Source<T: Real> {
    /// One of the inputs.
    Input(usize),
    Constant(Tensor<T>),
    Op(OpHandle<T>, Args<usize>),
}

struct Node<T: Real> {
    source: Source<T>,
    shape: Shape,
    location: &'static Location<'static>,
    /// Whether it counts as constant, as it was recorded without gradients.
    is_detached: bool,
}

/// The operations of a tape that some results need.
pub(crate) struct Recording<T: Real> {
    nodes: Vec<Node<T>>,
    /// The results of a run, and behind them the states after it.
    results: Vec<usize>,
    /// The inputs that are states.
    states: Vec<usize>,
}

impl<T: Real> Recording<T> {
    pub(super) fn new(
        tape: &Tape<T>,
        inputs: &[Var<'_, T>],
        results: &[Var<'_, T>],
        states: Vec<usize>,
    ) -> Self {
        let needed = tape.needed_for(results);
        let detached = tape.detached(0..needed.len());
        let mut places = vec![0; needed.len()];
        let mut nodes = Vec::new();
        for index in (0..needed.len()).filter(|&index| needed[index]) {
            let id = NodeId::new(index);
            let input = inputs.iter().position(|input| input.id() == id);
            let source = match (input, tape.call(id)) {
                (Some(input), _) => Source::Input(input),
                (None, None) => Source::Constant(tape.value_of(id)),
                (None, Some((op, args))) => {
                    Source::Op(op, args.iter().map(|arg| places[arg.id().index()]).collect())
                }
            };
            places[index] = nodes.len();
            let (shape, location) = (tape.shape_of(id), tape.location_of(id));
            nodes.push(Node { source, shape, location, is_detached: detached[index] });
        }
        let results = results.iter().map(|result| places[result.id().index()]).collect();
        Self { nodes, results, states }
    }

    /// What a function recorded of its inputs, if that is the same function for all numbers: if it
    /// has looked at no number that depends on them, all that it took in is still there, and none of
    /// that is a frozen parameter, which may move when it no longer is.
    pub(crate) fn of_function(
        tape: &Tape<T>,
        inputs: &[Var<'_, T>],
        results: &[Var<'_, T>],
    ) -> Option<Self> {
        let recording = Self::new(tape, inputs, results, Vec::new());
        let needed = tape.needed_for(results);
        let kept = tape.kept_values();
        let is_there = (0..needed.len()).all(|index| {
            let id = NodeId::new(index);
            // What a fast sweep computes in one go belongs to that sweep.
            !needed[index]
                || match tape.call(id) {
                    Some((op, _)) => op.get().has_rules(),
                    None => kept[index] && !tape.is_frozen(id),
                }
        });
        (is_there && tape.any_read(inputs).is_none()).then_some(recording)
    }

    /// Records the same operations on a tape, on other inputs, and gives the results.
    pub(crate) fn record_on<'t>(
        &self,
        tape: &'t Tape<T>,
        inputs: &[Var<'t, T>],
    ) -> Vec<Var<'t, T>> {
        let mut values: Vec<Var<'t, T>> = Vec::with_capacity(self.nodes.len());
        for Node { source, location, is_detached, .. } in &self.nodes {
            let value = match source {
                Source::Input(input) => inputs[*input],
                Source::Constant(value) => tape.constant_at(value, location),
                Source::Op(op, args) => {
                    let args: Args<Var<'t, T>> = args.iter().map(|&arg| values[arg]).collect();
                    tape.record_at(Some(location));
                    match is_detached {
                        true => tape.without_gradients(|| tape.record_again(op, &args)),
                        false => tape.record_again(op, &args),
                    }
                }
            };
            values.push(value);
        }
        tape.record_at(None);
        self.results.iter().map(|&result| values[result]).collect()
    }

    /// The results for given inputs.
    fn replay(&self, inputs: &[Tensor<T>]) -> Vec<Tensor<T>> {
        let mut values: Vec<Tensor<T>> = Vec::with_capacity(self.nodes.len());
        for Node { source, shape, .. } in &self.nodes {
            let value = match source {
                Source::Input(input) => inputs[*input].contiguous(),
                Source::Constant(value) => value.clone(),
                Source::Op(op, args) => self.computed(op, args, shape, &values),
            };
            values.push(value);
        }
        self.results.iter().map(|&result| values[result].clone()).collect()
    }

    /// The value of an op, or the view that it takes of another value.
    fn computed(
        &self,
        op: &OpHandle<T>,
        args: &[usize],
        shape: &Shape,
        values: &[Tensor<T>],
    ) -> Tensor<T> {
        if let &[arg] = args {
            let (buffer, offset, layout) = values[arg].parts();
            if let Some((layout, moved)) = op.get().view(layout) {
                let offset = (offset as isize + moved) as usize;
                return Tensor::from_parts(buffer.clone(), offset, layout);
            }
        }
        let views: Vec<View<'_, T>> = args.iter().map(|&arg| values[arg].view()).collect();
        let mut elements = vec![T::zero(); shape.elements()];
        op.get().eval(&views, shape, &mut elements);
        Tensor::new(shape.clone(), elements)
    }

    /// What gives a result, with the line that recorded it.
    fn describe(&self, result: usize) -> String {
        let Node { source, shape, location, .. } = &self.nodes[self.results[result]];
        let what = match source {
            Source::Input(input) => format!("input {input}"),
            Source::Constant(_) => "a constant".to_owned(),
            Source::Op(op, _) => op.get().name().to_owned(),
        };
        format!("{what}, shape {shape}, at {}", line(location))
    }
}

impl<T: Real> Program<T> {
    /// Runs at each of some points, and tells `compare` what it gives, states included, what the
    /// recording gives with the same samples, and how to describe a result. Inputs, states and the
    /// generator are as before when it returns.
    #[track_caller]
    pub(crate) fn beside_recording(
        &mut self,
        points: &[Vec<Tensor<T>>],
        mut compare: impl FnMut(&[Tensor<T>], &[Tensor<T>], &dyn Fn(usize) -> String),
    ) {
        let given = self.given();
        let before: Vec<Tensor<T>> = (0..given).map(|input| self.input(input)).collect();
        let rng = self.rng.clone();
        for point in points {
            let count = point.len();
            assert!(count == given, "the program has {given} inputs, and {count} were given");
            point.iter().enumerate().for_each(|(input, value)| self.set_input(input, value));
            self.execute();
            let drawn = (given..self.inputs.len()).map(|input| self.input(input));
            let inputs: Vec<Tensor<T>> = point.iter().cloned().chain(drawn).collect();
            let outputs = (0..self.outputs()).map(|output| self.output(output));
            let states = self.recording.states.iter().map(|&state| self.input(state));
            let found: Vec<Tensor<T>> = outputs.chain(states).collect();
            let expected = self.recording.replay(&inputs);
            compare(&found, &expected, &|result| self.recording.describe(result));
        }
        before.iter().enumerate().for_each(|(input, value)| self.set_input(input, value));
        self.rng = rng;
    }

    /// How many results a run has, states included.
    pub(crate) fn results(&self) -> usize {
        self.recording.results.len()
    }
}
