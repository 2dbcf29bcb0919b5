//! Carrying a program out.
//!
//! Short values stand one after another in one memory, in the order in which they
//! are computed, so that whatever an instruction reads lies before what it writes.
//! Long ones have buffers, of which an instruction takes its own out of the list
//! while it writes and reads the others.

use std::ops::Range;
use std::sync::Arc;

use super::fused::Loop;
use super::memory::{Argument, Memory, Place, Readable, exclusive};
use super::native::{Guess, InMemory};
use crate::kernel::block::{BlockKernel, Steps};
use crate::kernel::gemm::ShortProduct;
use crate::kernel::map::add_slice;
use crate::kernel::reduce::sum;
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tape::{Args, OpHandle};
use crate::tensor::{Rows, Shape, View};

pub(super) enum Instruction<T: Real> {
    /// An elementwise function of short values.
    Short(Arc<dyn BlockKernel<T>>, ShortCall),
    /// The same, of operands that are laid out in even steps first.
    ShortPacked(Arc<dyn BlockKernel<T>>, Box<[Packed]>, ShortCall),
    /// A product of short matrices.
    ShortProduct(ShortProduct),
    /// The sum of a short value, or of its rows.
    ShortSum(ShortSum<T>),
    /// Any op, by its own evaluation.
    Apply(Box<Apply<T>>),
    /// An op that adds its arguments to what its target holds.
    AddInto(Box<Apply<T>>),
    /// Elementwise functions and sums of long values, block by block.
    Loop(Box<Loop<T>>),
    /// Instructions on short values as one function.
    Code(Box<RunCode<T>>),
}

/// Some instructions as machine code.
pub(super) struct RunCode<T: Real> {
    pub(super) function: Guess<InMemory<T>>,
    /// What it was made from: for numbers that it is not made for.
    pub(super) instructions: Vec<Instruction<T>>,
    /// The places that it writes.
    pub(super) written: Box<[u32]>,
    /// States that it moves, too.
    pub(super) updates: Vec<Update>,
}

impl<T: Real> RunCode<T> {
    #[inline]
    fn run(&mut self, memory: &mut Memory<T>) {
        if !self.function.run(|function| function.run(&mut memory.short)) {
            self.instructions.iter_mut().for_each(|instruction| instruction.run(memory));
            self.updates.iter().for_each(|update| update.run(memory));
        }
    }
}

/// An input takes over a computed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) input: Place,
    pub(super) next: Place,
    pub(super) elements: usize,
}

impl Update {
    #[inline]
    pub(super) fn run<T: Real>(&self, memory: &mut Memory<T>) {
        match (self.input, self.next) {
            (Place::Short(to), Place::Short(from)) => {
                memory.short.copy_within(from..from + self.elements, to);
            }
            (Place::Long(to), Place::Long(from)) => memory.long.swap(to, from),
            _ => unreachable!("both have the same shape"),
        }
    }
}

/// One evaluation within the memory of short values.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortCall {
    pub(super) operands: [Steps; SHORT_OPERANDS],
    pub(super) out: u32,
    pub(super) len: u32,
}

impl ShortCall {
    /// Operands beyond the last repeat the first place of all.
    fn reads(&self, read: &mut dyn FnMut(usize)) {
        for steps in &self.operands {
            (0..self.len as usize).for_each(|i| read(steps.at(i)));
        }
    }

    fn writes(&self) -> Range<usize> {
        self.out as usize..(self.out + self.len) as usize
    }

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
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) divisor: T,
    pub(super) out: usize,
}

impl<T: Real> ShortSum<T> {
    #[inline]
    fn run(&self, memory: &mut [T]) {
        let (earlier, out) = memory.split_at_mut(self.out);
        let elements = &earlier[self.reads()];
        if self.columns == 1 {
            out[0] = sum(elements) / self.divisor;
            return;
        }
        let out = &mut out[..self.columns];
        out.fill(T::zero());
        elements.chunks_exact(self.columns).for_each(|row| add_slice(out, row));
        out.iter_mut().for_each(|sum| *sum /= self.divisor);
    }

    fn reads(&self) -> Range<usize> {
        self.start..self.start + self.rows * self.columns
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
            Instruction::Code(code) => code.run(memory),
        }
    }

    /// Calls `visit` with the slot of each buffer that is read or written.
    pub(super) fn for_each_slot(&mut self, visit: &mut dyn FnMut(&mut usize)) {
        match self {
            Instruction::Apply(apply) | Instruction::AddInto(apply) => {
                apply.args.iter_mut().for_each(|arg| arg.place.for_each_slot(visit));
                apply.target.for_each_slot(visit);
            }
            Instruction::Loop(blocks) => {
                blocks.arguments_mut().for_each(|load| load.place.for_each_slot(visit));
                blocks.written.iter_mut().for_each(&mut *visit);
                let product = blocks.product.iter_mut();
                product.filter_map(|product| product.stored.as_mut()).for_each(visit);
            }
            Instruction::Code(code) => {
                code.instructions.iter_mut().for_each(|own| own.for_each_slot(visit));
            }
            Instruction::Short(..)
            | Instruction::ShortPacked(..)
            | Instruction::ShortProduct(_)
            | Instruction::ShortSum(_) => {}
        }
    }

    /// Calls `read` with each place in the memory of short values that is read.
    pub(super) fn short_reads(&self, read: &mut dyn FnMut(usize)) {
        let argument = |argument: &Argument| {
            if let Place::Short(start) = argument.place {
                let start = (start as isize + argument.offset) as usize;
                Rows::new(&argument.layout, start).places().for_each(&mut *read);
            }
        };
        match self {
            Instruction::Apply(apply) | Instruction::AddInto(apply) => {
                apply.args.iter().for_each(argument);
            }
            Instruction::Loop(blocks) => blocks.arguments().for_each(argument),
            Instruction::Short(_, call) => call.reads(read),
            Instruction::ShortPacked(_, packed, call) => {
                packed
                    .iter()
                    .flat_map(|packed| &packed.from)
                    .for_each(|&place| read(place as usize));
                call.reads(read);
            }
            Instruction::ShortProduct(product) => {
                for (start, factor) in [product.left, product.right] {
                    for row in 0..factor.rows {
                        (0..factor.columns).for_each(|column| read(factor.at(start, row, column)));
                    }
                }
            }
            Instruction::ShortSum(sum) => sum.reads().for_each(read),
            Instruction::Code(code) => {
                code.instructions.iter().for_each(|own| own.short_reads(read));
            }
        }
    }

    /// The places in the memory of short values that instructions of their own kinds write.
    pub(super) fn short_writes(&self) -> impl Iterator<Item = usize> {
        let (packed, out): (&[Packed], Range<usize>) = match self {
            Instruction::Short(_, call) => (&[], call.writes()),
            Instruction::ShortPacked(_, packed, call) => (packed, call.writes()),
            Instruction::ShortProduct(product) => {
                let elements = product.left.1.rows * product.right.1.columns;
                (&[], product.out..product.out + elements)
            }
            Instruction::ShortSum(sum) => (&[], sum.out..sum.out + sum.columns),
            _ => (&[], 0..0),
        };
        packed.iter().flat_map(|packed| packed.start..packed.start + packed.from.len()).chain(out)
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
