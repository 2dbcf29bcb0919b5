//! A loop on one thread: how it reads its operands, and its pieces block by block.

use std::ops::Range;

use smallvec::SmallVec;

use super::interpret::{AllBut, Blocks, Outside, interpret};
use super::scratch::{Cached, Lent, Scratch};
use super::{Loop, LoopCode};
use crate::kernel::map::Walk;
use crate::kernel::pairwise::Pairwise;
use crate::program::memory::Readable;
use crate::program::native::Operand;
use crate::scalar::Real;
use crate::tensor::View;

/// How a loop reads an operand.
pub(super) enum Load<'a, T> {
    /// Where its elements lie.
    Whole(&'a [T]),
    /// One number throughout; its block is filled before the loop begins.
    Splat,
    /// What a result of the loop will replace: copied before it does.
    Replaced(usize),
    /// The elements of the loop's product, of which each piece brings its own.
    Product,
    /// By a walk, which is at an element.
    Walk { view: View<'a, T>, walk: Walk<'a>, at: usize },
}

/// A loop that computes one piece after another.
pub(super) struct Running<'a, T: Real> {
    own: &'a Loop<T>,
    loads: SmallVec<[Load<'a, T>; 16]>,
    scratch: Lent<'a, T>,
    /// Whether each piece is one block.
    is_one_block: bool,
}

impl<'a, T: Real> Running<'a, T> {
    pub(super) fn new(own: &'a Loop<T>, readable: &'a Readable<'a, T>) -> Self {
        let mut scratch = own.scratch.lend();
        let mut loads: SmallVec<[Load<'a, T>; 16]> = SmallVec::new();
        for ((argument, replaced), block) in
            own.loads.iter().zip(&own.replaced).zip(&mut scratch.loaded)
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
                Load::Whole(slice)
            } else {
                Load::Walk { view, walk: Walk::new(view.layout(), view.offset()), at: 0 }
            });
        }
        loads.extend(own.product.as_ref().map(|_| Load::Product));
        let has_walk = loads.iter().any(|load| matches!(load, Load::Walk { .. }));
        let is_one_block = own.is_in_place() && own.sums.is_empty() && !has_walk;
        Self { own, loads, scratch, is_one_block }
    }

    /// Computes the elements from `start` on: as many as there are in each of the places that
    /// are `written`. `product` has these elements of the loop's product, if it has one.
    pub(super) fn piece(
        &mut self,
        start: usize,
        count: usize,
        product: &[T],
        written: &mut [&mut [T]],
        partials: &mut [T],
    ) {
        let Self { own, loads, scratch, is_one_block } = self;
        let Scratch { registers, loaded } = &mut **scratch;
        let is_in_place = own.is_in_place();
        // Block by block: what has to be packed, then the steps, then the sums.
        let mut sums: SmallVec<[Pairwise<T>; 2]> =
            own.sums.iter().map(|_| Pairwise::new()).collect();
        let block = if *is_one_block { count } else { Scratch::<T>::BLOCK };
        for first in (0..count).step_by(block) {
            let len = block.min(count - first);
            for (load, block) in loads.iter_mut().zip(&mut *loaded) {
                match load {
                    Load::Walk { view, walk, at } => {
                        if *at != start + first {
                            *walk = Walk::starting(view.layout(), view.offset(), start + first);
                        }
                        walk.fill(view, block.first_mut(len));
                        *at = start + first + len;
                    }
                    Load::Replaced(result) if !is_in_place => {
                        let before = &written[*result][first..first + len];
                        block.first_mut(len).copy_from_slice(before);
                    }
                    Load::Whole(_) | Load::Splat | Load::Product | Load::Replaced(_) => {}
                }
            }
            let outside = Outside { loads, loaded, product, start };
            let is_done = own
                .code
                .as_ref()
                .is_some_and(|code| code.run(outside, registers, written, first..first + len));
            if !is_done {
                interpret(&own.steps, outside, registers, written, first..first + len);
            }
            let (registers, written) = (AllBut::none(registers), AllBut::none(written));
            let blocks = Blocks { outside, registers, written };
            for (pairwise, sum) in sums.iter_mut().zip(&own.sums) {
                pairwise.add_block(blocks.get(sum.source, first, len));
            }
        }
        for (partial, sum) in partials.iter_mut().zip(&sums) {
            *partial = sum.total();
        }
    }
}

impl<T: Real> LoopCode<T> {
    /// The same as the steps. Gives whether it is done: there may be numbers for which it is not made.
    fn run(
        &self,
        outside: Outside<'_, '_, T>,
        registers: &mut [Cached<T>],
        written: &mut [&mut [T]],
        block: Range<usize>,
    ) -> bool {
        let Outside { loads, loaded, product, start } = outside;
        let len = block.len();
        let mut read: SmallVec<[Operand<'_, T>; 16]> = SmallVec::new();
        for (k, load) in loads.iter().enumerate() {
            read.push(match load {
                Load::Whole(slice) => Operand::Array(&slice[start + block.start..][..len]),
                Load::Product => Operand::Array(&product[block.clone()]),
                Load::Splat => Operand::Array(loaded[k].first(Scratch::<T>::BLOCK)),
                Load::Replaced(result) if self.is_in_place => Operand::Result(*result),
                Load::Replaced(_) | Load::Walk { .. } => Operand::Array(loaded[k].first(len)),
            });
        }
        let is_all = written.iter().all(|result| result.len() == len);
        if self.summed.is_empty() && is_all {
            return self.function.run(|function| function.run(&read, written, len));
        }
        let mut results: SmallVec<[&mut [T]; 16]> = SmallVec::new();
        written.iter_mut().for_each(|result| results.push(&mut result[block.clone()]));
        for (k, register) in registers.iter_mut().enumerate() {
            if self.summed.contains(&k) {
                results.push(register.first_mut(len));
            }
        }
        self.function.run(|function| function.run(&read, &mut results, len))
    }
}
