//! Matrix products.
//!
//! Large products go to the `gemm` crate, which picks the widest SIMD of the
//! running CPU; tiny ones, where its set-up would cost more than the product, are
//! three plain loops. Strides are passed on, so that transposes never copy.
//!
//! Threads take whole products of a batch, or stripes of a product. What a stripe
//! gives does not depend on where it is cut, since the library adds up the terms of
//! an element in an order that depends on their number alone (a test holds it to
//! that). Its own threads would cut the terms too, and wait for each other there.

use gemm_common::Parallelism;
use smallvec::SmallVec;

use super::rows::Rows;
use super::threads;
use crate::Real;
use crate::tensor::{Layout, View};

/// Up to this many multiplications the plain loops win.
const TINY: usize = 512;

/// The library's function: extents `m`, `n`, `k`; then the result with its column and
/// row strides, and whether it is added to; the factors with theirs; the numbers that
/// the result before and the product are multiplied by; what is complex about them
/// (nothing); threads.
pub(crate) type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// How the elements of a matrix lie, from a start that is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: isize,
    pub(crate) column_stride: isize,
}

impl Factor {
    /// The left factor of a product: a matrix, or a vector as a row.
    pub(crate) fn left(layout: &Layout) -> Self {
        match (&layout.shape()[..], layout.strides()) {
            ([columns], [stride]) => {
                Self { rows: 1, columns: *columns, row_stride: 0, column_stride: *stride }
            }
            _ => Self::matrix(layout),
        }
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
    pub(crate) fn turned(self) -> Self {
        let Self { rows, columns, row_stride, column_stride } = self;
        Self { rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    /// Whether the product with another factor is small enough for plain loops.
    pub(crate) fn is_tiny(&self, right: &Factor) -> bool {
        self.rows * self.columns * right.columns <= TINY
    }
}

/// A matrix within a buffer.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    start: isize,
    factor: Factor,
}

impl<T: Real> Matrix<'_, T> {
    /// Panics if an element lies outside the buffer: what makes the call of
    /// `gemm` below sound.
    fn check(&self) {
        let Factor { rows, columns, row_stride, column_stride } = self.factor;
        if rows == 0 || columns == 0 {
            return;
        }
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

/// Stripes of a product have no fewer rows or columns: the library sums products of
/// up to 64 of both, and tiny ones, in another order.
const NARROWEST: usize = 96;
/// Stripes of so many rows or columns lose little time with laying out the other
/// factor, which each of them does for itself.
const WIDE: usize = 256;

/// Nanoseconds that some multiplications are thought to take.
fn work<T>(multiplications: usize) -> usize {
    multiplications * size_of::<T>() / 400
}

/// In how many stripes a product is computed.
fn stripes<T>(m: usize, k: usize, n: usize) -> usize {
    // Products with a vector, and those of one or two terms, go another way in the
    // library. They wait for memory mostly.
    if m.min(n).min(k) <= 2 {
        return 1;
    }
    let (work, longer) = (work::<T>(m * k * n), m.max(n));
    let wanted = (longer / WIDE).clamp(threads::worth(work), threads::pieces(work));
    wanted.min(longer / NARROWEST).max(1)
}

/// Where stripes of a result go, each to elements of its own.
struct Target<T>(*mut T);

// SAFETY: whoever writes through the pointer says why nobody else does.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T> Target<T> {
    fn pointer(&self) -> *mut T {
        self.0
    }
}

/// What becomes of the numbers that stand where a product goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Overwritten,
    AddedTo,
}

/// Writes `a b` to `out`, row-major, or adds it.
fn product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], before: Before) {
    let (m, k, n) = (a.factor.rows, a.factor.columns, b.factor.columns);
    assert_eq!((b.factor.rows, out.len()), (k, m * n), "the factors and the result do not fit");
    if out.is_empty() {
        return;
    }
    if a.factor.is_tiny(&b.factor) {
        return tiny(a, b, out, before);
    }
    a.check();
    b.check();
    let stripes = stripes::<T>(m, k, n);
    let longer = m.max(n);
    let cut =
        |stripe: usize| if stripe == stripes { longer } else { longer * stripe / stripes / 8 * 8 };
    let out = Target(out.as_mut_ptr());
    threads::share(work::<T>(m * k * n), 0..stripes, |own| {
        for stripe in own {
            let range = cut(stripe)..cut(stripe + 1);
            let (rows, columns) = if m < n { (0..m, range) } else { (range, 0..n) };
            // SAFETY: both factors were checked to lie inside their buffers, and the
            // rows and columns lie inside both. `out` holds m x n elements in
            // row-major order; as a unique borrow it overlaps neither factor, and
            // each of its elements lies in one stripe alone.
            unsafe {
                // The transposed product, b^T a^T: the library's kernels write columns,
                // and the rows of the result are those.
                T::gemm()(
                    columns.len(),
                    rows.len(),
                    k,
                    out.pointer().add(rows.start * n + columns.start),
                    n as isize,
                    1,
                    before == Before::AddedTo,
                    b.data
                        .as_ptr()
                        .offset(b.start + columns.start as isize * b.factor.column_stride),
                    b.factor.row_stride,
                    b.factor.column_stride,
                    a.data.as_ptr().offset(a.start + rows.start as isize * a.factor.row_stride),
                    a.factor.row_stride,
                    a.factor.column_stride,
                    if before == Before::AddedTo { T::one() } else { T::zero() },
                    T::one(),
                    false,
                    false,
                    false,
                    Parallelism::None,
                );
            }
        }
    });
}

/// The product by plain loops, the terms of each element from the first to the last.
#[inline]
fn tiny<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], before: Before) {
    let (left, right) = (a.factor, b.factor);
    let expected = (left.columns, left.rows * right.columns);
    assert_eq!((right.rows, out.len()), expected, "the factors and the result do not fit");
    a.check();
    b.check();
    for i in 0..left.rows {
        for j in 0..right.columns {
            let row = a.start + i as isize * left.row_stride;
            let column = b.start + j as isize * right.column_stride;
            // SAFETY: `i < left.rows`, `j < right.columns`, and `l` is less than the extent that
            // both factors have in common: elements of the factors, which were checked to
            // lie inside their buffers, and one of the rows x columns of the result.
            unsafe {
                let term = |l: isize| {
                    *a.data.get_unchecked((row + l * left.column_stride) as usize)
                        * *b.data.get_unchecked((column + l * right.row_stride) as usize)
                };
                let mut sum = if left.columns == 0 { T::zero() } else { term(0) };
                for l in 1..left.columns as isize {
                    sum += term(l);
                }
                let result = out.get_unchecked_mut(i * right.columns + j);
                *result = if before == Before::AddedTo { *result + sum } else { sum };
            }
        }
    }
}

/// A tiny product of factors that lie before the result in one memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortProduct {
    pub(crate) left: (usize, Factor),
    pub(crate) right: (usize, Factor),
    pub(crate) out: usize,
}

impl ShortProduct {
    #[inline]
    pub(crate) fn run<T: Real>(&self, memory: &mut [T]) {
        let (earlier, out) = memory.split_at_mut(self.out);
        let matrix = |(start, factor): (usize, Factor)| Matrix {
            data: earlier,
            start: start as isize,
            factor,
        };
        let len = self.left.1.rows * self.right.1.columns;
        tiny(matrix(self.left), matrix(self.right), &mut out[..len], Before::Overwritten);
    }
}

/// A left and a right factor.
fn matrices<'a, T: Real>(a: &View<'a, T>, b: &View<'a, T>) -> [Matrix<'a, T>; 2] {
    let matrix = |view: &View<'a, T>, factor| Matrix {
        data: view.data(),
        start: view.offset() as isize,
        factor,
    };
    [matrix(a, Factor::left(a.layout())), matrix(b, Factor::right(b.layout()))]
}

/// Adds the product of two matrices to `sum`, without a pass of its own: an adjoint
/// that is a sum of products is added up where the library writes.
pub(crate) fn add_matmul<T: Real>(a: View<'_, T>, b: View<'_, T>, sum: &mut [T]) {
    let [left, right] = matrices(&a, &b);
    product(left, right, sum, Before::AddedTo);
}

/// Writes the product of the last two axes to `out`, for every index of the
/// leading axes, which broadcast. A vector on the left is a row, one on the
/// right a column.
pub(crate) fn matmul<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    let factors = matrices(&a, &b);
    products(a, b, factors, out);
}

/// The same with the matrices on the right transposed.
pub(crate) fn matmul_transposed<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    let [left, right] = matrices(&a, &b);
    products(a, b, [left, Matrix { factor: right.factor.turned(), ..right }], out);
}

/// The products of two matrices for every index of the leading axes.
fn products<'a, T: Real>(
    a: View<'a, T>,
    b: View<'a, T>,
    [left, right]: [Matrix<'a, T>; 2],
    out: &mut [T],
) {
    if a.shape().rank() <= 2 && b.shape().rank() <= 2 {
        return product(left, right, out, Before::Overwritten);
    }
    let (batch_a, batch_b) = (a.layout().leading(2), b.layout().leading(2));
    let batch = batch_a.shape().broadcast(batch_b.shape()).expect("the shape rule has passed");
    let starts = |layout: &Layout, offset: usize| -> SmallVec<[isize; 16]> {
        let layout = layout.broadcast_to(&batch);
        Rows::new(&layout, offset).places().map(|place| place as isize).collect()
    };
    let (starts_a, starts_b) = (starts(&batch_a, a.offset()), starts(&batch_b, b.offset()));
    let size = left.factor.rows * right.factor.columns;
    if size == 0 {
        return;
    }
    let each = |first: usize, out: &mut [T]| {
        let starts = starts_a[first / size..].iter().zip(&starts_b[first / size..]);
        for (out, (&a, &b)) in out.chunks_exact_mut(size).zip(starts) {
            let (left, right) = (Matrix { start: a, ..left }, Matrix { start: b, ..right });
            product(left, right, out, Before::Overwritten);
        }
    };
    // A few large products are shared out themselves.
    let work = work::<T>(left.factor.columns * out.len());
    if starts_a.len() < threads::pieces(work) {
        each(0, out);
    } else {
        threads::for_each_piece(work, out, size, each);
    }
}
