//! The weights of a convolution at the points.
//!
//! A vector of features goes through the transforms at once, so weights are first laid out with the
//! features of a tap side by side.

use pulp::{Simd, WithSimd};

use super::patches::Patches;
use super::points::{POINTS, SHARES, both_ways, evaluate, scaled, square};
use crate::kernel::convolution::correlate::Extents;
use crate::kernel::convolution::tile::{load_one, store_one, vector_width, width};
use crate::kernel::threads;
use crate::scalar::micro::transpose;
use crate::scalar::{ARCH, Aligned, Real, lanes};

/// Nanoseconds that the factors of a filter of one channel are thought to take.
const FACTORS: usize = 10;

tuned! {
    /// Channels that are laid out at once, if they lie side by side.
    const CHANNELS = 16, tiny 2;
}

/// From the factors of a tile's features for one point to those for the next: a cache line
/// more than they are, since lines 4 KiB apart get into each other's way.
pub(super) fn step(channels: usize, width: usize) -> usize {
    channels * width + 16
}

/// The factors of a tile's features.
pub(super) fn size<T: Real>(channels: usize) -> usize {
    POINTS * POINTS * step(channels, width::<T>())
}

/// The weights of a group at the points, for one tile of features after the other.
pub(super) fn of_all<T: Real>(extents: &Extents, patches: &Patches, weights: &[T]) -> Aligned<T> {
    let &Extents { channels, features, .. } = extents;
    let (width, size) = (width::<T>(), size::<T>(channels));
    let mut factors = Aligned::zeros(features.div_ceil(width) * size);
    let tiles = (0..features).step_by(width).zip(factors.chunks_exact_mut(size));
    threads::share(channels * features * FACTORS, tiles, |tiles| {
        for (first, factors) in tiles {
            of_tile(extents, patches, weights, first, factors);
        }
    });
    factors
}

/// Writes the weights at the points of a tile's features, from `first` on, in the order in which
/// they are read: for each point, channels, features.
pub(super) fn of_tile<T: Real>(
    extents: &Extents,
    patches: &Patches,
    weights: &[T],
    first: usize,
    factors: &mut [T],
) {
    ARCH.dispatch(Factors { extents, patches, weights, first, factors });
}

struct Factors<'a, T> {
    extents: &'a Extents,
    patches: &'a Patches,
    weights: &'a [T],
    first: usize,
    factors: &'a mut [T],
}

impl<T: Real> WithSimd for Factors<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.patches.taps() == 3 { self.run::<S, 3>(simd) } else { self.run::<S, 5>(simd) }
    }
}

impl<T: Real> Factors<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const TAPS: usize>(self, simd: S) {
        let Self { extents, patches, weights, first, factors } = self;
        let &Extents { channels, features, strides: [feature, channel, _], .. } = extents;
        let (width, area) = (vector_width::<T, S>(), TAPS * TAPS);
        let step = step(channels, width);
        let count = width.min(features - first);
        let together = if channel == area { CHANNELS } else { 1 };
        let mut taps = Aligned::zeros(together * area * width);
        let mut half = square::<T, S>(simd);
        for start in (0..channels).step_by(together) {
            let together = together.min(channels - start);
            let weights = &weights[first * feature + start * channel..];
            transpose([count, together * area], weights, feature, &mut taps, width);
            for (c, taps) in (start..).zip(taps.chunks_exact(area * width).take(together)) {
                for place in (0..count).step_by(lanes::<T, S>()) {
                    both_ways::<T, S, TAPS, POINTS>(
                        &mut half,
                        #[inline(always)]
                        |i, j| {
                            let tap = i * TAPS + j;
                            let tap = if patches.reversed { area - 1 - tap } else { tap };
                            load_one::<T, S>(&taps[tap * width + place..])
                        },
                        #[inline(always)]
                        |x| evaluate::<T, S, TAPS>(simd, x),
                        #[inline(always)]
                        |i, values| {
                            for (j, value) in values.into_iter().enumerate() {
                                let value = scaled::<T, S>(simd, SHARES[i] * SHARES[j], value);
                                let point = i * POINTS + j;
                                let place = point * step + c * width + place;
                                store_one::<T, S>(value, &mut factors[place..]);
                            }
                        },
                    );
                }
            }
        }
    }
}
