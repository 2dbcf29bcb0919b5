//! Elements at indices that an operand holds as numbers.
//!
//! Everything is seen as `[outer, axis, inner]`. Where indices do not differ behind the
//! axis, whole rows of `inner` elements are moved; otherwise one element at a time.
//!
//! Rows that are added at the same index are added in order. Where they are many, they are
//! summed in double precision ([`Crowded`]): a sum of a million equal terms in single
//! precision is wrong in its second digit.

use super::map::add_slice;
use crate::scalar::Real;
use crate::tensor::{Rows, Shape, View};
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

/// Whether indices do not differ behind the axis, so that they are indices of whole rows.
fn are_whole<T: Real>(indices: View<'_, T>, axis: usize) -> bool {
    indices.shape()[axis + 1..].iter().all(|&extent| extent == 1)
}

/// The length of the rows that are moved.
fn row_width<T: Real>(indices: View<'_, T>, moved: &Shape, axis: usize) -> usize {
    if are_whole(indices, axis) { moved[axis + 1..].iter().product() } else { 1 }
}

/// Calls `visit` with each index along an axis, the first element of the rows `outer`
/// and `moved` that it is for, and their length. `moved` has a row for each index.
fn for_each_place<T: Real>(
    name: &str,
    indices: View<'_, T>,
    moved: &Shape,
    axis: usize,
    extent: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let inner: usize = moved[axis + 1..].iter().product();
    let count = moved[axis];
    if are_whole(indices, axis) {
        let lead: Shape = moved[..=axis].into();
        let layout = indices.layout().leading(moved.rank() - axis - 1).broadcast_to(&lead);
        for (outer, row) in Rows::new(&layout, indices.offset()).enumerate() {
            for (k, x) in row.iter(indices.data()).enumerate() {
                let index = index_of(name, x, extent);
                visit((outer * extent + index) * inner, (outer * count + k) * inner, inner);
            }
        }
        return;
    }
    let layout = indices.layout().broadcast_to(moved);
    // Rows of indices make up the elements behind the axis.
    let (mut outer, mut k, mut first) = (0, 0, 0);
    for row in Rows::new(&layout, indices.offset()) {
        for (i, x) in (first..).zip(row.iter(indices.data())) {
            let index = index_of(name, x, extent);
            visit((outer * extent + index) * inner + i, (outer * count + k) * inner + i, 1);
        }
        first += row.count;
        if first == inner {
            (first, k) = (0, k + 1);
        }
        if k == count {
            (k, outer) = (0, outer + 1);
        }
    }
}

/// Writes the elements of `x` at indices along an axis.
pub(crate) fn take<T: Real>(indices: View<'_, T>, x: View<'_, T>, axis: usize, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let x_elements = x.packed();
    let extent = x.shape()[axis];
    let moved = x.shape().with_axis(axis, indices.shape()[axis]);
    for_each_place(
        "take_along_axis",
        indices,
        &moved,
        axis,
        extent,
        |from, to, width| match width {
            1 => out[to] = x_elements[from],
            _ => {
                let width = width - usize::from(damaged(Damage::TakenRow));
                out[to..to + width].copy_from_slice(&x_elements[from..from + width]);
            }
        },
    );
}

tuned! {
    /// The most rows that are added at one index in their own precision.
    const FEW = 512, tiny 2;
}

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
    const NAME: &str = "scatter_along_axis";
    out.fill(T::zero());
    if u.is_empty() {
        return;
    }
    let elements = u.packed();
    let each = |visit: &mut dyn FnMut(usize, usize, usize)| {
        for_each_place(NAME, indices, u.shape(), axis, extent, visit);
    };
    let may_crowd = size_of::<T>() < size_of::<f64>() && u.shape()[axis] > FEW;
    let width = row_width(indices, u.shape(), axis);
    let mut crowded = may_crowd
        .then(|| {
            Crowded::new(out.len() / width, width, |add| each(&mut |to, _, _| add(to / width)))
        })
        .flatten();
    each(
        &mut |to, from, width| match crowded.as_mut().and_then(|crowded| crowded.sum(to / width)) {
            Some(sums) => {
                let terms = &elements[from..from + width];
                sums.iter_mut().zip(terms).for_each(|(sum, x)| *sum += x.as_f64());
            }
            None if width == 1 => out[to] += elements[from],
            None => add_slice(&mut out[to..to + width], &elements[from..from + width]),
        },
    );
    if let Some(crowded) = &mut crowded {
        crowded.write(out);
    }
}
