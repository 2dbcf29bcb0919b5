//! Pooling: maxima and means over windows of planes, and their transposes.
//!
//! Windows are cropped at the border: elements that are only thought there count
//! neither for a maximum nor for a mean. A row of windows is taken down its columns
//! first, all columns at a time, and then across the columns' results, all windows
//! at a time. Those are kept with room at both ends for columns that are not there.
//! All of it in [whole vectors](vectors), as rows are short.
//!
//! Planes are independent of one another, and shared out to threads.

mod search;
pub(super) mod vectors;
mod windows;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use self::search::Search;
use self::vectors::{Band, LANES, Padded, write};
pub(crate) use self::windows::Slides;
use self::windows::{ANY, Windows, area, larger, positions, stride};
use super::threads;
use super::window::Slide;
use crate::scalar::{ARCH, Real};
use crate::tuned::damage::{Damage, damaged};

/// Nanoseconds that pooling is thought to take for an element of a plane.
const ELEMENT: usize = 1;

/// A loop over planes, compiled for each stride across: vectors are read in steps
/// that the compiler has to know.
trait Kernel {
    fn run<const STRIDE: usize>(self);
}

struct Strided<K, const STRIDE: usize>(K);

impl<K: Kernel, const STRIDE: usize> WithSimd for Strided<K, STRIDE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.run::<STRIDE>();
    }
}

fn dispatch(slides: Slides, kernel: impl Kernel) {
    match slides[1].stride {
        1 => ARCH.dispatch(Strided::<_, 1>(kernel)),
        2 => ARCH.dispatch(Strided::<_, 2>(kernel)),
        _ => ARCH.dispatch(Strided::<_, ANY>(kernel)),
    }
}

/// Calls `kernel` with pieces of whole planes of `out`, and the number of the first.
fn share<T: Real>(
    slides: Slides,
    out: &mut [T],
    plane: usize,
    kernel: impl Fn(usize, &mut [T]) + Sync,
) {
    if plane == 0 {
        return;
    }
    let planes = out.len() / plane;
    threads::for_each_piece(planes * area(slides) * ELEMENT, out, plane, |first, out| {
        kernel(first / plane, out);
    });
}

/// Writes the largest element of each window; NaN counts as the largest.
pub(crate) fn max<T: Real>(slides: Slides, x: &[T], y: &mut [T]) {
    share(slides, y, positions(slides), |first, y| {
        dispatch(slides, Max { slides, x: &x[first * area(slides)..], y });
    });
}

/// Writes, for each window of `x`, the element of `v` where `x` is largest.
pub(crate) fn gather_max<T: Real>(slides: Slides, x: &[T], v: &[T], out: &mut [T]) {
    share(slides, out, positions(slides), |first, out| {
        let [x, v] = [x, v].map(|planes| &planes[first * area(slides)..]);
        dispatch(slides, GatherMax { slides, x, v, out });
    });
}

/// Adds, for each window of `x`, the element of `u` where `x` is largest: the
/// transpose of [`gather_max`].
pub(crate) fn scatter_max<T: Real>(slides: Slides, x: &[T], u: &[T], out: &mut [T]) {
    share(slides, out, area(slides), |first, out| {
        let (x, u) = (&x[first * area(slides)..], &u[first * positions(slides)..]);
        dispatch(slides, ScatterMax { slides, x, u, out });
    });
}

/// Writes the mean of each window.
pub(crate) fn mean<T: Real>(slides: Slides, x: &[T], y: &mut [T]) {
    share(slides, y, positions(slides), |first, y| {
        dispatch(slides, Mean { slides, x: &x[first * area(slides)..], y });
    });
}

/// Spreads each mean evenly over its window: the transpose of [`mean`].
pub(crate) fn spread<T: Real>(slides: Slides, y: &[T], x: &mut [T]) {
    share(slides, x, area(slides), |first, x| {
        dispatch(slides, Spread { slides, y: &y[first * positions(slides)..], x });
    });
}

/// The least distance of a window's largest element from its others.
pub(crate) fn max_margin<T: Real>(slides: Slides, x: &[T]) -> T {
    let [down, across] = slides;
    let mut margin = T::infinity();
    for x in x.chunks_exact(area(slides)) {
        for p in 0..down.positions {
            for q in 0..across.positions {
                let lines = down.reach(p).map(|line| &x[line * across.extent..]);
                let mut window: Vec<T> =
                    lines.flat_map(|line| &line[across.reach(q)]).copied().collect();
                window.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
                if let [first, second, ..] = window[..] {
                    margin = margin.min(first - second);
                }
            }
        }
    }
    margin
}

struct Max<'a, T> {
    slides: Slides,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel for Max<'_, T> {
    #[inline(always)]
    fn run<const STRIDE: usize>(self) {
        let Self { slides, x, y } = self;
        fold::<T, STRIDE>(
            Windows::new(slides, x),
            y,
            T::neg_infinity(),
            #[inline(always)]
            |largest, x| larger(largest, x),
            #[inline(always)]
            |_, _, largest| largest,
        );
    }
}

struct GatherMax<'a, T> {
    slides: Slides,
    x: &'a [T],
    v: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for GatherMax<'_, T> {
    #[inline(always)]
    fn run<const STRIDE: usize>(self) {
        let Self { slides, x, v, out } = self;
        let mut search = Search::new(slides, x);
        let v = v.chunks_exact(area(slides));
        for (plane, (v, out)) in v.zip(out.chunks_exact_mut(positions(slides))).enumerate() {
            search.each::<STRIDE>(plane, |first, places| {
                for (out, &place) in out[first..].iter_mut().zip(places) {
                    *out = v[place as usize];
                }
            });
        }
    }
}

struct ScatterMax<'a, T> {
    slides: Slides,
    x: &'a [T],
    u: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for ScatterMax<'_, T> {
    #[inline(always)]
    fn run<const STRIDE: usize>(self) {
        let Self { slides, x, u, out } = self;
        let mut search = Search::new(slides, x);
        let u = u.chunks_exact(positions(slides));
        for (plane, (u, out)) in u.zip(out.chunks_exact_mut(area(slides))).enumerate() {
            out.fill(T::zero());
            search.each::<STRIDE>(plane, |first, places| {
                for (&u, &place) in u[first..].iter().zip(places) {
                    out[place as usize] += u;
                }
            });
        }
    }
}

struct Mean<'a, T> {
    slides: Slides,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel for Mean<'_, T> {
    #[inline(always)]
    fn run<const STRIDE: usize>(self) {
        let Self { slides, x, y } = self;
        let counts = counts::<T>(slides[1]);
        fold::<T, STRIDE>(
            Windows::new(slides, x),
            y,
            T::zero(),
            #[inline(always)]
            |sum, x| sum + x,
            #[inline(always)]
            |lines, vector, sums| divided(sums, lines, &counts[vector]),
        );
    }
}

/// Writes what `f` makes of the elements of each window, down its columns and then
/// across them. `finish` has the last word on the results of a row: it is told the
/// number of lines that their windows cover, and the number of their vector.
#[inline(always)]
fn fold<T: Real, const STRIDE: usize>(
    windows: Windows<'_, T>,
    y: &mut [T],
    none: T,
    f: impl Fn(T, T) -> T,
    finish: impl Fn(T, usize, [T; LANES]) -> [T; LANES],
) {
    let [_, across] = windows.slides;
    let stride = stride::<STRIDE>(across);
    let mut band = Band::new(across, none);
    let mut position = 0;
    for plane in 0..y.len() / positions(windows.slides) {
        for rows in windows.rows.chunks(band.rows) {
            for (number, row) in rows.iter().enumerate() {
                let lines = windows.lines(plane, row);
                for (vector, columns) in band.own(number).iter_mut().enumerate() {
                    let mut folded = [none; LANES];
                    for xs in lines[vector * LANES..].windows(LANES).step_by(across.extent) {
                        take(&mut folded, xs, 1, &f);
                    }
                    *columns = folded;
                }
                band.end(number);
            }
            for (number, row) in rows.iter().enumerate() {
                let columns = band.row(number);
                let skipped = if damaged(Damage::PoolVector) { LANES } else { 0 };
                for first in (skipped..across.positions).step_by(LANES) {
                    let mut folded = [none; LANES];
                    let columns = &columns[first * stride..][..LANES * stride + across.taps - 1];
                    for xs in columns.windows(LANES * stride) {
                        take(&mut folded, xs, stride, &f);
                    }
                    write(y, position + first, finish(row.count, first / LANES, folded));
                }
                position += across.positions;
            }
        }
    }
}

struct Spread<'a, T> {
    slides: Slides,
    y: &'a [T],
    x: &'a mut [T],
}

impl<T: Real> Kernel for Spread<'_, T> {
    #[inline(always)]
    fn run<const STRIDE: usize>(self) {
        let Self { slides, y, x } = self;
        let [down, across] = slides;
        let stride = stride::<STRIDE>(across);
        let (none, counts) = ([T::zero(); LANES], counts::<T>(across));
        let bands = bands(down);
        let most = bands.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
        let read = across.positions.next_multiple_of(LANES);
        let y = Padded::new(y, read, read - across.positions);
        // Each window's share, with room for those before the first and after the last.
        let room = (across.taps - 1) / stride;
        let reach = (across.before + across.extent).div_ceil(stride).next_multiple_of(LANES);
        let share_width = room + reach.max(read) + LANES;
        let mut shares = vec![T::zero(); share_width * most];
        // The sum of the shares for each column of a row of windows.
        let sum_width = (reach * stride).max(across.positions * stride + across.taps) + LANES;
        let mut sums = vec![T::zero(); sum_width * most];
        for plane in 0..x.len() / area(slides) {
            for (lines, rows) in &bands {
                let rooms = shares.chunks_exact_mut(share_width);
                for (p, shares) in rows.clone().zip(rooms) {
                    let lines = T::from_f64(down.reach(p).len() as f64);
                    let y = y.at(plane * positions(slides) + p * across.positions, read);
                    let shares = &mut shares[room..][..read + LANES];
                    let vectors = shares.as_chunks_mut().0.iter_mut().zip(y.as_chunks().0);
                    for ((shares, y), counts) in vectors.zip(&counts) {
                        *shares = divided(*y, lines, counts);
                    }
                    write(shares, across.positions, none);
                }
                let rooms = shares.chunks_exact(share_width);
                for (shares, sums) in rooms.zip(sums.chunks_exact_mut(sum_width)).take(rows.len()) {
                    sum_shares::<T, STRIDE>(across, shares, room, sums);
                }
                for line in lines.clone() {
                    let cover = down.cover(line);
                    let cover = [cover.start, cover.end].map(|p| (p - rows.start) * sum_width);
                    let sums = &sums[cover[0]..cover[1]];
                    let start = plane * area(slides) + line * across.extent;
                    for first in (0..across.extent).step_by(LANES) {
                        let total = of_rows(sums, across.before + first, sum_width);
                        write(x, start + first, total);
                    }
                }
            }
        }
    }
}

/// Bands of lines of a plane, each with the rows of windows that cover any of them.
/// A band stays in the nearest caches; the few rows that cover lines of two bands are
/// taken twice.
fn bands(down: Slide) -> Vec<(Range<usize>, Range<usize>)> {
    let height = (16 * down.stride).max(4 * down.taps);
    let band = |first: usize| {
        let lines = first..(first + height).min(down.extent);
        let rows = down.cover(lines.start).start..down.cover(lines.end - 1).end;
        (lines, rows)
    };
    (0..down.extent).step_by(height).map(band).collect()
}

/// Adds the shares of the windows that cover each column.
#[inline(always)]
fn sum_shares<T: Real, const STRIDE: usize>(
    across: Slide,
    shares: &[T],
    room: usize,
    sums: &mut [T],
) {
    let columns = across.before + across.extent;
    match STRIDE {
        1 => {
            for first in (0..columns).step_by(LANES) {
                let shares = &shares[first..][..room + LANES];
                write(sums, first, of_taps(shares, across.taps));
            }
        }
        2 => {
            // Even columns and odd ones are covered by different taps.
            for first in (0..columns.div_ceil(2)).step_by(LANES) {
                let shares = &shares[first..][..room + LANES];
                let even = of_taps(shares, across.taps.div_ceil(2));
                let odd = of_taps(shares, across.taps / 2);
                let sums = &mut sums[2 * first..][..2 * LANES];
                for i in 0..LANES {
                    sums[2 * i] = even[i];
                    sums[2 * i + 1] = odd[i];
                }
            }
        }
        _ => {
            sums.fill(T::zero());
            for tap in 0..across.taps {
                for (q, &share) in shares[room..][..across.positions].iter().enumerate() {
                    sums[q * across.stride + tap] += share;
                }
            }
        }
    }
}

/// Sums `taps` consecutive shares for each lane, the rightmost first.
#[inline(always)]
fn of_taps<T: Real>(shares: &[T], taps: usize) -> [T; LANES] {
    let mut sums = [T::zero(); LANES];
    for shares in shares.windows(LANES).rev().take(taps) {
        take(&mut sums, shares, 1, |sum, share| sum + share);
    }
    sums
}

/// The sums of rows, each so wide, from a column on.
#[inline(always)]
fn of_rows<T: Real>(rows: &[T], column: usize, width: usize) -> [T; LANES] {
    let mut sums = [T::zero(); LANES];
    for row in rows.get(column..).unwrap_or_default().windows(LANES).step_by(width) {
        take(&mut sums, row, 1, |sum, x| sum + x);
    }
    sums
}

/// Takes elements in steps of `stride` into `folded`.
#[inline(always)]
fn take<T: Real>(folded: &mut [T; LANES], xs: &[T], stride: usize, f: impl Fn(T, T) -> T) {
    for i in 0..LANES {
        folded[i] = f(folded[i], xs[i * stride]);
    }
}

/// Divides each lane by its window's size, `lines * columns[lane]`.
#[inline(always)]
fn divided<T: Real>(mut sums: [T; LANES], lines: T, columns: &[T; LANES]) -> [T; LANES] {
    for i in 0..LANES {
        sums[i] /= lines * columns[i];
    }
    sums
}

/// How many columns each window covers.
fn counts<T: Real>(across: Slide) -> Vec<[T; LANES]> {
    let mut counts = vec![[T::one(); LANES]; across.positions.div_ceil(LANES)];
    for (q, count) in counts.as_flattened_mut()[..across.positions].iter_mut().enumerate() {
        *count = T::from_f64(across.reach(q).len() as f64);
    }
    counts
}
