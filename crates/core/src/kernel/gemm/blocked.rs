//! The loops around the micro-kernels.
//!
//! A tile of the result is a few rows of `A` times a *panel*, as many columns of `B` as
//! the micro-kernel takes. Terms are cut at a depth at which a tile's rows stay in the
//! first-level cache, columns into groups whose panels stay in the second (Goto and van de
//! Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
//!
//! A factor is packed, or not, by how it lies. Columns of `B` that lie side by side are read where
//! they are, unless many tiles read them and they are far from term to term; those of a transposed
//! factor are packed by [transposing](crate::scalar::micro::transpose) squares. Numbers of `A` are read one by
//! one, so its rows may have any stride, but not a long one from term to term.
//!
//! *Invariant*: the terms of an element are added in an order that depends on their
//! number alone. So a product may be cut into stripes of any rows and columns.

use std::cell::RefCell;

use smallvec::SmallVec;

use crate::scalar::micro::{Lines, Micro, Product};
use crate::scalar::{Real, dispatched};
use crate::tensor::Elements;
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// The most terms that a tile adds up before it is written.
    const DEPTH = 512, tiny 4;
    /// Tiles whose rows are packed at once, so that whole cache lines are read.
    const TILES = 8, tiny 2;
    /// Terms of those rows that are read together, so that their cache lines are still near when the
    /// next tile's turn comes.
    const NEAR_TERMS = 32, tiny 2;
    /// Tiles that read a panel before it pays to pack it for them.
    const FEW_TILES = 8, tiny 1;
    /// Panels side by side that need not be packed at all.
    const NEAR_PANELS = 4, tiny 1;
    /// Panels that a tile's rows meet before it pays to pack them.
    const FEW_PANELS = 2, tiny 1;
}

/// Bytes of the panels that tiles go over in turn: a part of the second-level cache.
const GROUP: usize = 1 << 20;
/// Bytes of the memory for packed factors, panels and tiles: a huge page.
const MEMORY: usize = 2 << 20;

thread_local! {
    /// The memory for packed factors: a group of panels, and the rows of some tiles.
    static PACKED: RefCell<Elements<f64>> = RefCell::default();
}

/// Parts of almost the same length, as few as a largest length allows.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Parts {
    whole: usize,
    count: usize,
}

impl Parts {
    pub(in crate::kernel) fn of(whole: usize, largest: usize) -> Self {
        Self { whole, count: whole.div_ceil(largest) }
    }

    /// Where a part begins, and how long it is.
    fn get(self, part: usize) -> (usize, usize) {
        let (len, longer) = (self.whole / self.count, self.whole % self.count);
        (part * len + part.min(longer), len + usize::from(part < longer))
    }

    pub(in crate::kernel) fn iter(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count).map(move |part| self.get(part))
    }
}

/// Computes a product.
///
/// # Safety
/// The product is [valid](Product).
pub(super) unsafe fn product<T: Real>(product: Product<T>) {
    // SAFETY: the product is valid, and `micro` gives kernels that this CPU can run.
    unsafe { product_by(T::micro(), product) };
}

/// Computes a product by some of the CPU's micro-kernels.
///
/// # Safety
/// The product is [valid](Product), and the CPU has the instructions of `micro`.
pub(super) unsafe fn product_by<T: Real>(micro: Micro<T>, product: Product<T>) {
    PACKED.with_borrow_mut(|memory| {
        if memory.is_empty() {
            *memory = Elements::zeros(MEMORY / size_of::<f64>());
        }
        let memory: &mut [T] = bytemuck::cast_slice_mut(memory);
        let (panels, tiles) = memory.split_at_mut(GROUP / size_of::<T>());
        // SAFETY: the caller promises both.
        unsafe { Blocked { micro, product, panels, tiles }.run() }
    });
}

/// A product on its way, with memory for packed panels and tiles.
struct Blocked<'a, T: Real> {
    micro: Micro<T>,
    product: Product<T>,
    panels: &'a mut [T],
    tiles: &'a mut [T],
}

impl<T: Real> Blocked<'_, T> {
    /// Computes it.
    ///
    /// # Safety
    /// As [`product_by`].
    unsafe fn run(mut self) {
        let Product { terms, columns, .. } = self.product;
        let wide = self.micro.columns();
        for (first, depth) in Parts::of(terms, DEPTH).iter() {
            let depth = depth - usize::from(damaged(Damage::LastTerm) && depth > 1);
            let group = (self.panels.len() / (depth * wide)).max(1) * wide;
            for start in (0..columns).step_by(group) {
                // SAFETY: the parts of the terms lie in `terms`, and the groups in `columns`.
                unsafe { self.group(first, depth, start, group.min(columns - start)) };
            }
        }
    }

    /// Adds `depth` terms, from `first` on, of `columns` columns, from `start` on, of all rows.
    ///
    /// # Safety
    /// As [`product_by`]; the terms are terms of the product, and the columns its columns.
    unsafe fn group(&mut self, first: usize, depth: usize, start: usize, columns: usize) {
        let Product { rows, left, right, out, out_row, adds, .. } = self.product;
        let Micro { lanes, rows: high, kernels, .. } = self.micro;
        let wide = self.micro.columns();
        let tiles = Parts::of(rows, high);
        let panels = (0..columns).step_by(wide).map(|begin| {
            let columns = wide.min(columns - begin);
            Panel { begin, columns, width: columns.next_multiple_of(lanes) }
        });
        let packs_all = right.step != 1
            || tiles.count > FEW_TILES && right.term.unsigned_abs() > NEAR_PANELS * wide;
        let packs = |panel: &Panel| packs_all || panel.columns < panel.width;
        let packs_tiles = left.term != 1 && columns > FEW_PANELS * wide;
        // SAFETY: `right` has the terms in each column of a panel, for panels cut `columns` into
        // pieces, and `left` has them in each row of a tile, for tiles cut all rows into pieces.
        // A kernel for `panel.width / lanes` vectors and `rows` rows reads `depth` terms of as many
        // lines, from the factors where they lie or from the packed ones, which are at least as
        // long; it writes `rows` times `panel.columns` elements of the result.
        unsafe {
            for panel in panels.clone().filter(packs) {
                let to = &mut self.panels[panel.begin * depth..][..panel.width * depth];
                let from = right.from(start + panel.begin, first);
                self.micro.pack(from, panel.columns, depth, panel.width, to);
            }
            for (tile, (row, rows)) in tiles.iter().enumerate() {
                let mut lines = left.from(row, first);
                if packs_tiles {
                    let place = tile % TILES;
                    if place == 0 {
                        let to = &mut self.tiles[..TILES * high * depth];
                        let own = (tile..tiles.count.min(tile + TILES)).map(|i| tiles.get(i));
                        pack_rows(left.from(0, first), own, depth, high, to);
                    }
                    let start = self.tiles[place * high * depth..].as_ptr();
                    lines = Lines { start, step: 1, term: high as isize };
                }
                for panel in panels.clone() {
                    let begin = start + panel.begin;
                    let (numbers, term) = match packs(&panel) {
                        true => (self.panels[panel.begin * depth..].as_ptr(), panel.width as isize),
                        false => (right.from(begin, first).start, right.term),
                    };
                    let kernel = kernels[(panel.width / lanes - 1) * high + rows - 1];
                    // The library's names: its results lie column by column, so that its
                    // left factor is our right one.
                    let (dst_cs, dst_rs) = (out_row as isize, 1);
                    let (lhs_cs, rhs_rs, rhs_cs) = (term, lines.term, lines.step);
                    let (alpha, beta) = (T::one(), T::one());
                    // 0: the result is overwritten; 1: added to.
                    let alpha_status = u8::from(adds || first > 0);
                    kernel(
                        panel.columns,
                        rows,
                        depth,
                        out.add(row * out_row + begin),
                        numbers,
                        lines.start,
                        dst_cs,
                        dst_rs,
                        lhs_cs,
                        rhs_rs,
                        rhs_cs,
                        alpha,
                        beta,
                        alpha_status,
                        false,
                        false,
                        false,
                        std::ptr::null(),
                    );
                }
            }
        }
    }
}

/// Columns of a group that a tile meets at once.
struct Panel {
    begin: usize,
    columns: usize,
    /// Their number, filled up to whole vectors.
    width: usize,
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
unsafe fn pack_rows<T: Real>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_whole_evenly() {
        for (whole, largest) in [(1, 6), (6, 6), (7, 6), (32, 6), (128, 6), (1000, 512)] {
            let parts: Vec<_> = Parts::of(whole, largest).iter().collect();
            assert_eq!(parts.iter().map(|&(_, len)| len).sum::<usize>(), whole);
            assert!(parts.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
            assert!(parts.iter().all(|&(_, len)| len <= largest && len + 1 >= parts[0].1));
        }
    }
}
