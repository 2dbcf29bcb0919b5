//! The steps of a loop on one block, one kernel after another: the reference of their machine code.

use std::ops::Range;

use super::running::Load;
use super::scratch::Cached;
use super::{Block, Step};
use crate::kernel::block::MAX_OPERANDS;
use crate::scalar::Real;

/// A list but for the one element that is written meanwhile.
pub(super) struct AllBut<'b, X> {
    before: &'b [X],
    after: &'b [X],
}

impl<'b, X> AllBut<'b, X> {
    #[inline]
    pub(super) fn none(list: &'b [X]) -> Self {
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

/// What stands outside of the blocks that steps write.
#[derive(Clone, Copy)]
pub(super) struct Outside<'b, 'a, T: Real> {
    pub(super) loads: &'b [Load<'a, T>],
    pub(super) loaded: &'b [Cached<T>],
    /// The piece of the loop's product.
    pub(super) product: &'b [T],
    /// Where the piece begins.
    pub(super) start: usize,
}

/// What a step reads from.
pub(super) struct Blocks<'b, 'a, T: Real> {
    pub(super) outside: Outside<'b, 'a, T>,
    pub(super) registers: AllBut<'b, Cached<T>>,
    pub(super) written: AllBut<'b, &'b mut [T]>,
}

impl<'b, T: Real> Blocks<'b, '_, T> {
    /// The elements `first..first + len` of a piece.
    #[inline(always)]
    pub(super) fn get(&self, block: Block, first: usize, len: usize) -> &'b [T] {
        match block {
            Block::Load(k) => match &self.outside.loads[k] {
                Load::Whole(slice) => &slice[self.outside.start + first..][..len],
                Load::Product => &self.outside.product[first..first + len],
                _ => self.outside.loaded[k].first(len),
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

/// The steps on one block of a piece, one after another.
pub(super) fn interpret<T: Real>(
    steps: &[Step<T>],
    outside: Outside<'_, '_, T>,
    registers: &mut [Cached<T>],
    written: &mut [&mut [T]],
    block: Range<usize>,
) {
    let (first, len) = (block.start, block.len());
    for step in steps {
        match step.target {
            Block::Register(k) => {
                let (target, registers) = AllBut::one(registers, k);
                let written = AllBut::none(written);
                let blocks = Blocks { outside, registers, written };
                blocks.apply(step, first, target.first_mut(len));
            }
            Block::Written(k) => {
                let (target, written) = AllBut::one(written, k);
                let registers = AllBut::none(registers);
                let blocks = Blocks { outside, registers, written };
                blocks.apply(step, first, &mut target[block.clone()]);
            }
            Block::Load(_) => unreachable!("a step writes to no operand"),
        }
    }
}
