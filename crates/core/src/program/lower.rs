//! From units to instructions: where each value lies, and for how long.
//!
//! Short values get a place each, in the order in which they are computed. Long
//! ones get a slot each, or that of a value whose place they take; when all instructions are there,
//! and it is known for how long each slot is needed, slots share buffers ([sharing](super::sharing)).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::fuse::{Role, Unit};
use super::graph::{Graph, Operand, SHORT, Source, ValueId};
use super::memory::{Argument, Memory, Place};
use super::native::{Guess, OverArrays};
use super::run::{Apply, Instruction, Packed, SHORT_OPERANDS, ShortCall, ShortSum};
use super::sharing::{Life, Shared, share};
use crate::kernel::block::{BlockKernel, Steps};
use crate::kernel::gemm::ShortProduct;
use crate::kernel::reduce::LEAF_ROWS;
use crate::scalar::Real;
use crate::scalar::ir::{Effect, Node};
use crate::tape::elemental::DynOp;
use crate::tape::{Args, OpHandle};
use crate::tensor::{Buffer, Elements, Layout, Rows, Shape};

/// What a compilation gives.
pub(super) struct Lowered<T: Real> {
    pub(super) instructions: Vec<Instruction<T>>,
    pub(super) memory: Memory<T>,
    /// The places of short values that no run changes.
    pub(super) constants: Vec<Range<usize>>,
    /// Where the values with memory of their own lie.
    pub(super) places: Vec<Option<Place>>,
    /// Bytes of the buffers that instructions write to.
    pub(super) buffer_bytes: usize,
    pub(super) buffers: usize,
}

/// What a loop computes: its operations, which of its loads are uniform, and the number of its results.
type Formula = (Vec<Node>, Vec<(usize, Effect)>, Vec<bool>, usize);

pub(super) struct Lowering<'g, T: Real> {
    pub(super) graph: &'g Graph<T>,
    pub(super) operands: &'g [Operand],
    pub(super) roles: &'g [Role],
    units: &'g [Unit],
    pub(super) updates: &'g [(ValueId, ValueId)],
    /// The unit that computes a value.
    unit_of: Vec<Option<usize>>,
    /// The last unit that reads a value's memory; past the end for outputs.
    pub(super) last_use: Vec<Option<usize>>,
    pub(super) places: Vec<Option<Place>>,
    memory: Memory<T>,
    constants: Vec<Range<usize>>,
    /// The functions of loops, by what they compute: a network that is unrolled has the same ones again
    /// and again.
    pub(super) codes: HashMap<Formula, Arc<Guess<OverArrays<T>>>>,
    /// For how long each slot is needed that instructions write to. They follow those of leaves.
    lives: Vec<Life>,
}

/// Lays out the values of a graph and writes its instructions. Values in `kept`
/// have memory that nothing else uses; of each pair in `updates`, the input takes
/// the value of the second after a run, in place if it can.
pub(super) fn lower<T: Real>(
    graph: &Graph<T>,
    operands: &[Operand],
    roles: &[Role],
    units: &[Unit],
    kept: &[ValueId],
    updates: &[(ValueId, ValueId)],
) -> Lowered<T> {
    let count = graph.values.len();
    let mut lowering = Lowering {
        graph,
        operands,
        roles,
        units,
        updates,
        unit_of: vec![None; count],
        last_use: vec![None; count],
        places: vec![None; count],
        memory: Memory { short: Vec::new(), long: Vec::new() },
        constants: Vec::new(),
        codes: HashMap::new(),
        lives: Vec::new(),
    };
    lowering.read_uses(kept);
    lowering.place_leaves();
    let mut instructions: Vec<_> = (0..units.len()).map(|unit| lowering.lower_unit(unit)).collect();
    let Lowering { mut memory, constants, mut places, lives, .. } = lowering;
    let Shared { buffer_of, elements } = share(&lives);
    let leaves = memory.long.len();
    let mut to_buffer = |slot: &mut usize| {
        if *slot >= leaves {
            *slot = leaves + buffer_of[*slot - leaves];
        }
    };
    instructions.iter_mut().for_each(|instruction| instruction.for_each_slot(&mut to_buffer));
    places.iter_mut().flatten().for_each(|place| place.for_each_slot(&mut to_buffer));
    memory.long.extend(elements.iter().map(|&elements| Some(Arc::new(Elements::zeros(elements)))));
    Lowered {
        instructions,
        memory,
        constants,
        places,
        buffer_bytes: elements.iter().sum::<usize>() * size_of::<T>(),
        buffers: elements.len(),
    }
}

impl<T: Real> Lowering<'_, T> {
    pub(super) fn operand(&self, id: ValueId) -> &Operand {
        &self.operands[id.index()]
    }

    pub(super) fn elements(&self, id: ValueId) -> usize {
        self.graph.value(id).shape.elements()
    }

    fn read_uses(&mut self, kept: &[ValueId]) {
        for (unit, own) in self.units.iter().enumerate() {
            for id in own.values() {
                self.unit_of[id.index()] = Some(unit);
                let (_, args) = self.graph.op(id).expect("units are computed");
                for arg in args {
                    let root = self.operands[arg.index()].root;
                    let last = &mut self.last_use[root.index()];
                    *last = (*last).max(Some(unit));
                }
            }
        }
        for id in kept {
            let root = self.operand(*id).root;
            self.last_use[root.index()] = Some(usize::MAX);
        }
    }

    /// Constants and inputs.
    fn place_leaves(&mut self) {
        for id in self.graph.ids() {
            let value = self.graph.value(id);
            let elements = value.shape.elements();
            let place = match &value.source {
                Source::Op(..) => continue,
                Source::Constant(tensor) if elements <= SHORT => {
                    let start = self.memory.short.len();
                    self.memory.short.extend(tensor.iter());
                    self.constants.push(start..start + elements);
                    Place::Short(start)
                }
                Source::Constant(tensor) => self.buffer(Some(tensor.parts().0.clone())),
                Source::Input if elements <= SHORT => self.short(elements),
                Source::Input => self.buffer(None),
            };
            self.places[id.index()] = Some(place);
        }
    }

    fn short(&mut self, elements: usize) -> Place {
        let start = self.memory.short.len();
        // What is read before it was given shows.
        self.memory.short.resize(start + elements, T::nan());
        Place::Short(start)
    }

    fn buffer(&mut self, buffer: Option<Buffer<T>>) -> Place {
        self.memory.long.push(buffer);
        Place::Long(self.memory.long.len() - 1)
    }

    /// A place for a value that a unit computes.
    fn place(&mut self, id: ValueId) -> Place {
        let elements = self.elements(id);
        let place = if elements <= SHORT {
            self.short(elements)
        } else {
            let first = self.unit_of[id.index()].expect("a unit computes it");
            self.lives.push(Life { elements, first, last: None });
            Place::Long(self.memory.long.len() + self.lives.len() - 1)
        };
        self.places[id.index()] = Some(place);
        place
    }

    /// Ends the lives of values that `unit` was the last to read, but for
    /// those whose place holds a new value already.
    fn release(&mut self, unit: usize, taken: &[usize]) {
        let read = self.units[unit].values().flat_map(|id| {
            let (_, args) = self.graph.op(id).expect("units are computed");
            args.iter().map(|arg| self.operands[arg.index()].root).chain([id])
        });
        for root in read {
            let ends = self.last_use[root.index()].is_none_or(|last| last == unit);
            if let Some(Place::Long(slot)) = self.places[root.index()]
                && ends
                && !taken.contains(&slot)
                && slot >= self.memory.long.len()
            {
                self.lives[slot - self.memory.long.len()].last = Some(unit);
            }
        }
    }

    fn lower_unit(&mut self, unit: usize) -> Instruction<T> {
        let Unit { members, is_loop, product } = &self.units[unit];
        let (instruction, taken) = match is_loop {
            true => {
                let built = self.lower_loop(unit, members, *product);
                let taken = built.written.clone();
                (Instruction::Loop(Box::new(built)), taken)
            }
            false => self.lower_single(unit, members[0]),
        };
        self.release(unit, &taken);
        instruction
    }

    /// An op by itself, and the buffer that its result takes over, if it does.
    fn lower_single(&mut self, unit: usize, id: ValueId) -> (Instruction<T>, Vec<usize>) {
        let value = self.graph.value(id);
        let Source::Op(op, args) = &value.source else { unreachable!("units are computed") };
        if let Some(short) = self.lower_short(id, op.get(), args) {
            return (short, Vec::new());
        }
        let mut args: Args<Argument> =
            args.iter().map(|&arg| argument(self.graph, self.operand(arg), &self.places)).collect();
        let elements = value.shape.elements();
        let op: OpHandle<T> = OpHandle::clone(op);
        let shape = value.shape.clone();
        if let Some(slot) = self.added_to(unit, id, &args) {
            args.remove(0);
            let target = Place::Long(slot);
            self.places[id.index()] = Some(target);
            let apply = Apply { op, args, shape, elements, target };
            return (Instruction::AddInto(Box::new(apply)), vec![slot]);
        }
        let target = self.place(id);
        (Instruction::Apply(Box::new(Apply { op, args, shape, elements, target })), Vec::new())
    }

    /// The buffer of the first operand, if the op adds to it and nothing reads it
    /// after that.
    fn added_to(&self, unit: usize, id: ValueId, args: &[Argument]) -> Option<usize> {
        let (_, own) = self.graph.op(id).filter(|(op, _)| op.adds())?;
        let Place::Long(slot) = args.first()?.place else { return None };
        let Operand { root, .. } = *self.operand(own[0]);
        let is_last = self.last_use[root.index()] == Some(unit);
        let is_kept = self.last_use[id.index()] == Some(usize::MAX);
        let is_computed = self.unit_of[root.index()].is_some();
        let is_only = args[1..].iter().all(|arg| arg.place != args[0].place);
        let is_whole = self.operand(own[0]).is_whole(self.elements(root));
        (is_last && !is_kept && is_computed && is_only && is_whole).then_some(slot)
    }

    /// An op of short values, of a kind that has an instruction of
    /// its own.
    fn lower_short(
        &mut self,
        id: ValueId,
        op: &dyn DynOp<T>,
        args: &[ValueId],
    ) -> Option<Instruction<T>> {
        let shape = self.graph.value(id).shape.clone();
        if shape.elements() > SHORT {
            return None;
        }
        if let Some(kernel) = op.kernel() {
            return self.lower_short_elementwise(id, kernel, args, &shape);
        }
        match *args {
            [arg] => {
                let from = &self.graph.value(arg).shape;
                let (columns, divisor) = match op.total(from) {
                    Some(divisor) => (1, divisor),
                    None => (shape.elements(), op.sum_of_rows(from)?),
                };
                let (divisor, rows) = (T::from_f64(divisor), from.elements() / columns.max(1));
                let (start, layout) = self.short_argument(arg)?;
                // More rows are added in parts.
                let is_short = columns == 1 || (1..=LEAF_ROWS).contains(&rows);
                (is_short && layout.is_contiguous()).then(|| {
                    let out = self.short_place(id);
                    Instruction::ShortSum(ShortSum { start, rows, columns, divisor, out })
                })
            }
            [a, b] => {
                let (start_a, layout_a) = self.short_argument(a)?;
                let (start_b, layout_b) = self.short_argument(b)?;
                let [left, right] = op.factors(layout_a, layout_b)?;
                left.is_tiny(&right).then(|| {
                    let (left, right) = ((start_a, left), (start_b, right));
                    let out = self.short_place(id);
                    Instruction::ShortProduct(ShortProduct { left, right, out })
                })
            }
            _ => None,
        }
    }

    /// An elementwise op of short values. Operands whose elements do not lie at equal distances
    /// are packed first.
    fn lower_short_elementwise(
        &mut self,
        id: ValueId,
        kernel: Arc<dyn BlockKernel<T>>,
        args: &[ValueId],
        shape: &Shape,
    ) -> Option<Instruction<T>> {
        if args.len() > SHORT_OPERANDS {
            return None;
        }
        let mut operands = [Steps::default(); SHORT_OPERANDS];
        let stretched: Args<(usize, Layout)> = args
            .iter()
            .map(|&arg| {
                let (start, layout) = self.short_argument(arg)?;
                Some((start, layout.broadcast_to(shape)))
            })
            .collect::<Option<_>>()?;
        let mut packed = Vec::new();
        for ((steps, (start, layout)), &arg) in operands.iter_mut().zip(stretched).zip(args) {
            if let Some(step) = steady_step(&layout) {
                *steps = Steps::new(start, step);
                continue;
            }
            let place = self.memory.short.len();
            *steps = Steps::new(place, 1);
            let places = Rows::new(&layout, start).places();
            match self.graph.value(self.operand(arg).root).source {
                // Once for all runs.
                Source::Constant(_) => {
                    places.for_each(|from| self.memory.short.push(self.memory.short[from]));
                    self.constants.push(place..self.memory.short.len());
                }
                _ => {
                    let from = places.map(|place| place as u32).collect();
                    self.short(shape.elements());
                    packed.push(Packed { from, start: place });
                }
            }
        }
        let out = u32::try_from(self.short_place(id)).ok()?;
        let call = ShortCall { operands, out, len: shape.elements() as u32 };
        Some(match packed.is_empty() {
            true => Instruction::Short(kernel, call),
            false => Instruction::ShortPacked(kernel, packed.into(), call),
        })
    }

    /// Where a short operand begins, and how it lies.
    fn short_argument(&self, id: ValueId) -> Option<(usize, &Layout)> {
        let Operand { root, offset, layout } = self.operand(id);
        match self.places[root.index()] {
            Some(Place::Short(start)) => Some(((start as isize + offset) as usize, layout)),
            _ => None,
        }
    }

    pub(super) fn short_place(&mut self, id: ValueId) -> usize {
        match self.place(id) {
            Place::Short(start) => start,
            Place::Long(_) => unreachable!("the value is short"),
        }
    }

    pub(super) fn long_place(&mut self, id: ValueId) -> usize {
        match self.place(id) {
            Place::Long(slot) => slot,
            Place::Short(_) => unreachable!("the value is long"),
        }
    }
}

/// A value as its root's memory shows it.
pub(super) fn argument<T: Real>(
    graph: &Graph<T>,
    operand: &Operand,
    places: &[Option<Place>],
) -> Argument {
    let Operand { root, mut offset, ref layout } = *operand;
    if let Source::Constant(tensor) = &graph.value(root).source
        && tensor.len() > SHORT
    {
        offset += tensor.parts().1 as isize;
    }
    let place = places[root.index()].expect("computed before it is read");
    Argument { place, offset, layout: layout.clone() }
}

/// The distance from one element to the next in row-major order, if it is always
/// the same.
fn steady_step(layout: &Layout) -> Option<i32> {
    let axes = layout.shape().iter().zip(layout.strides()).rev().filter(|&(&n, _)| n != 1);
    let mut step = None;
    let mut expected = 0;
    for (&extent, &stride) in axes {
        match step {
            None => step = Some(stride),
            Some(_) if stride == expected => {}
            Some(_) => return None,
        }
        expected = stride * extent as isize;
    }
    i32::try_from(step.unwrap_or(0)).ok()
}
