//! Programs: what a tape computes, compiled, to be run again on other numbers.
//!
//! A recorded tape, primal and adjoint, is also an intermediate representation.
//! [`compile`] records a function once and makes a plan of it: what no output needs
//! is left out, what is computed twice is shared, constants are worked out, long
//! elementwise values are computed together in loops over blocks that stay in the
//! first-level cache, and every value has its place in memory. A run replays the
//! plan: nothing is recorded, inferred or allocated.
//!
//! The instructions are the ops of the tape, in one of their readings: kernels, or formulas of which
//! [`native`] makes machine code. So a program gives the bits that the tape gave.
//!
//! *Invariant*: a program knows no op by name; it asks ops what they are
//! ([elementwise](crate::op::Elementwise), sums of all elements, views). Whatever
//! depends on more than the shapes and values of the inputs is an error at
//! compilation, never a wrong number at a run.

mod blocks;
mod buffers;
mod compile;
mod display;
mod error;
mod formula;
mod fuse;
mod fused;
mod graph;
mod listing;
mod lower;
mod memory;
mod native;
mod order;
mod pack;
mod recording;
mod run;
mod sharing;

use std::ops::Range;
use std::panic::Location;

pub use compile::{Functions, compile, compile_n};
pub use error::CompileError;

use crate::random::{Distribution, SeedableRng, Xoshiro256PlusPlus};
use crate::scalar::Real;
use crate::tape::Leaf;
use crate::tensor::{Layout, Tensor, View, are_finite};
use crate::tuned::Size;
use crate::var::Inputs;
use display::Report;
use formula::{Places, Run};
use graph::{Graph, Operand, ValueId};
use memory::{Argument, Memory, Place};
use native::{Guess, InMemory};
pub(crate) use recording::Recording;
use run::{Instruction, RunCode, Update};

/// The tuned sizes of all files of this room.
pub(crate) const SIZES_OF_FILES: &[&[Size]] = &[
    fuse::SIZES,
    graph::SIZES,
    pack::SIZES,
    fused::SIZES,
    formula::SIZES,
    formula::draft::SIZES,
    sharing::SIZES,
];

/// A compiled function: runs again and again, without recording or allocating.
///
/// Made by [`compile`] or [`compile_n`] from a closure, or by [`Tape::compile`](crate::Tape::compile) from what a tape
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
    /// Short values that no run changes, and those that are read after it.
    constants: Vec<Range<usize>>,
    results: Vec<Range<usize>>,
    /// Runs until now, up to one more than [`WORTH_CODE`].
    runs: u32,
    /// What it was compiled from.
    recording: Recording<T>,
    report: Report,
}

/// Runs after which code is made of instructions on short values. To make it takes as long as some
/// hundred to two thousand runs do.
const WORTH_CODE: u32 = 1000;

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

/// Where short outputs lie.
fn results<T: Real>(
    outputs: &[ValueId],
    graph: &Graph<T>,
    operands: &[Operand],
    places: &[Option<Place>],
) -> Vec<Range<usize>> {
    let place = |id: &ValueId| {
        let root = operands[id.index()].root;
        let elements = graph.value(root).shape.elements();
        match places[root.index()] {
            Some(Place::Short(start)) => Some(start..start + elements),
            _ => None,
        }
    };
    outputs.iter().filter_map(place).collect()
}

fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

struct Input {
    place: Place,
    layout: Layout,
    location: &'static Location<'static>,
}

impl<T: Real> Program<T> {
    fn new(graph: &Graph<T>, outputs: usize, updated: &[usize], recording: Recording<T>) -> Self {
        let operands = graph::operands(graph);
        let roles = fuse::roles(graph, &operands);
        let states: Vec<(ValueId, ValueId)> = updated
            .iter()
            .map(|&input| graph.inputs[input])
            .zip(graph.outputs[outputs..].iter().copied())
            .collect();
        let units = fuse::units(graph, &operands, &roles);
        let units = order::ordered(graph, &operands, units, &states);
        let lowered = lower::lower(graph, &operands, &roles, &units, &graph.outputs, &states);
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
            results: results(&graph.outputs[..outputs], graph, &operands, &lowered.places),
            constants: lowered.constants,
            runs: 0,
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
        if let (Place::Short(start), Some((elements, extents))) = (input.place, value.plain())
            && *extents == input.layout.shape()[..]
        {
            return self.memory.short[start..start + elements.len()].copy_from_slice(elements);
        }
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

    /// Draws [samples](crate::Tape::sample) from this seed, from the next run on. Else a
    /// program goes through those that the tape would have drawn, from the recording's
    /// own on.
    pub fn seed(&mut self, seed: u64) {
        self.rng = seeded(seed);
    }

    /// Runs on the inputs as they stand. In steady state nothing is allocated.
    pub fn execute(&mut self) {
        match self.runs {
            WORTH_CODE => self.native(),
            0..WORTH_CODE => self.runs += 1,
            _ => {}
        }
        let first = self.given();
        for (input, distribution) in self.inputs[first..].iter().zip(&self.samples) {
            let elements = self.memory.elements_mut(input.place, input.layout.elements());
            distribution.fill(elements, &mut self.rng);
        }
        for instruction in &mut self.instructions {
            instruction.run(&mut self.memory);
        }
        for update in &self.updates {
            update.run(&mut self.memory);
        }
    }

    /// Makes machine code of the instructions on short values. A program does so by itself after
    /// 1000 runs, when it has become worth the time; who knows that many will follow need not
    /// wait for them. The bits of results are the same.
    ///
    /// There is code on x86-64 CPUs with AVX2, unless the environment variable `WENGERT_NATIVE` is 0.
    /// Loops over long values are made of it from the beginning.
    ///
    /// ```
    /// use wengert_core::{Tensor, compile, func};
    ///
    /// let mut program = compile(func(|x| (x * x + 1.0).sqrt()), &Tensor::scalar(2.0))?;
    /// program.native();
    /// assert_eq!(program.run(&Tensor::scalar(0.75))[0].item(), 1.25);
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    #[cold]
    pub fn native(&mut self) {
        self.runs = WORTH_CODE + 1;
        if native::vectors().is_none() {
            return;
        }
        let lanes = native::lanes_in_memory::<T>();
        let Self { constants, results, memory, updates, .. } = self;
        let places = Places { memory: &memory.short, constants, results, updates, lanes };
        let runs = formula::runs(&self.instructions, &places);
        let mut instructions = std::mem::take(&mut self.instructions).into_iter();
        let mut next = 0;
        for Run { instructions: range, code, narrow, updates } in runs {
            self.instructions.extend(instructions.by_ref().take(range.start - next));
            next = range.end;
            let own: Vec<_> = instructions.by_ref().take(range.len()).collect();
            match InMemory::new(&code) {
                Some(wide) => {
                    let function = Guess::new(narrow.as_ref().and_then(InMemory::new), wide);
                    self.updates.retain(|update| !updates.contains(update));
                    let written = code.written().collect();
                    let code = RunCode { function, instructions: own, written, updates };
                    self.instructions.push(Instruction::Code(Box::new(code)));
                }
                None => self.instructions.extend(own),
            }
        }
        self.instructions.extend(instructions);
    }

    /// Whether all numbers are finite that runs [move](crate::Tape::compile_updating).
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
