//! The elements under a sliding window as columns of a matrix, and back.
//!
//! Row `(c, i, j)` of the matrix holds what tap `(i, j)` reads of channel `c` at
//! every position of the window: a shifted copy of the plane. What the window
//! reads beyond the border is zero.

use super::Geometry;
use crate::Real;

/// Writes what the windows read of the planes `x` to `columns`.
pub(super) fn gather<T: Real>(geometry: &Geometry, x: &[T], columns: &mut [T]) {
    let [down, across] = geometry.slides;
    for_each_tap(geometry, |plane, i, j, rows| {
        let row = &mut columns[rows];
        let (lines, inside) = (down.inside(i), across.inside(j));
        let width = across.positions;
        row[..lines.start * width].fill(T::zero());
        row[lines.end * width..].fill(T::zero());
        for line in lines {
            let row = &mut row[line * width..][..width];
            row[..inside.start].fill(T::zero());
            row[inside.end..].fill(T::zero());
            let row = &mut row[inside.clone()];
            if row.is_empty() {
                continue;
            }
            let start = plane + down.element(line, i) * across.extent;
            let x = &x[start + across.element(inside.start, j)..];
            match across.stride {
                1 => row.copy_from_slice(&x[..row.len()]),
                stride => {
                    for (column, x) in row.iter_mut().zip(x.chunks(stride)) {
                        *column = x[0];
                    }
                }
            }
        }
    });
}

/// Adds `columns` up under the windows in the planes `x`: the transpose of
/// [`gather`].
pub(super) fn scatter<T: Real>(geometry: &Geometry, columns: &[T], x: &mut [T]) {
    x.fill(T::zero());
    let [down, across] = geometry.slides;
    for_each_tap(geometry, |plane, i, j, rows| {
        let row = &columns[rows];
        let inside = across.inside(j);
        if inside.is_empty() {
            return;
        }
        for line in down.inside(i) {
            let row = &row[line * across.positions..][inside.clone()];
            let start = plane + down.element(line, i) * across.extent;
            let x = &mut x[start + across.element(inside.start, j)..];
            match across.stride {
                1 => {
                    for (x, &column) in x.iter_mut().zip(row) {
                        *x += column;
                    }
                }
                stride => {
                    for (x, &column) in x.chunks_mut(stride).zip(row) {
                        x[0] += column;
                    }
                }
            }
        }
    });
}

/// Calls `visit` for every channel and tap: with the start of the channel's
/// plane, the tap's two numbers, and the place of its row in the matrix.
fn for_each_tap(
    geometry: &Geometry,
    mut visit: impl FnMut(usize, usize, usize, std::ops::Range<usize>),
) {
    let [down, across] = geometry.slides;
    let positions = geometry.positions();
    let mut row = 0;
    for channel in 0..geometry.channels {
        for i in 0..down.taps {
            for j in 0..across.taps {
                visit(channel * geometry.area(), i, j, row..row + positions);
                row += positions;
            }
        }
    }
}
