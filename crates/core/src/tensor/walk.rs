//! Walking a strided layout, row by row.
//!
//! Every strided access of the crate goes through here: a layout is a sequence
//! of rows, each a start, a stride and a length, so that the inner loop is
//! always a plain one.

use smallvec::SmallVec;

use super::Layout;
use crate::scalar::{Real, micro};
use crate::tuned::damage::{Damage, damaged};

/// One row of a layout: `count` elements from `start` on, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) start: isize,
    pub(crate) stride: isize,
    pub(crate) count: usize,
}

impl Row {
    /// The place of the row's element `i`.
    #[inline]
    pub(crate) fn at(self, i: usize) -> usize {
        (self.start + i as isize * self.stride) as usize
    }

    /// The row's elements in `data`.
    pub(crate) fn iter<T: Copy>(self, data: &[T]) -> impl Iterator<Item = T> + use<'_, T> {
        (0..self.count).map(move |i| data[self.at(i)])
    }

    /// Writes the row's elements to `out`.
    #[inline]
    pub(crate) fn copy<T: Copy>(self, data: &[T], out: &mut [T]) {
        match self.stride {
            0 => out.fill(data[self.start as usize]),
            1 => out.copy_from_slice(&data[self.start as usize..][..self.count]),
            _ => {
                for (i, y) in out.iter_mut().enumerate() {
                    *y = data[self.at(i)];
                }
            }
        }
    }
}

/// The rows of a layout along its last axis, in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    /// Extents and strides of all axes but the last.
    outer: &'a [usize],
    strides: &'a [isize],
    index: SmallVec<[usize; 4]>,
    next: Option<Row>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(layout: &'a Layout, offset: usize) -> Self {
        Self::starting(layout, offset, 0)
    }

    /// The rows from number `first` on.
    pub(crate) fn starting(layout: &'a Layout, offset: usize, first: usize) -> Self {
        let (shape, strides) = (layout.shape(), layout.strides());
        let outer = shape.rank().saturating_sub(1);
        let is_empty = layout.elements() == 0;
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, outer);
        let mut start = offset as isize;
        let (mut axis, mut number) = (outer, first);
        while number > 0 && axis > 0 && !is_empty {
            axis -= 1;
            index[axis] = number % shape[axis];
            start += index[axis] as isize * strides[axis];
            number /= shape[axis];
        }
        let row = Row {
            start,
            stride: strides.last().copied().unwrap_or(0),
            count: shape.last().copied().unwrap_or(1),
        };
        // What is left of the number counts whole layouts, and there is but one.
        Self {
            outer: &shape[..outer],
            strides: &strides[..outer],
            index,
            next: (!is_empty && number == 0).then_some(row),
        }
    }
}

impl Rows<'_> {
    /// The place of each element.
    pub(crate) fn places(self) -> impl Iterator<Item = usize> {
        self.flat_map(|row| (0..row.count).map(move |i| row.at(i)))
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    #[inline]
    fn next(&mut self) -> Option<Row> {
        let row = self.next?;
        let mut start = row.start;
        for axis in (0..self.outer.len()).rev() {
            self.index[axis] += 1;
            start += self.strides[axis];
            if self.index[axis] < self.outer[axis] {
                self.next = Some(Row { start, ..row });
                return Some(row);
            }
            start -= self.strides[axis] * self.outer[axis] as isize;
            self.index[axis] = 0;
        }
        self.next = None;
        Some(row)
    }
}

/// Copies strided elements into a contiguous buffer, in row-major order.
///
/// # Panics
/// If `out` is not as long as the layout.
pub(crate) fn pack<T: Real>(data: &[T], offset: usize, layout: &Layout, out: &mut [T]) {
    assert_eq!(out.len(), layout.elements(), "the target has another size");
    if out.is_empty() {
        return;
    }
    let layout = layout.collapsed();
    // Transposed matrices are the common case of a long stride: go through them in
    // tiles, so that each cache line is read once.
    if let ([.., rows, columns], [.., row_stride, column_stride]) =
        (&layout.shape()[..], layout.strides())
        && *column_stride > 1
        && *rows >= TILE
    {
        let matrices = layout.leading(2);
        let starts = Rows::new(&matrices, offset).places();
        for (start, out) in starts.zip(out.chunks_exact_mut(rows * columns)) {
            transpose(data, start, [*rows, *columns], [*row_stride, *column_stride], out);
        }
        return;
    }
    let count = layout.shape().last().copied().unwrap_or(1);
    for (row, out) in Rows::new(&layout, offset).zip(out.chunks_exact_mut(count)) {
        row.copy(data, out);
    }
}

tuned! {
    const TILE = 16, tiny 2;
}

fn transpose<T: Real>(
    data: &[T],
    offset: usize,
    [rows, columns]: [usize; 2],
    strides: [isize; 2],
    out: &mut [T],
) {
    if strides[0] == 1 {
        let copied = columns - usize::from(damaged(Damage::TileColumn));
        let step = strides[1] as usize;
        return micro::transpose([copied, rows], &data[offset..], step, out, columns);
    }
    for first_row in (0..rows).step_by(TILE) {
        for first_column in (0..columns).step_by(TILE) {
            for row in first_row..(first_row + TILE).min(rows) {
                let last = (first_column + TILE).min(columns);
                let last = last - usize::from(damaged(Damage::TileColumn));
                let start = offset as isize
                    + row as isize * strides[0]
                    + first_column as isize * strides[1];
                let tile = Row { start, stride: strides[1], count: last - first_column };
                tile.copy(data, &mut out[row * columns + first_column..row * columns + last]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    /// Axes in every order, some of them backwards, against the definition of strides; extents around
    /// a tile and a vector.
    #[test]
    fn packing_reads_every_element_at_its_place() {
        for extents in [[1, 15, 17], [2, 16, 16], [3, 33, 5], [17, 2, 31], [0, 16, 17], [1, 1, 40]]
        {
            let data: Vec<f32> = (0..extents.iter().product()).map(|i| i as f32).collect();
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                for backwards in 0..8 {
                    let own = [extents[1] * extents[2], extents[2], 1];
                    let sign = |axis: usize| if backwards >> axis & 1 == 1 { -1 } else { 1 };
                    let shape = order.map(|axis| extents[axis]);
                    let strides = order.map(|axis| own[axis] as isize * sign(axis));
                    let back = |axis: usize| {
                        if sign(axis) < 0 { own[axis] * (extents[axis].max(1) - 1) } else { 0 }
                    };
                    let offset: usize = (0..3).map(back).sum();
                    let layout =
                        Layout::strided(Shape::from(shape), SmallVec::from_slice(&strides));
                    let mut out = vec![-1.0; data.len()];
                    pack(&data, offset, &layout, &mut out);
                    let expected = (0..data.len()).map(|i| {
                        let index =
                            [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
                        let moved: isize =
                            index.iter().zip(strides).map(|(&k, s)| k as isize * s).sum();
                        data[(offset as isize + moved) as usize]
                    });
                    assert!(out.iter().copied().eq(expected), "{shape:?}, strides {strides:?}");
                }
            }
        }
    }
}
