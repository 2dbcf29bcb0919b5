//! Elements at places that an operand holds as numbers.
//!
//! Everything is seen as `[outer, axis, inner]`. Where places do not differ behind the
//! axis, whole rows of `inner` elements are moved; otherwise one element at a time.

use super::contiguous;
use super::rows::Rows;
use crate::Real;
use crate::tensor::{Shape, View};

/// The number of an element along an axis.
///
/// # Panics
/// If it is none.
#[inline]
fn place<T: Real>(name: &str, x: T, extent: usize) -> usize {
    let place = x.as_f64();
    // A NaN becomes 0, and so a different number.
    let index = place as usize;
    assert!(
        index < extent && index as f64 == place,
        "{name}: {place} is no place among the {extent} elements of the axis"
    );
    index
}

/// Calls `visit` with each place along an axis, the first element of the rows `outer`
/// and `moved` that it is for, and their length. `moved` has a row for each place.
fn for_each_place<T: Real>(
    name: &str,
    places: View<'_, T>,
    moved: &Shape,
    axis: usize,
    extent: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let inner: usize = moved[axis + 1..].iter().product();
    let count = moved[axis];
    let is_whole = places.shape()[axis + 1..].iter().all(|&extent| extent == 1);
    if is_whole {
        let lead: Shape = moved[..=axis].into();
        let layout = places.layout().leading(moved.rank() - axis - 1).broadcast_to(&lead);
        for (outer, row) in Rows::new(&layout, places.offset()).enumerate() {
            for (k, x) in row.iter(places.data()).enumerate() {
                let place = place(name, x, extent);
                visit((outer * extent + place) * inner, (outer * count + k) * inner, inner);
            }
        }
        return;
    }
    let layout = places.layout().broadcast_to(moved);
    // Rows of places make up the elements behind the axis.
    let (mut outer, mut k, mut first) = (0, 0, 0);
    for row in Rows::new(&layout, places.offset()) {
        for (i, x) in (first..).zip(row.iter(places.data())) {
            let place = place(name, x, extent);
            visit((outer * extent + place) * inner + i, (outer * count + k) * inner + i, 1);
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

/// Writes the elements of `x` at places along an axis.
pub(crate) fn take<T: Real>(places: View<'_, T>, x: View<'_, T>, axis: usize, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let x_elements = contiguous(x);
    let extent = x.shape()[axis];
    let moved = x.shape().with_axis(axis, places.shape()[axis]);
    for_each_place(
        "take_along_axis",
        places,
        &moved,
        axis,
        extent,
        |from, to, width| match width {
            1 => out[to] = x_elements[from],
            _ => out[to..to + width].copy_from_slice(&x_elements[from..from + width]),
        },
    );
}

/// Adds the elements of `u` at places along an axis of zeros.
pub(crate) fn scatter<T: Real>(
    places: View<'_, T>,
    u: View<'_, T>,
    axis: usize,
    extent: usize,
    out: &mut [T],
) {
    out.fill(T::zero());
    if u.is_empty() {
        return;
    }
    let elements = contiguous(u);
    for_each_place("scatter_along_axis", places, u.shape(), axis, extent, |to, from, width| {
        match width {
            1 => out[to] += elements[from],
            _ => super::map::add_slice(&mut out[to..to + width], &elements[from..from + width]),
        }
    });
}
