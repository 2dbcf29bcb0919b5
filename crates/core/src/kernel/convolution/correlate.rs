//! A convolution of planes, and its transpose: both read a source at some taps
//! around each target, and differ in who reads what ([`Reading`]).
//!
//! Rows of a tile are targets, columns are features. For each run of elements that
//! lie side by side under the window, the tile takes up the products with the
//! weights of the run, which have been laid out in the order in which they are
//! read. Only then is the tile, turned around, written to the features' planes.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Geometry;
use super::phase::{Phase, Reading};
use super::planes::{self, Planes};
use super::tile::{MOST, Tile, VECTORS, load, narrow, vector_width, widen, width};
use crate::kernel::threads;
use crate::scalar::{ARCH, Aligned, Real};

tuned! {
    /// The most terms that are summed up in registers, unless they are one run; those sums are added
    /// in double precision.
    const MOST_TERMS = 2048, tiny 4;
}

/// Extents of a source, of a result, and of what lies between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) groups: usize,
    /// Planes of a group: of the source, and of the result.
    pub(super) channels: usize,
    pub(super) features: usize,
    /// Height and width of a plane: of the source, and of the result.
    pub(super) source: [usize; 2],
    pub(super) result: [usize; 2],
    /// From a weight to that of the next feature, channel and line of taps.
    pub(super) strides: [usize; 3],
    /// Weights of a group.
    pub(super) weights: usize,
    /// Nanoseconds that all images are thought to take.
    pub(super) work: usize,
}

impl Extents {
    /// Of a convolution.
    pub(super) fn of_input<T>(geometry: &Geometry) -> Self {
        let [down, across] = geometry.slides;
        Self {
            groups: geometry.groups,
            channels: geometry.channels,
            features: geometry.features,
            source: geometry.source(),
            result: geometry.slides.map(|slide| slide.positions),
            strides: [geometry.taps(), down.taps * across.taps, across.taps],
            weights: geometry.features * geometry.taps(),
            work: geometry.work::<T>(),
        }
    }

    /// Of its transpose with respect to the input, which exchanges source and result.
    pub(super) fn of_output<T>(geometry: &Geometry) -> Self {
        let convolution = Self::of_input::<T>(geometry);
        let [feature, channel, line] = convolution.strides;
        Self {
            channels: convolution.features,
            features: convolution.channels,
            source: convolution.result,
            result: convolution.source,
            strides: [channel, feature, line],
            ..convolution
        }
    }

    /// Elements of an image of a group: of the source, and of the result.
    pub(super) fn image(&self) -> [usize; 2] {
        let area = |[height, width]: [usize; 2]| height * width;
        [self.channels * area(self.source), self.features * area(self.result)]
    }

    /// Where the plane of a group's feature begins in an image of the result.
    pub(super) fn first_plane(&self, group: usize, feature: usize) -> usize {
        (group * self.features + feature) * self.result[0] * self.result[1]
    }

    /// Images that are computed together, so that there are targets for a few
    /// tiles.
    fn together(&self) -> usize {
        (64 / (self.result[0] * self.result[1])).max(1)
    }
}

/// Computes the result's images one after another. None may be without elements.
pub(super) fn correlate<T: Real>(
    extents: &Extents,
    readings: [Reading; 2],
    source: &[T],
    weights: &[T],
    result: &mut [T],
) {
    let [from, to] = extents.image().map(|size| size * extents.groups * extents.together());
    let width = width::<T>();
    let padding = [readings[0].padding, readings[1].padding];
    let planes = || Planes::new(extents.together(), extents.channels, extents.source, padding, 0);
    let distances = planes::distances(extents.channels, padding);
    let phases: Vec<[&Phase; 2]> = readings[0]
        .phases
        .iter()
        .flat_map(|down| readings[1].phases.iter().map(move |across| [down, across]))
        .collect();
    let panels: Vec<Vec<Panel<T>>> = (0..extents.groups)
        .map(|group| &weights[group * extents.weights..][..extents.weights])
        .map(|weights| {
            phases.iter().map(|phase| Panel::new(extents, *phase, weights, width)).collect()
        })
        .collect();
    let scans: Vec<Scan> = phases
        .iter()
        .map(|phase| Scan::new(extents, *phase, distances, padding[0].before))
        .collect();
    let images = source.chunks(from).zip(result.chunks_mut(to));
    threads::share(extents.work, images, |images| {
        let mut planes = planes();
        for (source, result) in images {
            for (group, panels) in panels.iter().enumerate() {
                let [from, to] = extents.image();
                for (image, source) in source.chunks_exact(from * extents.groups).enumerate() {
                    planes.fill(image, &source[group * from..][..from]);
                }
                let images = result.len() / (to * extents.groups);
                for (scan, panel) in scans.iter().zip(panels) {
                    let count = scan.targets.len() / extents.together() * images;
                    ARCH.dispatch(Multiply {
                        extents,
                        scan,
                        panel,
                        targets: &scan.targets[..count],
                        pixels: &planes.pixels,
                        result: &mut result[group * to..],
                    });
                }
            }
        }
    });
}

/// The weights of a phase, in the order in which they are read: for each tile's
/// features, taps down, taps across, channels, features.
struct Panel<T>(Aligned<T>);

impl<T: Real> Panel<T> {
    fn new(extents: &Extents, [down, across]: [&Phase; 2], weights: &[T], width: usize) -> Self {
        let &Extents { channels, features, strides: [feature, channel, line], .. } = extents;
        let depth = down.taps.len() * across.taps.len() * channels;
        let mut panel = Aligned::zeros(features.div_ceil(width) * depth * width);
        if depth == 0 {
            return Self(panel);
        }
        let taps =
            || down.taps.iter().flat_map(|&[i, _]| across.taps.iter().map(move |&[j, _]| [i, j]));
        let tiles = (0..features).step_by(width).zip(panel.chunks_exact_mut(depth * width));
        threads::share(features * depth, tiles, |tiles| {
            for (first, tile) in tiles {
                let runs = taps()
                    .flat_map(|[i, j]| (0..channels).map(move |c| c * channel + i * line + j));
                for (start, row) in runs.zip(tile.chunks_exact_mut(width)) {
                    let weights = weights[first * feature + start..].iter().step_by(feature);
                    for (slot, &w) in row[..width.min(features - first)].iter_mut().zip(weights) {
                        *slot = w;
                    }
                }
            }
        });
        Self(panel)
    }
}

/// An element of the result.
#[derive(Clone, Copy)]
struct Target {
    /// Where its taps count from in the source, and on which line.
    start: usize,
    line: usize,
    /// Where it lies in the result.
    place: usize,
}

/// Elements of the source that lie side by side.
#[derive(Clone, Copy)]
struct Run {
    /// How far they lie from a target's start, and how many lines further down.
    start: usize,
    lines: usize,
}

/// Where a phase reads and writes.
struct Scan {
    targets: Vec<Target>,
    runs: Vec<Run>,
    /// Elements of a run.
    length: usize,
    /// The lines of the source that are not zeros all along.
    lines: Range<usize>,
}

impl Scan {
    /// The scan of as many images as are computed together, from the distances of
    /// pixels, lines and images in the source, and the lines of zeros before it.
    fn new(
        extents: &Extents,
        [down, across]: [&Phase; 2],
        [pixel, line, image]: [usize; 3],
        before: usize,
    ) -> Self {
        let [_, size] = extents.image();
        let mut targets = Vec::new();
        for number in 0..extents.together() {
            for &[row, start] in &down.targets {
                for &[column, pixels] in &across.targets {
                    targets.push(Target {
                        start: number * image + start * line + pixels * pixel,
                        line: start,
                        place: number * size * extents.groups + row * extents.result[1] + column,
                    });
                }
            }
        }
        let joined = if across.is_dense() { across.taps.len().max(1) } else { 1 };
        let runs = down.taps.iter().flat_map(|&[_, lines]| {
            let heads = across.taps.iter().step_by(joined);
            heads.map(move |&[_, pixels]| Run { start: lines * line + pixels * pixel, lines })
        });
        let lines = before..before + extents.source[0];
        Self { targets, runs: runs.collect(), length: joined * extents.channels, lines }
    }
}

/// The work for one phase of a few images.
struct Multiply<'a, T> {
    extents: &'a Extents,
    scan: &'a Scan,
    panel: &'a Panel<T>,
    targets: &'a [Target],
    pixels: &'a [T],
    result: &'a mut [T],
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
        let Self { extents, scan, panel: Panel(panel), targets, pixels, result } = self;
        let width = vector_width::<T, S>();
        let area = extents.result[0] * extents.result[1];
        let length = scan.length;
        let depth = scan.runs.len() * length;
        let mut sums = [[T::zero(); MOST]; ROWS];
        let mut wide_sums = [[0.0; MOST]; ROWS];
        let together = (MOST_TERMS / length).max(1);
        // Some tiles at a time, so that their pixels are still near when the weights
        // of the next features come.
        for targets in targets.chunks(16 * ROWS) {
            for first in (0..extents.features).step_by(width) {
                let panel = &panel[first * depth..][..depth * width];
                let features = width.min(extents.features - first);
                for targets in targets.chunks(ROWS) {
                    // Rows beyond the last target repeat it.
                    let target = |row: usize| targets[row.min(targets.len() - 1)];
                    let (first_line, last_line) =
                        targets.iter().fold((usize::MAX, 0), |(low, high), target| {
                            (low.min(target.line), high.max(target.line))
                        });
                    let starts: [usize; ROWS] = std::array::from_fn(|row| target(row).start);
                    let mut tile = Tile::<T, S, ROWS>::zeros(simd);
                    let runs = scan.runs.iter().zip(panel.chunks_exact(length * width));
                    for (number, (run, panel)) in runs.enumerate() {
                        if number > 0 && number % together == 0 {
                            tile.store(MOST, sums.as_flattened_mut());
                            widen(&sums, &mut wide_sums);
                            tile = Tile::zeros(simd);
                        }
                        // Above and below the source there is nothing to add.
                        if last_line + run.lines < scan.lines.start
                            || first_line + run.lines >= scan.lines.end
                        {
                            continue;
                        }
                        let rows = starts.map(|start| &pixels[start + run.start..]);
                        tile.add(simd, length, rows, |k| {
                            load::<T, S, VECTORS>(&panel[k * width..])
                        });
                    }
                    tile.store(MOST, sums.as_flattened_mut());
                    if scan.runs.len() > together {
                        widen(&sums, &mut wide_sums);
                        narrow(&mut wide_sums, &mut sums);
                    }
                    write(&sums, targets, area, features, &mut result[first * area..]);
                }
            }
        }
    }
}

/// Writes the sums of each target to the planes of the features, each of `area`
/// elements.
#[inline(always)]
fn write<T: Real, const ROWS: usize>(
    sums: &[[T; MOST]; ROWS],
    targets: &[Target],
    area: usize,
    features: usize,
    result: &mut [T],
) {
    let first = targets[0].place;
    // Targets ascend: if the last one is as near as it can be, they are neighbours.
    if targets.len() == ROWS && targets[ROWS - 1].place == first + ROWS - 1 {
        for feature in 0..features {
            let column: [T; ROWS] = std::array::from_fn(|row| sums[row][feature]);
            result[feature * area + first..][..ROWS].copy_from_slice(&column);
        }
        return;
    }
    for (sums, target) in sums.iter().zip(targets) {
        for (feature, &sum) in sums[..features].iter().enumerate() {
            result[feature * area + target.place] = sum;
        }
    }
}
