//! The order of a row.
//!
//! Elements are sorted as integers that compare as they do, each beside its place:
//! no comparison meets a NaN, and none is a branch on floats. The place decides among
//! equal elements, so the order is stable though the algorithm is not.

use std::cell::RefCell;

use crate::scalar::Real;

thread_local! {
    /// The keys of the row that is being ordered, kept so that the next row, and the
    /// next step of a program, needs no memory.
    static KEYS: RefCell<Vec<(u64, u32)>> = const { RefCell::new(Vec::new()) };
}

/// An integer that compares as the number does. Zeros of either sign are equal, and
/// so are NaNs, which are the largest.
#[inline]
fn key<T: Real>(x: T) -> u64 {
    const SIGN: u64 = 1 << 63;
    // Adding 0 takes the sign off a zero.
    let bits = (x.as_f64() + 0.0).to_bits();
    if x.is_nan() {
        u64::MAX
    } else if bits & SIGN == 0 {
        bits | SIGN
    } else {
        !bits
    }
}

/// The place of the first element in order. There is one.
fn first<T: Real>(row: &[T], descending: bool) -> usize {
    let precedes = |a: T, b: T| match descending {
        true => a > b || (a.is_nan() && !b.is_nan()),
        false => a < b || (b.is_nan() && !a.is_nan()),
    };
    (1..row.len()).fold(0, |first, i| if precedes(row[i], row[first]) { i } else { first })
}

/// Writes the indices of the first elements of a row in ascending or descending order,
/// as many as `out` has room for.
///
/// # Panics
/// If the row is longer than numbers of this precision count.
pub(crate) fn indices<T: Real>(row: &[T], descending: bool, out: &mut [T]) {
    assert!(
        row.len() as f64 <= 2.0 / T::epsilon().as_f64() && u32::try_from(row.len()).is_ok(),
        "the indices in a row of {} elements are no numbers of type {}",
        row.len(),
        T::NAME
    );
    if out.is_empty() {
        return;
    }
    if let [first] = out {
        *first = T::from_f64(self::first(row, descending) as f64);
        return;
    }
    let flip = if descending { u64::MAX } else { 0 };
    let keys = row.iter().enumerate().map(|(place, &x)| (key(x) ^ flip, place as u32));
    KEYS.with_borrow_mut(|sorted| {
        sorted.clear();
        sorted.extend(keys);
        let count = out.len();
        if count < sorted.len() {
            sorted.select_nth_unstable(count - 1);
        }
        sorted[..count].sort_unstable();
        for (y, (_, place)) in out.iter_mut().zip(sorted) {
            *y = T::from_f64(f64::from(*place));
        }
    });
}
