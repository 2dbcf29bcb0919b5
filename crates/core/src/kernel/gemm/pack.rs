//! How factors are laid out for the micro-kernels: term by term, in whole vectors.
//!
//! A micro-kernel reads the columns of a panel side by side, and the numbers of a tile's rows one by one.

use smallvec::SmallVec;

use crate::scalar::micro::{Lines, Micro};
use crate::scalar::{Real, dispatched};

tuned! {
    /// Tiles whose rows are packed at once, so that whole cache lines are read.
    pub(super) const TILES = 8, tiny 2;
    /// Terms of those rows that are read together, so that their cache lines are still near when the
    /// next tile's turn comes.
    const NEAR_TERMS = 32, tiny 2;
}

impl<T: Real> Micro<T> {
    /// Packs `columns` columns of a panel, term by term, each in `width` elements with zeros behind
    /// the last column.
    ///
    /// # Panics
    /// If `width` is less than the columns filled up to whole vectors, or `to` has not as many elements as
    /// the terms take.
    ///
    /// # Safety
    /// `columns` lines of `from` have `depth` terms, and the CPU has the instructions of `self`.
    pub(super) unsafe fn pack(
        &self,
        from: Lines<T>,
        columns: usize,
        depth: usize,
        width: usize,
        to: &mut [T],
    ) {
        assert!(width >= columns.next_multiple_of(self.lanes), "vectors are whole");
        assert_eq!(to.len(), width * depth, "a panel has a place");
        // SAFETY: `j` stays below `columns` and `term` below `depth` where `from` is read. `to` has
        // `depth` times `width` elements, as was asserted, and element `j` of `term`, or of the
        // square that begins there, is one of them. A unique borrow does not overlap the factor.
        unsafe {
            let column = |j: usize, term: usize| from.from(j, term).start;
            let out = to.as_mut_ptr();
            let mut done = 0;
            if from.step == 1 {
                dispatched(
                    #[inline(always)]
                    || copy_terms(from, columns, depth, out, width),
                );
                done = columns;
            } else if from.term == 1 {
                let squares = depth / self.lanes * self.lanes;
                while done + self.lanes <= columns {
                    for term in (0..squares).step_by(self.lanes) {
                        let to = out.add(term * width + done);
                        (self.transpose)(column(done, term), from.step, to, width);
                    }
                    for term in squares..depth {
                        for j in done..done + self.lanes {
                            *out.add(term * width + j) = *column(j, term);
                        }
                    }
                    done += self.lanes;
                }
            }
            for term in 0..depth {
                for j in done..columns {
                    *out.add(term * width + j) = *column(j, term);
                }
                for j in columns..width {
                    *out.add(term * width + j) = T::zero();
                }
            }
        }
    }
}

/// Copies `terms` terms of `lines` lines that lie side by side, each term `width` elements behind
/// the one before it. The compiler is told the numbers of lines that occur, each with its own loop:
/// else it calls a function for every term.
///
/// # Safety
/// `lines` lines of `from`, whose `step` is 1, have `terms` terms. `to` is valid for writes of `lines`
/// elements at each of `terms` offsets `t * width`, and these do not overlap the factor.
#[inline(always)]
unsafe fn copy_terms<T: Real>(
    from: Lines<T>,
    lines: usize,
    terms: usize,
    to: *mut T,
    width: usize,
) {
    // SAFETY: the caller's promise, with `LINES` for `lines` where that is the number.
    unsafe {
        match lines {
            64 => copy_terms_of::<T, 64>(from, terms, to, width),
            32 => copy_terms_of::<T, 32>(from, terms, to, width),
            16 => copy_terms_of::<T, 16>(from, terms, to, width),
            6 => copy_terms_of::<T, 6>(from, terms, to, width),
            5 => copy_terms_of::<T, 5>(from, terms, to, width),
            _ => {
                for term in 0..terms {
                    let to = to.add(term * width);
                    std::ptr::copy_nonoverlapping(from.from(0, term).start, to, lines);
                }
            }
        }
    }
}

/// [`copy_terms`] of `LINES` lines.
///
/// # Safety
/// As there, with `LINES` for `lines`.
#[inline(always)]
unsafe fn copy_terms_of<T: Real, const LINES: usize>(
    from: Lines<T>,
    terms: usize,
    to: *mut T,
    width: usize,
) {
    for term in 0..terms {
        // SAFETY: `term` is below `terms`, and the lines lie side by side on both sides.
        unsafe {
            let numbers = from.from(0, term).start.cast::<[T; LINES]>().read();
            to.add(term * width).cast::<[T; LINES]>().write(numbers);
        }
    }
}

/// Packs the rows of some tiles, given as first row and number of rows: one tile after another, each
/// term by term, `high` elements a term.
///
/// # Safety
/// The rows of all tiles are lines of `from` that have `depth` terms.
pub(super) unsafe fn pack_rows<T: Real>(
    from: Lines<T>,
    tiles: impl Iterator<Item = (usize, usize)>,
    depth: usize,
    high: usize,
    to: &mut [T],
) {
    let tiles: SmallVec<[(usize, usize); TILES]> = tiles.collect();
    for first in (0..depth).step_by(NEAR_TERMS) {
        let terms = NEAR_TERMS.min(depth - first);
        for (tile, &(row, rows)) in tiles.iter().enumerate() {
            let to = &mut to[(tile * depth + first) * high..][..terms * high];
            // SAFETY: `row + i` is a row of the tile and `first + term` is below `depth`. `to` has
            // `terms` times `high` elements, and `rows` is at most `high`.
            unsafe {
                if from.step == 1 {
                    copy_terms(from.from(row, first), rows, terms, to.as_mut_ptr(), high);
                    continue;
                }
                for (term, to) in to.chunks_exact_mut(high).enumerate() {
                    for (i, to) in to[..rows].iter_mut().enumerate() {
                        *to = *from.from(row + i, first + term).start;
                    }
                }
            }
        }
    }
}
