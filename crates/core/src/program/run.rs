//! Carrying a program out.
//!
//! Short values stand one after another in one memory, in the order in which they
//! are computed, so that whatever an instruction reads lies before what it writes.
//! Long ones have buffers, of which an instruction takes its own out of the list
//! while it writes and reads the others.

use std::sync::Arc;

use super::fused::Loop;
use super::memory::{Argument, Memory, Place, Readable, exclusive};
use crate::kernel::block::{BlockKernel, Steps};
use crate::kernel::gemm::ShortProduct;

use crate::kernel::reduce::sum;

use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tape::{Args, OpHandle};
use crate::tensor::{Shape, View};

pub(super) enum Instruction<T: Real> {
    /// An elementwise function of short values.
    Short(Arc<dyn BlockKernel<T>>, ShortCall),
    /// The same, of operands that are laid out in even steps first.
    ShortPacked(Arc<dyn BlockKernel<T>>, Box<[Packed]>, ShortCall),
    /// A product of short matrices.
    ShortProduct(ShortProduct),
    /// The sum of a short value.
    ShortSum(ShortSum<T>),
    /// Any op, by its own evaluation.
    Apply(Box<Apply<T>>),
    /// An op that adds its arguments to what its target holds.
    AddInto(Box<Apply<T>>),
    /// Elementwise functions and sums of long values, block by block.
    Loop(Box<Loop<T>>),
}

/// One evaluation within the memory of short values.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortCall {
    pub(super) operands: [Steps; SHORT_OPERANDS],
    pub(super) out: u32,
    pub(super) len: u32,
}

impl ShortCall {
    #[inline]
    fn run<T: Real>(&self, kernel: &dyn BlockKernel<T>, memory: &mut [T]) {
        let (earlier, out) = memory.split_at_mut(self.out as usize);
        kernel.short(earlier, &self.operands, &mut out[..self.len as usize]);
    }
}

/// A short operand, stretched over the rows of a result for example, as the memory of short
/// values holds it and as a [`ShortCall`] can read it.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// Where each element comes from.
    pub(super) from: Box<[u32]>,
    /// Where the first of them goes, and the others after it.
    pub(super) start: usize,
}

impl Packed {
    #[inline]
    fn run<T: Real>(&self, memory: &mut [T]) {
        let (earlier, out) = memory.split_at_mut(self.start);
        for (y, &place) in out.iter_mut().zip(&self.from) {
            *y = earlier[place as usize];
        }
    }
}

/// The most operands of a [`ShortCall`].
pub(super) const SHORT_OPERANDS: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct ShortSum<T> {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) divisor: T,
    pub(super) out: usize,
}

impl<T: Real> ShortSum<T> {
    #[inline]
    fn run(&self, memory: &mut [T]) {
        memory[self.out] = sum(&memory[self.start..self.start + self.len]) / self.divisor;
    }
}

pub(super) struct Apply<T: Real> {
    pub(super) op: OpHandle<T>,
    pub(super) args: Args<Argument>,
    pub(super) shape: Shape,
    pub(super) elements: usize,
    pub(super) target: Place,
}

impl<T: Real> Instruction<T> {
    #[inline]
    pub(super) fn run(&mut self, memory: &mut Memory<T>) {
        match self {
            Instruction::Short(kernel, call) => call.run(&**kernel, &mut memory.short),
            Instruction::ShortPacked(kernel, operands, call) => {
                operands.iter().for_each(|operand| operand.run(&mut memory.short));
                call.run(&**kernel, &mut memory.short);
            }
            Instruction::ShortProduct(product) => product.run(&mut memory.short),
            Instruction::ShortSum(sum) => sum.run(&mut memory.short),
            Instruction::Apply(apply) => apply.run(memory),
            Instruction::AddInto(apply) => apply.add_into(memory),
            Instruction::Loop(blocks) => blocks.run(memory),
        }
    }
}

impl<T: Real> Apply<T> {
    fn run(&self, memory: &mut Memory<T>) {
        match self.target {
            Place::Short(start) => {
                let (earlier, out) = memory.short.split_at_mut(start);
                let readable = Readable { short: earlier, long: &memory.long };
                self.eval(&readable, &mut out[..self.elements]);
            }
            Place::Long(slot) => {
                let mut buffer = memory.take(slot);
                let readable = Readable { short: &memory.short, long: &memory.long };
                self.eval(&readable, &mut exclusive(&mut buffer)[..self.elements]);
                memory.long[slot] = Some(buffer);
            }
        }
    }

    fn add_into(&self, memory: &mut Memory<T>) {
        let Place::Long(slot) = self.target else { unreachable!("short values are not shared") };
        let mut buffer = memory.take_filled(slot);
        let readable = Readable { short: &memory.short, long: &memory.long };
        {
            let views: Args<View<'_, T>> = self.args.iter().map(|arg| readable.view(arg)).collect();
            self.op.get().add_into(&views, &mut exclusive(&mut buffer)[..self.elements]);
        }
        memory.long[slot] = Some(buffer);
    }

    #[inline]
    fn eval(&self, readable: &Readable<'_, T>, out: &mut [T]) {
        let op: &dyn DynOp<T> = self.op.get();
        match &self.args[..] {
            [a] => op.eval(&[readable.view(a)], &self.shape, out),
            [a, b] => op.eval(&[readable.view(a), readable.view(b)], &self.shape, out),
            args => {
                let views: Args<View<'_, T>> = args.iter().map(|arg| readable.view(arg)).collect();
                op.eval(&views, &self.shape, out);
            }
        }
    }
}
