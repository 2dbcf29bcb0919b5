//! Two-dimensional convolution, and its transposes with respect to either operand.
//!
//! Nothing is laid out as a matrix: the images are copied once, with the channels
//! of a pixel side by side and zeros around ([`planes`]), and a block of sums in
//! registers ([`tile`]) walks them in the order of the window. The convolution and
//! its transpose with respect to the input are one loop ([`correlate`]), which
//! reads by different tables ([`phase`]); the sum over positions is another
//! ([`weights`]). With one line, the same serves sequences.
//!
//! Where many channels meet a window of 3 x 3 or 5 x 5, fewer multiplications do the
//! same ([`winograd`]).
//!
//! Images are independent but for that sum, which adds chunks of a fixed number of
//! images in order: so images are shared out among threads without a change in the
//! last bit.

pub(super) mod correlate;
mod geometry;
mod phase;
pub(super) mod planes;
mod tile;
pub(super) mod weights;
pub(super) mod winograd;

pub(crate) use geometry::Geometry;

use smallvec::SmallVec;

use correlate::{Extents, correlate};
use phase::Reading;
use winograd::Patches;

use super::reduce::largest_of;
use crate::scalar::{Real, dispatched, vectorised};
use crate::tensor::View;

/// Writes the convolution of `x` with weights `w` to `y`.
pub(crate) fn convolve<T: Real>(geometry: &Geometry, x: View<'_, T>, w: View<'_, T>, y: &mut [T]) {
    let extents = Extents::of_input::<T>(geometry);
    let readings = || geometry.slides.map(|slide| Reading::of_input(&slide));
    either_way(&extents, Patches::of_input(geometry), readings, [x, w], y);
}

/// Writes to `x` what the convolution's transpose makes of `y`: its adjoint with
/// respect to the input.
pub(crate) fn transpose<T: Real>(geometry: &Geometry, y: View<'_, T>, w: View<'_, T>, x: &mut [T]) {
    let extents = Extents::of_output::<T>(geometry);
    let readings = || geometry.slides.map(|slide| Reading::of_output(&slide));
    either_way(&extents, Patches::of_output(geometry), readings, [y, w], x);
}

/// Writes a convolution of a source with weights, or the transpose of one.
fn either_way<T: Real>(
    extents: &Extents,
    patches: Option<Patches>,
    readings: impl Fn() -> [Reading; 2],
    [source, weights]: [View<'_, T>; 2],
    result: &mut [T],
) {
    if source.is_empty() || weights.is_empty() || result.is_empty() {
        return result.fill(T::zero());
    }
    let (source, weights) = (source.packed(), weights.packed());
    let [from, to] = extents.image().map(|size| size * extents.groups);
    let images = || source.chunks_exact(from);
    let Some(patches) = patches.filter(|_| is_even(&weights) && images().any(is_even)) else {
        return correlate(extents, readings(), &source, &weights, result);
    };
    winograd::correlate(extents, &patches, &source, &weights, result);
    // Each image for itself, so that none decides on the digits of others.
    for (source, result) in images().zip(result.chunks_exact_mut(to)) {
        if !(is_even(source) && are_finite(result)) {
            correlate(extents, readings(), source, &weights, result);
        }
    }
}

/// Writes to `w` the sum over images of the products of `y` with what the windows
/// cover of `x`: the convolution's adjoint with respect to the weights.
pub(crate) fn weights<T: Real>(geometry: &Geometry, x: View<'_, T>, y: View<'_, T>, w: &mut [T]) {
    if w.is_empty() || x.is_empty() || y.is_empty() {
        return w.fill(T::zero());
    }
    let (x, y) = (x.packed(), y.packed());
    let [from, to] = [geometry.input(), geometry.output()].map(|size| size * geometry.groups);
    let are_even = || x.chunks_exact(from).all(is_even) && y.chunks_exact(to).all(is_even);
    if let Some(patches) = Patches::of_weights(geometry).filter(|_| are_even()) {
        winograd::accumulate(geometry, &patches, &x, &y, w);
        if are_finite(w) {
            return;
        }
    }
    weights::accumulate(geometry, &x, &y, w);
}

tuned! {
    /// Sizes that are compared with the largest: of the largest of as many numbers.
    const PART = 16, tiny 2;
}
/// One of this number of those sizes, at least, is no rounding error beside the largest.
const FEWEST: usize = 4;

/// Whether numbers have so similar sizes that they may be convolved by patches.
///
/// By patches, errors are in proportion to the largest number that a patch reads, whether a
/// result's own window holds it or not: about 16 roundings of it, times the sum of the sizes of
/// the weights. Here, one in [`FEWEST`] parts of [`PART`] numbers has one that is at least 4 square
/// roots of the precision times the largest of all. So half of the digits are right of a result
/// that is made of numbers of such a size.
fn is_even<T: Real>(numbers: &[T]) -> bool {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let mut sizes: SmallVec<[T; 512]> = SmallVec::new();
    dispatched(
        #[inline(always)]
        || {
            for numbers in numbers.chunks(PART * PART) {
                let mut largest = [T::zero(); PART];
                let (rows, rest) = numbers.as_chunks::<PART>();
                for row in rows {
                    for (largest, x) in largest.iter_mut().zip(row) {
                        *largest = larger(*largest, x.abs());
                    }
                }
                for (largest, x) in largest.iter_mut().zip(rest) {
                    *largest = larger(*largest, x.abs());
                }
                sizes.extend_from_slice(&largest[..numbers.len().min(PART)]);
            }
            let precision = T::from_f64(T::epsilon().as_f64().sqrt() * 4.0);
            let least = precision * largest_of(&sizes, T::zero(), |x| x);
            let large: usize = sizes.iter().map(|&size| usize::from(size >= least)).sum();
            large * FEWEST >= sizes.len()
        },
    )
}

/// Whether no result is infinite or NaN. By patches, one such operand reaches results
/// that it has no part in; the direct loops, which then have to follow, keep it apart.
fn are_finite<T: Real>(results: &[T]) -> bool {
    results.chunks(1024).all(|results| {
        vectorised(
            results.len(),
            #[inline(always)]
            || results.iter().fold(true, |all, x| all & x.is_finite()),
        )
    })
}
