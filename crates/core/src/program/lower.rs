//! From units to instructions: where each value lies, and for how long.
//!
//! Short values get a place each, in the order in which they are computed. Long
//! ones share buffers: one that nothing reads any more serves the next value that
//! fits, so that a program's memory is that of the values alive at the same time.

use std::sync::Arc;

use smallvec::SmallVec;

use super::SHORT;
use super::fuse::{Role, Unit, role};
use super::graph::{Graph, Operand, Source, ValueId};
use super::run::{
    Apply, Argument, Block, Instruction, Loop, Memory, Place, Scratch, ShortSum, Step, Sum, parts,
};
use crate::Real;
use crate::kernel::block::{SHORT_OPERANDS, ShortCall, Steps};
use crate::kernel::product::ShortProduct;
use crate::op::DynOp;
use crate::tape::{Args, OpHandle};
use crate::tensor::{Buffer, Layout, Shape};

/// What a compilation gives.
pub(super) struct Lowered<T: Real> {
    pub(super) instructions: Vec<Instruction<T>>,
    pub(super) memory: Memory<T>,
    /// Where the values with memory of their own lie.
    pub(super) places: Vec<Option<Place>>,
    /// Bytes of the buffers that instructions write to.
    pub(super) buffer_bytes: usize,
    pub(super) buffers: usize,
}

struct Lowering<'g, T: Real> {
    graph: &'g Graph<T>,
    operands: &'g [Operand],
    units: &'g [Unit],
    /// The unit that computes a value.
    unit_of: Vec<Option<usize>>,
    /// The last unit that reads a value's memory; past the end for outputs.
    last_use: Vec<Option<usize>>,
    places: Vec<Option<Place>>,
    memory: Memory<T>,
    /// Elements of each planned buffer, and whether it is free.
    buffers: Vec<(usize, usize)>,
    free: Vec<usize>,
}

/// Lays out the values of a graph and writes its instructions. Values in `kept`
/// have memory that nothing else uses.
pub(super) fn lower<T: Real>(
    graph: &Graph<T>,
    operands: &[Operand],
    units: &[Unit],
    kept: &[ValueId],
) -> Lowered<T> {
    let count = graph.values.len();
    let mut lowering = Lowering {
        graph,
        operands,
        units,
        unit_of: vec![None; count],
        last_use: vec![None; count],
        places: vec![None; count],
        memory: Memory { short: Vec::new(), long: Vec::new() },
        buffers: Vec::new(),
        free: Vec::new(),
    };
    lowering.read_uses(kept);
    lowering.place_leaves();
    let instructions = (0..units.len()).map(|unit| lowering.lower_unit(unit)).collect();
    let Lowering { mut memory, places, buffers, .. } = lowering;
    let mut buffer_bytes = 0;
    for &(slot, elements) in &buffers {
        memory.long[slot] = Some(Arc::new(vec![T::zero(); elements]));
        buffer_bytes += elements * size_of::<T>();
    }
    Lowered { instructions, memory, places, buffer_bytes, buffers: buffers.len() }
}

impl<T: Real> Lowering<'_, T> {
    fn operand(&self, id: ValueId) -> &Operand {
        &self.operands[id.index()]
    }

    fn elements(&self, id: ValueId) -> usize {
        self.graph.value(id).shape.elements()
    }

    fn read_uses(&mut self, kept: &[ValueId]) {
        for (unit, Unit { members, .. }) in self.units.iter().enumerate() {
            for &id in members {
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
                    let place = Place::Short(self.memory.short.len());
                    self.memory.short.extend(tensor.iter());
                    place
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
            // The smallest free buffer that is long enough, and not far too long.
            // Values that are kept change places with inputs, so theirs are new.
            let is_kept = self.last_use[id.index()] == Some(usize::MAX);
            let fits = |&slot: &usize| {
                let own = self.buffers.iter().find(|(own, _)| *own == slot).expect("planned").1;
                (!is_kept && own >= elements && own <= 2 * elements).then_some(own)
            };
            let best = (0..self.free.len())
                .filter_map(|index| Some((fits(&self.free[index])?, index)))
                .min();
            match best {
                Some((_, index)) => Place::Long(self.free.swap_remove(index)),
                None => {
                    let place = self.buffer(None);
                    if let Place::Long(slot) = place {
                        self.buffers.push((slot, elements));
                    }
                    place
                }
            }
        };
        self.places[id.index()] = Some(place);
        place
    }

    /// Gives back the buffers of values that `unit` was the last to read.
    fn release(&mut self, unit: usize) {
        let read = self.units[unit].members.iter().flat_map(|&id| {
            let (_, args) = self.graph.op(id).expect("units are computed");
            args.iter().map(|arg| self.operands[arg.index()].root).chain([id])
        });
        let mut ended: SmallVec<[usize; 8]> = SmallVec::new();
        for root in read {
            let is_computed = self.unit_of[root.index()].is_some();
            let ends = self.last_use[root.index()].is_none_or(|last| last == unit);
            if let Some(Place::Long(slot)) = self.places[root.index()]
                && is_computed
                && ends
                && !ended.contains(&slot)
            {
                ended.push(slot);
            }
        }
        self.free.extend(ended);
    }

    /// A value as an instruction reads it, stretched to `shape`.
    fn argument(&self, id: ValueId, shape: &Shape) -> Argument {
        let argument = argument(self.graph, self.operand(id), &self.places);
        Argument { layout: argument.layout.broadcast_to(shape), ..argument }
    }

    fn lower_unit(&mut self, unit: usize) -> Instruction<T> {
        let Unit { members, is_loop } = &self.units[unit];
        let instruction =
            if *is_loop { self.lower_loop(unit, members) } else { self.lower_single(members[0]) };
        self.release(unit);
        instruction
    }

    fn lower_single(&mut self, id: ValueId) -> Instruction<T> {
        let value = self.graph.value(id);
        let Source::Op(op, args) = &value.source else { unreachable!("units are computed") };
        if let Some(short) = self.lower_short(id, op.get(), args) {
            return short;
        }
        let args: Args<Argument> =
            args.iter().map(|&arg| argument(self.graph, self.operand(arg), &self.places)).collect();
        let target = self.place(id);
        let elements = value.shape.elements();
        let op: OpHandle<T> = OpHandle::clone(op);
        Instruction::Apply(Box::new(Apply {
            op,
            args,
            shape: value.shape.clone(),
            elements,
            target,
        }))
    }

    /// An op of short values in steady steps, of a kind that has an instruction of
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
        if let Some(kernel) = op.pointwise() {
            if args.len() > SHORT_OPERANDS {
                return None;
            }
            let mut operands = [Steps::default(); SHORT_OPERANDS];
            for (steps, &arg) in operands.iter_mut().zip(args) {
                let (start, layout) = self.short_argument(arg)?;
                let step = steady_step(&layout.broadcast_to(&shape))?;
                *steps = Steps { start: u32::try_from(start).ok()?, step };
            }
            let out = u32::try_from(self.short_place(id)).ok()?;
            let call = ShortCall { operands, out, len: shape.elements() as u32 };
            return Some(Instruction::Short(kernel, call));
        }
        match *args {
            [arg] => {
                let divisor = T::from_f64(op.total(&self.graph.value(arg).shape)?);
                let (start, layout) = self.short_argument(arg)?;
                let len = layout.elements();
                layout.is_contiguous().then(|| {
                    let out = self.short_place(id);
                    Instruction::ShortSum(ShortSum { start, len, divisor, out })
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

    /// Where a short operand begins, and how it lies.
    fn short_argument(&self, id: ValueId) -> Option<(usize, &Layout)> {
        let Operand { root, offset, layout } = self.operand(id);
        match self.places[root.index()] {
            Some(Place::Short(start)) => Some(((start as isize + offset) as usize, layout)),
            _ => None,
        }
    }

    fn short_place(&mut self, id: ValueId) -> usize {
        match self.place(id) {
            Place::Short(start) => start,
            Place::Long(_) => unreachable!("the value is short"),
        }
    }

    fn lower_loop(&mut self, unit: usize, members: &[ValueId]) -> Instruction<T> {
        let is_map = |id: ValueId| role(self.graph, self.operands, id) == Role::Map;
        let elements = members
            .iter()
            .find(|&&id| is_map(id))
            .map(|&id| self.elements(id))
            .expect("a loop has a function of elements");
        // Where each member's block is, once it is computed.
        let mut blocks: Vec<Option<Block>> = vec![None; members.len()];
        let position = |id: ValueId| members.binary_search(&id).ok();
        let mut last_read = vec![0; members.len()];
        for (index, &id) in members.iter().enumerate() {
            let (_, args) = self.graph.op(id).expect("members are computed");
            for root in args.iter().map(|arg| self.operands[arg.index()].root) {
                if let Some(source) = position(root) {
                    last_read[source] = index;
                }
            }
        }
        let mut built = Loop {
            elements,
            loads: Vec::new(),
            steps: Vec::new(),
            sums: Vec::new(),
            written: Vec::new(),
            registers: 0,
            scratch: Scratch::default(),
            partials: Vec::new(),
        };
        let mut loaded: Vec<(ValueId, Shape)> = Vec::new();
        let mut free: Vec<usize> = Vec::new();
        for (index, &id) in members.iter().enumerate() {
            let (op, args) = self.graph.op(id).expect("members are computed");
            let shape = match is_map(id) {
                true => self.graph.value(id).shape.clone(),
                false => self.graph.value(args[0]).shape.clone(),
            };
            let sources: SmallVec<[Block; 4]> = args
                .iter()
                .map(|&arg| {
                    if let Some(source) = position(self.operand(arg).root) {
                        return blocks[source].expect("members are in order");
                    }
                    let known = loaded.iter().position(|(id, own)| *id == arg && *own == shape);
                    Block::Load(known.unwrap_or_else(|| {
                        built.loads.push(self.argument(arg, &shape));
                        loaded.push((arg, shape.clone()));
                        loaded.len() - 1
                    }))
                })
                .collect();
            if !is_map(id) {
                let divisor = op.total(&shape).expect("a total");
                let target = self.short_place(id);
                let divisor = T::from_f64(divisor);
                built.sums.push(Sum { source: sources[0], divisor, target });
                continue;
            }
            let is_needed_elsewhere = self.last_use[id.index()].is_some_and(|last| last > unit);
            // Sums read their blocks after the last step.
            let is_summed = |&other: &ValueId| {
                !is_map(other)
                    && self
                        .graph
                        .op(other)
                        .is_some_and(|(_, args)| self.operand(args[0]).root == id)
            };
            let target = if is_needed_elsewhere {
                let Place::Long(slot) = self.place(id) else { unreachable!("the value is long") };
                built.written.push(slot);
                Block::Written(built.written.len() - 1)
            } else {
                let register = free.pop().unwrap_or_else(|| {
                    built.registers += 1;
                    built.registers - 1
                });
                if members.iter().any(is_summed) {
                    last_read[index] = usize::MAX;
                }
                Block::Register(register)
            };
            blocks[index] = Some(target);
            // Blocks that this was the last to read are free from the next step on.
            for (source, block) in blocks.iter().enumerate().take(index) {
                if let Some(Block::Register(register)) = block
                    && last_read[source] == index
                {
                    free.push(*register);
                }
            }
            let kernel = op.pointwise().expect("members are elementwise");
            built.steps.push(Step { kernel, sources, target });
        }
        built.scratch = Scratch::new(built.registers, built.loads.len());
        built.partials = vec![T::zero(); parts(elements) * built.sums.len()];
        Instruction::Loop(Box::new(built))
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
