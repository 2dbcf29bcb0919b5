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

use super::pack::{TILES, pack_rows};
use crate::scalar::Real;
use crate::scalar::micro::{Lines, Micro, Product, prefetch};
use crate::tensor::{Elements, LINE};
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// The most terms that a tile adds up before it is written.
    pub(super) const DEPTH = 512, tiny 4;
    /// Tiles that read a panel before it pays to pack it for them.
    const FEW_TILES = 8, tiny 1;
    /// Panels side by side that need not be packed at all.
    const NEAR_PANELS = 4, tiny 1;
    /// Panels that a tile's rows meet before it pays to pack them.
    const FEW_PANELS = 2, tiny 1;
    /// The most panels of a tile that is not stored: it stays in the first-level cache, or near it.
    const TILE_PANELS = 20, tiny 1;
}

/// Bytes of the panels that tiles go over in turn: a part of the second-level cache.
const GROUP: usize = 1 << 20;
/// Bytes of the memory for these panels, a tile, and the packed rows of some tiles: a huge page.
const MEMORY: usize = 2 << 20;

thread_local! {
    /// That memory: nothing in it outlives a product.
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

/// What goes on behind a product, while its elements are in the cache.
pub(super) struct Behind<'a, T> {
    /// Whether the result is written. If it is not, a tile has no memory but the cache.
    pub(super) is_stored: bool,
    /// Arrays that lie as the result does: the CPU fetches a tile's elements of them while the tile is
    /// computed.
    pub(super) arrays: &'a [*const T],
    /// Is called with the place of an element in the result, and the elements from there on whose terms
    /// are all added up: once for each element.
    pub(super) next: &'a mut dyn FnMut(usize, &[T]),
}

/// Computes a product.
///
/// # Panics
/// If the result is not written, and has more than [`DEPTH`] terms or is to be added to.
///
/// # Safety
/// The product is [valid](Product), but for `out` if it is not written.
pub(super) unsafe fn product<T: Real>(product: Product<T>, behind: Option<Behind<'_, T>>) {
    // SAFETY: the product is valid, and `micro` gives kernels that this CPU can run.
    unsafe { product_by(T::micro(), product, behind) };
}

/// Computes a product by some of the CPU's micro-kernels.
///
/// # Panics
/// As [`product`].
///
/// # Safety
/// As [`product`], and the CPU has the instructions of `micro`.
pub(super) unsafe fn product_by<T: Real>(
    micro: Micro<T>,
    product: Product<T>,
    behind: Option<Behind<'_, T>>,
) {
    // The memory is taken out: what goes on behind a product may compute a product, too.
    let mut memory = PACKED.take();
    if memory.is_empty() {
        memory = Elements::zeros(MEMORY / size_of::<f64>());
    }
    let numbers: &mut [T] = bytemuck::cast_slice_mut(&mut memory);
    let (panels, rest) = numbers.split_at_mut(GROUP / size_of::<T>());
    let (tile, rows) = rest.split_at_mut(micro.rows * micro.columns() * TILE_PANELS);
    // SAFETY: the caller promises both.
    unsafe { Blocked { micro, product, behind, panels, rows, tile }.run() }
    PACKED.set(memory);
}

/// A product on its way, with memory for packed panels, for the packed rows of tiles, and for a tile that is
/// not stored.
struct Blocked<'a, 'b, T: Real> {
    micro: Micro<T>,
    product: Product<T>,
    behind: Option<Behind<'b, T>>,
    panels: &'a mut [T],
    rows: &'a mut [T],
    tile: &'a mut [T],
}

/// Terms of some columns, which are packed together.
#[derive(Clone, Copy)]
struct Group {
    /// The first term.
    first: usize,
    depth: usize,
    /// Whether no terms come after them.
    is_last: bool,
    /// The first column.
    start: usize,
    columns: usize,
}

/// Columns of a group that a tile meets at once.
struct Panel {
    /// The first of them, counted from the group's.
    begin: usize,
    columns: usize,
    /// Their number, filled up to whole vectors.
    width: usize,
    is_packed: bool,
}

/// Some rows of a product.
#[derive(Clone, Copy)]
struct TileRows<T> {
    /// The first.
    first: usize,
    count: usize,
    /// The rows, from the first term of a group on.
    lines: Lines<T>,
}

impl<'b, T: Real> Blocked<'_, 'b, T> {
    /// Computes it.
    ///
    /// # Safety
    /// As [`product_by`].
    unsafe fn run(mut self) {
        let Product { terms, columns, adds, .. } = self.product;
        let wide = self.micro.columns();
        let mut most = usize::MAX;
        if self.behind.as_ref().is_some_and(|behind| !behind.is_stored) {
            assert!(!adds && terms <= DEPTH, "a tile that is not stored is added up at once");
            most = TILE_PANELS;
        }
        for (first, depth) in Parts::of(terms, DEPTH).iter() {
            let is_last = first + depth == terms;
            let depth = depth - usize::from(damaged(Damage::LastTerm) && depth > 1);
            let panels = (self.panels.len() / (depth * wide)).clamp(1, most);
            for (panel, panels) in Parts::of(columns.div_ceil(wide), panels).iter() {
                let start = panel * wide;
                let columns = (panels * wide).min(columns - start);
                // SAFETY: the parts of the terms lie in `terms`, and the groups in `columns`.
                unsafe { self.group(Group { first, depth, is_last, start, columns }) };
            }
        }
    }

    /// The panels of a group that `tiles` tiles read.
    fn panels_of(
        &self,
        group: Group,
        tiles: usize,
    ) -> impl Iterator<Item = Panel> + Clone + use<T> {
        let (right, lanes, wide) = (self.product.right, self.micro.lanes, self.micro.columns());
        let packs_all =
            right.step != 1 || tiles > FEW_TILES && right.term.unsigned_abs() > NEAR_PANELS * wide;
        (0..group.columns).step_by(wide).map(move |begin| {
            let columns = wide.min(group.columns - begin);
            let width = columns.next_multiple_of(lanes);
            Panel { begin, columns, width, is_packed: packs_all || columns < width }
        })
    }

    /// Adds the terms of a group, of all rows.
    ///
    /// # Safety
    /// As [`product_by`]; the terms are terms of the product, and the columns its columns.
    unsafe fn group(&mut self, group: Group) {
        let Group { first, depth, start, columns, .. } = group;
        let Product { rows, left, right, .. } = self.product;
        let high = self.micro.rows;
        let tiles = Parts::of(rows, high);
        let panels = self.panels_of(group, tiles.count);
        let packs_tiles = left.term != 1 && columns > FEW_PANELS * self.micro.columns();
        // SAFETY: `right` has the terms in each column of a panel, for panels cut `columns` into
        // pieces, and `left` has them in each row of a tile, for tiles cut all rows into pieces.
        unsafe {
            for panel in panels.clone().filter(|panel| panel.is_packed) {
                let to = &mut self.panels[panel.begin * depth..][..panel.width * depth];
                let from = right.from(start + panel.begin, first);
                self.micro.pack(from, panel.columns, depth, panel.width, to);
            }
            for (tile, (row, count)) in tiles.iter().enumerate() {
                let mut lines = left.from(row, first);
                if packs_tiles {
                    let place = tile % TILES;
                    if place == 0 {
                        let to = &mut self.rows[..TILES * high * depth];
                        let own = (tile..tiles.count.min(tile + TILES)).map(|i| tiles.get(i));
                        pack_rows(left.from(0, first), own, depth, high, to);
                    }
                    let start = self.rows[place * high * depth..].as_ptr();
                    lines = Lines { start, step: 1, term: high as isize };
                }
                self.tile(group, panels.clone(), TileRows { first: row, count, lines });
            }
        }
    }

    /// Adds the terms of a group to a tile, and goes on behind it if they were the last ones.
    ///
    /// # Safety
    /// As [`product_by`]; `rows` are rows of the product, `group` are terms and columns of it, and `panels`
    /// its panels, of which those are packed that have to be.
    unsafe fn tile(
        &mut self,
        group: Group,
        panels: impl Iterator<Item = Panel>,
        rows: TileRows<T>,
    ) {
        let Group { is_last, start, columns, .. } = group;
        let Product { out, out_row, .. } = self.product;
        let place = rows.first * out_row + start;
        let mut arrays: &'b [*const T] = &[];
        let (mut to, mut to_row) = (out.wrapping_add(place), out_row);
        if let Some(behind) = self.behind.as_ref().filter(|_| is_last) {
            arrays = behind.arrays;
            if !behind.is_stored {
                (to, to_row) = (self.tile[..rows.count * columns].as_mut_ptr(), columns);
            }
        }
        for panel in panels {
            for array in arrays {
                let start = array.wrapping_add(place + panel.begin);
                (0..rows.count).for_each(|r| fetch(start.wrapping_add(r * out_row), panel.columns));
            }
            // SAFETY: the panel's columns are columns of the tile, which has memory for its rows: in the
            // result, or in `self.tile`.
            unsafe { self.multiply(group, &panel, rows, to.add(panel.begin), to_row) };
        }
        if let Some(behind) = self.behind.as_mut().filter(|_| is_last) {
            // Whole rows lie side by side.
            let len = if columns == out_row { rows.count * columns } else { columns };
            for r in 0..rows.count * columns / len {
                // SAFETY: these are elements of the tile, which the kernels have written.
                let elements = unsafe { std::slice::from_raw_parts(to.add(r * to_row), len) };
                (behind.next)(place + r * out_row, elements);
            }
        }
    }

    /// Adds the terms of a group to those elements of a tile that lie in a panel, in memory from `out` on,
    /// each row `out_row` elements behind the one before it.
    ///
    /// # Safety
    /// As [`tile`](Self::tile); `out` is valid for reads and writes of the panel's columns at each of
    /// these rows, and nobody else reads or writes them.
    unsafe fn multiply(
        &self,
        group: Group,
        panel: &Panel,
        rows: TileRows<T>,
        out: *mut T,
        out_row: usize,
    ) {
        let Group { first, depth, start, .. } = group;
        let Product { right, adds, .. } = self.product;
        let Micro { lanes, rows: high, kernels, .. } = self.micro;
        let (numbers, term) = match panel.is_packed {
            true => (self.panels[panel.begin * depth..].as_ptr(), panel.width as isize),
            // SAFETY: the panel's columns are columns of `right`.
            false => (unsafe { right.from(start + panel.begin, first) }.start, right.term),
        };
        let kernel = kernels[(panel.width / lanes - 1) * high + rows.count - 1];
        // The library's names: its results lie column by column, so that its
        // left factor is our right one.
        let (dst_cs, dst_rs) = (out_row as isize, 1);
        let (lhs_cs, rhs_rs, rhs_cs) = (term, rows.lines.term, rows.lines.step);
        let (alpha, beta) = (T::one(), T::one());
        // 0: the result is overwritten; 1: added to.
        let alpha_status = u8::from(adds || first > 0);
        // SAFETY: a kernel for `panel.width / lanes` vectors and `rows.count` rows reads `depth` terms of
        // as many lines, from the factors where they lie or from the packed ones, which are at least as
        // long; it writes `rows.count` times `panel.columns` elements, which the caller promises to be
        // valid.
        unsafe {
            kernel(
                panel.columns,
                rows.count,
                depth,
                out,
                numbers,
                rows.lines.start,
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

/// Has the CPU fetch some elements.
#[inline(always)]
fn fetch<T>(start: *const T, elements: usize) {
    for k in (0..elements).step_by(LINE / size_of::<T>()) {
        prefetch(start.wrapping_add(k));
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
