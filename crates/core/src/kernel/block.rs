//! Elementwise functions whose type is forgotten, for compiled programs.
//!
//! A program chains many functions over the same block of elements, so what it
//! needs of each is not a loop over whole operands but two small pieces: the
//! function on a block that lies in the first-level cache, and the function on a
//! few numbers within one memory of short values. Both are compiled next to the
//! function's own loop and give the same bits.

use super::map::{MAX_OPERANDS, Pointwise, Sources, evaluate, few};
use crate::Real;

/// The operands of a [short](BlockKernel::short) evaluation.
pub(crate) const SHORT_OPERANDS: usize = 4;

/// Where the elements of a short operand lie: `start`, `start + step`, and so on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    pub(crate) start: u32,
    pub(crate) step: i32,
}

impl Steps {
    #[inline(always)]
    fn at(self, i: usize) -> usize {
        (self.start as i32 + i as i32 * self.step) as usize
    }
}

/// One evaluation within a memory of short values.
#[derive(Clone, Copy, Debug)]
pub struct ShortCall {
    pub(crate) operands: [Steps; SHORT_OPERANDS],
    pub(crate) out: u32,
    pub(crate) len: u32,
}

/// An elementwise function on contiguous blocks.
pub trait BlockKernel<T>: Send + Sync {
    /// Writes the function of the blocks of its operands, each as long as `out`.
    fn block(&self, sources: &[&[T]; MAX_OPERANDS], out: &mut [T]);

    /// Writes the function of operands that lie before the result in one memory.
    fn short(&self, memory: &mut [T], call: &ShortCall);
}

impl<T: Real, F: Pointwise<T> + Send + Sync> BlockKernel<T> for F {
    fn block(&self, sources: &Sources<'_, T>, out: &mut [T]) {
        evaluate(sources, out, *self);
    }

    fn short(&self, memory: &mut [T], call: &ShortCall) {
        let (earlier, out) = memory.split_at_mut(call.out as usize);
        few(
            &mut out[..call.len as usize],
            *self,
            #[inline(always)]
            |k, i| earlier[call.operands[k].at(i)],
        );
    }
}
