//! The sum over patches where these are few beside the filters.
//!
//! The sums of all filters at the points would pass through memory, time and again. The patches of all
//! images are fewer numbers: they all go to the points first, and then some filters after the other
//! take their sums over them, which come back to the window at once.

use super::patches::Patches;
use super::points::POINTS;
use super::weights::{Gather, Multiply, Points, ROWS, Sizes, Source};
use crate::kernel::convolution::Geometry;
use crate::kernel::convolution::tile::width;
use crate::kernel::threads;
use crate::scalar::{ARCH, Aligned, Real};

tuned! {
    /// Numbers of the input's patches that stay near while all features take them.
    const NEAR = 1 << 17, tiny 1;
}

/// Writes the sum of the products of all images to `out`.
pub(super) fn accumulate<T: Real>(
    geometry: &Geometry,
    patches: &Patches,
    x: &[T],
    y: &[T],
    out: &mut [T],
) {
    let &Geometry { images, groups, features, .. } = geometry;
    let sizes = Sizes::new::<T>(geometry);
    let together = patches.together();
    let [from, to] = [geometry.input(), geometry.output()].map(|size| size * groups * together);
    let list = patches.list();
    let mut blocks: Vec<Points<T>> = Vec::new();
    blocks.resize_with(images.div_ceil(together), || Points::new(sizes));
    for (group, out) in out.chunks_exact_mut(features * geometry.taps()).enumerate() {
        let images = x.chunks(from).zip(y.chunks(to));
        threads::share(geometry.work::<T>(), blocks.iter_mut().zip(images), |blocks| {
            let mut source = Source::new(geometry, patches);
            for (points, (x, y)) in blocks {
                source.fill(group, x, y);
                source.transform(&list[..x.len() * list.len() / from], points);
            }
        });
        // Channels whose sums are taken together.
        let all = blocks.len() * list.len() * POINTS * POINTS;
        let width = width::<T>();
        let span = (NEAR / all).next_multiple_of(width).clamp(width, sizes.channel_row);
        let filters = geometry.taps();
        threads::for_each_piece(geometry.work::<T>(), out, ROWS * filters, |start, out| {
            let mut sums = Aligned::zeros(POINTS * POINTS * distance(span));
            for channel in (0..geometry.channels).step_by(span) {
                for (number, out) in out.chunks_mut(ROWS * filters).enumerate() {
                    let first = [start / filters + number * ROWS, channel];
                    sum_filters(geometry, patches, &blocks, first, span, &mut sums, out);
                }
            }
        });
    }
}

/// From the sums of a tile's features at a point to those at the next: a cache line more than they are.
fn distance(span: usize) -> usize {
    ROWS * span + 16
}

/// Writes the sums of a tile's features and of `span` channels, at most, which begin at `first`, to the
/// features' filters. `sums` is room for them at the points.
fn sum_filters<T: Real>(
    geometry: &Geometry,
    patches: &Patches,
    blocks: &[Points<T>],
    first: [usize; 2],
    span: usize,
    sums: &mut [T],
    out: &mut [T],
) {
    let channels = span.min(geometry.channels - first[1]);
    let (filters, distance) = (geometry.taps(), distance(span));
    let counts = [out.len() / filters, channels];
    ARCH.dispatch(Multiply { blocks, first, counts, sums, row: span, distance, adds: false });
    for (row, out) in out.chunks_exact_mut(filters).enumerate() {
        let out = &mut out[first[1] * patches.taps() * patches.taps()..];
        ARCH.dispatch(Gather { patches, channels, sums: &sums[row * span..], distance, out });
    }
}
