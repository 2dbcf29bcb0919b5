//! From patches of pixels to numbers at the points.
//!
//! Pixels have their channels side by side, so a vector of channels goes through the
//! transforms at once. The numbers of a point lie together, patch by patch, as the
//! products of matrices read them.

use pulp::Simd;

use super::patches::{BLOCK, Patch};
use super::points::{Line, POINTS, both_ways, square};
use crate::kernel::convolution::planes::Planes;
use crate::kernel::convolution::tile::{load_one, store_one};
use crate::scalar::{Real, lanes};

/// From the numbers of [`BLOCK`] patches for one point to those for the next: a cache
/// line more than they are, since lines 4 KiB apart get into each other's way.
pub(super) fn distance(row: usize) -> usize {
    BLOCK * row + 16
}

/// Writes to `data`, for each point, the channels of each patch, in rows of equal length:
/// `map` leads there from `SIZE` pixels along an axis.
#[inline(always)]
#[expect(
    clippy::redundant_closure,
    reason = "a reference to the map is called, and without this CPU's instructions"
)]
pub(super) fn to_points<T: Real, S: Simd, const SIZE: usize>(
    simd: S,
    planes: &Planes<T>,
    patches: &[Patch],
    row: usize,
    data: &mut [T],
    map: impl Fn(Line<T, S>) -> Line<T, S>,
) {
    let (pixels, [channels, line, _]) = (&planes.pixels[..], planes.distances);
    let distance = distance(row);
    let mut half = square::<T, S>(simd);
    for (number, patch) in patches.iter().enumerate() {
        let start = patch.start(planes.distances);
        for channel in (0..channels).step_by(lanes::<T, S>()) {
            let pixels = &pixels[start + channel..];
            let data = &mut data[number * row + channel..];
            both_ways::<T, S, SIZE, POINTS>(
                &mut half,
                #[inline(always)]
                |i, j| load_one::<T, S>(&pixels[i * line + j * channels..]),
                #[inline(always)]
                |values| map(values),
                #[inline(always)]
                |i, values| {
                    for (j, value) in values.into_iter().enumerate() {
                        store_one::<T, S>(value, &mut data[(i * POINTS + j) * distance..]);
                    }
                },
            );
        }
    }
}
