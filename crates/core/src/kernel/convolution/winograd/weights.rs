//! The products of a convolution's input and output, summed over positions and
//! images, patch by patch: its transpose with respect to the weights.
//!
//! The sum over patches is taken at the points, where it is a product of matrices:
//! features by patches, and patches by channels. It comes back to the window once,
//! at the end.

use pulp::{Simd, WithSimd};

use super::patches::{BLOCK, Patch, Patches};
use super::points::{POINTS, SHARES, both_ways, evaluate, moments, prepare, scaled, square};
use super::transform::{distance, to_points};
use crate::kernel::convolution::Geometry;
use crate::kernel::convolution::planes::Planes;
use crate::kernel::convolution::tile::{MOST, Tile, VECTORS, load_one, store_one, width};
use crate::kernel::convolution::weights::over_images;
use crate::kernel::map::add_slice;
use crate::kernel::threads;
use crate::scalar::{ARCH, Aligned, Real, lanes};

tuned! {
    /// Rows of a tile, at most.
    const ROWS = 8, tiny 2;
    /// The most patches that are summed up, a block after the other; those sums are then added.
    const MOST_PATCHES = 64 * BLOCK, tiny 2 * BLOCK;
}

/// Writes the sum of the products of all images to `out`.
pub(in super::super) fn accumulate<T: Real>(
    geometry: &Geometry,
    patches: &Patches,
    x: &[T],
    y: &[T],
    out: &mut [T],
) {
    let Geometry { groups, channels, features, .. } = *geometry;
    let [from, to] = [geometry.input(), geometry.output()];
    let sizes = Sizes {
        channels,
        features,
        channel_row: channels.next_multiple_of(width::<T>()),
        // A tile takes `ROWS` features at a time, which narrow vectors are fewer than.
        feature_row: features.next_multiple_of(width::<T>().max(ROWS)),
    };
    let size = POINTS * POINTS * sizes.of_point();
    let input = patches.axes.map(|axis| axis.source());
    // Beyond the last position the cotangent of the output is zero.
    let output = patches.axes.map(|axis| axis.padded());
    let (together, list) = (patches.together(), patches.list());
    // What a thread needs, and how it adds up some images.
    let participant = || {
        let positions = patches.axes.map(|axis| axis.result);
        let mut inputs = Planes::new(together, channels, geometry.source(), input, MOST);
        let mut outputs = Planes::new(together, features, positions, output, MOST);
        let mut data = Aligned::zeros(POINTS * POINTS * distance(sizes.channel_row));
        let mut values = Aligned::zeros(POINTS * POINTS * distance(sizes.feature_row));
        let list = &list;
        let mut part = Aligned::zeros(if list.len() > MOST_PATCHES { size } else { 0 });
        move |x: &[T], y: &[T], sums: &mut [T]| {
            for (group, sums) in sums.chunks_exact_mut(size).enumerate() {
                for (number, x) in x.chunks_exact(from * groups).enumerate() {
                    inputs.fill(number, &x[group * from..][..from]);
                }
                for (number, y) in y.chunks_exact(to * groups).enumerate() {
                    outputs.fill(number, &y[group * to..][..to]);
                }
                let list = &list[..y.len() / (to * groups) * patches.count()];
                let mut add = |list: &[Patch], sums: &mut [T]| {
                    ARCH.dispatch(Multiply {
                        patches,
                        sizes,
                        list,
                        inputs: &inputs,
                        outputs: &outputs,
                        data: &mut data,
                        values: &mut values,
                        sums,
                    });
                };
                if list.len() <= MOST_PATCHES {
                    add(list, sums);
                    continue;
                }
                for list in list.chunks(MOST_PATCHES) {
                    part.fill(T::zero());
                    add(list, &mut part);
                    add_slice(sums, &part);
                }
            }
        }
    };
    // The sums at the points, over all images, back to filters.
    let total = over_images(geometry, [x, y], together, groups * size, participant);
    let filters = out.chunks_exact_mut(geometry.taps()).enumerate();
    threads::share(groups * features * channels * GATHER, filters, |filters| {
        for (filter, out) in filters {
            let (sums, feature) = (&total[filter / features * size..][..size], filter % features);
            ARCH.dispatch(Gather { patches, sizes, feature, sums, out });
        }
    });
}

/// Channels and features, and both rounded up to what a tile computes.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    features: usize,
    channel_row: usize,
    feature_row: usize,
}

impl Sizes {
    /// The sums for a point.
    fn of_point(&self) -> usize {
        self.feature_row * self.channel_row
    }
}

/// The work for one group of a few images.
struct Multiply<'a, T> {
    patches: &'a Patches,
    sizes: Sizes,
    list: &'a [Patch],
    inputs: &'a Planes<T>,
    outputs: &'a Planes<T>,
    data: &'a mut [T],
    values: &'a mut [T],
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let row = self.sizes.channel_row;
        for list in self.list.chunks(BLOCK) {
            to_points::<T, S, POINTS>(
                simd,
                self.inputs,
                list,
                row,
                self.data,
                #[inline(always)]
                |d| prepare::<T, S>(simd, d),
            );
            if self.patches.results() == 4 {
                self.evaluate::<S, 4>(simd, list);
            } else {
                self.evaluate::<S, 2>(simd, list);
            }
            if S::REGISTER_COUNT < 32 {
                self.multiply::<S, { ROWS / 2 }>(simd, list.len());
            } else {
                self.multiply::<S, ROWS>(simd, list.len());
            }
        }
    }
}

impl<T: Real> Multiply<'_, T> {
    /// Writes, for each point, the features of the output's patches.
    #[inline(always)]
    fn evaluate<S: Simd, const RESULTS: usize>(&mut self, simd: S, list: &[Patch]) {
        to_points::<T, S, RESULTS>(
            simd,
            self.outputs,
            list,
            self.sizes.feature_row,
            self.values,
            #[inline(always)]
            |x| evaluate::<T, S, RESULTS>(simd, x),
        );
    }

    /// Adds, for each point, the products of features and channels over the patches.
    #[inline(always)]
    fn multiply<S: Simd, const ROWS: usize>(&mut self, simd: S, patches: usize) {
        let Sizes { features, channels, channel_row, feature_row } = self.sizes;
        let width = VECTORS * lanes::<T, S>();
        let data = self.data.chunks_exact(distance(channel_row));
        let values = self.values.chunks_exact(distance(feature_row));
        let sums = self.sums.chunks_exact_mut(self.sizes.of_point());
        for ((data, values), sums) in data.zip(values).zip(sums) {
            for first in (0..features).step_by(ROWS) {
                for c in (0..channels).step_by(width) {
                    let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                    let values = values[first..].chunks(feature_row);
                    let data = data[c..].chunks(channel_row);
                    tile.add_columns(simd, values.zip(data).take(patches));
                    tile.add_to(simd, channel_row, &mut sums[first * channel_row + c..]);
                }
            }
        }
    }
}

/// Nanoseconds that the sums of a filter of one channel are thought to take from the points.
const GATHER: usize = 20;

/// From the sums at the points to those for the window of a filter.
struct Gather<'a, T> {
    patches: &'a Patches,
    sizes: Sizes,
    feature: usize,
    sums: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Gather<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.patches.taps() == 3 { self.run::<S, 3>(simd) } else { self.run::<S, 5>(simd) }
    }
}

impl<T: Real> Gather<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const TAPS: usize>(self, simd: S) {
        let Self { sizes, feature, sums, out, .. } = self;
        let taps = TAPS * TAPS;
        let mut half = square::<T, S>(simd);
        let mut elements = [T::zero(); MOST];
        for channel in (0..sizes.channels).step_by(lanes::<T, S>()) {
            let count = lanes::<T, S>().min(sizes.channels - channel);
            let sums = &sums[feature * sizes.channel_row + channel..];
            let out = &mut out[channel * taps..];
            both_ways::<T, S, POINTS, TAPS>(
                &mut half,
                #[inline(always)]
                |i, j| {
                    let sum = load_one::<T, S>(&sums[(i * POINTS + j) * sizes.of_point()..]);
                    scaled::<T, S>(simd, SHARES[i] * SHARES[j], sum)
                },
                #[inline(always)]
                |v| moments::<T, S, TAPS>(simd, v),
                #[inline(always)]
                |i, window| {
                    for (j, &vector) in window[..TAPS].iter().enumerate() {
                        store_one::<T, S>(vector, &mut elements);
                        let out = out[i * TAPS + j..].iter_mut().step_by(taps);
                        for (out, &element) in out.zip(&elements[..count]) {
                            *out = element;
                        }
                    }
                },
            );
        }
    }
}
