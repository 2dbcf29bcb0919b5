//! The products of a convolution's input and output, summed over positions and
//! images: its transpose with respect to the weights.
//!
//! Rows of a tile are features, columns are elements that lie side by side under
//! the window. One image's positions are summed up in registers; images are summed
//! in chunks of a fixed number, and the chunks in order, so that threads may share
//! the chunks without a change in the last bit.

use pulp::{Simd, WithSimd};

use super::Geometry;
use super::phase::Reading;
use super::planes::Planes;
use super::tile::{MOST, Tile, VECTORS, load, width};
use crate::Real;
use crate::kernel::ARCH;
use crate::kernel::simd::lanes;

/// Images that are summed before they are added to the others.
const CHUNK: usize = 8;

/// Adds the products of all images to `out`.
pub(super) fn accumulate<T: Real>(geometry: &Geometry, x: &[T], y: &[T], out: &mut [T]) {
    let readings = geometry.slides.map(|slide| Reading::of_input(&slide));
    let [from, to] = [geometry.input(), geometry.output()];
    let Geometry { groups, channels, features, slides: [down, across], .. } = *geometry;
    let mut planes = Planes::new(1, channels, geometry.source(), &readings, MOST);
    let lanes = width::<T>() / VECTORS;
    let columns = Columns::new(geometry, &readings, planes.distances(), lanes);
    let mut sums = vec![T::zero(); groups * features * geometry.taps()];
    let size = sums.len() / groups;
    for (x, y) in x.chunks(from * groups * CHUNK).zip(y.chunks(to * groups * CHUNK)) {
        sums.fill(T::zero());
        for (image, (x, y)) in x.chunks_exact(from).zip(y.chunks_exact(to)).enumerate() {
            planes.fill(0, x);
            ARCH.dispatch(Multiply {
                geometry,
                columns: &columns,
                pixels: &planes.pixels,
                y,
                sums: &mut sums[image % groups * size..][..size],
            });
        }
        // From the order in which they are computed to that of the weights.
        for (sums, out) in
            sums.chunks_exact(geometry.taps()).zip(out.chunks_exact_mut(geometry.taps()))
        {
            for (tap, sums) in sums.chunks_exact(channels).enumerate() {
                for (channel, &sum) in sums.iter().enumerate() {
                    out[channel * down.taps * across.taps + tap] += sum;
                }
            }
        }
    }
}

/// A vector of elements that lie side by side under the window.
#[derive(Clone, Copy)]
struct Column {
    /// Where it begins for the first position.
    start: usize,
    /// Its place among the taps, and how many of its elements count.
    place: usize,
    count: usize,
}

/// All columns, and the steps from a position to the next.
struct Columns {
    columns: Vec<Column>,
    /// Across, and down.
    steps: [usize; 2],
}

impl Columns {
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
        for &[_, lines] in &down.taps {
            for &[_, pixels] in across.taps.iter().step_by(joined) {
                for offset in (0..length).step_by(lanes) {
                    columns.push(Column {
                        start: lines * line + pixels * pixel + offset,
                        place: place + offset,
                        count: lanes.min(length - offset),
                    });
                }
                place += length;
            }
        }
        let [down, across] = geometry.slides;
        Self { columns, steps: [across.stride * pixel, down.stride * line] }
    }
}

/// The work for one image of one group.
struct Multiply<'a, T> {
    geometry: &'a Geometry,
    columns: &'a Columns,
    pixels: &'a [T],
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
        let Self { geometry, columns, pixels, y, sums } = self;
        let (taps, positions) = (geometry.taps(), geometry.positions());
        for first in (0..geometry.features).step_by(ROWS) {
            // Rows beyond the last feature repeat it.
            let planes: [&[T]; ROWS] = std::array::from_fn(|row| {
                &y[(first + row).min(geometry.features - 1) * positions..][..positions]
            });
            for columns_of_tile in columns.columns.chunks(VECTORS) {
                // So do columns beyond the last one.
                let column = |v: usize| columns_of_tile[v.min(columns_of_tile.len() - 1)];
                let starts: [usize; VECTORS] = std::array::from_fn(|v| column(v).start);
                let tile =
                    Self::tile::<S, ROWS>(simd, geometry, columns.steps, pixels, planes, starts);
                let rows = sums.chunks_exact_mut(taps).skip(first);
                for (row, tile) in rows.zip(&tile) {
                    let vectors = tile.chunks_exact(lanes::<T, S>());
                    for (column, tile) in columns_of_tile.iter().zip(vectors) {
                        for (sum, &x) in row[column.place..][..column.count].iter_mut().zip(tile) {
                            *sum += x;
                        }
                    }
                }
            }
        }
    }

    /// The sums over all positions of the products of planes with columns.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize>(
        simd: S,
        geometry: &Geometry,
        [step, line]: [usize; 2],
        pixels: &[T],
        planes: [&[T]; ROWS],
        starts: [usize; VECTORS],
    ) -> [[T; MOST]; ROWS] {
        let [down, across] = geometry.slides;
        let mut tile = Tile::<T, S, ROWS>::zeros(simd);
        for row in 0..down.positions {
            let y = planes.map(|plane| &plane[row * across.positions..]);
            let columns = starts.map(|start| &pixels[start + row * line..]);
            tile.add(simd, across.positions, y, |q| {
                columns.map(|column| load::<T, S, 1>(&column[q * step..])[0])
            });
        }
        let mut sums = [[T::zero(); MOST]; ROWS];
        tile.store(&mut sums);
        sums
    }
}
