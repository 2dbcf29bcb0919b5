//! Programs: what a tape computes, compiled, to be run again on other numbers.
//!
//! A recorded tape, primal and adjoint, is also an intermediate representation.
//! [`compile`] records a function once and makes a plan of it: what no output needs
//! is left out, what is computed twice is shared, constants are worked out, long
//! elementwise values are computed together in loops over blocks that stay in the
//! first-level cache, and every value has its place in memory. A run replays the
//! plan: nothing is recorded, inferred or allocated.
//!
//! The instructions are the ops of the tape, in one of their two readings, so a
//! program gives the bits that the tape gave.
//!
//! *Invariant*: a program knows no op by name; it asks ops what they are
//! ([elementwise](crate::op::Elementwise), sums of all elements, views). Whatever
//! depends on more than the shapes and values of the inputs is an error at
//! compilation, never a wrong number at a run.

mod blocks;
mod display;
mod factors;
mod fuse;
mod graph;
mod lower;
mod recording;
mod run;

use std::panic::Location;

use thiserror::Error;

use crate::random::{Distribution, SeedableRng, Xoshiro256PlusPlus};
use crate::scalar::Real;
use crate::tape::{Leaf, Tape, Var};
use crate::tensor::{Layout, Tensor, View, are_finite};
use crate::tuned::Size;
use crate::var::inputs::{record, taken_in};
use crate::var::{Function, Inputs};
use display::Report;
use graph::{Graph, ValueId};
use recording::Recording;
use run::{Argument, Instruction, Memory, Place};

tuned! {
    /// Values of up to this many elements lie in one memory, as on a tape.
    const SHORT = 64, tiny 2;
}

/// The tuned sizes of all files of this room.
pub(crate) const SIZES_OF_FILES: &[&[Size]] = &[SIZES, factors::SIZES, run::SIZES];

/// Why a recording cannot be replayed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// The recording looked at a number that depends on the inputs and went on:
    /// what followed may hold for that number only.
    #[error(
        "the value of {value} was read at {line} while the program was recorded; what was recorded \
         after that may hold for this value only. Decide by `select`, or read after compiling"
    )]
    ValueRead {
        /// The value that was read.
        value: String,
        /// Where.
        line: String,
    },
    /// A constant that a rule of a backward sweep took in was overwritten when the
    /// sweep had no more use for it.
    #[error(
        "the memory of {value} was used again by a backward sweep; take the constant in before it"
    )]
    Overwritten {
        /// The constant.
        value: String,
    },
    /// What was given as an input is a result, or given twice.
    #[error("{value} is no input: an input is a variable or a constant of the tape, given once")]
    NoInput {
        /// What was given.
        value: String,
    },
}

/// A compiled function: runs again and again, without recording or allocating.
///
/// Made by [`compile`] or [`compile_n`] from a closure, or by [`Tape::compile`] from what a tape
/// has recorded. Its inputs start with the values of the recording.
pub struct Program<T: Real> {
    instructions: Vec<Instruction<T>>,
    memory: Memory<T>,
    /// Those that are given, and behind them those that are drawn.
    inputs: Vec<Input>,
    /// What each run draws, in this order.
    samples: Vec<Distribution>,
    rng: Xoshiro256PlusPlus,
    outputs: Vec<Argument>,
    /// Inputs that take over a computed value at the end of each run.
    updates: Vec<Update>,
    /// Where the inputs are that a run moves: short ones that lie side by side are one.
    states: Vec<(Place, usize)>,
    /// What it was compiled from.
    recording: Recording<T>,
    report: Report,
}

/// Values with those put together that lie side by side.
fn side_by_side(values: impl Iterator<Item = (Place, usize)>) -> Vec<(Place, usize)> {
    let (mut short, mut joined) = (Vec::new(), Vec::new());
    for (place, elements) in values {
        match place {
            Place::Short(start) => short.push((start, elements)),
            Place::Long(_) => joined.push((place, elements)),
        }
    }
    short.sort_unstable();
    let mut end = None;
    for (start, elements) in short {
        match joined.last_mut() {
            Some((_, whole)) if end == Some(start) => *whole += elements,
            _ => joined.push((Place::Short(start), elements)),
        }
        end = Some(start + elements);
    }
    joined
}

fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

struct Input {
    place: Place,
    layout: Layout,
    location: &'static Location<'static>,
}

#[derive(Clone, Copy, Debug)]
struct Update {
    input: Place,
    next: Place,
    elements: usize,
}

/// Compiles a function of tensors, recorded at the given ones.
///
/// It takes what [`grad`](crate::transform::grad) and [`vmap`](crate::vmap) take; [`compile_n`] takes a function
/// with several results. The function is called once, and all that is no input is taken as fixed.
///
/// ```
/// use wengert_core::{Tensor, compile, func};
///
/// let f = func(|x| (x.sin() * x).sum());
/// let mut program = compile(f, &Tensor::from([1.0, 2.0]))?;
/// assert_eq!(program.run(&Tensor::from([0.0, 1.0]))[0].item(), 1.0_f64.sin());
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
///
/// # Errors
/// If the function reads a value that depends on its inputs, and then goes on to
/// record: a run on other inputs could not decide again.
///
/// # Panics
/// If the result lies on another tape.
#[doc(alias = "jit")]
#[track_caller]
pub fn compile<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    inputs: I,
) -> Result<Program<T>, CompileError> {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &inputs);
    tape.compile(&vars, &[y])
}

/// As [`compile`], for a function that gives several results, as an array: a value with its
/// gradient ([`Var::grad`], or [`Var::backward`] with
/// [`Gradients::on_tape`](crate::sweep::Gradients::on_tape)), any derivatives.
///
/// ```
/// use wengert_core::{Tensor, compile_n};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let mut program = compile_n(
///     |x| {
///         let y = (x.sin() * x).sum();
///         let [dx] = y.grad([x]);
///         [y, dx]
///     },
///     &x,
/// )?;
/// let results = program.run(&Tensor::from([0.0, 1.0]));
/// assert_eq!(results[1].at(&[1]), 1.0_f64.cos() + 1.0_f64.sin());
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
///
/// # Errors
/// As [`compile`].
///
/// # Panics
/// As [`compile`].
#[track_caller]
pub fn compile_n<T: Real, I: Inputs<T>, const M: usize>(
    f: impl for<'t> Functions<'t, T, I, M>,
    inputs: I,
) -> Result<Program<T>, CompileError> {
    let tape = Tape::new();
    let (list, vars) = taken_in(&tape, &inputs);
    tape.compile(&list, &f(vars))
}

/// A function with several results, of the variables that stand for inputs `I`.
///
/// As [`Function`]: it follows for every closure of the right signature.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function from variables of `{T}` to an array of them",
    note = "it takes the variables in the arrangement of the inputs, and gives `[Var<{T}>; N]`"
)]
pub trait Functions<'t, T: Real, I: Inputs<T>, const M: usize>:
    Fn(I::Vars<'t>) -> [Var<'t, T>; M]
where
    T: 't,
{
}

impl<'t, T: Real, I: Inputs<T>, const M: usize, F: Fn(I::Vars<'t>) -> [Var<'t, T>; M]>
    Functions<'t, T, I, M> for F
{
}

impl<T: Real> Tape<T> {
    /// Compiles what is recorded: the outputs as a function of some leaves. Other
    /// leaves are constants.
    ///
    /// # Errors
    /// As [`compile`]; and if an input is no leaf, or given twice.
    ///
    /// # Panics
    /// If an input or output lies on another tape.
    #[track_caller]
    pub fn compile(
        &self,
        inputs: &[Var<'_, T>],
        outputs: &[Var<'_, T>],
    ) -> Result<Program<T>, CompileError> {
        self.compile_updating(inputs, outputs, &[])
    }

    /// As [`compile`](Self::compile), for programs with a state, such as a training
    /// step: at the end of each run the first of each pair, one of the inputs, takes
    /// the value of the second.
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, w) = (tape.constant(2.0), tape.variable(1.0));
    /// let cost = (w * x - 6.0).square();
    /// let [gradient] = cost.grad([w]);
    /// let mut step = tape.compile_updating(&[x, w], &[cost], &[(w, w - 0.1 * gradient)])?;
    /// for _ in 0..50 {
    ///     step.execute();
    /// }
    /// assert!((step.input(1).item() - 3.0_f64).abs() < 1e-9);
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    ///
    /// # Panics
    /// As [`compile`](Self::compile), and if an updated variable is no input or the
    /// shapes of a pair differ.
    #[track_caller]
    pub fn compile_updating(
        &self,
        inputs: &[Var<'_, T>],
        outputs: &[Var<'_, T>],
        updates: &[(Var<'_, T>, Var<'_, T>)],
    ) -> Result<Program<T>, CompileError> {
        let samples = self.samples();
        let given = inputs;
        // A sample that is an input is given.
        let drawn = samples.iter().flat_map(|samples| &samples.drawn);
        let drawn = drawn.filter(|(sample, _)| given.iter().all(|input| input.id() != *sample));
        let sampled = drawn.clone().map(|&(sample, _)| self.var(sample));
        let inputs: Vec<Var<'_, T>> = given.iter().copied().chain(sampled).collect();
        let results: Vec<Var<'_, T>> =
            outputs.iter().copied().chain(updates.iter().map(|&(_, next)| next)).collect();
        for var in inputs.iter().chain(&results) {
            self.expect_own(*var);
        }
        for (position, input) in inputs.iter().enumerate() {
            let is_leaf = self.call(input.id()).is_none();
            if !is_leaf || inputs[..position].iter().any(|other| other.id() == input.id()) {
                return Err(CompileError::NoInput { value: input.describe() });
            }
        }
        if let Some((value, line)) = self.fateful_read(&inputs, &results) {
            return Err(CompileError::ValueRead { value, line });
        }
        let mut updated = Vec::with_capacity(updates.len());
        for (state, next) in updates {
            state.expect_shape_of_its("compile_updating", "new value", &next.shape());
            match given.iter().position(|input| input.id() == state.id()) {
                Some(position) => updated.push(position),
                None => panic!(
                    "compile_updating: {} is updated, and is not among the inputs",
                    state.describe()
                ),
            }
        }
        let mut graph = Graph::new(self, &inputs, &results)?;
        graph.separate(outputs.len(), &updated);
        graph.lay_out_factors();
        let recording = Recording::new(self, &inputs, &results, updated.clone());
        let mut program = Program::new(&graph, outputs.len(), &updated, recording);
        for (index, input) in inputs.iter().enumerate() {
            program.set_input(index, input.value());
        }
        program.samples = drawn.map(|&(_, distribution)| distribution).collect();
        if let Some(samples) = &samples {
            program.rng = samples.start.clone();
        }
        Ok(program)
    }
}

impl<T: Real> Program<T> {
    fn new(graph: &Graph<T>, outputs: usize, updated: &[usize], recording: Recording<T>) -> Self {
        let operands = graph::operands(graph);
        let units = fuse::units(graph, &operands);
        let states: Vec<(ValueId, ValueId)> = updated
            .iter()
            .map(|&input| graph.inputs[input])
            .zip(graph.outputs[outputs..].iter().copied())
            .collect();
        let lowered = lower::lower(graph, &operands, &units, &graph.outputs, &states);
        let report = Report::new(graph, &operands, &units, &lowered);
        let place = |id: ValueId| lowered.places[id.index()].expect("a value with memory");
        let argument =
            |&id: &ValueId| lower::argument(graph, &operands[id.index()], &lowered.places);
        let inputs = graph.inputs.iter().map(|&id| Input {
            place: place(id),
            layout: Layout::contiguous(graph.value(id).shape.clone()),
            location: graph.value(id).location,
        });
        let updates = states.iter().map(|&(input, next)| Update {
            input: place(input),
            next: place(next),
            elements: graph.value(next).shape.elements(),
        });
        Self {
            inputs: inputs.collect(),
            outputs: graph.outputs[..outputs].iter().map(argument).collect(),
            // States that are updated in place have moved already.
            updates: updates.filter(|update| update.input != update.next).collect(),
            states: side_by_side(
                states
                    .iter()
                    .map(|&(input, next)| (place(input), graph.value(next).shape.elements())),
            ),
            instructions: lowered.instructions,
            memory: lowered.memory,
            samples: Vec::new(),
            rng: seeded(0),
            recording,
            report,
        }
    }

    /// The number of inputs that are given.
    fn given(&self) -> usize {
        self.inputs.len() - self.samples.len()
    }

    /// Runs on new inputs, in the arrangement in which they were recorded, and gives
    /// the outputs.
    ///
    /// # Panics
    /// If the number of inputs or a shape is not that of the recording.
    #[track_caller]
    pub fn run<I: Inputs<T>>(&mut self, inputs: I) -> Vec<Tensor<T>> {
        let mut values = Vec::new();
        inputs.values(&mut values);
        assert!(
            values.len() == self.given(),
            "run: expected as many inputs as when the program was compiled, {}, got {}",
            self.given(),
            values.len()
        );
        for (index, value) in values.into_iter().enumerate() {
            self.set_input(index, value);
        }
        self.execute();
        (0..self.outputs.len()).map(|index| self.output(index)).collect()
    }

    /// Gives an input its value for the runs to come. The memory of large tensors
    /// is shared.
    ///
    /// # Panics
    /// If there is no such input, or the shape is not that of the recording: plans
    /// hold for their shapes.
    #[track_caller]
    pub fn set_input(&mut self, index: usize, value: impl Leaf<T>) {
        let count = self.given();
        assert!(index < count, "set_input: there is no input {index}; the program has {count}");
        let input = &self.inputs[index];
        let refused = value.with(|view, buffer| {
            if view.shape() != input.layout.shape() {
                return Some(view.shape().clone());
            }
            match input.place {
                Place::Short(start) => {
                    view.copy_to(&mut self.memory.short[start..start + view.len()]);
                }
                Place::Long(slot) => {
                    let slot = &mut self.memory.long[slot];
                    let whole =
                        |view: &View<'_, T>| view.layout().is_contiguous() && view.offset() == 0;
                    *slot = match buffer {
                        Some(buffer) if whole(&view) => Some(buffer.clone()),
                        _ => view.to_tensor().parts().0.clone().into(),
                    };
                }
            }
            None
        });
        if let Some(shape) = refused {
            panic!(
                "expected shape {} for input {index}, as recorded at {}, got {shape}; \
                 compile again for another shape",
                input.layout.shape(),
                input.location
            );
        }
    }

    /// The value of an input: the last one given, or the state after the last run.
    ///
    /// # Panics
    /// If there is no such input.
    #[track_caller]
    pub fn input(&self, index: usize) -> Tensor<T> {
        let count = self.inputs.len();
        assert!(index < count, "input: there is no input {index}; the program has {count}");
        let Input { place, layout, .. } = &self.inputs[index];
        self.memory.tensor(&Argument { place: *place, offset: 0, layout: layout.clone() })
    }

    /// Draws [samples](Tape::sample) from this seed, from the next run on. Else a
    /// program goes through those that the tape would have drawn, from the recording's
    /// own on.
    pub fn seed(&mut self, seed: u64) {
        self.rng = seeded(seed);
    }

    /// Runs on the inputs as they stand. In steady state nothing is allocated.
    pub fn execute(&mut self) {
        let first = self.given();
        for (input, distribution) in self.inputs[first..].iter().zip(&self.samples) {
            let elements = self.memory.elements_mut(input.place, input.layout.elements());
            distribution.fill(elements, &mut self.rng);
        }
        for instruction in &mut self.instructions {
            instruction.run(&mut self.memory);
        }
        for &Update { input, next, elements } in &self.updates {
            match (input, next) {
                (Place::Short(to), Place::Short(from)) => {
                    self.memory.short.copy_within(from..from + elements, to);
                }
                (Place::Long(to), Place::Long(from)) => self.memory.long.swap(to, from),
                _ => unreachable!("both have the same shape"),
            }
        }
    }

    /// Whether all numbers are finite that runs [move](Tape::compile_updating).
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(1e200);
    /// let mut program = tape.compile_updating(&[x], &[], &[(x, x * x)])?;
    /// assert!(program.states_are_finite());
    /// program.execute();
    /// assert!(!program.states_are_finite());
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    #[inline]
    pub fn states_are_finite(&self) -> bool {
        self.states.iter().all(|&(place, elements)| match place {
            Place::Short(start) => are_finite(&self.memory.short[start..start + elements]),
            Place::Long(slot) => {
                let buffer = self.memory.long[slot].as_ref().expect("inputs have values");
                are_finite(&buffer[..elements])
            }
        })
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// An output of the last run. Large ones are shared: a run while such a tensor
    /// is kept takes new memory for it.
    ///
    /// # Panics
    /// If there is no such output.
    #[track_caller]
    pub fn output(&self, index: usize) -> Tensor<T> {
        self.memory.tensor(self.result(index))
    }

    #[track_caller]
    fn result(&self, index: usize) -> &Argument {
        let count = self.outputs.len();
        assert!(index < count, "there is no output {index}; the program has {count}");
        &self.outputs[index]
    }

    /// Lets `read` see an output of the last run without copying it.
    ///
    /// # Panics
    /// If there is no such output.
    #[track_caller]
    pub fn with_output<R>(&self, index: usize, read: impl FnOnce(View<'_, T>) -> R) -> R {
        read(self.memory.view(self.result(index)))
    }
}
