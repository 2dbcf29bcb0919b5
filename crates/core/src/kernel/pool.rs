//! Pooling: maxima and means over windows of planes, and their transposes.
//!
//! Windows are cropped at the border: elements that are only thought there count
//! neither for a maximum nor for a mean. A row of windows is taken down its columns
//! first, all columns at a time, and then across the columns' results, all windows
//! at a time. Those are kept with room at both ends for columns that are not there.
//!
//! Planes are independent of one another, and shared out to threads.

use pulp::{Simd, WithSimd};

use super::window::Slide;
use super::{ARCH, threads};
use crate::Real;

/// How a window slides, down and across.
pub(crate) type Slides = [Slide; 2];

/// Nanoseconds that pooling is thought to take for an element of a plane.
const ELEMENT: usize = 1;
/// In place of a stride that is known: any.
const ANY: usize = 0;

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
        let [down, across] = slides;
        let mut tops = Columns::new(across, T::neg_infinity());
        let planes = x.chunks_exact(area(slides)).zip(y.chunks_exact_mut(positions(slides)));
        for (x, y) in planes {
            for (p, y) in y.chunks_exact_mut(across.positions).enumerate() {
                let own = tops.own();
                own.fill(T::neg_infinity());
                for line in lines(down, across, p, x) {
                    for (top, &x) in own.iter_mut().zip(line) {
                        *top = if is_larger(x, *top) { x } else { *top };
                    }
                }
                y.fill(T::neg_infinity());
                tops.sort::<STRIDE>();
                for tap in 0..across.taps {
                    for (y, &top) in y.iter_mut().zip(&*tops.tap::<STRIDE>(tap)) {
                        *y = if is_larger(top, *y) { top } else { *y };
                    }
                }
            }
        }
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
        let (area, positions) = (area(slides), positions(slides));
        let mut search = Search::new(slides);
        for ((x, v), out) in
            x.chunks_exact(area).zip(v.chunks_exact(area)).zip(out.chunks_exact_mut(positions))
        {
            search.each::<STRIDE>(x, |position, element| out[position] = v[element]);
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
        let (area, positions) = (area(slides), positions(slides));
        let mut search = Search::new(slides);
        for ((x, u), out) in
            x.chunks_exact(area).zip(u.chunks_exact(positions)).zip(out.chunks_exact_mut(area))
        {
            out.fill(T::zero());
            search.each::<STRIDE>(x, |position, element| out[element] += u[position]);
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
        let [down, across] = slides;
        let mut sums = Columns::new(across, T::zero());
        let counts = counts::<T>(across);
        let planes = x.chunks_exact(area(slides)).zip(y.chunks_exact_mut(positions(slides)));
        for (x, y) in planes {
            for (p, y) in y.chunks_exact_mut(across.positions).enumerate() {
                let own = sums.own();
                own.fill(T::zero());
                for line in lines(down, across, p, x) {
                    for (sum, &x) in own.iter_mut().zip(line) {
                        *sum += x;
                    }
                }
                y.fill(T::zero());
                sums.sort::<STRIDE>();
                for tap in 0..across.taps {
                    for (y, &sum) in y.iter_mut().zip(&*sums.tap::<STRIDE>(tap)) {
                        *y += sum;
                    }
                }
                let count = T::from_f64(down.reach(p).len() as f64);
                for (y, &columns) in y.iter_mut().zip(&counts) {
                    *y /= count * columns;
                }
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
        let mut sums = Columns::new(across, T::zero());
        let mut shares = vec![T::zero(); across.positions];
        let counts = counts::<T>(across);
        let planes = y.chunks_exact(positions(slides)).zip(x.chunks_exact_mut(area(slides)));
        for (y, x) in planes {
            x.fill(T::zero());
            for (p, y) in y.chunks_exact(across.positions).enumerate() {
                let reach = down.reach(p);
                let count = T::from_f64(reach.len() as f64);
                for ((share, &y), &columns) in shares.iter_mut().zip(y).zip(&counts) {
                    *share = y / (count * columns);
                }
                sums.sorted.fill(T::zero());
                for tap in 0..across.taps {
                    for (sum, &share) in sums.tap::<STRIDE>(tap).iter_mut().zip(&shares) {
                        *sum += share;
                    }
                }
                sums.merge::<STRIDE>();
                let own = sums.own();
                let lines = x[reach.start * across.extent..reach.end * across.extent]
                    .chunks_exact_mut(across.extent);
                for line in lines {
                    for (x, &sum) in line.iter_mut().zip(&*own) {
                        *x += sum;
                    }
                }
            }
        }
    }
}

/// Finds the first of the largest elements of each window, in row-major order.
struct Search<T> {
    slides: Slides,
    /// The largest element of each column, and the place of the first such in the plane.
    tops: Columns<T>,
    places: Columns<u32>,
    /// The largest of each window, and its place.
    largest: Vec<T>,
    place: Vec<u32>,
}

impl<T: Real> Search<T> {
    #[inline(always)]
    fn new(slides: Slides) -> Self {
        let [_, across] = slides;
        Self {
            slides,
            tops: Columns::new(across, T::neg_infinity()),
            places: Columns::new(across, u32::MAX),
            largest: vec![T::zero(); across.positions],
            place: vec![0; across.positions],
        }
    }

    /// Calls `found` with the number of each position and the place of its largest
    /// element in the plane.
    #[inline(always)]
    fn each<const STRIDE: usize>(&mut self, x: &[T], mut found: impl FnMut(usize, usize)) {
        let [down, across] = self.slides;
        let Self { tops, places, largest, place, .. } = self;
        for p in 0..down.positions {
            let (own_tops, own_places) = (tops.own(), places.own());
            let first = (down.reach(p).start * across.extent) as u32;
            for (number, x) in lines(down, across, p, x).enumerate() {
                let line = first + (number * across.extent) as u32;
                if number == 0 {
                    own_tops.copy_from_slice(x);
                    for (place, own) in own_places.iter_mut().zip(line..) {
                        *place = own;
                    }
                    continue;
                }
                let columns = own_tops.iter_mut().zip(&mut *own_places).zip(x).zip(line..);
                for (((top, place), &x), own) in columns {
                    let larger = is_larger(x, *top);
                    *top = if larger { x } else { *top };
                    *place = if larger { own } else { *place };
                }
            }
            tops.sort::<STRIDE>();
            places.sort::<STRIDE>();
            largest.copy_from_slice(tops.tap::<STRIDE>(0));
            place.copy_from_slice(places.tap::<STRIDE>(0));
            for tap in 1..across.taps {
                let columns = tops.tap::<STRIDE>(tap).iter().zip(&*places.tap::<STRIDE>(tap));
                for ((largest, place), (&top, &own)) in
                    largest.iter_mut().zip(&mut *place).zip(columns)
                {
                    // Of equal ones in two columns, the upper one comes first, and of those
                    // in a line the left one, which is the largest so far.
                    let better =
                        is_larger(top, *largest) | (!is_larger(*largest, top) & (own < *place));
                    *largest = if better { top } else { *largest };
                    *place = if better { own } else { *place };
                }
            }
            for (q, &place) in place.iter().enumerate() {
                found(p * across.positions + q, place as usize);
            }
        }
    }
}

fn area([down, across]: Slides) -> usize {
    down.extent * across.extent
}

fn positions([down, across]: Slides) -> usize {
    down.positions * across.positions
}

/// How many columns each window covers.
fn counts<T: Real>(across: Slide) -> Vec<T> {
    (0..across.positions).map(|q| T::from_f64(across.reach(q).len() as f64)).collect()
}

/// Whether `x` takes the place of the largest so far, where the first of equals
/// stays and NaN is larger than any number.
#[inline(always)]
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "true of a NaN, in one comparison")]
fn is_larger<T: Real>(x: T, largest: T) -> bool {
    !(x <= largest) & !largest.is_nan()
}

/// The lines of a plane that one row of windows covers.
#[inline(always)]
fn lines<T>(down: Slide, across: Slide, p: usize, x: &[T]) -> impl Iterator<Item = &[T]> {
    let reach = down.reach(p);
    x[reach.start * across.extent..reach.end * across.extent].chunks_exact(across.extent)
}

/// A number for each column that windows can reach, there or not; and the same
/// sorted by the remainder of the column by the stride, since what one tap reads
/// for all windows lies side by side then.
struct Columns<T> {
    across: Slide,
    merged: Vec<T>,
    sorted: Vec<T>,
    /// Numbers of each remainder.
    count: usize,
}

impl<T: Copy> Columns<T> {
    fn new(across: Slide, none: T) -> Self {
        let read = across.positions + across.taps.div_ceil(across.stride);
        let count = read.max((across.before + across.extent).div_ceil(across.stride));
        let numbers = vec![none; count * across.stride];
        Self { across, sorted: numbers.clone(), merged: numbers, count }
    }

    /// The columns that are there.
    #[inline(always)]
    fn own(&mut self) -> &mut [T] {
        &mut self.merged[self.across.before..][..self.across.extent]
    }

    #[inline(always)]
    fn stride<const STRIDE: usize>(&self) -> usize {
        if STRIDE == ANY { self.across.stride } else { STRIDE }
    }

    #[inline(always)]
    fn sort<const STRIDE: usize>(&mut self) {
        let stride = self.stride::<STRIDE>();
        let merged = self.merged.chunks_exact(stride);
        if STRIDE == 2 {
            // Both at once, so that the compiler reads whole vectors.
            let (even, odd) = self.sorted.split_at_mut(self.count);
            for ((pair, even), odd) in merged.zip(even).zip(odd) {
                (*even, *odd) = (pair[0], pair[1]);
            }
        } else {
            for (n, columns) in merged.enumerate() {
                for (remainder, &column) in columns.iter().enumerate() {
                    self.sorted[remainder * self.count + n] = column;
                }
            }
        }
    }

    /// The reverse of [`sort`](Self::sort).
    #[inline(always)]
    fn merge<const STRIDE: usize>(&mut self) {
        let stride = self.stride::<STRIDE>();
        let merged = self.merged.chunks_exact_mut(stride);
        if STRIDE == 2 {
            let (even, odd) = self.sorted.split_at(self.count);
            for ((pair, &even), &odd) in merged.zip(even).zip(odd) {
                (pair[0], pair[1]) = (even, odd);
            }
        } else {
            for (n, columns) in merged.enumerate() {
                for (remainder, column) in columns.iter_mut().enumerate() {
                    *column = self.sorted[remainder * self.count + n];
                }
            }
        }
    }

    /// What one tap reads for all windows.
    #[inline(always)]
    fn tap<const STRIDE: usize>(&mut self, tap: usize) -> &mut [T] {
        let stride = self.stride::<STRIDE>();
        let start = tap % stride * self.count + tap / stride;
        &mut self.sorted[start..][..self.across.positions]
    }
}
