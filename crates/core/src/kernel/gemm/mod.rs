//! Matrix products.
//!
//! The gemm library's micro-kernels compute tiles of the result, in loops of our own
//! ([blocked]). Products with a vector, of two terms, and small results of
//! long rows go to the library as they are: it has kernels for those. [Tiny](tiny) ones are
//! three plain loops, and those of one term [broadcast products](outer). Strides are passed on, so that
//! transposes never copy.
//!
//! Threads take whole products of a batch, or stripes of a product. What a stripe
//! gives does not depend on where it is cut, since the terms of
//! an element are added up in an order that depends on their number alone (a test holds it to
//! that).

pub(super) mod blocked;
pub(super) mod epilogue;
mod matrix;
mod outer;
pub(super) mod pack;
pub(super) mod tiny;

use std::ops::Range;

use smallvec::SmallVec;

pub(super) use blocked::Parts;
pub(crate) use epilogue::product_then;
pub(crate) use matrix::MatrixLayout;
pub(crate) use tiny::ShortProduct;

pub(super) use matrix::Before;
pub(crate) use matrix::{Matrix, factors};

use super::threads::{self, Cut};
use crate::scalar::Real;
use crate::scalar::micro::{Lines, Product};
use crate::tensor::{Layout, Rows, View};

tuned! {
    /// Up to this many elements of a result the library's kernels for long rows win.
    const FEW = 256, tiny 4;
    /// Up to this many elements an outer product of vectors is two plain loops.
    const PLAIN = 64, tiny 2;
    /// The fewest columns or rows of a stripe.
    const NARROWEST = 64, tiny 2;
    /// Stripes of this many columns or rows lose little time with laying out the other
    /// factor, which each of them does for itself.
    const WIDE = 256, tiny 4;
    /// The most terms of which a product is one sum: the products of more are added in double
    /// precision, part by part. In a part, sums of [`blocked`]'s depth are added one to the other.
    const LONG = 1 << 14, tiny 8;
    /// The same for the library's kernels, which add term by term.
    const LONG_FOR_LIBRARY = 1 << 11, tiny 4;
}

/// Nanoseconds that some multiplications are thought to take.
pub(super) fn work<T>(multiplications: usize) -> usize {
    multiplications * size_of::<T>() / 400
}

/// Whether a product is left to the library as a whole: it has ways of its own for
/// those with a vector, of one or two terms, and of few long rows and columns.
fn is_for_library(a: &MatrixLayout, b: &MatrixLayout) -> bool {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    m.min(n) == 1 || k <= 2 || (m * n <= FEW && a.column_stride == 1 && b.row_stride == 1)
}

impl MatrixLayout {
    /// Whether the product with another factor goes by the loops in [blocked], whose sums do
    /// not depend on how the factors lie.
    pub(crate) fn is_blocked(&self, right: &MatrixLayout) -> bool {
        !self.is_tiny(right) && !is_for_library(self, right)
    }
}

/// How a product is cut into stripes.
struct Stripes {
    are_columns: bool,
    /// The columns or rows of a stripe that are enough: it has fewer where threads would have none.
    wide: usize,
    /// Nanoseconds that are spent on the whole result, besides the product.
    more: usize,
}

impl Stripes {
    /// Calls `compute` with the rows and columns of each stripe of a product of m x k and k x n elements, on
    /// several threads if it is long.
    fn for_each<T: Real>(
        self,
        [m, k, n]: [usize; 3],
        compute: impl Fn(Range<usize>, Range<usize>) + Sync,
    ) {
        let Self { are_columns, wide, more } = self;
        let work = work::<T>(m * k * n) + more;
        let (whole, panel) = if are_columns { (n, T::micro().columns()) } else { (m, 16) };
        let Cut { threads, pieces } = Cut::of(work);
        let wanted = (whole / wide).clamp(threads, pieces).next_multiple_of(threads);
        let count = wanted.min(whole / NARROWEST).max(1);
        // Whole panels, as far as there are several for each stripe.
        let unit = if whole >= 2 * panel * count { panel } else { 16 };
        let cut = |stripe: usize| whole.min(whole.div_ceil(unit) * stripe / count * unit);
        threads::share(work, 0..count, |own| {
            for stripe in own {
                let range = cut(stripe)..cut(stripe + 1);
                let (rows, columns) = if are_columns { (0..m, range) } else { (range, 0..n) };
                compute(rows, columns);
            }
        });
    }
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

/// Writes `a b` to `out`, row-major, or adds it.
pub(super) fn product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], before: Before) {
    let terms = a.factor.columns;
    if terms <= LONG_FOR_LIBRARY || b.factor.rows != terms {
        return short_product(a, b, out, before);
    }
    let most = if is_for_library(&a.factor, &b.factor) { LONG_FOR_LIBRARY } else { LONG };
    if terms <= most {
        return short_product(a, b, out, before);
    }
    let mut sums: SmallVec<[f64; 64]> = match before {
        Before::Overwritten => SmallVec::from_elem(0.0, out.len()),
        Before::AddedTo => out.iter().map(|x| x.as_f64()).collect(),
    };
    for (first, terms) in Parts::of(terms, most).iter() {
        let (a, b) = (a.columns(first, terms), b.rows(first, terms));
        short_product(a, b, out, Before::Overwritten);
        sums.iter_mut().zip(&*out).for_each(|(sum, x)| *sum += x.as_f64());
    }
    out.iter_mut().zip(&sums).for_each(|(x, &sum)| *x = T::from_f64(sum));
}

/// The same, whose terms are one sum.
fn short_product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], before: Before) {
    let (m, k, n) = (a.factor.rows, a.factor.columns, b.factor.columns);
    // The result's elements were counted when its shape was inferred, so `m * n` is no other number.
    assert_eq!((b.factor.rows, out.len()), (k, m * n), "the factors and the result do not fit");
    if out.is_empty() {
        return;
    }
    if a.factor.is_tiny(&b.factor) {
        return tiny::product(a, b, out, before);
    }
    a.check();
    b.check();
    if k == 1 && before == Before::Overwritten {
        return outer::product(a, b, out);
    }
    if is_for_library(&a.factor, &b.factor) {
        let whole = Stripe { left: a, right: b, rows: 0..m, columns: 0..n, before };
        // SAFETY: both factors were checked to lie inside their buffers, and fit each other. `out`
        // holds m x n elements in row-major order; as a unique borrow it overlaps neither factor.
        return unsafe { (T::micro().library)(whole.product(out.as_mut_ptr())) };
    }
    let out = Target(out.as_mut_ptr());
    // Each stripe of columns lays out its own columns alone.
    let stripes = Stripes { are_columns: n >= m, wide: WIDE, more: 0 };
    stripes.for_each::<T>([m, k, n], |rows, columns| {
        let stripe = Stripe { left: a, right: b, rows, columns, before };
        // SAFETY: both factors were checked to lie inside their buffers, and the
        // rows and columns lie inside both. `out` holds m x n elements in
        // row-major order; as a unique borrow it overlaps neither factor, and
        // each of its elements lies in one stripe alone.
        unsafe { blocked::product(stripe.product(out.pointer()), None) };
    });
}

/// Some rows and columns of a product.
struct Stripe<'a, T> {
    left: Matrix<'a, T>,
    right: Matrix<'a, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    before: Before,
}

impl<T> Stripe<'_, T> {
    /// As the loops take it; `out` is where the whole result begins.
    ///
    /// # Safety
    /// Both factors lie inside their buffers, the stripe's rows are rows of `left`, its columns are
    /// columns of `right`, and `out` points to as many elements as the whole result has, if the result
    /// is written.
    unsafe fn product(self, out: *mut T) -> Product<T> {
        let Self { left: a, right: b, rows, columns, before } = self;
        let (left, right) = (a.factor, b.factor);
        let row = a.start + rows.start as isize * left.row_stride;
        let column = b.start + columns.start as isize * right.column_stride;
        // SAFETY: the first row and the first column lie in the factors; where the stripe has none,
        // nothing is read, and the offset is at most one line behind.
        let (a, b) = unsafe { (a.data.as_ptr().offset(row), b.data.as_ptr().offset(column)) };
        let first = rows.start * right.columns + columns.start;
        Product {
            rows: rows.len(),
            terms: left.columns,
            columns: columns.len(),
            left: Lines { start: a, step: left.row_stride, term: left.column_stride },
            right: Lines { start: b, step: right.column_stride, term: right.row_stride },
            out: out.wrapping_add(first),
            out_row: right.columns,
            adds: before == Before::AddedTo,
        }
    }
}

/// A left and a right factor: the last two axes of each.
fn matrices<'a, T: Real>(a: &View<'a, T>, b: &View<'a, T>) -> [Matrix<'a, T>; 2] {
    [Matrix::of(a, MatrixLayout::left(a.layout())), Matrix::of(b, MatrixLayout::right(b.layout()))]
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
    products(a, b, |right| right, out);
}

/// The same with the matrices on the right transposed.
pub(crate) fn matmul_transposed<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    products(a, b, MatrixLayout::transposed, out);
}

/// Writes a matrix column by column to `out`, each in `width` elements, of which those behind the last row
/// become 0.
///
/// # Panics
/// If there are fewer than the rows filled up to whole vectors, or `out` has not as many elements.
pub(super) fn transpose<T: Real>(matrix: Matrix<'_, T>, width: usize, out: &mut [T]) {
    matrix.check();
    let MatrixLayout { rows, columns, row_stride, column_stride } = matrix.factor;
    let start = matrix.data.as_ptr().wrapping_offset(matrix.start);
    let lines = Lines { start, step: row_stride, term: column_stride };
    // SAFETY: the matrix was checked to lie inside its buffer, so that each row is a line of as many terms
    // as there are columns; `micro` gives kernels that this CPU can run.
    unsafe { T::micro().pack(lines, rows, columns, width, out) };
}

/// The product of a vector as a column and a vector as a row.
pub(crate) fn outer<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    let factor = |view: &View<'_, T>| MatrixLayout::left(view.layout());
    let (column, row) = (factor(&a).transposed(), factor(&b));
    if out.len() > PLAIN {
        let [column, row] = [Matrix::of(&a, column), Matrix::of(&b, row)];
        return product(column, row, out, Before::Overwritten);
    }
    let columns = row.columns.max(1);
    for (i, out) in out.chunks_exact_mut(columns).enumerate() {
        let x = a.data()[column.at(a.offset(), i, 0)];
        for (j, y) in out.iter_mut().enumerate() {
            *y = x * b.data()[row.at(b.offset(), 0, j)];
        }
    }
}

/// The products of two matrices for every index of the leading axes, where the right ones are `turned`.
fn products<T: Real>(
    a: View<'_, T>,
    b: View<'_, T>,
    turned: fn(MatrixLayout) -> MatrixLayout,
    out: &mut [T],
) {
    if let Some([left, right]) = factors(a.layout(), b.layout()) {
        let (left, right) = (Matrix::of(&a, left), Matrix::of(&b, turned(right)));
        return product(left, right, out, Before::Overwritten);
    }
    let [left, right] = matrices(&a, &b);
    let right = Matrix { factor: turned(right.factor), ..right };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::micro::{Micro, doubles, singles};

    impl<T> Matrix<'_, T> {
        fn part(self, rows: Range<usize>, columns: Range<usize>) -> Self {
            let MatrixLayout { row_stride, column_stride, .. } = self.factor;
            let moved = rows.start as isize * row_stride + columns.start as isize * column_stride;
            let factor = MatrixLayout { rows: rows.len(), columns: columns.len(), ..self.factor };
            Self { start: self.start + moved, factor, ..self }
        }
    }

    const SHAPES: [[usize; 3]; 7] = [
        [9, 8, 8],
        [2, 70, 33],
        [16, 40, 16],
        [13, 530, 70],
        [70, 3, 530],
        [97, 65, 130],
        [300, 7, 41],
    ];

    fn numbers<T: Real>(len: usize, seed: usize) -> Vec<T> {
        (0..len)
            .map(|i| T::from_f64(((i * 7919 + seed * 104_729) % 1009) as f64 / 504.0 - 1.0))
            .collect()
    }

    /// A matrix by rows, or by columns.
    fn matrix<T>(data: &[T], rows: usize, columns: usize, is_transposed: bool) -> Matrix<'_, T> {
        let by_rows = |rows, columns| MatrixLayout {
            rows,
            columns,
            row_stride: columns as isize,
            column_stride: 1,
        };
        let factor = if is_transposed {
            by_rows(columns, rows).transposed()
        } else {
            by_rows(rows, columns)
        };
        Matrix { data, start: 0, factor }
    }

    fn any_layout_gives_three_loops<T: Real>(micro: Micro<T>) {
        let cases =
            SHAPES.into_iter().flat_map(|shape| (0..8).map(move |layouts| (shape, layouts)));
        for ([m, k, n], layouts) in cases {
            let (a, b) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2));
            let left = matrix(&a, m, k, layouts & 1 > 0);
            let right = matrix(&b, k, n, layouts & 2 > 0);
            let before = if layouts & 4 > 0 { Before::AddedTo } else { Before::Overwritten };
            let start = numbers::<T>(m * n, 3);
            let (mut fast, mut plain) = (start.clone(), start);
            let stripe = Stripe { left, right, rows: 0..m, columns: 0..n, before };
            // SAFETY: the factors and the result have these extents.
            unsafe { blocked::product_by(micro, stripe.product(fast.as_mut_ptr()), None) };
            tiny::product(left, right, &mut plain, before);
            // Both orders of k terms of at most 4 are off by k rounding errors of 4 k at most.
            let allowed = (8 * k * k) as f64 * T::epsilon().as_f64();
            for (x, y) in fast.iter().zip(&plain) {
                let error = (x.as_f64() - y.as_f64()).abs();
                assert!(error <= allowed, "{m} {k} {n}, layouts {layouts}: {x} and {y}");
            }
        }
    }

    #[test]
    fn products_of_any_layout_are_three_loops_on_any_cpu() {
        singles::all().for_each(any_layout_gives_three_loops);
        doubles::all().for_each(any_layout_gives_three_loops);
    }

    /// What makes it right to share out stripes, and to choose for each how its factors
    /// are laid out.
    #[test]
    fn a_part_of_a_product_has_the_bits_of_the_whole() {
        let [m, k, n] = [130, 530, 200];
        let (a, b) = (numbers::<f32>(m * k, 1), numbers::<f32>(k * n, 2));
        for layouts in 0..4 {
            let (left, right) =
                (matrix(&a, m, k, layouts & 1 > 0), matrix(&b, k, n, layouts & 2 > 0));
            let mut whole = vec![0.0; m * n];
            product(left, right, &mut whole, Before::Overwritten);
            for (rows, columns) in
                [(0..130, 17..150), (37..90, 0..200), (100..103, 5..180), (1..129, 64..128)]
            {
                let own_left = left.part(rows.clone(), 0..k);
                let own_right = right.part(0..k, columns.clone());
                let mut out = vec![0.0; rows.len() * columns.len()];
                product(own_left, own_right, &mut out, Before::Overwritten);
                for (i, row) in rows.clone().enumerate() {
                    let expected = &whole[row * n..][columns.clone()];
                    let got = &out[i * columns.len()..][..columns.len()];
                    assert!(expected.iter().zip(got).all(|(x, y)| x.to_bits() == y.to_bits()));
                }
            }
        }
    }
}
