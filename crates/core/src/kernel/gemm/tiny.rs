//! Products that are tiny: three plain loops, since any set-up would cost more than they do.
//!
//! The networks of a paper's first pages are made of them. A tile of the result, some
//! columns of one row or some rows of one or two columns, is summed up at once: an addition
//! waits for the one before it in its element only.

use super::matrix::{Before, Matrix, MatrixLayout};
use crate::scalar::Real;
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// Up to this many multiplications the plain loops win.
    const TINY = 512, tiny 8;
}

impl MatrixLayout {
    /// Whether the product with another factor is small enough for plain loops.
    pub(crate) fn is_tiny(&self, right: &MatrixLayout) -> bool {
        self.rows * self.columns * right.columns <= TINY
    }
}

/// Writes `a b` to `out`, or adds it, the terms of each element from the first to the last.
#[inline]
pub(super) fn product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], before: Before) {
    let (left, right) = (a.factor, b.factor);
    let expected = (left.columns, left.rows * right.columns);
    assert_eq!((right.rows, out.len()), expected, "the factors and the result do not fit");
    a.check();
    b.check();
    let mut j = 0;
    while j < right.columns {
        // SAFETY: the columns that are left are as many at least, and all is inside the buffers.
        j += unsafe {
            match (right.columns - j, right.column_stride) {
                (8.., 1) => columns::<T, 1, 8, true>(a, b, out, before, j),
                (4.., 1) => columns::<T, 1, 4, true>(a, b, out, before, j),
                (4.., _) => columns::<T, 1, 4, false>(a, b, out, before, j),
                (2.., _) => columns::<T, 4, 2, false>(a, b, out, before, j),
                _ => columns::<T, 4, 1, false>(a, b, out, before, j),
            }
        };
    }
}

/// `COLUMNS` columns of the result, from `j` on, by tiles of `ROWS` rows. Gives `COLUMNS`.
///
/// # Safety
/// `b` has `COLUMNS` columns from `j` on. `a` has as many columns as `b` has rows, both lie inside
/// their buffers, and `out` is as large as their product.
#[inline(always)]
unsafe fn columns<T: Real, const ROWS: usize, const COLUMNS: usize, const NEAR: bool>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    before: Before,
    j: usize,
) -> usize {
    let rows = a.factor.rows - usize::from(damaged(Damage::TinyRow) && a.factor.rows > 1);
    let mut i = 0;
    // SAFETY: `a` has as many rows from `i` on as a tile has, and the rest is promised.
    unsafe {
        while i + ROWS <= rows {
            tile::<T, ROWS, COLUMNS, NEAR>(a, b, out, before, [i, j]);
            i += ROWS;
        }
        while i < rows {
            tile::<T, 1, COLUMNS, NEAR>(a, b, out, before, [i, j]);
            i += 1;
        }
    }
    COLUMNS
}

/// Some elements of the result, from row `i` and column `j` on; `NEAR` if the columns of `b` lie
/// side by side.
///
/// # Safety
/// `a` has `ROWS` rows from `i` on and `b` has `COLUMNS` columns from `j` on; `a` has as many
/// columns as `b` has rows, both lie inside their buffers, and `out` is as large as their
/// product.
#[inline(always)]
unsafe fn tile<T: Real, const ROWS: usize, const COLUMNS: usize, const NEAR: bool>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    before: Before,
    [i, j]: [usize; 2],
) {
    let (left, right) = (a.factor, b.factor);
    let row = a.start + i as isize * left.row_stride;
    let column = b.start + j as isize * right.column_stride;
    let step = if NEAR { 1 } else { right.column_stride };
    let factors = |l: isize| -> ([T; ROWS], [T; COLUMNS]) {
        let (row, column) = (row + l * left.column_stride, column + l * right.row_stride);
        // SAFETY: `l` is less than the extent that both factors have in common, so these are
        // elements of them, and the caller says that those lie inside their buffers.
        unsafe {
            let x = |r| *a.data.get_unchecked((row + r as isize * left.row_stride) as usize);
            let y = |c| *b.data.get_unchecked((column + c as isize * step) as usize);
            (std::array::from_fn(x), std::array::from_fn(y))
        }
    };
    let mut sums = [[T::zero(); COLUMNS]; ROWS];
    if left.columns > 0 {
        let (x, y) = factors(0);
        sums = x.map(|x| y.map(|y| x * y));
    }
    for l in 1..left.columns as isize {
        let (x, y) = factors(l);
        for (x, sums) in x.into_iter().zip(&mut sums) {
            for (y, sum) in y.into_iter().zip(sums) {
                *sum += x * y;
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (c, sum) in sums.into_iter().enumerate() {
            // SAFETY: one of the rows x columns of the result.
            let result = unsafe { out.get_unchecked_mut((i + r) * right.columns + j + c) };
            *result = if before == Before::AddedTo { *result + sum } else { sum };
        }
    }
}

/// A tiny product of factors that lie before the result in one memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortProduct {
    pub(crate) left: (usize, MatrixLayout),
    pub(crate) right: (usize, MatrixLayout),
    pub(crate) out: usize,
}

impl ShortProduct {
    #[inline]
    pub(crate) fn run<T: Real>(&self, memory: &mut [T]) {
        let (earlier, out) = memory.split_at_mut(self.out);
        let matrix = |(start, factor): (usize, MatrixLayout)| Matrix {
            data: earlier,
            start: start as isize,
            factor,
        };
        let len = self.left.1.rows * self.right.1.columns;
        product(matrix(self.left), matrix(self.right), &mut out[..len], Before::Overwritten);
    }
}
