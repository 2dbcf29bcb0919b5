//! Loops over blocks that compute many elementwise values, and their sums, in one pass.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use super::memory::{Argument, Memory, Readable, exclusive};
use super::native::{Guess, Operand, OverArrays};
use crate::kernel::block::{BlockKernel, MAX_OPERANDS};
use crate::kernel::map::Walk;
use crate::kernel::pairwise::{LEAF, Pairwise};
use crate::kernel::threads;
use crate::scalar::Real;
use crate::tensor::{Buffer, Elements, LINE, View};

tuned! {
    /// Bytes of a block: several of them stay in the first-level cache together.
    const BLOCK_BYTES = 4096, tiny 64;
    const PART_LEVEL = 8, tiny 2;
}

/// Elements of a part of a loop, a power of two of the leaves of pairwise sums, so
/// that parts are whole subtrees of the sum.
const PART: usize = LEAF << PART_LEVEL;
/// How many elements a step of a loop is thought to take in a nanosecond.
const STEPS_A_NANOSECOND: usize = 8;

/// Where a step of a loop finds or leaves a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Block {
    /// An operand from outside of the loop.
    Load(usize),
    /// A block that the loop alone needs.
    Register(usize),
    /// A part of a value that is needed elsewhere too.
    Written(usize),
}

pub(super) struct Step<T> {
    pub(super) kernel: Arc<dyn BlockKernel<T>>,
    pub(super) sources: SmallVec<[Block; 4]>,
    pub(super) target: Block,
}

pub(super) struct Sum<T> {
    pub(super) source: Block,
    pub(super) divisor: T,
    /// Where the sum goes in the memory of short values.
    pub(super) target: usize,
}

pub(super) struct Loop<T: Real> {
    pub(super) elements: usize,
    /// Operands from outside, stretched to the shape of what reads them.
    pub(super) loads: Vec<Argument>,
    /// For each operand whose memory one of the results takes over, which result.
    pub(super) replaced: Vec<Option<usize>>,
    pub(super) steps: Vec<Step<T>>,
    pub(super) sums: Vec<Sum<T>>,
    /// The buffers of the values that are needed elsewhere.
    pub(super) written: Vec<usize>,
    pub(super) registers: usize,
    pub(super) scratch: Scratches<T>,
    /// The sums of the parts, one part after another.
    pub(super) partials: Vec<T>,
    /// All steps as one function, if there is code of them.
    pub(super) code: Option<LoopCode<T>>,
}

/// The steps of a loop as machine code: it reads all loads, and writes the results and the registers
/// that sums read.
pub(super) struct LoopCode<T> {
    /// Loops of one formula share it.
    pub(super) function: Arc<Guess<OverArrays<T>>>,
    /// Ascending.
    pub(super) summed: Vec<usize>,
    /// Whether it reads a vector of all before it writes one: results take the place of operands
    /// without a copy of these.
    pub(super) is_in_place: bool,
}

/// Blocks in the first-level cache, for one thread.
struct Scratch<T: Real> {
    registers: Vec<Cached<T>>,
    /// For operands that have to be packed or repeated.
    loaded: Vec<Cached<T>>,
}

/// A block that begins with a cache line, so that no vector lies across two.
#[derive(Default)]
struct Cached<T: Real> {
    memory: Elements<T>,
    start: usize,
}

impl<T: Real> Cached<T> {
    /// The block number `index` of a set. Blocks whose addresses differ by 4 KiB
    /// get into each other's way (a load seems to depend on an earlier store), so
    /// they begin at different lines.
    fn new(index: usize) -> Self {
        let start = 2 * (index % 16) * LINE / size_of::<T>();
        Self { memory: Elements::zeros(Scratch::<T>::BLOCK + start), start }
    }

    #[inline]
    fn first(&self, len: usize) -> &[T] {
        &self.memory[self.start..self.start + len]
    }

    #[inline]
    fn first_mut(&mut self, len: usize) -> &mut [T] {
        &mut self.memory[self.start..self.start + len]
    }
}

impl<T: Real> Scratch<T> {
    fn new(registers: usize, loads: usize) -> Self {
        let mut blocks = (0..registers + loads).map(Cached::new);
        let registers = blocks.by_ref().take(registers).collect();
        Self { registers, loaded: blocks.collect() }
    }

    const BLOCK: usize = BLOCK_BYTES / size_of::<T>();
}

/// The blocks of a loop that no thread needs at the moment. A thread that finds none
/// makes some, once.
pub(super) struct Scratches<T: Real> {
    registers: usize,
    loads: usize,
    free: Mutex<Vec<Scratch<T>>>,
}

impl<T: Real> Scratches<T> {
    pub(super) fn new(registers: usize, loads: usize) -> Self {
        let free = Mutex::new(vec![Scratch::new(registers, loads)]);
        Self { registers, loads, free }
    }

    fn take(&self) -> Scratch<T> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Scratch::new(self.registers, self.loads))
    }

    fn give_back(&self, scratch: Scratch<T>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}

/// How a loop reads an operand.
enum Load<'a, T> {
    Whole(&'a [T]),
    /// One number throughout; its block is filled before the loop begins.
    Splat,
    /// What a result of the loop will replace: copied before it does.
    Replaced(usize),
    Walk(View<'a, T>, Walk<'a>),
}

impl<T> Load<'_, T> {
    fn is_walk(&self) -> bool {
        matches!(self, Self::Walk(..))
    }
}

impl<T: Real> Loop<T> {
    pub(super) fn run(&mut self, memory: &mut Memory<T>) {
        let take = |(index, &slot): (usize, &usize)| {
            let is_read = self.replaced.contains(&Some(index));
            if is_read { memory.take_filled(slot) } else { memory.take(slot) }
        };
        let mut buffers: SmallVec<[Buffer<T>; 16]> =
            self.written.iter().enumerate().map(take).collect();
        {
            let readable = Readable { short: &memory.short, long: &memory.long };
            let mut written: SmallVec<[&mut [T]; 16]> =
                buffers.iter_mut().map(|buffer| &mut exclusive(buffer)[..self.elements]).collect();
            let mut partials = std::mem::take(&mut self.partials);
            let mut free = &mut partials[..];
            let parts = (0..self.elements).step_by(PART).map(|start| {
                let count = PART.min(self.elements - start);
                let own: SmallVec<[&mut [T]; 16]> =
                    written.iter_mut().map(|rest| split_off(rest, count)).collect();
                (start, count, own, split_off(&mut free, self.sums.len()))
            });
            let steps = self.steps.len() + self.sums.len();
            threads::share(self.elements * steps / STEPS_A_NANOSECOND, parts, |parts| {
                let mut scratch = self.scratch.take();
                for (start, count, mut own, partials) in parts {
                    self.part(&readable, start, count, &mut own, &mut scratch, partials);
                }
                self.scratch.give_back(scratch);
            });
            self.partials = partials;
        }
        for (&slot, buffer) in self.written.iter().zip(buffers) {
            memory.long[slot] = Some(buffer);
        }
        for (index, sum) in self.sums.iter().enumerate() {
            memory.short[sum.target] = self.combined(index) / sum.divisor;
        }
    }

    /// One part of the loop, from element `start` on.
    fn part(
        &self,
        readable: &Readable<'_, T>,
        start: usize,
        count: usize,
        written: &mut [&mut [T]],
        scratch: &mut Scratch<T>,
        partials: &mut [T],
    ) {
        // How each operand is read.
        let Scratch { registers, loaded } = scratch;
        let mut loads: SmallVec<[Load<'_, T>; 16]> = SmallVec::new();
        for ((argument, replaced), block) in self.loads.iter().zip(&self.replaced).zip(&mut *loaded)
        {
            if let Some(result) = *replaced {
                loads.push(Load::Replaced(result));
                continue;
            }
            let view = readable.view(argument);
            loads.push(if view.layout().is_splat() {
                block.first_mut(Scratch::<T>::BLOCK).fill(view.first());
                Load::Splat
            } else if let Some(slice) = view.as_slice() {
                Load::Whole(&slice[start..start + count])
            } else {
                let walk = Walk::starting(view.layout(), view.offset(), start);
                Load::Walk(view, walk)
            });
        }
        // Block by block: what has to be packed, then the steps, then the sums.
        let mut sums: SmallVec<[Pairwise<T>; 2]> =
            self.sums.iter().map(|_| Pairwise::new()).collect();
        let is_in_place = self.code.as_ref().is_some_and(|code| code.is_in_place);
        let is_one_block = is_in_place && self.sums.is_empty() && !loads.iter().any(Load::is_walk);
        let block = if is_one_block { count } else { Scratch::<T>::BLOCK };
        for first in (0..count).step_by(block) {
            let len = block.min(count - first);
            for (load, block) in loads.iter_mut().zip(&mut *loaded) {
                match load {
                    Load::Walk(view, walk) => walk.fill(view, block.first_mut(len)),
                    Load::Replaced(result) if !is_in_place => {
                        let before = &written[*result][first..first + len];
                        block.first_mut(len).copy_from_slice(before);
                    }
                    Load::Whole(_) | Load::Splat | Load::Replaced(_) => {}
                }
            }
            let is_done = self.code.as_ref().is_some_and(|code| {
                code.run(&loads, loaded, registers, written, first..first + len)
            });
            if !is_done {
                self.interpret(&loads, loaded, registers, written, first..first + len);
            }
            let (registers, written) = (AllBut::none(registers), AllBut::none(written));
            let blocks = Blocks { loads: &loads, loaded, registers, written };
            for (pairwise, sum) in sums.iter_mut().zip(&self.sums) {
                pairwise.add_block(blocks.get(sum.source, first, len));
            }
        }
        for (partial, sum) in partials.iter_mut().zip(&sums) {
            *partial = sum.total();
        }
    }

    /// The steps on one block, one after another.
    fn interpret(
        &self,
        loads: &[Load<'_, T>],
        loaded: &[Cached<T>],
        registers: &mut [Cached<T>],
        written: &mut [&mut [T]],
        block: Range<usize>,
    ) {
        let (first, len) = (block.start, block.len());
        for step in &self.steps {
            match step.target {
                Block::Register(k) => {
                    let (target, registers) = AllBut::one(registers, k);
                    let written = AllBut::none(written);
                    let blocks = Blocks { loads, loaded, registers, written };
                    blocks.apply(step, first, target.first_mut(len));
                }
                Block::Written(k) => {
                    let (target, written) = AllBut::one(written, k);
                    let registers = AllBut::none(registers);
                    let blocks = Blocks { loads, loaded, registers, written };
                    blocks.apply(step, first, &mut target[block.clone()]);
                }
                Block::Load(_) => unreachable!("a step writes to no operand"),
            }
        }
    }

    /// The sum of all parts of sum `index`.
    fn combined(&self, index: usize) -> T {
        let partials = self.partials.iter().skip(index).step_by(self.sums.len());
        Pairwise::of_parts(PART_LEVEL, self.elements, partials.copied())
    }
}

impl<T: Real> LoopCode<T> {
    /// The same as the steps. Gives whether it is done: there may be numbers for which it is not made.
    fn run(
        &self,
        loads: &[Load<'_, T>],
        loaded: &[Cached<T>],
        registers: &mut [Cached<T>],
        written: &mut [&mut [T]],
        block: Range<usize>,
    ) -> bool {
        let len = block.len();
        let read: SmallVec<[Operand<'_, T>; 16]> = loads
            .iter()
            .zip(loaded)
            .map(|(load, loaded)| match load {
                Load::Whole(slice) => Operand::Array(&slice[block.clone()]),
                Load::Splat => Operand::Array(loaded.first(Scratch::<T>::BLOCK)),
                Load::Replaced(result) if self.is_in_place => Operand::Result(*result),
                Load::Replaced(_) | Load::Walk(..) => Operand::Array(loaded.first(len)),
            })
            .collect();
        let summed = registers.iter_mut().enumerate().filter(|(k, _)| self.summed.contains(k));
        let mut results: SmallVec<[&mut [T]; 16]> = written
            .iter_mut()
            .map(|result| &mut result[block.clone()])
            .chain(summed.map(|(_, register)| register.first_mut(len)))
            .collect();
        self.function.run(|function| function.run(&read, &mut results, len))
    }
}

/// A list but for the one element that is written meanwhile.
struct AllBut<'b, X> {
    before: &'b [X],
    after: &'b [X],
}

impl<'b, X> AllBut<'b, X> {
    #[inline]
    fn none(list: &'b [X]) -> Self {
        Self { before: list, after: &[] }
    }

    /// An element, and the others.
    #[inline]
    fn one(list: &'b mut [X], index: usize) -> (&'b mut X, Self) {
        let (before, rest) = list.split_at_mut(index);
        let (one, after) = rest.split_first_mut().expect("a target is one of its list");
        (one, Self { before, after })
    }

    /// An element by its index in the whole list.
    #[inline]
    fn get(&self, index: usize) -> &'b X {
        match self.before.get(index) {
            Some(element) => element,
            None => &self.after[index - self.before.len() - 1],
        }
    }
}

/// What a step reads from.
struct Blocks<'b, 'a, T: Real> {
    loads: &'b [Load<'a, T>],
    loaded: &'b [Cached<T>],
    registers: AllBut<'b, Cached<T>>,
    written: AllBut<'b, &'b mut [T]>,
}

impl<'b, T: Real> Blocks<'b, '_, T> {
    /// The elements `first..first + len` of a block.
    #[inline(always)]
    fn get(&self, block: Block, first: usize, len: usize) -> &'b [T] {
        match block {
            Block::Load(k) => match &self.loads[k] {
                Load::Whole(slice) => &slice[first..first + len],
                _ => self.loaded[k].first(len),
            },
            Block::Register(k) => self.registers.get(k).first(len),
            Block::Written(k) => &self.written.get(k)[first..first + len],
        }
    }

    /// Carries out a step on the block whose first element is `first`.
    ///
    /// The operands are collected where the kernel reads them: a list returned by value
    /// is copied once more, by loads too wide to be served from the stores before.
    #[inline(always)]
    fn apply(&self, step: &Step<T>, first: usize, target: &mut [T]) {
        let mut sources: [&[T]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
        for (source, &block) in sources.iter_mut().zip(&step.sources) {
            *source = self.get(block, first, target.len());
        }
        step.kernel.block(&sources, target);
    }
}

/// Takes the first `count` elements out of a slice.
fn split_off<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(slice).split_at_mut(count);
    *slice = rest;
    first
}

/// How many parts a loop has.
pub(super) fn parts(elements: usize) -> usize {
    elements.div_ceil(PART)
}
