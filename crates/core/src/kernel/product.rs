//! Matrix products.
//!
//! Large products go to the `gemm` crate, which picks the widest SIMD of the
//! running CPU; tiny ones, where its set-up would cost more than the product, are
//! three plain loops. Strides are passed on, so that transposes never copy.

use gemm::Parallelism;
use smallvec::SmallVec;

use super::rows::Rows;
use crate::Real;
use crate::tensor::{Layout, View};

/// Up to this many multiplications the plain loops win.
const TINY: usize = 512;

/// A matrix within a buffer, with every element checked to lie inside it.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    start: isize,
    rows: usize,
    columns: usize,
    row_stride: isize,
    column_stride: isize,
}

impl<T: Real> Matrix<'_, T> {
    /// Panics if an element lies outside the buffer: what makes the call of
    /// `gemm` below sound.
    fn check(&self) {
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let down = (self.rows as isize - 1) * self.row_stride;
        let across = (self.columns as isize - 1) * self.column_stride;
        let low = self.start + down.min(0) + across.min(0);
        let high = self.start + down.max(0) + across.max(0);
        assert!(
            low >= 0 && (high as usize) < self.data.len(),
            "a matrix reaches out of its buffer"
        );
    }
}

/// Writes `a b` to `out`, row-major.
fn product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T]) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!((b.rows, out.len()), (k, m * n), "the factors and the result do not fit");
    if out.is_empty() {
        return;
    }
    if m * n * k <= TINY {
        return tiny(a, b, out);
    }
    a.check();
    b.check();
    // SAFETY: both factors were checked to lie inside their buffers, `out` holds
    // m x n elements in row-major order, and as a unique borrow it overlaps
    // neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.data.as_ptr().offset(a.start),
            a.column_stride,
            a.row_stride,
            b.data.as_ptr().offset(b.start),
            b.column_stride,
            b.row_stride,
            T::zero(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[inline]
fn tiny<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T]) {
    let mut results = out.iter_mut();
    for i in 0..a.rows as isize {
        let row = a.start + i * a.row_stride;
        for j in 0..b.columns as isize {
            let column = b.start + j * b.column_stride;
            let mut sum = T::zero();
            for l in 0..a.columns as isize {
                sum += a.data[(row + l * a.column_stride) as usize]
                    * b.data[(column + l * b.row_stride) as usize];
            }
            *results.next().expect("the result has rows x columns elements") = sum;
        }
    }
}

/// Writes the product of the last two axes to `out`, for every index of the
/// leading axes, which broadcast. A vector on the left is a row, one on the
/// right a column.
pub(crate) fn matmul<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    let (sa, ra) = (a.strides(), a.shape().rank());
    let (sb, rb) = (b.strides(), b.shape().rank());
    let left = Matrix {
        data: a.data(),
        start: a.offset() as isize,
        rows: if ra > 1 { a.shape()[ra - 2] } else { 1 },
        columns: a.shape()[ra - 1],
        row_stride: if ra > 1 { sa[ra - 2] } else { 0 },
        column_stride: sa[ra - 1],
    };
    let right = Matrix {
        data: b.data(),
        start: b.offset() as isize,
        rows: if rb > 1 { b.shape()[rb - 2] } else { b.shape()[0] },
        columns: if rb > 1 { b.shape()[rb - 1] } else { 1 },
        row_stride: if rb > 1 { sb[rb - 2] } else { sb[0] },
        column_stride: if rb > 1 { sb[rb - 1] } else { 0 },
    };
    if ra <= 2 && rb <= 2 {
        return product(left, right, out);
    }
    let (batch_a, batch_b) = (a.layout().leading(2), b.layout().leading(2));
    let batch = batch_a.shape().broadcast(batch_b.shape()).expect("the shape rule has passed");
    let starts = |layout: &Layout, offset: usize| -> SmallVec<[isize; 16]> {
        let layout = layout.broadcast_to(&batch);
        Rows::new(&layout, offset)
            .flat_map(|row| (0..row.count as isize).map(move |i| row.start + i * row.stride))
            .collect()
    };
    let (starts_a, starts_b) = (starts(&batch_a, a.offset()), starts(&batch_b, b.offset()));
    let size = left.rows * right.columns;
    if size == 0 {
        return;
    }
    for ((out, &a), &b) in out.chunks_exact_mut(size).zip(&starts_a).zip(&starts_b) {
        product(Matrix { start: a, ..left }, Matrix { start: b, ..right }, out);
    }
}
