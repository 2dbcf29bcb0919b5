//! Loops over blocks that compute many elementwise values, and their sums, in one pass.
//!
//! A loop goes over its elements part by part, or behind the tiles of a [product](FusedProduct).

mod interpret;
mod running;
mod scratch;

use std::sync::Arc;

use smallvec::SmallVec;

pub(super) use scratch::Scratches;

use running::Running;

use super::memory::{Argument, Memory, Readable, exclusive};
use super::native::{Guess, OverArrays};
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::{Matrix, MatrixLayout, product_then};
use crate::kernel::pairwise::{LEAF, Pairwise};
use crate::kernel::threads;
use crate::scalar::Real;
use crate::tensor::Buffer;

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
    pub(super) product: Option<FusedProduct>,
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

/// A product that a loop alone reads: its load behind all others. It is computed tile by tile, and each
/// tile is read in the cache.
pub(super) struct FusedProduct {
    pub(super) factors: [(Argument, MatrixLayout); 2],
    /// The buffer of the whole product, where its tiles are not added up at once.
    pub(super) stored: Option<usize>,
}

impl<T: Real> Loop<T> {
    /// What the steps read from outside, the product among it.
    pub(super) fn operands(&self) -> usize {
        self.loads.len() + usize::from(self.product.is_some())
    }

    /// What is read from memory.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        let factors = self.product.iter().flat_map(|product| &product.factors);
        self.loads.iter().chain(factors.map(|(argument, _)| argument))
    }

    /// The same, to be changed.
    pub(super) fn arguments_mut(&mut self) -> impl Iterator<Item = &mut Argument> {
        let factors = self.product.iter_mut().flat_map(|product| &mut product.factors);
        self.loads.iter_mut().chain(factors.map(|(argument, _)| argument))
    }

    /// Whether results take the place of operands without a copy of these.
    fn is_in_place(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.is_in_place)
    }

    pub(super) fn run(&mut self, memory: &mut Memory<T>) {
        let take = |(index, &slot): (usize, &usize)| {
            let is_read = self.replaced.contains(&Some(index));
            if is_read { memory.take_filled(slot) } else { memory.take(slot) }
        };
        let mut buffers: SmallVec<[Buffer<T>; 16]> =
            self.written.iter().enumerate().map(take).collect();
        let stored = self.product.as_ref().and_then(|product| product.stored);
        let mut whole = stored.map(|slot| memory.take(slot));
        let mut partials = std::mem::take(&mut self.partials);
        {
            let readable = Readable { short: &memory.short, long: &memory.long };
            let mut written: SmallVec<[&mut [T]; 16]> =
                buffers.iter_mut().map(|buffer| &mut exclusive(buffer)[..self.elements]).collect();
            match &self.product {
                Some(product) => {
                    let whole =
                        whole.as_mut().map(|buffer| &mut exclusive(buffer)[..self.elements]);
                    self.behind(product, &readable, whole, &mut written);
                }
                None => self.by_parts(&readable, &mut written, &mut partials),
            }
        }
        self.partials = partials;
        for (&slot, buffer) in self.written.iter().zip(buffers) {
            memory.long[slot] = Some(buffer);
        }
        if let Some(slot) = stored {
            memory.long[slot] = whole;
        }
        for (index, sum) in self.sums.iter().enumerate() {
            memory.short[sum.target] = self.combined(index) / sum.divisor;
        }
    }

    /// The nanoseconds that all steps are thought to take.
    fn work(&self) -> usize {
        self.elements * (self.steps.len() + self.sums.len()) / STEPS_A_NANOSECOND
    }

    /// Computes all elements part by part.
    fn by_parts(&self, readable: &Readable<'_, T>, written: &mut [&mut [T]], partials: &mut [T]) {
        let mut free = partials;
        let parts = (0..self.elements).step_by(PART).map(|start| {
            let count = PART.min(self.elements - start);
            let own: SmallVec<[&mut [T]; 16]> =
                written.iter_mut().map(|rest| split_off(rest, count)).collect();
            (start, count, own, split_off(&mut free, self.sums.len()))
        });
        threads::share(self.work(), parts, |parts| {
            let mut running = Running::new(self, readable);
            for (start, count, mut own, partials) in parts {
                running.piece(start, count, &[], &mut own, partials);
            }
        });
    }

    /// Computes the elements behind those of the product.
    fn behind(
        &self,
        FusedProduct { factors, .. }: &FusedProduct,
        readable: &Readable<'_, T>,
        stored: Option<&mut [T]>,
        written: &mut [&mut [T]],
    ) {
        let factors = factors
            .each_ref()
            .map(|(argument, layout)| Matrix::of(&readable.view(argument), *layout));
        let read = self.loads.iter().zip(&self.replaced).filter(|(_, replaced)| replaced.is_none());
        let slices = read.filter_map(|(load, _)| readable.view(load).as_slice());
        let operands: SmallVec<[&[T]; 16]> =
            slices.filter(|slice| slice.len() == self.elements).collect();
        product_then(factors, stored, &operands, written, self.work(), || {
            let mut running = Running::new(self, readable);
            move |start, product: &[T], own: &mut [&mut [T]]| {
                running.piece(start, product.len(), product, own, &mut []);
            }
        });
    }

    /// The sum of all parts of sum `index`.
    fn combined(&self, index: usize) -> T {
        let partials = self.partials.iter().skip(index).step_by(self.sums.len());
        Pairwise::of_parts(PART_LEVEL, self.elements, partials.copied())
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
