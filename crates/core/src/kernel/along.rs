//! Elements at indices that an operand holds as numbers.
//!
//! Everything is seen as `[outer, axis, inner]`. Where indices do not differ behind the
//! axis, whole rows of `inner` elements are moved; otherwise one element at a time. Threads share
//! out the result, and each row of it is written by one of them.
//!
//! Rows that are added at the same index are added in order. Where they are many, they are
//! summed in double precision ([`Crowded`]): a sum of a million equal terms in single
//! precision is wrong in its second digit.

use std::ops::Range;

use super::map::{Walk, add_slice};
use super::threads::{self, Cut};
use crate::scalar::Real;
use crate::tensor::{Layout, Shape, View};
use crate::tuned::damage::{Damage, damaged};

/// The number of an element along an axis.
///
/// # Panics
/// If it is none.
#[inline]
fn index_of<T: Real>(name: &str, x: T, extent: usize) -> usize {
    let number = x.as_f64();
    // A NaN becomes 0, and so a different number.
    let index = number as usize;
    assert!(
        index < extent && index as f64 == number,
        "{name}: {number} is no index of the {extent} elements of the axis"
    );
    index
}

/// Where indices along an axis say that rows are moved. A row is all that lies behind the axis, if
/// indices do not differ there, and else a single element.
struct Moves<'a, T> {
    name: &'static str,
    indices: View<'a, T>,
    /// The indices, one for each row that is moved.
    layout: Layout,
    /// Indices along the axis, and the extent that they are below.
    count: usize,
    extent: usize,
    /// Rows behind each place of the axis.
    behind: usize,
    /// The elements of a row.
    width: usize,
}

impl<'a, T: Real> Moves<'a, T> {
    /// `moved` is the shape of the value that has a row for each index, and is not empty.
    fn new(
        name: &'static str,
        indices: View<'a, T>,
        moved: &Shape,
        axis: usize,
        extent: usize,
    ) -> Self {
        let inner: usize = moved[axis + 1..].iter().product();
        let are_whole = indices.shape()[axis + 1..].iter().all(|&extent| extent == 1);
        let (layout, width) = if are_whole {
            let lead: Shape = moved[..=axis].into();
            let leading = indices.layout().leading(moved.rank() - axis - 1);
            (leading.broadcast_to(&lead), inner)
        } else {
            (indices.layout().broadcast_to(moved), 1)
        };
        let (count, behind) = (moved[axis], inner / width);
        Self { name, indices, layout, count, extent, behind, width }
    }

    /// The rows that are moved for each place before the axis, and the rows at the other end.
    fn rows_of_each(&self) -> (usize, usize) {
        (self.count * self.behind, self.extent * self.behind)
    }

    /// The nanoseconds that moving `elements` is thought to take.
    fn work(&self, elements: usize) -> usize {
        elements / self.width * INDEX + elements / ELEMENTS_A_NANOSECOND
    }

    /// Calls `visit` with the number of the row at its index, and its own number, for moved rows
    /// in order.
    fn for_each(&self, numbers: Range<usize>, mut visit: impl FnMut(usize, usize)) {
        let (moved, others) = self.rows_of_each();
        // Runs of indices that differ in one way alone: in where they stand on the axis, or behind it.
        let (run, step) = if self.behind == 1 { (self.count, 0) } else { (self.behind, 1) };
        let mut walk = Walk::starting(&self.layout, self.indices.offset(), numbers.start);
        let mut room = [T::zero(); BLOCK];
        let mut own = numbers.start;
        let (mut outer, mut within) = (own / moved, own % moved);
        let mut at = within % run;
        while own < numbers.end {
            let count = BLOCK.min(numbers.end - own).min(run - at);
            let first = outer * others + at * step;
            for (i, &x) in walk.read(&self.indices, &mut room[..count]).iter().enumerate() {
                let index = index_of(self.name, x, self.extent);
                visit(first + index * self.behind + i * step, own + i);
            }
            (own, within, at) = (own + count, within + count, at + count);
            at = if at == run { 0 } else { at };
            if within == moved {
                (outer, within) = (outer + 1, 0);
            }
        }
    }
}

/// Writes the elements of `x` at indices along an axis.
pub(crate) fn take<T: Real>(indices: View<'_, T>, x: View<'_, T>, axis: usize, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let x_elements = x.packed();
    let moved = x.shape().with_axis(axis, indices.shape()[axis]);
    let moves = Moves::new("take_along_axis", indices, &moved, axis, x.shape()[axis]);
    let width = moves.width;
    threads::for_each_piece(moves.work(out.len()), out, width, |first, out| {
        let first = first / width;
        let numbers = first..first + out.len() / width;
        if width == 1 {
            return moves.for_each(numbers, |from, to| out[to - first] = x_elements[from]);
        }
        moves.for_each(numbers, |from, to| {
            let copied = width - usize::from(damaged(Damage::TakenRow));
            let out = &mut out[(to - first) * width..][..copied];
            out.copy_from_slice(&x_elements[from * width..][..copied]);
        });
    });
}

tuned! {
    /// The most rows that are added at one index in their own precision.
    const FEW = 512, tiny 2;
    /// Indices that are read in one go.
    const BLOCK = 128, tiny 2;
    /// The fewest elements of a row beside which its index takes no time.
    const WIDE = 256, tiny 2;
}

/// Nanoseconds that an index is thought to take, beside those of the elements.
const INDEX: usize = 2;
const ELEMENTS_A_NANOSECOND: usize = 4;

/// Sums in double precision, for the rows of a result to which more than [`FEW`] are added.
struct Crowded {
    /// For each row of the result, the number of its sum and 1, or 0 if it has none.
    numbers: Vec<u32>,
    sums: Vec<f64>,
    width: usize,
}

impl Crowded {
    /// For `rows` rows of `width` elements each, from what `count` calls with the row that
    /// each term is added to. `None` if no row is crowded.
    fn new(rows: usize, width: usize, count: impl FnOnce(&mut dyn FnMut(usize))) -> Option<Self> {
        let mut numbers = vec![0_u32; rows];
        let mut are_crowded = false;
        count(&mut |row| {
            numbers[row] = numbers[row].saturating_add(1);
            are_crowded |= numbers[row] as usize > FEW;
        });
        if !are_crowded {
            return None;
        }
        let mut crowded = 0;
        for number in &mut numbers {
            let is_crowded = *number as usize > FEW;
            crowded += u32::from(is_crowded);
            *number = if is_crowded { crowded } else { 0 };
        }
        Some(Self { numbers, sums: vec![0.0; crowded as usize * width], width })
    }

    /// The sum of a crowded row.
    #[inline]
    fn sum(&mut self, row: usize) -> Option<&mut [f64]> {
        let number = (self.numbers[row] as usize).checked_sub(1)?;
        Some(&mut self.sums[number * self.width..][..self.width])
    }

    /// Writes the sums to their rows of the result, and begins again.
    fn write<T: Real>(&mut self, out: &mut [T]) {
        for (row, &number) in self.numbers.iter().enumerate().filter(|&(_, &number)| number > 0) {
            let sums = &mut self.sums[(number as usize - 1) * self.width..][..self.width];
            for (y, sum) in out[row * self.width..][..self.width].iter_mut().zip(sums) {
                *y = T::from_f64(std::mem::take(sum));
            }
        }
    }
}

/// Adds the elements of `u` at the `indices` along an axis of `extent` zeros. The indices are
/// below the extent.
pub(crate) fn scatter_at<T: Real>(
    indices: &[usize],
    u: View<'_, T>,
    axis: usize,
    extent: usize,
    out: &mut [T],
) {
    out.fill(T::zero());
    if u.is_empty() {
        return;
    }
    let inner: usize = u.shape()[axis + 1..].iter().product();
    let mut crowded = (size_of::<T>() < size_of::<f64>() && indices.len() > FEW)
        .then(|| Crowded::new(extent, inner, |add| indices.iter().for_each(|&index| add(index))))
        .flatten();
    let mut elements = u.iter();
    for out in out.chunks_exact_mut(extent * inner) {
        for &index in indices {
            let terms = elements.by_ref().take(inner);
            match crowded.as_mut().and_then(|crowded| crowded.sum(index)) {
                Some(sums) => sums.iter_mut().zip(terms).for_each(|(sum, x)| *sum += x.as_f64()),
                None => {
                    let row = &mut out[index * inner..(index + 1) * inner];
                    row.iter_mut().zip(terms).for_each(|(sum, x)| *sum += x);
                }
            }
        }
        if let Some(crowded) = &mut crowded {
            crowded.write(out);
        }
    }
}

/// Adds the elements of `u` at indices along an axis of zeros.
pub(crate) fn scatter<T: Real>(
    indices: View<'_, T>,
    u: View<'_, T>,
    axis: usize,
    extent: usize,
    out: &mut [T],
) {
    if u.is_empty() {
        return out.fill(T::zero());
    }
    let elements = u.packed();
    let moves = Moves::new("scatter_along_axis", indices, u.shape(), axis, extent);
    if extent == 0 {
        // The first index says that it is none.
        return moves.for_each(0..u.len() / moves.width, |_, _| {});
    }
    let (width, (_, others)) = (moves.width, moves.rows_of_each());
    let rows = out.len() / width;
    // Whoever adds to a part of an axis reads all of its indices, which takes too long beside single
    // elements, and is done no more often than there are threads.
    let work = moves.work(u.len());
    let Cut { threads, pieces } = Cut::of(work);
    let (unit, pieces) =
        if pieces <= rows / others || width < WIDE { (others, pieces) } else { (1, threads) };
    let len = (rows / unit).div_ceil(pieces) * unit;
    threads::share(work, out.chunks_mut(len * width).enumerate(), |pieces| {
        for (number, out) in pieces {
            scatter_rows(&moves, &elements, number * len, out);
        }
    });
}

/// Adds the rows of `elements` whose places are among the rows of `out`, which begin at row `first`
/// of the result.
fn scatter_rows<T: Real>(moves: &Moves<'_, T>, elements: &[T], first: usize, out: &mut [T]) {
    out.fill(T::zero());
    let (width, (moved, others)) = (moves.width, moves.rows_of_each());
    let rows = first..first + out.len() / width;
    let numbers = rows.start / others * moved..rows.end.div_ceil(others) * moved;
    let may_crowd = size_of::<T>() < size_of::<f64>() && moves.count > FEW;
    let mut crowded = may_crowd
        .then(|| {
            Crowded::new(rows.len(), width, |add| {
                moves.for_each(numbers.clone(), |to, _| {
                    if rows.contains(&to) {
                        add(to - first);
                    }
                });
            })
        })
        .flatten();
    moves.for_each(numbers, |to, own| {
        if !rows.contains(&to) {
            return;
        }
        let (to, terms) = (to - first, &elements[own * width..][..width]);
        match crowded.as_mut().and_then(|crowded| crowded.sum(to)) {
            Some(sums) => sums.iter_mut().zip(terms).for_each(|(sum, x)| *sum += x.as_f64()),
            None if width == 1 => out[to] += terms[0],
            None => add_slice(&mut out[to * width..][..width], terms),
        }
    });
    if let Some(crowded) = &mut crowded {
        crowded.write(out);
    }
}
