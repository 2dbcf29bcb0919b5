//! How the matrices of a product lie in their buffers.

use crate::scalar::Real;
use crate::tensor::{Layout, View};

/// How the elements of a matrix lie, from a start that is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixLayout {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: isize,
    pub(crate) column_stride: isize,
}

impl MatrixLayout {
    /// The index of an element, where the first one has the index `start`.
    pub(crate) fn at(&self, start: usize, row: usize, column: usize) -> usize {
        let moved = row as isize * self.row_stride + column as isize * self.column_stride;
        (start as isize + moved) as usize
    }

    /// The left factor of a product: a matrix, or a vector as a row.
    pub(crate) fn left(layout: &Layout) -> Self {
        match (&layout.shape()[..], layout.strides()) {
            ([columns], [stride]) => {
                Self { rows: 1, columns: *columns, row_stride: 0, column_stride: *stride }
            }
            _ => Self::matrix(layout),
        }
    }

    /// The left factor of a product with a matrix: the rows of all leading axes, if they lie at even
    /// distances.
    fn rows(layout: &Layout) -> Option<Self> {
        let rank = layout.shape().rank();
        if rank <= 2 {
            return Some(Self::left(layout));
        }
        let (shape, strides) = (layout.shape(), layout.strides());
        let mut rows = Self::matrix(layout);
        for axis in (0..rank - 2).rev().filter(|&axis| shape[axis] != 1) {
            if rows.rows == 1 {
                rows.row_stride = strides[axis];
            } else if strides[axis] != rows.row_stride * rows.rows as isize {
                return None;
            }
            rows.rows *= shape[axis];
        }
        Some(rows)
    }

    /// The right factor of a product: a matrix, or a vector as a column.
    pub(crate) fn right(layout: &Layout) -> Self {
        match (&layout.shape()[..], layout.strides()) {
            ([rows], [stride]) => {
                Self { rows: *rows, columns: 1, row_stride: *stride, column_stride: 0 }
            }
            _ => Self::matrix(layout),
        }
    }

    /// The last two axes.
    fn matrix(layout: &Layout) -> Self {
        let rank = layout.shape().rank();
        Self {
            rows: layout.shape()[rank - 2],
            columns: layout.shape()[rank - 1],
            row_stride: layout.strides()[rank - 2],
            column_stride: layout.strides()[rank - 1],
        }
    }

    /// The transposed matrix.
    pub(crate) fn transposed(self) -> Self {
        let Self { rows, columns, row_stride, column_stride } = self;
        Self { rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }
}

/// The factors of a product that is a product of two matrices: the right factor has no leading axes,
/// and those of the left one are more rows. `None` if the left factor's rows lie at uneven distances.
pub(crate) fn factors(a: &Layout, b: &Layout) -> Option<[MatrixLayout; 2]> {
    if b.shape().rank() > 2 {
        return None;
    }
    Some([MatrixLayout::rows(a)?, MatrixLayout::right(b)])
}

/// A matrix within a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(in crate::kernel) data: &'a [T],
    pub(in crate::kernel) start: isize,
    pub(in crate::kernel) factor: MatrixLayout,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// A view as a matrix that lies in its buffer in this way.
    pub(crate) fn of(view: &View<'a, T>, factor: MatrixLayout) -> Self {
        Self { data: view.data(), start: view.offset() as isize, factor }
    }

    /// The columns from `first` on.
    pub(in crate::kernel) fn columns(self, first: usize, columns: usize) -> Self {
        let start = self.start + first as isize * self.factor.column_stride;
        Self { start, factor: MatrixLayout { columns, ..self.factor }, ..self }
    }

    /// The rows from `first` on.
    pub(in crate::kernel) fn rows(self, first: usize, rows: usize) -> Self {
        let start = self.start + first as isize * self.factor.row_stride;
        Self { start, factor: MatrixLayout { rows, ..self.factor }, ..self }
    }

    /// The transposed matrix.
    pub(in crate::kernel) fn transposed(self) -> Self {
        Self { factor: self.factor.transposed(), ..self }
    }

    /// Panics if an element lies outside the buffer: what makes the call of
    /// `gemm` below sound.
    pub(super) fn check(&self) {
        let MatrixLayout { rows, columns, row_stride, column_stride } = self.factor;
        if rows == 0 || columns == 0 {
            return;
        }
        // Nothing wraps around here: the strides and extents are those of a layout.
        let down = (rows as isize - 1) * row_stride;
        let across = (columns as isize - 1) * column_stride;
        let low = self.start + down.min(0) + across.min(0);
        let high = self.start + down.max(0) + across.max(0);
        assert!(
            low >= 0 && (high as usize) < self.data.len(),
            "a matrix reaches out of its buffer"
        );
    }
}

/// What becomes of the numbers that stand where a product goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::kernel) enum Before {
    Overwritten,
    AddedTo,
}
