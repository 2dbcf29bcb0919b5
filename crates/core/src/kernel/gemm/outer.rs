//! Products of one term: an element of the result is one product, and nothing is added to it.
//!
//! The weights' adjoint of one sample is such a product, a column times a row. No micro-kernel has
//! anything to gather there: it is a broadcast product, element by element, and a program computes it in
//! one loop with the update that reads it, so that the gradient never goes to memory.

use std::borrow::Cow;

use super::matrix::{Matrix, MatrixLayout};
use crate::kernel::threads;
use crate::scalar::{Real, vectorised};
use crate::tensor::Layout;
use crate::tuned::damage::{Damage, damaged};

impl MatrixLayout {
    /// A column and a row as layouts that broadcast to the result.
    pub(crate) fn broadcastable(&self, row: &MatrixLayout) -> [Layout; 2] {
        let column =
            Layout::strided([self.rows, 1].into(), [self.row_stride, 0].into_iter().collect());
        [column, Layout::strided([row.columns].into(), [row.column_stride].into_iter().collect())]
    }
}

/// How many elements are thought to take a nanosecond: memory lets no more be written.
const ELEMENTS_A_NANOSECOND: usize = 8;

/// Writes the product of a column and a row to `out`, row-major.
pub(super) fn product<T: Real>(column: Matrix<'_, T>, row: Matrix<'_, T>, out: &mut [T]) {
    // A result of one column lies as one of one row does.
    let (column, row) = match row.factor.columns {
        1 => (row.transposed(), column.transposed()),
        _ => (column, row),
    };
    let columns = row.factor.columns;
    let at = |j: usize| row.data[row.factor.at(row.start as usize, 0, j)];
    let row: Cow<'_, [T]> = match row.factor.column_stride {
        1 => Cow::Borrowed(&row.data[row.start as usize..][..columns]),
        _ => Cow::Owned((0..columns).map(at).collect()),
    };
    let work = out.len() / ELEMENTS_A_NANOSECOND;
    threads::for_each_piece(work, out, columns, |first, piece| {
        let row = &*row;
        vectorised(
            piece.len(),
            #[inline(always)]
            || {
                for (i, out) in (first / columns..).zip(piece.chunks_exact_mut(columns)) {
                    let i = i - usize::from(damaged(Damage::OuterRow) && i > 0);
                    let x = column.data[column.factor.at(column.start as usize, i, 0)];
                    out.iter_mut().zip(row).for_each(|(y, &b)| *y = x * b);
                }
            },
        );
    });
}
