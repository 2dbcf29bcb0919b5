//! A unit of elementwise functions and sums as a loop over blocks.
//!
//! What the loop alone needs goes through registers, blocks that are used again as
//! soon as nothing reads them. What is needed elsewhere is written to memory: to
//! that of an operand that ends here, if there is one, so that a parameter and its
//! velocity are updated where they lie.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use super::formula;
use super::fuse::{Role, elementwise_product, factors, outer_factors};
use super::fused::{Block, FusedProduct, Loop, LoopCode, Scratches, Step, Sum, parts};
use super::graph::{Source, ValueId};
use super::lower::{Lowering, argument};
use super::memory::{Argument, Place};
use super::native::{self, Guess, OverArrays};
use crate::scalar::ir::Code;
use crate::scalar::{Angles, Real};
use crate::tensor::Shape;

/// Where a member of a loop finds an operand.
#[derive(Clone, Copy)]
enum From {
    Member(usize),
    Load(usize),
    /// In the tile of the loop's product.
    Product,
}

/// What all members of a loop read.
struct Reads {
    /// The operands of each member.
    of: Vec<SmallVec<[From; 4]>>,
    /// Operands from outside: the value, and as the loop reads it.
    loads: Vec<(ValueId, Argument)>,
    /// The last member to read each member's block; sums read after all.
    last: Vec<usize>,
}

impl<T: Real> Lowering<'_, T> {
    /// The steps of a loop as machine code, where there can be some. A step by itself is a loop of a
    /// compiler's already.
    fn code(&mut self, built: &Loop<T>) -> Option<LoopCode<T>> {
        let width = native::vectors().filter(|_| built.steps.len() > 1)?;
        let registers = built.sums.iter().filter_map(|sum| match sum.source {
            Block::Register(register) => Some(register),
            Block::Load(_) | Block::Written(_) => None,
        });
        let summed: Vec<usize> = registers.collect::<BTreeSet<_>>().into_iter().collect();
        let (loads, written) = (built.operands(), built.written.len());
        let of = |angles| formula::of_loop(&built.steps, loads, written, &summed, angles);
        let wide = of(Angles::Near)?;
        let mut is_uniform: Vec<bool> =
            built.loads.iter().map(|load| load.layout.is_splat()).collect();
        is_uniform.resize(loads, false);
        let results = written + summed.len();
        // A sum over an operand reads it after the results are there.
        let sums_operand = built.sums.iter().any(|sum| matches!(sum.source, Block::Load(_)));
        let is_in_place = wide.reads_before_it_writes() && !sums_operand;
        let key = (wide.nodes.clone(), wide.effects.clone(), is_uniform.clone(), results);
        if let Some(function) = self.codes.get(&key) {
            return Some(LoopCode { function: function.clone(), summed, is_in_place });
        }
        let function = |code: &Code| OverArrays::new(code, width, is_uniform.clone(), results);
        let narrow = if wide.requires() { of(Angles::Small) } else { None };
        let narrow = narrow.as_ref().and_then(function);
        let function = Arc::new(Guess::new(narrow, function(&wide)?));
        self.codes.insert(key, function.clone());
        Some(LoopCode { function, summed, is_in_place })
    }

    fn is_map(&self, id: ValueId) -> bool {
        self.roles[id.index()].is_map()
    }

    /// The shape of what a member goes over.
    fn domain(&self, id: ValueId) -> &Shape {
        let (_, args) = self.graph.op(id).expect("members are computed");
        &self.graph.value(if self.is_map(id) { id } else { args[0] }).shape
    }

    fn reads(&self, members: &[ValueId], product: Option<ValueId>) -> Reads {
        let mut reads = Reads { of: Vec::new(), loads: Vec::new(), last: vec![0; members.len()] };
        for (index, &id) in members.iter().enumerate() {
            let (_, args) = self.graph.op(id).expect("members are computed");
            let shape = self.domain(id);
            let outer = outer_factors(self.graph, self.operands, id);
            let mut operands = SmallVec::new();
            for (operand, &arg) in args.iter().enumerate() {
                if let Ok(source) = members.binary_search(&self.operand(arg).root) {
                    let now = if self.is_map(id) { index } else { usize::MAX };
                    reads.last[source] = reads.last[source].max(now);
                    operands.push(From::Member(source));
                    continue;
                }
                if product == Some(self.operand(arg).root) {
                    operands.push(From::Product);
                    continue;
                }
                let mut argument = argument(self.graph, self.operand(arg), &self.places);
                let layout = outer.as_ref().map_or(&argument.layout, |factors| &factors[operand]);
                argument.layout = layout.broadcast_to(shape);
                let is_same = |(value, known): &(ValueId, Argument)| {
                    *value == arg && known.layout == argument.layout
                };
                let known = reads.loads.iter().position(is_same);
                operands.push(From::Load(known.unwrap_or_else(|| {
                    reads.loads.push((arg, argument));
                    reads.loads.len() - 1
                })));
            }
            reads.of.push(operands);
        }
        reads
    }

    /// The buffer of an operand that a result of the loop can take over: one that
    /// nothing reads after this loop, or a state whose next value the result is.
    fn replaceable(
        &self,
        unit: usize,
        id: ValueId,
        reads: &Reads,
        written: &[usize],
    ) -> Option<usize> {
        let elements = self.elements(id);
        let is_kept = self.last_use[id.index()] == Some(usize::MAX);
        reads.loads.iter().find_map(|(value, load)| {
            let Place::Long(slot) = load.place else { return None };
            let root = self.operand(*value).root;
            let is_free = match self.graph.value(root).source {
                Source::Op(..) => !is_kept,
                Source::Input => self.updates.contains(&(root, id)),
                Source::Constant(_) => false,
            };
            // Element by element: all that reads it here must read it in order.
            let is_in_order = |load: &Argument| {
                load.offset == 0
                    && load.layout.is_contiguous()
                    && load.layout.elements() == elements
            };
            let mut twins = reads.loads.iter().filter(|(_, other)| other.place == load.place);
            let fits = self.elements(root) == elements
                && self.last_use[root.index()] == Some(unit)
                && twins.all(|(_, load)| is_in_order(load));
            (is_free && fits && !written.contains(&slot)).then_some(slot)
        })
    }

    /// The product of a loop, whose factors have been computed.
    fn product(&mut self, id: ValueId) -> FusedProduct {
        let (_, args) = self.graph.op(id).expect("a product is computed");
        let layouts = factors(self.graph, self.operands, id).expect("a loop follows it");
        let of = |k: usize| (argument(self.graph, self.operand(args[k]), &self.places), layouts[k]);
        let factors = [of(0), of(1)];
        let stored = layouts[0].is_stored().then(|| self.long_place(id));
        FusedProduct { factors, stored }
    }

    pub(super) fn lower_loop(
        &mut self,
        unit: usize,
        members: &[ValueId],
        product: Option<ValueId>,
    ) -> Loop<T> {
        let mut reads = self.reads(members, product);
        let elements = self.domain(members[0]).elements();
        let mut built = Loop {
            elements,
            loads: Vec::new(),
            product: None,
            replaced: vec![None; reads.loads.len()],
            steps: Vec::new(),
            sums: Vec::new(),
            written: Vec::new(),
            registers: 0,
            scratch: Scratches::new(0, 0),
            partials: Vec::new(),
            code: None,
        };
        built.product = product.map(|id| self.product(id));
        // Where each member's block is, once it is computed.
        let mut blocks: Vec<Option<Block>> = vec![None; members.len()];
        let mut free: Vec<usize> = Vec::new();
        // Each member gets a step and a block, a sum its place.
        for (index, &id) in members.iter().enumerate() {
            let source = |from: &From| match *from {
                From::Load(k) => Block::Load(k),
                From::Product => Block::Load(reads.loads.len()),
                From::Member(source) => blocks[source].expect("members are in order"),
            };
            let sources: SmallVec<[Block; 4]> = reads.of[index].iter().map(source).collect();
            let (op, _) = self.graph.op(id).expect("members are computed");
            if !self.is_map(id) {
                let divisor = T::from_f64(op.total(self.domain(id)).expect("a total"));
                let target = self.short_place(id);
                built.sums.push(Sum { source: sources[0], divisor, target });
                continue;
            }
            let kernel = match self.roles[id.index()] {
                Role::Outer => elementwise_product(),
                _ => op.kernel().expect("members are elementwise"),
            };
            let is_needed_elsewhere = self.last_use[id.index()].is_some_and(|last| last > unit);
            let target = if is_needed_elsewhere {
                let slot = self.result_slot(unit, id, &reads, &mut built);
                built.written.push(slot);
                Block::Written(built.written.len() - 1)
            } else {
                Block::Register(free.pop().unwrap_or_else(|| {
                    built.registers += 1;
                    built.registers - 1
                }))
            };
            blocks[index] = Some(target);
            // Blocks that this was the last to read are free from the next step on.
            for (block, last) in blocks.iter().zip(&reads.last).take(index) {
                if let Some(Block::Register(register)) = block
                    && *last == index
                {
                    free.push(*register);
                }
            }
            built.steps.push(Step { kernel, sources, target });
        }
        // What the loop reads, and its memory.
        built.loads = reads
            .loads
            .drain(..)
            .map(|(_, load)| Argument { layout: load.layout.collapsed(), ..load })
            .collect();
        built.scratch = Scratches::new(built.registers, built.loads.len());
        built.partials = vec![T::zero(); parts(elements) * built.sums.len()];
        built.code = self.code(&built);
        built
    }

    /// The buffer of a result that is needed elsewhere.
    fn result_slot(
        &mut self,
        unit: usize,
        id: ValueId,
        reads: &Reads,
        built: &mut Loop<T>,
    ) -> usize {
        let factors = built.product.iter().flat_map(|product| &product.factors);
        let is_factor =
            |slot: usize| factors.clone().any(|(argument, _)| argument.place == Place::Long(slot));
        let replaceable = self.replaceable(unit, id, reads, &built.written);
        // All elements of a factor are read for each tile.
        let Some(slot) = replaceable.filter(|&slot| !is_factor(slot)) else {
            return self.long_place(id);
        };
        for ((_, load), replaced) in reads.loads.iter().zip(&mut built.replaced) {
            if load.place == Place::Long(slot) {
                *replaced = Some(built.written.len());
            }
        }
        self.places[id.index()] = Some(Place::Long(slot));
        slot
    }
}
