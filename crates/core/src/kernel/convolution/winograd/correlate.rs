//! A convolution, or its transpose with respect to the input, patch by patch.
//!
//! The patches of a few images are transformed, multiplied by the transformed
//! weights, point by point, and the products gathered to results, features of a
//! register's width at a time: what lies between stays in the second-level cache.

use pulp::{Simd, WithSimd};

use super::patches::{BLOCK, Patch, Patches};
use super::points::{POINTS, SHARES, both_ways, evaluate, moments, prepare, scaled, square};
use super::transform::{distance, to_points};
use crate::kernel::convolution::correlate::Extents;
use crate::kernel::convolution::planes::Planes;
use crate::kernel::convolution::tile::{MOST, Tile, VECTORS, load, load_one, store_one, width};
use crate::kernel::threads;
use crate::scalar::{ARCH, Aligned, Real, lanes};
use crate::tuned::damage::{Damage, damaged};

/// Computes the result's images, of which none may be without elements.
pub(in super::super) fn correlate<T: Real>(
    extents: &Extents,
    patches: &Patches,
    source: &[T],
    weights: &[T],
    result: &mut [T],
) {
    let together = patches.together();
    let [from, to] = extents.image().map(|size| size * extents.groups);
    let padding = patches.axes.map(|axis| axis.source());
    let factors: Vec<Aligned<T>> = weights
        .chunks_exact(extents.weights)
        .map(|weights| factors(extents, patches, weights))
        .collect();
    let list = patches.list();
    let images = source.chunks(from * together).zip(result.chunks_mut(to * together));
    threads::share(extents.work, images, |images| {
        let mut planes = Planes::new(together, extents.channels, extents.source, padding, MOST);
        let mut data = Aligned::zeros(POINTS * POINTS * distance(row::<T>(extents.channels)));
        let mut products = Aligned::zeros(POINTS * POINTS * distance(width::<T>()));
        for (source, result) in images {
            for (group, factors) in factors.iter().enumerate() {
                let [from_group, to_group] = extents.image();
                for (image, source) in source.chunks_exact(from).enumerate() {
                    planes.fill(image, &source[group * from_group..][..from_group]);
                }
                ARCH.dispatch(Multiply {
                    extents,
                    patches,
                    list: &list[..result.len() / to * patches.count()],
                    planes: &planes,
                    factors,
                    data: &mut data,
                    products: &mut products,
                    result: &mut result[group * to_group..],
                });
            }
        }
    });
}

/// Channels, rounded up to whole registers.
fn row<T: Real>(channels: usize) -> usize {
    channels.next_multiple_of(width::<T>() / VECTORS)
}

/// From the factors of a tile's features for one point to those for the next: a cache line more
/// than they are, as in [`distance`].
fn step(channels: usize, width: usize) -> usize {
    channels * width + 16
}

/// Nanoseconds that the factors of a filter of one channel are thought to take.
const FACTORS: usize = 20;

/// The weights of a group at the points, in the order in which they are read: for each tile's
/// features, for each point, channels, features.
fn factors<T: Real>(extents: &Extents, patches: &Patches, weights: &[T]) -> Aligned<T> {
    let &Extents { channels, features, .. } = extents;
    let width = width::<T>();
    let size = POINTS * POINTS * step(channels, width);
    let mut factors = Aligned::zeros(features.div_ceil(width) * size);
    let tiles = (0..features).step_by(width).zip(factors.chunks_exact_mut(size));
    threads::share(channels * features * FACTORS, tiles, |tiles| {
        for (first, factors) in tiles {
            ARCH.dispatch(Factors { extents, patches, weights, first, factors });
        }
    });
    factors
}

/// The factors of a tile's features, from `first` on.
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
        let Self { extents, patches, weights, first: start, factors } = self;
        let &Extents { channels, features, strides: [feature, channel, line], .. } = extents;
        let width = VECTORS * lanes::<T, S>();
        let step = step(channels, width);
        let mut half = square::<T, S>(simd);
        for c in 0..channels {
            for first in (start..features.min(start + width)).step_by(lanes::<T, S>()) {
                let count = lanes::<T, S>().min(features - first);
                let place = c * width + first - start;
                both_ways::<T, S, TAPS, POINTS>(
                    &mut half,
                    #[inline(always)]
                    |i, j| {
                        let [i, j] = match patches.reversed {
                            true => [TAPS - 1 - i, TAPS - 1 - j],
                            false => [i, j],
                        };
                        let start = first * feature + c * channel + i * line + j;
                        let mut values = [T::zero(); MOST];
                        let strided = weights[start..].iter().step_by(feature);
                        for (slot, &w) in values[..count].iter_mut().zip(strided) {
                            *slot = w;
                        }
                        load_one::<T, S>(&values)
                    },
                    #[inline(always)]
                    |x| evaluate::<T, S, TAPS>(simd, x),
                    #[inline(always)]
                    |i, values| {
                        for (j, value) in values.into_iter().enumerate() {
                            let value = scaled::<T, S>(simd, SHARES[i] * SHARES[j], value);
                            let point = i * POINTS + j;
                            store_one::<T, S>(value, &mut factors[point * step + place..]);
                        }
                    },
                );
            }
        }
    }
}

/// The work for one group of a few images.
struct Multiply<'a, T> {
    extents: &'a Extents,
    patches: &'a Patches,
    list: &'a [Patch],
    planes: &'a Planes<T>,
    factors: &'a [T],
    data: &'a mut [T],
    products: &'a mut [T],
    result: &'a mut [T],
}

impl<T: Real> WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let row = self.extents.channels.next_multiple_of(lanes::<T, S>());
        for list in self.list.chunks(BLOCK) {
            let is_first = damaged(Damage::Patches);
            to_points::<T, S, POINTS>(
                simd,
                self.planes,
                if is_first { &self.list[..list.len()] } else { list },
                row,
                self.data,
                #[inline(always)]
                |d| prepare::<T, S>(simd, d),
            );
            for first in (0..self.extents.features).step_by(VECTORS * lanes::<T, S>()) {
                if S::REGISTER_COUNT < 32 {
                    self.multiply::<S, 4>(simd, list.len(), first);
                } else {
                    self.multiply::<S, 8>(simd, list.len(), first);
                }
                if self.patches.results() == 4 {
                    self.gather::<S, 4>(simd, list, first);
                } else {
                    self.gather::<S, 2>(simd, list, first);
                }
            }
        }
    }
}

impl<T: Real> Multiply<'_, T> {
    /// Multiplies, for each point, the data of the patches by the factors of the
    /// features from `first` on.
    #[inline(always)]
    fn multiply<S: Simd, const ROWS: usize>(&mut self, simd: S, patches: usize, first: usize) {
        let channels = self.extents.channels;
        let (row, width) = (channels.next_multiple_of(lanes::<T, S>()), VECTORS * lanes::<T, S>());
        let step = step(channels, width);
        let factors = self.factors[first / width * POINTS * POINTS * step..].chunks_exact(step);
        let data = self.data.chunks_exact(distance(row));
        let products = self.products.chunks_exact_mut(distance(width));
        for ((factors, data), products) in factors.zip(data).zip(products) {
            for patch in (0..patches).step_by(ROWS) {
                let rows = std::array::from_fn(|k| &data[(patch + k) * row..]);
                let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                tile.add(simd, channels, rows, |k| load::<T, S, VECTORS>(&factors[k * width..]));
                tile.store(width, &mut products[patch * width..]);
            }
        }
    }

    /// Writes the results of features from `first` on.
    #[inline(always)]
    fn gather<S: Simd, const RESULTS: usize>(&mut self, simd: S, list: &[Patch], first: usize) {
        let Self { extents, products, result, .. } = self;
        let [height, breadth] = extents.result;
        let image = extents.image()[1] * extents.groups;
        let lanes = lanes::<T, S>();
        let distance = distance(VECTORS * lanes);
        let first_beyond = extents.features.min(first + VECTORS * lanes);
        let mut half = square::<T, S>(simd);
        let mut elements = [T::zero(); MOST];
        for (number, patch) in list.iter().enumerate() {
            let start = patch.start([1, breadth, image]);
            let [row, column] = patch.corner;
            let size = [RESULTS.min(height - row), RESULTS.min(breadth - column)];
            for feature in (first..first_beyond).step_by(lanes) {
                let products = &products[number * VECTORS * lanes + feature - first..];
                let count = lanes.min(first_beyond - feature);
                both_ways::<T, S, POINTS, RESULTS>(
                    &mut half,
                    #[inline(always)]
                    |i, j| load_one::<T, S>(&products[(i * POINTS + j) * distance..]),
                    #[inline(always)]
                    |v| moments::<T, S, RESULTS>(simd, v),
                    #[inline(always)]
                    |i, sums| {
                        if i >= size[0] {
                            return;
                        }
                        for (j, &sum) in sums[..size[1]].iter().enumerate() {
                            store_one::<T, S>(sum, &mut elements);
                            let place = feature * height * breadth + start + i * breadth + j;
                            let planes = result[place..].iter_mut().step_by(height * breadth);
                            for (out, &element) in planes.zip(&elements[..count]) {
                                *out = element;
                            }
                        }
                    },
                );
            }
        }
    }
}
