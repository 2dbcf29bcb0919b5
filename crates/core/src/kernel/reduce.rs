//! Sums, with an order of additions that depends on the shape alone.
//!
//! Long sums are pairwise: the error grows with the logarithm of the length
//! rather than with the length itself, at the speed of a plain loop (Higham,
//! *Accuracy and Stability of Numerical Algorithms*, section 4.2).

use smallvec::SmallVec;

use super::map::{Walk, add_slice};
use super::pairwise::{LANES, LEAF, Pairwise, leaf};
use super::threads;
use crate::scalar::{Real, vectorised};
use crate::tensor::{Row, Rows, View};
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// The fewest leaves of a part of a long sum, as a power of two; and the most parts,
    /// whose sums lie on the stack.
    const PART_LEVEL = 8, tiny 1;
    const PARTS = 64, tiny 4;
    /// Rows that are added in one go at the leaves of the tree that sums rows.
    pub(crate) const LEAF_ROWS = 32, tiny 2;
    /// Columns that are summed together: the tree's sums lie on the stack.
    const COLUMNS = 256, tiny 4;
    /// The height of that tree; its root takes further subtrees in plain order.
    const LEVELS = 12, tiny 3;
}

/// How many elements are thought to be summed in a nanosecond.
const ELEMENTS_A_NANOSECOND: usize = 8;

/// The sum of a slice.
pub(crate) fn sum<T: Real>(xs: &[T]) -> T {
    let whole = |xs: &[T]| {
        vectorised(
            xs.len(),
            #[inline(always)]
            || pairwise(xs),
        )
    };
    let work = xs.len() / ELEMENTS_A_NANOSECOND;
    if threads::pieces(work) == 1 {
        return whole(xs);
    }
    // Parts are subtrees of the whole sum.
    let mut level = PART_LEVEL;
    while xs.len().div_ceil(LEAF << level) > PARTS {
        level += 1;
    }
    let mut partials = [T::zero(); PARTS];
    let parts = xs.chunks(LEAF << level);
    let count = parts.len();
    threads::share(work, parts.zip(&mut partials), |parts| {
        for (xs, partial) in parts {
            *partial = whole(xs);
        }
    });
    Pairwise::of_parts(level, xs.len(), partials[..count].iter().copied())
}

/// The pairwise sum of a slice, for loops that are already vectorised.
#[inline(always)]
pub(crate) fn pairwise<T: Real>(xs: &[T]) -> T {
    if xs.len() <= LEAF {
        return leaf(xs);
    }
    let mut sum = Pairwise::new();
    for chunk in xs.chunks(LEAF) {
        sum.add_leaf(leaf(chunk));
    }
    sum.total()
}

/// The pairwise sum of `f` over the elements, for loops that are already vectorised.
#[inline(always)]
pub(crate) fn pairwise_of<T: Real>(xs: &[T], f: impl Fn(T) -> T) -> T {
    let mut sum = Pairwise::new();
    let mut terms = [T::zero(); LEAF];
    for chunk in xs.chunks(LEAF) {
        let terms = &mut terms[..chunk.len()];
        for (term, &x) in terms.iter_mut().zip(chunk) {
            *term = f(x);
        }
        sum.add_leaf(leaf(terms));
    }
    sum.total()
}

/// The pairwise sum of products, for loops that are already vectorised.
#[inline(always)]
pub(crate) fn pairwise_product<T: Real>(xs: &[T], ys: &[T]) -> T {
    let mut sum = Pairwise::new();
    let mut terms = [T::zero(); LEAF];
    for (xs, ys) in xs.chunks(LEAF).zip(ys.chunks(LEAF)) {
        let terms = &mut terms[..xs.len()];
        for ((term, &x), &y) in terms.iter_mut().zip(xs).zip(ys) {
            *term = x * y;
        }
        sum.add_leaf(leaf(terms));
    }
    sum.total()
}

/// The largest of `least` and `f` of the elements; NaN is left out. For loops that are already vectorised.
#[inline(always)]
pub(crate) fn largest_of<T: Real>(xs: &[T], least: T, f: impl Fn(T) -> T) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let mut lanes = [least; LANES];
    let (chunks, rest) = xs.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, f(x));
        }
    }
    let rest = rest.iter().fold(least, |largest, &x| larger(largest, f(x)));
    lanes.into_iter().fold(rest, larger)
}

/// A sum of rows in progress, element by element: adds leaves as a binary counter adds digits, and
/// further subtrees to its root in plain order.
struct RowTree<T> {
    /// The columns from number `first` on.
    first: usize,
    width: usize,
    levels: [[T; COLUMNS]; LEVELS],
    is_full: [bool; LEVELS],
}

impl<T: Real> RowTree<T> {
    fn new(first: usize, width: usize) -> Self {
        let levels = [[T::zero(); COLUMNS]; LEVELS];
        Self { first, width, levels, is_full: [false; LEVELS] }
    }

    /// Adds the sum of `2^level` leaves, which is lost.
    fn carry(&mut self, mut level: usize, sum: &mut [T]) {
        while self.is_full[level] && level + 1 < LEVELS {
            add_slice(sum, &self.levels[level][..self.width]);
            self.is_full[level] = false;
            level += 1;
        }
        self.is_full[level] = true;
        let own = &mut self.levels[level][..self.width];
        if level + 1 < LEVELS { own.copy_from_slice(sum) } else { add_slice(own, sum) }
    }

    /// Adds the next rows, `count` of them.
    fn add_rows(&mut self, data: &[T], mut rows: impl Iterator<Item = Row>, mut count: usize) {
        while count > 0 {
            // The rows of the next result follow, so that a last leaf must stop where its own end.
            let taken = count.min(LEAF_ROWS);
            count -= taken;
            let mut sum = [T::zero(); COLUMNS];
            let sum = &mut sum[..self.width];
            let taken = if damaged(Damage::RowsOfNext) { LEAF_ROWS } else { taken };
            for row in rows.by_ref().take(taken) {
                add_row(data, row, self.first, sum);
            }
            self.carry(0, sum);
        }
    }

    /// Adds the sum of all to `out`.
    fn add_to(&self, out: &mut [T]) {
        for (level, _) in self.levels.iter().zip(self.is_full).filter(|&(_, is_full)| is_full) {
            add_slice(out, &level[..self.width]);
        }
    }
}

/// Sums rows, element by element and pairwise, into `out`: columns from `first` on.
fn sum_rows<T: Real>(
    data: &[T],
    rows: impl Iterator<Item = Row>,
    count: usize,
    first: usize,
    out: &mut [T],
) {
    if count <= LEAF_ROWS {
        let count = count - usize::from(damaged(Damage::LastRow));
        return rows.take(count).for_each(|row| add_row(data, row, first, out));
    }
    let mut tree = RowTree::new(first, out.len());
    tree.add_rows(data, rows, count);
    tree.add_to(out);
}

/// The rows of a part of a sum of rows, which is a subtree of the whole.
const PART_ROWS: usize = LEAF_ROWS << PART_LEVEL;

/// The same as [`sum_rows`], of rows from number `start` of a layout on, with parts that are shared
/// out to threads.
fn sum_rows_in_parts<T: Real>(
    x: View<'_, T>,
    start: usize,
    count: usize,
    first: usize,
    out: &mut [T],
) {
    let rows = |done: usize| Rows::starting(x.layout(), x.offset(), start + done);
    let width = out.len();
    let whole = count / PART_ROWS;
    let mut sums = vec![T::zero(); whole * width];
    let work = whole * PART_ROWS * width / ELEMENTS_A_NANOSECOND;
    threads::share(work, sums.chunks_exact_mut(width).enumerate(), |parts| {
        for (part, sum) in parts {
            sum_rows(x.data(), rows(part * PART_ROWS), PART_ROWS, first, sum);
        }
    });
    let mut tree = RowTree::new(first, width);
    for sum in sums.chunks_exact_mut(width) {
        tree.carry(PART_LEVEL, sum);
    }
    tree.add_rows(x.data(), rows(whole * PART_ROWS), count % PART_ROWS);
    tree.add_to(out);
}

fn add_row<T: Real>(data: &[T], row: Row, first: usize, sum: &mut [T]) {
    let row = Row { start: row.at(first) as isize, count: sum.len(), ..row };
    if row.stride == 1 {
        add_slice(sum, &data[row.start as usize..][..row.count]);
    } else {
        sum.iter_mut().zip(row.iter(data)).for_each(|(sum, x)| *sum += x);
    }
}

/// Sums over `axes`; `out` holds the remaining axes in row-major order.
pub(crate) fn sum_axes<T: Real>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    out.fill(T::zero());
    if x.is_empty() || out.is_empty() {
        return;
    }
    if let ([total], Some(slice)) = (&mut *out, x.as_slice()) {
        *total = sum(slice);
        return;
    }
    // Which axes stay, and which are summed over.
    let work = x.len() / ELEMENTS_A_NANOSECOND;
    let rank = x.shape().rank();
    let is_reduced = |axis: usize| axes.contains(&axis);
    let kept = (0..rank).filter(|&axis| !is_reduced(axis));
    let reduced = (0..rank).filter(|&axis| is_reduced(axis));
    let last_is_kept = rank > 0 && !is_reduced(rank - 1) && x.shape()[rank - 1] > 1;
    if last_is_kept {
        // Rows of the result gather rows of the operand: outer axes that are
        // kept, then the reduced ones, then the row itself.
        let order: SmallVec<[usize; 4]> = kept
            .clone()
            .take_while(|&axis| axis + 1 < rank)
            .chain(reduced)
            .chain([rank - 1])
            .collect();
        let layout = x.layout().permuted(&order);
        let width = x.shape()[rank - 1];
        let rows_per_result = x.len() / out.len();
        let x = x.with_layout(&layout, x.offset());
        let are_few = out.len() / width * width.div_ceil(COLUMNS) < threads::pieces(work);
        let blocks = out.chunks_exact_mut(width).enumerate().flat_map(|(number, out)| {
            let blocks = out.chunks_mut(COLUMNS).enumerate();
            blocks.map(move |(block, out)| (number * rows_per_result, block * COLUMNS, out))
        });
        if are_few && rows_per_result > PART_ROWS {
            for (start, first, out) in blocks {
                sum_rows_in_parts(x, start, rows_per_result, first, out);
            }
            return;
        }
        threads::share(work, blocks, |blocks| {
            for (start, first, out) in blocks {
                let rows = Rows::starting(&layout, x.offset(), start);
                sum_rows(x.data(), rows, rows_per_result, first, out);
            }
        });
    } else {
        // Each result has its numbers one after another.
        let order: SmallVec<[usize; 4]> = kept.chain(reduced).collect();
        let layout = x.layout().permuted(&order).collapsed();
        let count = x.len() / out.len();
        let x = x.with_layout(&layout, x.offset());
        let slice = x.as_slice();
        threads::for_each_piece(work, out, 1, |first, out| {
            if let Some(slice) = slice {
                for (sum, xs) in out.iter_mut().zip(slice[first * count..].chunks_exact(count)) {
                    *sum = self::sum(xs);
                }
                return;
            }
            // Each result's numbers, a leaf at a time.
            let mut walk = Walk::starting(&layout, x.offset(), first * count);
            let mut room = [T::zero(); LEAF];
            vectorised(
                out.len() * count,
                #[inline(always)]
                || {
                    for out in out.iter_mut() {
                        let mut sum = Pairwise::new();
                        for start in (0..count).step_by(LEAF) {
                            let room = &mut room[..LEAF.min(count - start)];
                            sum.add_leaf(leaf(walk.read(&x, room)));
                        }
                        *out = sum.total();
                    }
                },
            );
        });
    }
}
