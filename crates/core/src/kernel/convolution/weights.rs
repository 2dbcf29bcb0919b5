//! The products of a convolution's input and output, summed over positions and
//! images: its transpose with respect to the weights.
//!
//! Rows of a tile are features, columns are elements that lie side by side under
//! the window. Positions are summed up in registers, for one image or, where they
//! are few, for some. Images are summed in chunks of a fixed number, which threads
//! share, and the chunks in order: so the last bit does not depend on the threads.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Geometry;
use super::phase::Reading;
use super::planes::{self, Planes};
use super::tile::{MOST, Tile, VECTORS, load_one, narrow, widen, width};
use crate::kernel::map::add_slice;
use crate::kernel::threads::{self, Cut};
use crate::scalar::{ARCH, Aligned, Real, lanes};
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// The most images that are summed before they are added to the others.
    const CHUNK = 8, tiny 2;
    /// The most chunks that are added up one after the other; those sums are then added.
    const MOST_CHUNKS = 64, tiny 2;
    /// Positions, of some images if need be, that outweigh the adding up of a tile.
    const ENOUGH = 512, tiny 4;
    /// The most positions that are summed up in registers; those sums are added in double precision.
    const MOST_POSITIONS = 512, tiny 4;
}

/// Sums of a round that stay near, in numbers.
const NEAR: usize = 1 << 19;
/// Sums that are added in a nanosecond.
const ELEMENTS_A_NANOSECOND: usize = 4;

/// Images that are summed before they are added to the others: a quarter of all, so that
/// threads have something to share, if these have positions enough.
pub(super) fn chunk(geometry: &Geometry) -> usize {
    let enough = (4 * ENOUGH).div_ceil(geometry.positions().max(1));
    geometry.images.div_ceil(4).max(enough).min(CHUNK)
}

/// Writes the sum of the products of all images to `out`.
pub(super) fn accumulate<T: Real>(geometry: &Geometry, x: &[T], y: &[T], out: &mut [T]) {
    let readings = geometry.slides.map(|slide| Reading::of_input(&slide));
    let padding = [readings[0].padding, readings[1].padding];
    let [from, to] = [geometry.input(), geometry.output()];
    let Geometry { groups, channels, features, .. } = *geometry;
    let together = (ENOUGH / geometry.positions()).clamp(1, CHUNK);
    let distances = planes::distances(channels, padding);
    let plan = Plan::new(geometry, &readings, distances, width::<T>() / VECTORS);
    let size = features * geometry.taps();
    let participant = || {
        let mut planes = Planes::new(together, channels, geometry.source(), padding, MOST);
        let plan = &plan;
        move |x: &[T], y: &[T], sums: &mut [T]| {
            for (group, sums) in sums.chunks_exact_mut(size).enumerate() {
                for (number, x) in x.chunks_exact(from * groups).enumerate() {
                    planes.fill(number, &x[group * from..][..from]);
                }
                ARCH.dispatch(Multiply {
                    geometry,
                    plan,
                    pixels: &planes.pixels,
                    image: distances[2],
                    y: &y[group * to..],
                    sums,
                });
            }
        }
    };
    let total = over_images(geometry, [x, y], together, groups * size, participant);
    write(geometry, &total, out);
}

/// The sums of `size` numbers over images: `participant` makes, for a thread, what adds
/// the products of images of `x` and of `y` to sums, for up to `together` images.
pub(super) fn over_images<T: Real, F: FnMut(&[T], &[T], &mut [T])>(
    geometry: &Geometry,
    [x, y]: [&[T]; 2],
    together: usize,
    size: usize,
    participant: impl Fn() -> F + Sync,
) -> Aligned<T> {
    let [from, to] = [geometry.input(), geometry.output()].map(|size| size * geometry.groups);
    let chunk = chunk(geometry);
    let chunks: Vec<(&[T], &[T])> = x.chunks(from * chunk).zip(y.chunks(to * chunk)).collect();
    // Sums are added up while they are still near: on one thread those of a chunk.
    let work = geometry.work::<T>();
    let Cut { threads, pieces } = Cut::of(work);
    let round = (NEAR / size).max(threads).min(pieces).min(chunks.len());
    let count = chunks.len();
    let mut total = Aligned::zeros(size);
    let mut sums = Aligned::zeros(round * size);
    let mut part = Aligned::zeros(if chunks.len() > MOST_CHUNKS { size } else { 0 });
    let mut done = 0;
    for chunks in chunks.chunks(round) {
        let work = work * chunks.len() * chunk / geometry.images.max(chunk);
        let tasks = chunks.iter().zip(sums.chunks_exact_mut(size));
        threads::share(work, tasks, |tasks| {
            let mut accumulate = participant();
            for (&(x, y), sums) in tasks {
                sums.fill(T::zero());
                for (x, y) in x.chunks(from * together).zip(y.chunks(to * together)) {
                    accumulate(x, y, sums);
                }
            }
        });
        let summed = chunks.len() - usize::from(damaged(Damage::LastImages));
        if part.is_empty() {
            add_in_order(&sums[..summed * size], &mut total);
            continue;
        }
        for sums in sums.chunks_exact(size).take(summed) {
            add_slice(&mut part, sums);
            done += 1;
            if done % MOST_CHUNKS == 0 || done == count {
                add_slice(&mut total, &part);
                part.fill(T::zero());
            }
        }
    }
    total
}

/// Adds the sums of some chunks, one after the other, to the total.
fn add_in_order<T: Real>(sums: &[T], total: &mut [T]) {
    let size = total.len();
    threads::for_each_piece(sums.len() / ELEMENTS_A_NANOSECOND, total, 1, |start, total| {
        for sums in sums.chunks_exact(size) {
            add_slice(total, &sums[start..][..total.len()]);
        }
    });
}

/// Writes sums, in the order in which they are computed, to weights in theirs.
fn write<T: Real>(geometry: &Geometry, sums: &[T], out: &mut [T]) {
    let Geometry { channels, slides: [down, across], .. } = *geometry;
    let taps = geometry.taps();
    threads::for_each_piece(out.len(), out, taps, |start, out| {
        for (sums, out) in sums[start..].chunks_exact(taps).zip(out.chunks_exact_mut(taps)) {
            for (tap, sums) in sums.chunks_exact(channels).enumerate() {
                for (channel, &sum) in sums.iter().enumerate() {
                    out[channel * down.taps * across.taps + tap] = sum;
                }
            }
        }
    });
}

/// A vector of elements that lie side by side under the window.
#[derive(Clone, Copy)]
struct Column {
    /// Where it begins for the first position.
    start: usize,
    /// The line of taps that it belongs to.
    tap: usize,
    /// Its place among the weights of a feature, and how many of its elements
    /// count.
    place: usize,
    count: usize,
}

/// What is read where.
struct Plan {
    columns: Vec<Column>,
    /// How far each position lies from the first.
    positions: Vec<usize>,
}

impl Plan {
    fn new(
        geometry: &Geometry,
        readings: &[Reading; 2],
        [pixel, line, _]: [usize; 3],
        lanes: usize,
    ) -> Self {
        let [down, across] = readings;
        let (down, across) = (&down.phases[0], &across.phases[0]);
        let joined = if across.is_dense() { across.taps.len() } else { 1 };
        let length = joined * geometry.channels;
        let mut columns = Vec::new();
        let mut place = 0;
        for &[tap, lines] in &down.taps {
            for &[_, pixels] in across.taps.iter().step_by(joined) {
                for offset in (0..length).step_by(lanes) {
                    columns.push(Column {
                        start: lines * line + pixels * pixel + offset,
                        tap,
                        place: place + offset,
                        count: lanes.min(length - offset),
                    });
                }
                place += length;
            }
        }
        let positions = down.targets.iter().flat_map(|&[_, lines]| {
            across.targets.iter().map(move |&[_, pixels]| lines * line + pixels * pixel)
        });
        Self { columns, positions: positions.collect() }
    }
}

/// The work for some images of one group.
struct Multiply<'a, T> {
    geometry: &'a Geometry,
    plan: &'a Plan,
    pixels: &'a [T],
    /// From an image of the pixels to the next.
    image: usize,
    y: &'a [T],
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT < 32 { self.run::<S, 4>(simd) } else { self.run::<S, 8>(simd) }
    }
}

impl<T: Real> Multiply<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let Self { geometry, plan, pixels, image, y, sums } = self;
        let (taps, positions) = (geometry.taps(), geometry.positions());
        let mut tile_sums = [[T::zero(); MOST]; ROWS];
        let mut wide_sums = [[0.0; MOST]; ROWS];
        for first in (0..geometry.features).step_by(ROWS) {
            for columns in plan.columns.chunks(VECTORS) {
                // Columns beyond the last one repeat it.
                let starts: [usize; VECTORS] =
                    std::array::from_fn(|v| columns[v.min(columns.len() - 1)].start);
                let inside = inside(geometry, columns);
                let offsets = &plan.positions[inside.clone()];
                let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                for (number, y) in y.chunks(geometry.output() * geometry.groups).enumerate() {
                    // So do rows beyond the last feature.
                    let rows: [&[T]; ROWS] = std::array::from_fn(|row| {
                        let feature = (first + row).min(geometry.features - 1);
                        &y[feature * positions..][inside.clone()]
                    });
                    let columns = starts.map(|start| &pixels[number * image + start..]);
                    for (part, offsets) in offsets.chunks(MOST_POSITIONS).enumerate() {
                        if part > 0 {
                            tile.store(MOST, tile_sums.as_flattened_mut());
                            widen(&tile_sums, &mut wide_sums);
                            tile = Tile::zeros(simd);
                        }
                        let rows = rows.map(|row| &row[part * MOST_POSITIONS..]);
                        tile.add(simd, offsets.len(), rows, |k| {
                            columns.map(|column| load_one::<T, S>(&column[offsets[k]..]))
                        });
                    }
                }
                tile.store(MOST, tile_sums.as_flattened_mut());
                if offsets.len() > MOST_POSITIONS {
                    widen(&tile_sums, &mut wide_sums);
                    narrow(&mut wide_sums, &mut tile_sums);
                }
                let rows = sums.chunks_exact_mut(taps).skip(first);
                for (row, tile) in rows.zip(&tile_sums) {
                    for (column, tile) in columns.iter().zip(tile.chunks_exact(lanes::<T, S>())) {
                        for (sum, &x) in row[column.place..][..column.count].iter_mut().zip(tile) {
                            *sum += x;
                        }
                    }
                }
            }
        }
    }
}

/// The positions at which some of the columns lie on a line of the input, and not
/// above or below it.
#[inline(always)]
fn inside(geometry: &Geometry, columns: &[Column]) -> Range<usize> {
    let [down, across] = geometry.slides;
    let rows = columns.iter().map(|column| down.inside(column.tap));
    let rows = rows.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
    rows.start * across.positions..rows.end * across.positions
}
