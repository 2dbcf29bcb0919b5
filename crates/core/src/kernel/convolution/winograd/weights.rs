//! The products of a convolution's input and output, summed over positions and
//! images, patch by patch: its transpose with respect to the weights.
//!
//! The sum over patches is taken at the points, where it is a product of matrices:
//! features by patches, and patches by channels. It comes back to the window once,
//! at the end. Where patches are few beside the filters, another order is faster (`filters`).

use pulp::{Simd, WithSimd};

use super::patches::{BLOCK, Patch, Patches};
use super::points::{POINTS, SHARES, both_ways, evaluate, moments, prepare, scaled, square};
use super::transform::{distance, to_points};
use crate::kernel::convolution::Geometry;
use crate::kernel::convolution::planes::Planes;
use crate::kernel::convolution::tile::{MOST, Tile, load_one, store_one, vector_width, width};
use crate::kernel::convolution::weights::over_images;
use crate::kernel::map::add_slice;
use crate::kernel::threads;
use crate::scalar::micro::transpose;
use crate::scalar::{ARCH, Aligned, Real, lanes};

tuned! {
    /// Rows of a tile, at most.
    pub(super) const ROWS = 8, tiny 2;
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
    let to = geometry.output();
    let sizes = Sizes::new::<T>(geometry);
    let size = POINTS * POINTS * sizes.of_point();
    let list = patches.list();
    // What a thread needs, and how it adds up some images.
    let participant = || {
        let mut source = Source::new(geometry, patches);
        let mut points = Points::new(sizes);
        let list = &list;
        let mut part = Aligned::zeros(if list.len() > MOST_PATCHES { size } else { 0 });
        move |x: &[T], y: &[T], sums: &mut [T]| {
            for (group, sums) in sums.chunks_exact_mut(size).enumerate() {
                source.fill(group, x, y);
                let list = &list[..y.len() / (to * groups) * patches.count()];
                let mut add = |list: &[Patch], sums: &mut [T]| {
                    for list in list.chunks(BLOCK) {
                        source.transform(list, &mut points);
                        ARCH.dispatch(Multiply {
                            blocks: std::slice::from_ref(&points),
                            first: [0, 0],
                            counts: [features, channels],
                            sums,
                            row: sizes.channel_row,
                            distance: sizes.of_point(),
                            adds: true,
                        });
                    }
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
    let together = patches.together();
    let total = over_images(geometry, [x, y], together, groups * size, participant);
    let filters = out.chunks_exact_mut(geometry.taps()).enumerate();
    threads::share(groups * features * channels * GATHER, filters, |filters| {
        for (filter, out) in filters {
            let sums = &total[filter / features * size..][..size];
            let sums = &sums[filter % features * sizes.channel_row..];
            ARCH.dispatch(Gather { patches, channels, sums, distance: sizes.of_point(), out });
        }
    });
}

/// Channels and features, rounded up to what a tile computes.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) channel_row: usize,
    feature_row: usize,
}

impl Sizes {
    pub(super) fn new<T: Real>(geometry: &Geometry) -> Self {
        let Geometry { channels, features, .. } = *geometry;
        Self {
            channel_row: channels.next_multiple_of(width::<T>()),
            // A tile takes `ROWS` features at a time, which narrow vectors are fewer than.
            feature_row: features.next_multiple_of(width::<T>().max(ROWS)),
        }
    }

    /// The sums for a point.
    fn of_point(&self) -> usize {
        self.feature_row * self.channel_row
    }
}

/// Images that are transformed together: of the input, and of the output.
pub(super) struct Source<'a, T> {
    geometry: &'a Geometry,
    patches: &'a Patches,
    inputs: Planes<T>,
    outputs: Planes<T>,
}

impl<'a, T: Real> Source<'a, T> {
    pub(super) fn new(geometry: &'a Geometry, patches: &'a Patches) -> Self {
        let input = patches.axes.map(|axis| axis.source());
        // Beyond the last position the cotangent of the output is zero.
        let output = patches.axes.map(|axis| axis.padded());
        let positions = patches.axes.map(|axis| axis.result);
        let (together, Geometry { channels, features, .. }) = (patches.together(), *geometry);
        Self {
            geometry,
            patches,
            inputs: Planes::new(together, channels, geometry.source(), input, MOST),
            outputs: Planes::new(together, features, positions, output, MOST),
        }
    }

    /// Takes in a group of some images.
    pub(super) fn fill(&mut self, group: usize, x: &[T], y: &[T]) {
        let groups = self.geometry.groups;
        let [from, to] = [self.geometry.input(), self.geometry.output()];
        for (number, x) in x.chunks_exact(from * groups).enumerate() {
            self.inputs.fill(number, &x[group * from..][..from]);
        }
        for (number, y) in y.chunks_exact(to * groups).enumerate() {
            self.outputs.fill(number, &y[group * to..][..to]);
        }
    }

    /// Transforms a block of patches, at most.
    pub(super) fn transform(&self, list: &[Patch], points: &mut Points<T>) {
        points.patches = list.len();
        ARCH.dispatch(ToPoints { source: self, list, points });
    }
}

/// Patches of a block at the points: channels of the input, and features of the output.
pub(super) struct Points<T> {
    data: Aligned<T>,
    values: Aligned<T>,
    /// How many there are.
    patches: usize,
    sizes: Sizes,
}

impl<T: Real> Points<T> {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            data: Aligned::zeros(POINTS * POINTS * distance(sizes.channel_row)),
            values: Aligned::zeros(POINTS * POINTS * distance(sizes.feature_row)),
            patches: 0,
            sizes,
        }
    }

    /// Adds the products of `ROWS` features and a tile's width of channels over the patches, at point
    /// number `point`.
    #[inline(always)]
    pub(super) fn add_to<S: Simd, const ROWS: usize>(
        &self,
        simd: S,
        tile: &mut Tile<T, S, ROWS>,
        point: usize,
        [feature, channel]: [usize; 2],
    ) {
        let Sizes { channel_row, feature_row, .. } = self.sizes;
        let values = &self.values[point * distance(feature_row) + feature..];
        let data = &self.data[point * distance(channel_row) + channel..];
        let pairs = values.chunks(feature_row).zip(data.chunks(channel_row));
        tile.add_columns(simd, pairs.take(self.patches));
    }
}

/// The way of a block of patches to the points.
struct ToPoints<'a, T> {
    source: &'a Source<'a, T>,
    list: &'a [Patch],
    points: &'a mut Points<T>,
}

impl<T: Real> WithSimd for ToPoints<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { source, list, points } = self;
        let Sizes { channel_row, feature_row, .. } = points.sizes;
        let (data, values) = (&mut points.data, &mut points.values);
        to_points::<T, S, POINTS>(
            simd,
            &source.inputs,
            list,
            channel_row,
            data,
            #[inline(always)]
            |d| prepare::<T, S>(simd, d),
        );
        if source.patches.results() == 4 {
            evaluate_at::<T, S, 4>(simd, &source.outputs, list, feature_row, values);
        } else {
            evaluate_at::<T, S, 2>(simd, &source.outputs, list, feature_row, values);
        }
    }
}

/// Writes, for each point, the features of the output's patches.
#[inline(always)]
fn evaluate_at<T: Real, S: Simd, const RESULTS: usize>(
    simd: S,
    outputs: &Planes<T>,
    list: &[Patch],
    row: usize,
    values: &mut [T],
) {
    to_points::<T, S, RESULTS>(
        simd,
        outputs,
        list,
        row,
        values,
        #[inline(always)]
        |x| evaluate::<T, S, RESULTS>(simd, x),
    );
}

/// Sums over patches at the points, of some features and channels.
pub(super) struct Multiply<'a, T> {
    pub(super) blocks: &'a [Points<T>],
    /// The first feature and the first channel, and how many of each.
    pub(super) first: [usize; 2],
    pub(super) counts: [usize; 2],
    /// For each point the sums of each feature; from a feature to the next, and from a point to the
    /// next.
    pub(super) sums: &'a mut [T],
    pub(super) row: usize,
    pub(super) distance: usize,
    /// Whether they are added to what is there.
    pub(super) adds: bool,
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
        let Self { blocks, first, counts: [features, channels], sums, row, distance, adds } = self;
        for (point, sums) in sums.chunks_exact_mut(distance).enumerate() {
            for feature in (0..features).step_by(ROWS) {
                for channel in (0..channels).step_by(vector_width::<T, S>()) {
                    let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                    for points in blocks {
                        let place = [first[0] + feature, first[1] + channel];
                        points.add_to(simd, &mut tile, point, place);
                    }
                    let sums = &mut sums[feature * row + channel..];
                    if adds {
                        tile.add_to(simd, row, sums);
                    } else {
                        tile.store(row, sums);
                    }
                }
            }
        }
    }
}

/// Nanoseconds that the sums of a filter of one channel are thought to take from the points.
const GATHER: usize = 10;

/// Taps of a window, at most.
const MOST_TAPS: usize = 25;

/// From the sums at the points to those for the window, for some channels of a filter.
pub(super) struct Gather<'a, T> {
    pub(super) patches: &'a Patches,
    pub(super) channels: usize,
    pub(super) sums: &'a [T],
    /// From the sums for a point to those for the next.
    pub(super) distance: usize,
    pub(super) out: &'a mut [T],
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
        let Self { channels, sums, distance, out, .. } = self;
        let taps = TAPS * TAPS;
        let mut half = square::<T, S>(simd);
        // The sums of a vector of channels, by tap.
        let mut by_tap = [[T::zero(); MOST]; MOST_TAPS];
        for channel in (0..channels).step_by(lanes::<T, S>()) {
            let count = lanes::<T, S>().min(channels - channel);
            let sums = &sums[channel..];
            both_ways::<T, S, POINTS, TAPS>(
                &mut half,
                #[inline(always)]
                |i, j| {
                    let sum = load_one::<T, S>(&sums[(i * POINTS + j) * distance..]);
                    scaled::<T, S>(simd, SHARES[i] * SHARES[j], sum)
                },
                #[inline(always)]
                |v| moments::<T, S, TAPS>(simd, v),
                #[inline(always)]
                |i, window| {
                    for (j, &vector) in window[..TAPS].iter().enumerate() {
                        store_one::<T, S>(vector, &mut by_tap[i * TAPS + j]);
                    }
                },
            );
            transpose([taps, count], by_tap.as_flattened(), MOST, &mut out[channel * taps..], taps);
        }
    }
}
