//! The sum over patches where these are few beside the filters.
//!
//! The sums of all filters at the points would pass through memory, time and again. The patches of all
//! images are fewer numbers: they all go to the points first, and then some filters after the other
//! take their sums over them, which come back to the window at once.

use pulp::{Simd, WithSimd};

use super::patches::Patches;
use super::points::POINTS;
use super::weights::{Gather, Points, ROWS, Sizes, Source};
use crate::kernel::convolution::Geometry;
use crate::kernel::convolution::tile::{Tile, vector_width, width};
use crate::kernel::threads;
use crate::scalar::{ARCH, Aligned, Real};

tuned! {
    /// Features whose sums are a piece of work.
    const FEATURES = 64, tiny 4;
    /// Numbers of the input's patches that stay near while those features take them.
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
        let pieces = out.chunks_mut(FEATURES * geometry.taps()).enumerate();
        threads::share(geometry.work::<T>(), pieces, |pieces| {
            // Channels whose sums are taken together.
            let all = blocks.len() * list.len() * POINTS * POINTS;
            let span =
                (NEAR / all).next_multiple_of(width::<T>()).clamp(width::<T>(), sizes.channel_row);
            let mut sums = Aligned::zeros(POINTS * POINTS * (ROWS * span + 16));
            for (number, out) in pieces {
                let first = number * FEATURES;
                let (blocks, sums) = (&blocks[..], &mut sums[..]);
                ARCH.dispatch(Multiply { geometry, patches, blocks, first, span, sums, out });
            }
        });
    }
}

/// The sums of some features.
struct Multiply<'a, T> {
    geometry: &'a Geometry,
    patches: &'a Patches,
    blocks: &'a [Points<T>],
    /// The first of the features.
    first: usize,
    /// Channels whose sums are taken together, and room for these: for each point, a tile's features.
    span: usize,
    sums: &'a mut [T],
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT < 32 {
            self.run::<S, { ROWS / 2 }>(simd);
        } else {
            self.run::<S, ROWS>(simd);
        }
    }
}

impl<T: Real> Multiply<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let Self { geometry, patches, blocks, first, span, sums, out } = self;
        let taps = patches.taps() * patches.taps();
        let distance = sums.len() / (POINTS * POINTS);
        for start in (0..geometry.channels).step_by(span) {
            let channels = span.min(geometry.channels - start);
            for (number, out) in out.chunks_mut(ROWS * geometry.taps()).enumerate() {
                let feature = first + number * ROWS;
                for (point, sums) in sums.chunks_exact_mut(distance).enumerate() {
                    for c in (0..channels).step_by(vector_width::<T, S>()) {
                        let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                        for points in blocks {
                            points.add_to(simd, &mut tile, point, [feature, start + c]);
                        }
                        tile.store(span, &mut sums[c..]);
                    }
                }
                for (row, out) in out.chunks_exact_mut(geometry.taps()).enumerate() {
                    let out = &mut out[start * taps..];
                    let sums = &sums[row * span..];
                    Gather { patches, channels, sums, distance, out }.with_simd(simd);
                }
            }
        }
    }
}
