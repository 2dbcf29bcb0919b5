//! The order of a row.
//!
//! Elements are sorted as integers that compare as they do, each beside its place:
//! no comparison meets a NaN, and none is a branch on floats. The place decides among
//! equal elements, so the order is stable though the algorithm is not.

use std::cell::RefCell;

use super::reduce::largest_of;
use crate::scalar::{Real, vectorised};

tuned! {
    /// Elements whose largest one vectors find, before the next ones are looked at.
    const STRETCH = 512, tiny 4;
    /// Shorter rows are looked at one element after the other.
    const SHORT = 32, tiny 2;
    /// Elements that are asked together whether one is the largest.
    const FEW = 16, tiny 2;
}

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

/// The place of the largest element, the first one if several are equal. NaN counts as the largest.
///
/// Vectors find the largest element of each stretch. One stretch is searched for its place.
///
/// # Panics
/// If there is no element.
pub(crate) fn first_largest<T: Real>(row: &[T]) -> usize {
    if row.len() < SHORT {
        return first(row, true);
    }
    vectorised(
        row.len(),
        #[inline(always)]
        || {
            let (mut largest, mut start) = (row[0], 0);
            for (number, stretch) in row.chunks(STRETCH).enumerate() {
                let has_nan = stretch.iter().fold(false, |has, x| has | x.is_nan());
                let own = if has_nan { T::nan() } else { largest_of(stretch, largest, |x| x) };
                if has_nan || own > largest {
                    (largest, start) = (own, number * STRETCH);
                }
                if has_nan {
                    break;
                }
            }
            let is_largest = |x: T| x == largest || x.is_nan();
            // All of a few are asked, without a branch, so that vectors do it.
            let has_largest = |xs: &[T]| xs.iter().fold(false, |has, &x| has | is_largest(x));
            let found = row[start..].chunks(FEW).position(has_largest);
            start += FEW * found.expect("it is one of the elements");
            start + row[start..].iter().position(|&x| is_largest(x)).expect("it is one of the few")
        },
    )
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
        let place = if descending { first_largest(row) } else { self::first(row, false) };
        *first = T::from_f64(place as f64);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// By comparing one element after the other.
    fn naive(row: &[f32]) -> usize {
        let precedes = |a: f32, b: f32| a > b || (a.is_nan() && !b.is_nan());
        (1..row.len()).fold(0, |first, i| if precedes(row[i], row[first]) { i } else { first })
    }

    #[test]
    fn the_first_of_the_largest_is_found_wherever_it_stands() {
        let around = |size: usize| [size - 1, size, size + 1];
        let lens = [FEW, SHORT, SHORT + FEW, STRETCH, STRETCH + FEW, 3 * STRETCH].map(around);
        let values = [0.0, -0.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        for len in lens.into_iter().flatten().chain([1, 2, 3]) {
            let step = (len / 40).max(1);
            for (value, filling) in values.iter().flat_map(|&value| values.map(|f| (value, f))) {
                for at in (0..len).step_by(step).chain([len - 1]) {
                    // The value stands there, and again at every seventh place from there on.
                    let mut row = vec![filling; len];
                    row.iter_mut().skip(at).step_by(7).for_each(|x| *x = value);
                    let found = first_largest(&row);
                    assert_eq!(found, naive(&row), "{value} from {at} on in {len} of {filling}");
                }
            }
            let row: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin()).collect();
            assert_eq!(first_largest(&row), naive(&row), "{len} sines");
        }
    }
}
