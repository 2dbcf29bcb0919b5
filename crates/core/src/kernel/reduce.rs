//! Sums, with an order of additions that depends on the shape alone.
//!
//! Long sums are pairwise: the error grows with the logarithm of the length
//! rather than with the length itself, at the speed of a plain loop (Higham,
//! *Accuracy and Stability of Numerical Algorithms*, section 4.2).

use smallvec::SmallVec;

use super::rows::Rows;
use super::vectorised;
use crate::Real;
use crate::tensor::View;

/// Numbers that are added in one go at the leaves of the pairwise tree.
pub(super) const LEAF: usize = 128;
/// Partial sums kept side by side in a leaf, so that additions overlap.
const LANES: usize = 16;

/// The sum of a slice.
pub(crate) fn sum<T: Real>(xs: &[T]) -> T {
    vectorised(xs.len(), || pairwise(xs))
}

#[inline(always)]
pub(super) fn leaf<T: Real>(xs: &[T]) -> T {
    if xs.len() < LANES {
        return xs.iter().fold(T::zero(), |sum, &x| sum + x);
    }
    let mut lanes = [T::zero(); LANES];
    let chunks = xs.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(T::zero(), |sum, &x| sum + x);
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            let upper = lanes[i + width];
            lanes[i] += upper;
        }
        width /= 2;
    }
    lanes[0] + rest
}

/// Adds leaves as a binary counter adds digits: `levels[k]` holds a sum of
/// `2^k` leaves. No recursion, so that one loop is compiled per vector width.
#[inline(always)]
fn pairwise<T: Real>(xs: &[T]) -> T {
    if xs.len() <= LEAF {
        return leaf(xs);
    }
    let mut levels = [T::zero(); usize::BITS as usize];
    for (index, chunk) in xs.chunks(LEAF).enumerate() {
        let mut sum = leaf(chunk);
        let carries = (index + 1).trailing_zeros() as usize;
        for level in &levels[..carries] {
            sum = *level + sum;
        }
        levels[carries] = sum;
    }
    let leaves = xs.len().div_ceil(LEAF);
    let mut total = T::zero();
    for (k, &level) in levels.iter().enumerate() {
        if leaves >> k & 1 == 1 {
            total = level + total;
        }
    }
    total
}

/// Sums over `axes`; `out` holds the remaining axes in row-major order.
pub(crate) fn sum_axes<T: Real>(x: View<'_, T>, axes: &[usize], out: &mut [T]) {
    out.fill(T::zero());
    if x.is_empty() || out.is_empty() {
        return;
    }
    if let ([total], Some(slice)) = (&mut *out, x.as_slice()) {
        *total = sum(slice);
        return;
    }
    let rank = x.shape().rank();
    let is_reduced = |axis: usize| axes.contains(&axis);
    let kept = (0..rank).filter(|&axis| !is_reduced(axis));
    let reduced = (0..rank).filter(|&axis| is_reduced(axis));
    let last_is_kept = rank > 0 && !is_reduced(rank - 1) && x.shape()[rank - 1] > 1;
    if last_is_kept {
        // Rows of the result gather rows of the operand: outer axes that are
        // kept, then the reduced ones, then the row itself.
        let order: SmallVec<[usize; 4]> = kept
            .clone()
            .take_while(|&axis| axis + 1 < rank)
            .chain(reduced)
            .chain([rank - 1])
            .collect();
        let layout = x.layout().permuted(&order);
        let width = x.shape()[rank - 1];
        let rows_per_result = x.len() / out.len();
        let x = x.with_layout(&layout, x.offset());
        let mut rows = Rows::new(&layout, x.offset());
        for out in out.chunks_exact_mut(width) {
            for row in rows.by_ref().take(rows_per_result) {
                if row.stride == 1 {
                    let row = &x.data()[row.start as usize..][..width];
                    vectorised(width, || {
                        for (sum, &x) in out.iter_mut().zip(row) {
                            *sum += x;
                        }
                    });
                } else {
                    for (sum, x) in out.iter_mut().zip(row.iter(x.data())) {
                        *sum += x;
                    }
                }
            }
        }
    } else {
        let order: SmallVec<[usize; 4]> = kept.chain(reduced).collect();
        let layout = x.layout().permuted(&order);
        let count = x.len() / out.len();
        let x = x.with_layout(&layout, x.offset());
        if let Some(slice) = x.as_slice() {
            for (sum, xs) in out.iter_mut().zip(slice.chunks_exact(count)) {
                *sum = self::sum(xs);
            }
        } else {
            // Gather each result's numbers, a leaf at a time.
            let mut elements = x.iter();
            let mut leaf = [T::zero(); LEAF];
            for sum in out.iter_mut() {
                let mut rest = count;
                while rest > 0 {
                    let now = rest.min(LEAF);
                    for slot in &mut leaf[..now] {
                        *slot = elements.next().expect("as many elements as the layout has");
                    }
                    *sum += self::sum(&leaf[..now]);
                    rest -= now;
                }
            }
        }
    }
}
