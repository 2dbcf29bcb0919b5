//! Ways through a loop: a step forwards, and a step back.
//!
//! Both are programs that run again and again on buffers which are made once: nothing is recorded,
//! looked up or allocated from step to step. What moves is the *state* of a program: on the way
//! forwards the loop's own, on the way back the adjoints of that and the sums of those of shared
//! values. A step that can't be compiled is recorded at each step, on a tape that is used again; it
//! gives the same bits.

use std::rc::Rc;

use super::function::{Function, Operands, Signature, check, elements};
use super::segment::{CHANGED, Spare, same, wanted_of};
use crate::program::Program;
use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};

/// The numbers with which a step begins.
#[derive(Clone, Copy)]
pub(super) struct At<'a, T> {
    pub(super) k: usize,
    /// How many steps there are, where there are inputs or outputs.
    pub(super) n: usize,
    pub(super) state: &'a [T],
    /// All of the inputs, of which the step has its parts.
    pub(super) inputs: &'a [T],
    pub(super) shared: &'a [T],
}

/// What both ways are made from.
#[derive(Clone)]
pub(super) struct Way<T: Real> {
    pub(super) signature: Rc<Signature>,
    pub(super) function: Rc<dyn Function<T>>,
    /// Whether it is the same function for all numbers, and so can be compiled.
    pub(super) is_fixed: bool,
    /// Where steps are recorded.
    pub(super) spare: Rc<Spare<T>>,
}

/// Which adjoints are wanted beside those of the state.
#[derive(Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) inputs: Vec<bool>,
    pub(super) shared: Vec<bool>,
}

/// Values of some shapes that lie one after another, as variables.
fn variables<'t, T: Real>(
    tape: &'t Tape<T>,
    shapes: &[Shape],
    mut numbers: &[T],
) -> Vec<Var<'t, T>> {
    let one = |shape: &Shape| {
        let (own, rest) = numbers.split_at(shape.elements());
        numbers = rest;
        tape.variable(Tensor::new(shape.clone(), own.to_vec()))
    };
    shapes.iter().map(one).collect()
}

/// Writes values one after another.
fn write<T: Real>(vars: &[Var<'_, T>], mut out: &mut [T]) {
    for var in vars {
        let (own, rest) = out.split_at_mut(var.elements());
        var.with_value(|view| view.copy_to(own));
        out = rest;
    }
}

impl<T: Real> Way<T> {
    /// Lets `body` have the step recorded: what it takes, and what it gives.
    fn recorded<R>(
        &self,
        at: At<'_, T>,
        body: impl for<'t> FnOnce(&'t Tape<T>, Operands<'_, 't, T>, &[Var<'t, T>]) -> R,
    ) -> R {
        let Signature { state, inputs, shared, .. } = &*self.signature;
        self.spare.with(|tape| {
            let k = tape.constant(T::from_f64(at.k as f64));
            let state = variables(tape, state, at.state);
            let part = |(input, shape): (usize, &Shape)| {
                let own = &at.inputs[self.signature.part(at.n, input, at.k)];
                tape.variable(Tensor::new(shape.clone(), own.to_vec()))
            };
            let inputs: Vec<_> = inputs.iter().enumerate().map(part).collect();
            let shared = variables(tape, shared, at.shared);
            let operands = Operands { k, state: &state, inputs: &inputs, shared: &shared };
            let results = self.function.record(operands);
            if let Err(reason) = check(operands, &results) {
                panic!("{reason}");
            }
            body(tape, operands, &results)
        })
    }
}

/// Where the inputs of the programs begin: the number, the state, the parts of inputs, the shared values,
/// and on the way back the cotangents of the state, those of outputs, and the sums.
struct Places {
    inputs: usize,
    shared: usize,
    cotangents: usize,
    of_outputs: usize,
    sums: usize,
}

const NUMBER: usize = 0;
const STATE: usize = 1;

impl Places {
    fn of(signature: &Signature) -> Self {
        let inputs = STATE + signature.state.len();
        let shared = inputs + signature.inputs.len();
        let cotangents = shared + signature.shared.len();
        let of_outputs = cotangents + signature.state.len();
        let sums = of_outputs + signature.outputs.len();
        Self { inputs, shared, cotangents, of_outputs, sums }
    }
}

/// Gives inputs of a program, from number `first` on, values that lie one after another.
fn give<T: Real>(program: &mut Program<T>, first: usize, shapes: &[Shape], mut numbers: &[T]) {
    for (input, shape) in (first..).zip(shapes) {
        let (own, rest) = numbers.split_at(shape.elements());
        program.write_input(input, own);
        numbers = rest;
    }
}

/// Reads inputs of a program, from number `first` on.
fn read<T: Real>(program: &Program<T>, first: usize, shapes: &[Shape], mut out: &mut [T]) {
    for (input, shape) in (first..).zip(shapes) {
        let (own, rest) = out.split_at_mut(shape.elements());
        program.read_input(input, own);
        out = rest;
    }
}

/// Gives a program the number of a step and its parts of the inputs.
fn turn_to<T: Real>(
    program: &mut Program<T>,
    signature: &Signature,
    k: usize,
    n: usize,
    all: &[T],
) {
    program.write_input(NUMBER, &[T::from_f64(k as f64)]);
    let first = Places::of(signature).inputs;
    for input in 0..signature.inputs.len() {
        program.write_input(first + input, &all[signature.part(n, input, k)]);
    }
}

/// The way forwards. It holds the state.
pub(super) struct Forward<T: Real> {
    way: Way<T>,
    by: ForwardBy<T>,
}

enum ForwardBy<T: Real> {
    Program(Box<Program<T>>),
    Recording { state: Vec<T>, shared: Vec<T>, outputs: Vec<T> },
}

impl<T: Real> Forward<T> {
    /// Compiles the step, at numbers for which it is to be taken.
    pub(super) fn new(way: &Way<T>, at: At<'_, T>) -> Self {
        let program = way.is_fixed.then(|| {
            way.recorded(at, |tape, operands, results| {
                let (next, outputs) = results.split_at(operands.state.len());
                let moves: Vec<_> =
                    operands.state.iter().copied().zip(next.iter().copied()).collect();
                tape.compile_updating(&operands.all(), outputs, &moves).ok()
            })
        });
        let by = match program.flatten() {
            Some(program) => ForwardBy::Program(Box::new(program)),
            None => ForwardBy::Recording {
                state: Vec::new(),
                shared: Vec::new(),
                outputs: vec![T::zero(); elements(&way.signature.outputs)],
            },
        };
        Self { way: way.clone(), by }
    }

    /// The bytes of its program.
    pub(super) fn bytes(&self) -> usize {
        match &self.by {
            ForwardBy::Program(program) => program.bytes(),
            ForwardBy::Recording { .. } => 0,
        }
    }

    /// Takes over what all steps share.
    pub(super) fn share(&mut self, numbers: &[T]) {
        let signature = &*self.way.signature;
        match &mut self.by {
            ForwardBy::Program(program) => {
                give(program, Places::of(signature).shared, &signature.shared, numbers);
            }
            ForwardBy::Recording { shared, .. } => {
                shared.clear();
                shared.extend_from_slice(numbers);
            }
        }
    }

    /// Takes over a state.
    pub(super) fn set_state(&mut self, numbers: &[T]) {
        match &mut self.by {
            ForwardBy::Program(program) => {
                give(program, STATE, &self.way.signature.state, numbers);
            }
            ForwardBy::Recording { state, .. } => {
                state.clear();
                state.extend_from_slice(numbers);
            }
        }
    }

    /// Writes the state out.
    pub(super) fn state(&self, out: &mut [T]) {
        match &self.by {
            ForwardBy::Program(program) => read(program, STATE, &self.way.signature.state, out),
            ForwardBy::Recording { state, .. } => out.copy_from_slice(state),
        }
    }

    /// Takes step `k` of `n`.
    pub(super) fn step(&mut self, k: usize, n: usize, inputs: &[T]) {
        let way = &self.way;
        match &mut self.by {
            ForwardBy::Program(program) => {
                turn_to(program, &way.signature, k, n, inputs);
                program.execute();
            }
            ForwardBy::Recording { state, shared, outputs } => {
                let at = At { k, n, state, inputs, shared };
                let next = way.recorded(at, |_, operands, results| {
                    let (next, own) = results.split_at(operands.state.len());
                    write(own, outputs);
                    let mut state = vec![T::zero(); at.state.len()];
                    write(next, &mut state);
                    state
                });
                *state = next;
            }
        }
    }

    /// Writes out what the last step gave beside the state.
    pub(super) fn output(&self, output: usize, out: &mut [T]) {
        match &self.by {
            ForwardBy::Program(program) => {
                program.read_output(output, out);
            }
            ForwardBy::Recording { outputs, .. } => {
                out.copy_from_slice(&outputs[self.way.signature.output(output)]);
            }
        }
    }
}

/// The way back. It holds the adjoints of the state behind the step that comes next, and the sums of those of
/// shared values.
pub(super) struct Back<T: Real> {
    way: Way<T>,
    wanted: Wanted,
    by: BackBy<T>,
}

enum BackBy<T: Real> {
    Program(Box<Program<T>>),
    Recording(RecordedBack<T>),
}

/// The way back of a step that is recorded each time.
struct RecordedBack<T> {
    shared: Vec<T>,
    adjoint: Vec<T>,
    sums: Vec<T>,
    parts: Vec<Vec<T>>,
    /// The state that the step which comes next has to give.
    expected: Vec<T>,
}

/// The adjoints of the state, of the wanted parts of inputs, and of wanted shared values.
fn adjoints<'t, T: Real>(
    tape: &'t Tape<T>,
    operands: Operands<'_, 't, T>,
    results: &[Var<'t, T>],
    cotangents: &[Var<'t, T>],
    wanted: &Wanted,
) -> Vec<Var<'t, T>> {
    let all: Vec<_> = operands
        .state
        .iter()
        .copied()
        .chain(wanted_of(operands.inputs, &wanted.inputs))
        .chain(wanted_of(operands.shared, &wanted.shared))
        .collect();
    // What was recorded without gradients counts as constant.
    let detached = tape.detached(0..tape.len());
    let given = results.iter().copied().zip(cotangents.iter().copied());
    let given: Vec<_> = given.filter(|(result, _)| !detached[result.id().index()]).collect();
    tape.without_gradients(|| tape.vjp_of(&given, &all))
}

impl<T: Real> Back<T> {
    /// Compiles the step back, at numbers for which it is to be taken.
    pub(super) fn new(way: &Way<T>, wanted: &Wanted, at: At<'_, T>) -> Self {
        let program = way.is_fixed.then(|| Self::compiled(way, wanted, at));
        let by = match program.flatten() {
            Some(program) => BackBy::Program(Box::new(program)),
            None => BackBy::Recording(RecordedBack {
                shared: Vec::new(),
                adjoint: Vec::new(),
                sums: Vec::new(),
                parts: vec![Vec::new(); wanted_of(&wanted.inputs, &wanted.inputs).count()],
                expected: Vec::new(),
            }),
        };
        Self { way: way.clone(), wanted: wanted.clone(), by }
    }

    fn compiled(way: &Way<T>, wanted: &Wanted, at: At<'_, T>) -> Option<Program<T>> {
        way.recorded(at, |tape, operands, results| {
            let zeros = |var: &Var<'_, T>| tape.constant(Tensor::zeros(var.shape()));
            let cotangents: Vec<_> = results.iter().map(zeros).collect();
            let shared: Vec<_> = wanted_of(operands.shared, &wanted.shared).collect();
            let sums: Vec<_> = shared.iter().map(zeros).collect();
            let adjoints = adjoints(tape, operands, results, &cotangents, wanted);
            let (own, rest) = adjoints.split_at(operands.state.len());
            let (parts, terms) = rest.split_at(rest.len() - sums.len());
            let moves: Vec<_> = tape.without_gradients(|| {
                let sums = sums.iter().zip(terms).map(|(&sum, &term)| (sum, sum + term));
                cotangents.iter().copied().zip(own.iter().copied()).chain(sums).collect()
            });
            let inputs = [&operands.all()[..], &cotangents, &sums].concat();
            tape.compile_updating(&inputs, parts, &moves).ok()
        })
    }

    pub(super) fn wants(&self, wanted: &Wanted) -> bool {
        self.wanted == *wanted
    }

    /// The bytes of its program.
    pub(super) fn bytes(&self) -> usize {
        match &self.by {
            BackBy::Program(program) => program.bytes(),
            BackBy::Recording(_) => 0,
        }
    }

    /// The shapes of shared values with an adjoint.
    fn shared(&self) -> impl Iterator<Item = &Shape> {
        let wanted = self.wanted.shared.iter();
        self.way.signature.shared.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(s, _)| s)
    }

    /// Stands behind the last step: takes over what all steps share, the cotangent of the last state, and that
    /// state itself.
    pub(super) fn begin(&mut self, shared: &[T], cotangent: &[T], last: &[T]) {
        let sums: Vec<usize> = self.shared().map(Shape::elements).collect();
        let signature = &*self.way.signature;
        match &mut self.by {
            BackBy::Program(program) => {
                let places = Places::of(signature);
                give(program, places.shared, &signature.shared, shared);
                give(program, places.cotangents, &signature.state, cotangent);
                for (input, elements) in (places.sums..).zip(sums) {
                    program.clear_input(input, elements);
                }
            }
            BackBy::Recording(back) => {
                back.shared = shared.to_vec();
                back.adjoint = cotangent.to_vec();
                back.expected = last.to_vec();
                back.sums = vec![T::zero(); sums.iter().sum()];
            }
        }
    }

    /// Goes back over a step. `cotangent` and `value` are those of the loop, with the outputs of all steps.
    pub(super) fn step(&mut self, at: At<'_, T>, cotangent: &[T], value: &[T]) {
        let signature = &*self.way.signature;
        match &mut self.by {
            BackBy::Program(program) => {
                let places = Places::of(signature);
                turn_to(program, signature, at.k, at.n, at.inputs);
                give(program, STATE, &signature.state, at.state);
                for output in 0..signature.outputs.len() {
                    let own = &cotangent[signature.place(at.n, output, at.k)];
                    program.write_input(places.of_outputs + output, own);
                }
                program.execute();
            }
            BackBy::Recording(back) => back.step(&self.way, &self.wanted, at, cotangent, value),
        }
    }

    /// Writes out the adjoint of the last step's part of a wanted input.
    pub(super) fn part(&self, part: usize, out: &mut [T]) {
        match &self.by {
            BackBy::Program(program) => program.read_output(part, out),
            BackBy::Recording(back) => out.copy_from_slice(&back.parts[part]),
        }
    }

    /// Writes out the adjoints of the state before the last step, and the sums.
    pub(super) fn end(&self, adjoint: &mut [T], sums: &mut [T]) {
        match &self.by {
            BackBy::Program(program) => {
                let places = Places::of(&self.way.signature);
                read(program, places.cotangents, &self.way.signature.state, adjoint);
                let shared: Vec<Shape> = self.shared().cloned().collect();
                read(program, places.sums, &shared, sums);
            }
            BackBy::Recording(back) => {
                adjoint.copy_from_slice(&back.adjoint);
                sums.copy_from_slice(&back.sums);
            }
        }
    }
}

impl<T: Real> RecordedBack<T> {
    fn step(&mut self, way: &Way<T>, wanted: &Wanted, at: At<'_, T>, cotangent: &[T], value: &[T]) {
        let Self { shared, adjoint, sums, parts, expected } = self;
        let signature = &*way.signature;
        for output in 0..signature.outputs.len() {
            let place = signature.place(at.n, output, at.k);
            adjoint.extend_from_slice(&cotangent[place.clone()]);
            expected.extend_from_slice(&value[place]);
        }
        way.recorded(At { shared, ..at }, |tape, operands, results| {
            let mut given = vec![T::zero(); expected.len()];
            write(results, &mut given);
            let agrees = same(given.iter().copied(), expected.iter().copied());
            assert!(agrees, "{CHANGED}");
            let shapes: Vec<Shape> = results.iter().map(|result| result.shape()).collect();
            let cotangents = variables(tape, &shapes, adjoint);
            let adjoints = adjoints(tape, operands, results, &cotangents, wanted);
            let (own, rest) = adjoints.split_at(operands.state.len());
            let (own_parts, terms) = rest.split_at(parts.len());
            adjoint.truncate(at.state.len());
            write(own, adjoint);
            for (part, own) in parts.iter_mut().zip(own_parts) {
                *part = own.with_value(|view| view.to_vec());
            }
            let mut sums = sums.iter_mut();
            for term in terms {
                term.with_value(|term| {
                    term.iter().zip(&mut sums).for_each(|(term, sum)| *sum += term);
                });
            }
        });
        expected.clear();
        expected.extend_from_slice(at.state);
    }
}
