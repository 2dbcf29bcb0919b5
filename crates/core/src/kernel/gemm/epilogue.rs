//! Products whose elements go on into a function while they are in the cache.
//!
//! Elementwise functions that alone read a product can read each of its tiles as soon as it is
//! computed. The next tile then takes its place, and the product needs no memory of its size. So the update
//! of a weight follows its gradient, and an activation its layer's product. Libraries of products call such a
//! function an epilogue.
//!
//! *Invariant*: the bits are those of [the product](super::product), since a tile's terms are added in
//! the same order.

use smallvec::SmallVec;

use super::blocked::{self, Behind, DEPTH};
use super::matrix::{Before, Matrix, MatrixLayout};
use super::{LONG, Stripe, Stripes, Target};
use crate::scalar::Real;

tuned! {
    /// The fewest columns: a function that is called for a few elements spends its time with the call.
    const NARROWEST = 128, tiny 2;
    /// Stripes of this many columns or rows lose little time with short pieces of rows, or with laying out all
    /// columns.
    const WIDE = 1024, tiny 8;
    /// How many times as many columns as rows a product may have that is cut by rows.
    const FEW_TIMES = 4, tiny 1;
}

impl MatrixLayout {
    /// Whether functions can go on behind the tiles of the product with another factor.
    pub(crate) fn has_epilogue(&self, right: &MatrixLayout) -> bool {
        self.is_blocked(right) && self.columns <= LONG && right.columns >= NARROWEST
    }

    /// Whether the product needs memory for that: its tiles are not added up at once.
    pub(crate) fn is_stored(&self) -> bool {
        self.columns > DEPTH
    }
}

/// Computes a product of two matrices, and goes on with its elements.
///
/// `begin` makes an epilogue for each stripe that a thread computes. An epilogue gets the number of a first
/// element, in row-major order, some elements of the product from there on, and the same ones of each of
/// the `results`, which are as long as the product. Each element is in one call. `work` are the nanoseconds
/// that all calls are thought to take.
///
/// `stored` is memory for the product, where it [needs](MatrixLayout::is_stored) some. `operands` are arrays as
/// long as the product that an epilogue reads: the CPU fetches them while tiles are computed.
///
/// # Panics
/// If the factors do not fit or [have no epilogue](MatrixLayout::has_epilogue), if they lie outside of
/// their buffers, if a result or the memory has another length, or if there is no memory where it is needed.
pub(crate) fn product_then<T: Real, E: FnMut(usize, &[T], &mut [&mut [T]])>(
    [left, right]: [Matrix<'_, T>; 2],
    stored: Option<&mut [T]>,
    operands: &[&[T]],
    results: &mut [&mut [T]],
    work: usize,
    begin: impl Fn() -> E + Sync,
) {
    let (m, k, n) = (left.factor.rows, left.factor.columns, right.factor.columns);
    assert_eq!(right.factor.rows, k, "the factors do not fit");
    assert!(left.factor.has_epilogue(&right.factor), "a product by blocks");
    assert!(results.iter().all(|result| result.len() == m * n), "a result for each element");
    let is_stored = stored.is_some();
    assert!(is_stored || !left.factor.is_stored(), "memory for the product");
    assert!(stored.as_ref().is_none_or(|memory| memory.len() == m * n), "memory for all of it");
    left.check();
    right.check();
    let out = Target(stored.map_or(std::ptr::null_mut(), |memory| memory.as_mut_ptr()));
    let results: SmallVec<[Target<T>; 4]> =
        results.iter_mut().map(|result| Target(result.as_mut_ptr())).collect();
    // Rows of a stripe lie side by side in all arrays, and threads write nothing near to each other. But
    // each stripe of rows lays out all columns of the right factor. That pays where each stripe of columns
    // would lay out all rows of the left one.
    let are_columns = n >= m && (left.factor.column_stride == 1 || n > FEW_TIMES * m);
    let stripes = Stripes { are_columns, wide: WIDE, more: work };
    stripes.for_each::<T>([m, k, n], |rows, columns| {
        let start = rows.start * n + columns.start;
        let mut epilogue = begin();
        let mut next = |place: usize, elements: &[T]| {
            let mut own: SmallVec<[&mut [T]; 4]> = SmallVec::new();
            for result in &results {
                // SAFETY: the elements lie in the stripe, the stripe lies in the product, and each result
                // has as many elements as the product. The results are borrowed exclusively, each element
                // is in one call for one stripe, and the slices end with the call.
                own.push(unsafe {
                    let first = result.pointer().add(start + place);
                    std::slice::from_raw_parts_mut(first, elements.len())
                });
            }
            epilogue(start + place, elements, &mut own);
        };
        let arrays = operands.iter().map(|operand| operand.as_ptr());
        let arrays = arrays.chain(results.iter().map(|result| result.pointer().cast_const()));
        let arrays: SmallVec<[*const T; 8]> =
            arrays.map(|array| array.wrapping_add(start)).collect();
        let behind = Behind { is_stored, arrays: &arrays, next: &mut next };
        let before = Before::Overwritten;
        let stripe = Stripe { left, right, rows, columns, before };
        // SAFETY: both factors were checked to lie inside their buffers, and the rows and columns lie
        // inside both. The result is not written, or `out` holds m x n elements in row-major order,
        // which are borrowed exclusively, and each of them lies in one stripe alone.
        unsafe { blocked::product(stripe.product(out.pointer()), Some(behind)) };
    });
}
