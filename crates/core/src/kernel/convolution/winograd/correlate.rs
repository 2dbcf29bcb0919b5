//! A convolution, or its transpose with respect to the input, patch by patch.
//!
//! The patches of a few images are transformed, multiplied by the transformed
//! weights, point by point, and the products gathered to results, features of a
//! tile at a time: what lies between stays in the second-level cache.
//!
//! Threads share blocks of images, which read the same factors. Where all patches are one block, they
//! share tiles of features instead, and the factors of a tile are made when it is their turn: all
//! of them together would be many times as large as the images.

use pulp::{Simd, WithSimd};

use super::factors;
use super::patches::{BLOCK, Patch, Patches};
use super::points::{POINTS, both_ways, moments, prepare, square};
use super::transform::{distance, to_points};
use crate::kernel::convolution::correlate::Extents;
use crate::kernel::convolution::planes::Planes;
use crate::kernel::convolution::tile::{
    MOST, Tile, VECTORS, load, load_one, store_one, vector_width, width,
};
use crate::kernel::threads;
use crate::scalar::micro::transpose;
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
    let [from, to] = extents.image().map(|size| size * extents.groups);
    let list = patches.list();
    let groups = weights.chunks_exact(extents.weights);
    if source.len() / from * patches.count() <= BLOCK {
        for (group, weights) in groups.enumerate() {
            one_block(extents, patches, &list, group, source, weights, result);
        }
        return;
    }
    let factors: Vec<Aligned<T>> =
        groups.map(|weights| factors::of_all(extents, patches, weights)).collect();
    let together = patches.together();
    let blocks = source.chunks(from * together).zip(result.chunks_mut(to * together));
    threads::share(extents.work, blocks, |blocks| {
        let mut block = Block::new(extents, patches);
        let mut products = room_for_products();
        for (source, result) in blocks {
            let list = &list[..result.len() / to * patches.count()];
            for (group, factors) in factors.iter().enumerate() {
                block.fill(group, source);
                for part in list.chunks(BLOCK) {
                    let is_first = damaged(Damage::Patches);
                    block.transform(if is_first { &list[..part.len()] } else { part });
                    let tiles = factors.chunks_exact(factors::size::<T>(extents.channels));
                    for (number, factors) in tiles.enumerate() {
                        let start = extents.first_plane(group, number * width::<T>());
                        let mut planes: Vec<&mut [T]> =
                            result.chunks_exact_mut(to).map(|image| &mut image[start..]).collect();
                        block.multiply(part, number, factors, &mut products, &mut planes);
                    }
                }
            }
        }
    });
}

/// Computes a group of images whose patches are one block.
fn one_block<T: Real>(
    extents: &Extents,
    patches: &Patches,
    list: &[Patch],
    group: usize,
    source: &[T],
    weights: &[T],
    result: &mut [T],
) {
    let [_, to] = extents.image();
    let mut block = Block::new(extents, patches);
    block.fill(group, source);
    let list = &list[..result.len() / (to * extents.groups) * patches.count()];
    block.transform(list);
    // For each tile of features, their planes in each image.
    let (width, area) = (width::<T>(), extents.result[0] * extents.result[1]);
    let mut tiles: Vec<Vec<&mut [T]>> = Vec::new();
    tiles.resize_with(extents.features.div_ceil(width), Vec::new);
    for image in result.chunks_exact_mut(to * extents.groups) {
        let planes = image[group * to..][..to].chunks_mut(width * area);
        tiles.iter_mut().zip(planes).for_each(|(tile, planes)| tile.push(planes));
    }
    let block = &block;
    threads::share(extents.work, tiles.into_iter().enumerate(), |tiles| {
        let mut factors = Aligned::zeros(factors::size::<T>(extents.channels));
        let mut products = room_for_products();
        for (number, mut planes) in tiles {
            factors::of_tile(extents, patches, weights, number * width, &mut factors);
            block.multiply(list, number, &factors, &mut products, &mut planes);
        }
    });
}

/// Results of a patch, at most.
const SQUARE: usize = 16;

/// Room for the products of a block's patches with a tile's features.
fn room_for_products<T: Real>() -> Aligned<T> {
    Aligned::zeros(POINTS * POINTS * distance(width::<T>()))
}

/// Images that are transformed together, and their patches at the points.
struct Block<'a, T> {
    extents: &'a Extents,
    patches: &'a Patches,
    planes: Planes<T>,
    data: Aligned<T>,
}

impl<'a, T: Real> Block<'a, T> {
    fn new(extents: &'a Extents, patches: &'a Patches) -> Self {
        let padding = patches.axes.map(|axis| axis.source());
        let (together, channels) = (patches.together(), extents.channels);
        let planes = Planes::new(together, channels, extents.source, padding, MOST);
        // Rows of whole registers.
        let row = channels.next_multiple_of(width::<T>() / VECTORS);
        let data = Aligned::zeros(POINTS * POINTS * distance(row));
        Self { extents, patches, planes, data }
    }

    /// Takes in a group of some images.
    fn fill(&mut self, group: usize, source: &[T]) {
        let [from, _] = self.extents.image();
        for (image, source) in source.chunks_exact(from * self.extents.groups).enumerate() {
            self.planes.fill(image, &source[group * from..][..from]);
        }
    }

    /// Transforms some patches.
    fn transform(&mut self, list: &[Patch]) {
        ARCH.dispatch(ToPoints { planes: &self.planes, list, data: &mut self.data });
    }

    /// Multiplies the patches by the factors of a tile, and writes the results to the planes of its
    /// features, image by image.
    fn multiply(
        &self,
        list: &[Patch],
        number: usize,
        factors: &[T],
        products: &mut [T],
        planes: &mut [&mut [T]],
    ) {
        let &Self { extents, patches, ref data, .. } = self;
        let features = width::<T>().min(extents.features - number * width::<T>());
        ARCH.dispatch(Multiply {
            extents,
            patches,
            list,
            features,
            factors,
            data,
            products,
            planes,
        });
    }
}

/// The way of patches to the points.
struct ToPoints<'a, T> {
    planes: &'a Planes<T>,
    list: &'a [Patch],
    data: &'a mut [T],
}

impl<T: Real> WithSimd for ToPoints<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { planes, list, data } = self;
        let row = planes.distances[0].next_multiple_of(lanes::<T, S>());
        to_points::<T, S, POINTS>(
            simd,
            planes,
            list,
            row,
            data,
            #[inline(always)]
            |d| prepare::<T, S>(simd, d),
        );
    }
}

/// The results of a tile's features for some patches.
struct Multiply<'a, 'p, T> {
    extents: &'a Extents,
    patches: &'a Patches,
    list: &'a [Patch],
    /// Features of the tile that are some.
    features: usize,
    factors: &'a [T],
    data: &'a [T],
    products: &'a mut [T],
    planes: &'a mut [&'p mut [T]],
}

impl<T: Real> WithSimd for Multiply<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT < 32 {
            self.multiply::<S, 4>(simd);
        } else {
            self.multiply::<S, 8>(simd);
        }
        if self.patches.results() == 4 {
            self.gather::<S, 4>(simd);
        } else {
            self.gather::<S, 2>(simd);
        }
    }
}

impl<T: Real> Multiply<'_, '_, T> {
    /// Multiplies, for each point, the data of the patches by the factors.
    #[inline(always)]
    fn multiply<S: Simd, const ROWS: usize>(&mut self, simd: S) {
        let channels = self.extents.channels;
        let (row, width) = (channels.next_multiple_of(lanes::<T, S>()), vector_width::<T, S>());
        let factors = self.factors.chunks_exact(factors::step(channels, width));
        let data = self.data.chunks_exact(distance(row));
        let products = self.products.chunks_exact_mut(distance(width));
        for ((factors, data), products) in factors.zip(data).zip(products) {
            for patch in (0..self.list.len()).step_by(ROWS) {
                let rows = std::array::from_fn(|k| &data[(patch + k) * row..]);
                let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                tile.add(simd, channels, rows, |k| load::<T, S, VECTORS>(&factors[k * width..]));
                tile.store(width, &mut products[patch * width..]);
            }
        }
    }

    /// Writes the results.
    #[inline(always)]
    fn gather<S: Simd, const RESULTS: usize>(&mut self, simd: S) {
        let Self { products, planes, .. } = self;
        let [height, breadth] = self.extents.result;
        let (lanes, width) = (lanes::<T, S>(), vector_width::<T, S>());
        let distance = distance(width);
        let mut half = square::<T, S>(simd);
        // The results of a vector of features: by place in the patch, and by feature.
        let count = RESULTS * RESULTS;
        let mut by_place = [[T::zero(); MOST]; SQUARE];
        let mut by_feature = [T::zero(); MOST * SQUARE];
        for (number, patch) in self.list.iter().enumerate() {
            let [row, column] = patch.corner;
            let size = [RESULTS.min(height - row), RESULTS.min(breadth - column)];
            let start = row * breadth + column;
            for feature in (0..self.features).step_by(lanes) {
                let products = &products[number * width + feature..];
                both_ways::<T, S, POINTS, RESULTS>(
                    &mut half,
                    #[inline(always)]
                    |i, j| load_one::<T, S>(&products[(i * POINTS + j) * distance..]),
                    #[inline(always)]
                    |v| moments::<T, S, RESULTS>(simd, v),
                    #[inline(always)]
                    |i, sums| {
                        for (j, &sum) in sums[..RESULTS].iter().enumerate() {
                            store_one::<T, S>(sum, &mut by_place[i * RESULTS + j]);
                        }
                    },
                );
                transpose([count, lanes], by_place.as_flattened(), MOST, &mut by_feature, count);
                let planes = planes[patch.image][feature * height * breadth..]
                    .chunks_exact_mut(height * breadth);
                for (plane, results) in planes.zip(by_feature.chunks_exact(count)).take(lanes) {
                    let lines =
                        plane[start..].chunks_mut(breadth).zip(results.as_chunks::<RESULTS>().0);
                    if size == [RESULTS; 2] {
                        for (line, results) in lines.take(RESULTS) {
                            line[..RESULTS].copy_from_slice(results);
                        }
                    } else {
                        for (line, results) in lines.take(size[0]) {
                            line[..size[1]].copy_from_slice(&results[..size[1]]);
                        }
                    }
                }
            }
        }
    }
}
