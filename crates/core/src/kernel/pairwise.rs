//! Pairwise sums of numbers that come leaf by leaf or block by block.
//!
//! No recursion, so that one loop is compiled per vector width. [`Pairwise`] builds the same tree of additions as a sum over the whole slice
//! at once, so that a fused loop gives the same bits as the loops it replaces,
//! and so does a loop whose parts run on several threads.

use std::hint::black_box;

use crate::scalar::{Real, vectorised};
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// Numbers that are added in one go at the leaves of the pairwise tree.
    pub(crate) const LEAF = 128, tiny 4;
    /// Partial sums kept side by side in a leaf, so that additions overlap.
    pub(crate) const LANES = 16, tiny 2;
}

/// A sum in progress: adds leaves as a binary counter adds digits. `levels[k]`
/// holds a sum of `2^k` leaves where the count of leaves has bit `k` set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairwise<T> {
    levels: [T; usize::BITS as usize],
    leaves: usize,
}

impl<T: Real> Pairwise<T> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { levels: [T::zero(); usize::BITS as usize], leaves: 0 }
    }

    /// Adds the sum of the next [`LEAF`] numbers.
    #[inline(always)]
    pub(crate) fn add_leaf(&mut self, leaf: T) {
        self.carry(0, leaf);
        if damaged(Damage::LeafTwice) && self.leaves == 2 {
            self.carry(0, leaf);
        }
    }

    /// Adds the numbers of a block, which begins at a multiple of [`LEAF`].
    pub(crate) fn add_block(&mut self, block: &[T]) {
        vectorised(
            block.len(),
            #[inline(always)]
            || {
                for chunk in block.chunks(LEAF) {
                    self.add_leaf(leaf(chunk));
                }
            },
        );
    }

    /// Adds the sum of `2^level` leaves.
    #[inline(always)]
    pub(crate) fn carry(&mut self, level: usize, mut sum: T) {
        self.leaves += 1 << level;
        let carries = (self.leaves >> level).trailing_zeros() as usize;
        for lower in &self.levels[level..level + carries] {
            sum = *lower + sum;
        }
        self.levels[level + carries] = sum;
    }

    /// The sum of `len` numbers, from the sums of parts of `2^level` leaves each; the
    /// last part may be shorter.
    pub(crate) fn of_parts(level: usize, len: usize, parts: impl Iterator<Item = T>) -> T {
        let mut sum = Self::new();
        let whole = len / (LEAF << level);
        let mut tail = T::zero();
        for (part, partial) in parts.enumerate() {
            if part < whole { sum.carry(level, partial) } else { tail = partial }
        }
        sum.total_after(tail)
    }

    /// The sum of all.
    #[inline(always)]
    pub(crate) fn total(&self) -> T {
        self.total_after(T::zero())
    }

    /// The sum of all and of a last part, shorter than any level in use.
    #[inline(always)]
    pub(crate) fn total_after(&self, tail: T) -> T {
        let mut total = tail;
        for (k, &level) in self.levels.iter().enumerate() {
            if self.leaves >> k & 1 == 1 {
                total = level + total;
            }
        }
        total
    }
}

/// The sum of at most [`LEAF`] numbers.
#[inline(always)]
pub(super) fn leaf<T: Real>(xs: &[T]) -> T {
    if xs.len() < LANES {
        return xs.iter().fold(T::zero(), |sum, &x| sum + x);
    }
    let mut lanes = [T::zero(); LANES];
    let chunks = xs.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(T::zero(), |sum, &x| sum + x);
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    let rest = if damaged(Damage::LeafRemainder) { T::zero() } else { rest };
    if damaged(Damage::LeafLane) {
        lanes[LANES - 1] = T::zero();
    }
    // The tree below ends with two lanes. A compiler that sees this makes pairs of the lanes
    // above too, instead of vectors as wide as the CPU has.
    let mut lanes = black_box(lanes);
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            let upper = lanes[i + width];
            lanes[i] += upper;
        }
        width /= 2;
    }
    lanes[0] + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::reduce::sum;

    #[test]
    fn blocks_and_the_whole_give_the_same_bits() {
        for len in [0, 1, 127, 128, 129, 1000, 4096, 5000, 70_000] {
            let xs: Vec<f32> = (0..len).map(|i| ((i * 37 % 101) as f32).sin()).collect();
            let mut blocks = Pairwise::new();
            for block in xs.chunks(4 * LEAF) {
                blocks.add_block(block);
            }
            assert_eq!(blocks.total().to_bits(), sum(&xs).to_bits(), "{len} numbers");
            // In parts of 16 leaves, each summed by itself.
            let parts = xs.chunks(16 * LEAF).map(|part| {
                let mut own = Pairwise::new();
                own.add_block(part);
                own.total()
            });
            let total = Pairwise::of_parts(4, len, parts);
            assert_eq!(total.to_bits(), sum(&xs).to_bits(), "{len} numbers in parts");
        }
    }
}
