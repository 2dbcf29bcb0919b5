//! Pooling: maxima and means over windows of planes, and their transposes.
//!
//! Windows are cropped at the border: elements that are only thought there count
//! neither for a maximum nor for a mean. A window is taken down its columns first,
//! many columns at a time, and then across the few results.
//!
//! Planes are independent of one another.

use super::vectorised;
use super::window::Slide;
use crate::Real;

/// How a window slides, down and across.
pub(crate) type Slides = [Slide; 2];

fn area([down, across]: Slides) -> usize {
    down.extent * across.extent
}

fn positions([down, across]: Slides) -> usize {
    down.positions * across.positions
}

/// Writes the largest element of each window; NaN counts as the largest.
pub(crate) fn max<T: Real>(slides: Slides, x: &[T], y: &mut [T]) {
    let [_, across] = slides;
    let mut tops = vec![T::zero(); across.extent];
    let planes = x.chunks_exact(area(slides)).zip(y.chunks_exact_mut(positions(slides)));
    for (x, y) in planes {
        for (row, y) in y.chunks_exact_mut(across.positions).enumerate() {
            for (n, line) in lines(slides, row, x).enumerate() {
                if n == 0 {
                    tops.copy_from_slice(line);
                } else {
                    vectorised(line.len(), || {
                        for (top, &x) in tops.iter_mut().zip(line) {
                            *top = if is_larger(x, *top) { x } else { *top };
                        }
                    });
                }
            }
            for (q, y) in y.iter_mut().enumerate() {
                let (first, rest) = tops[across.reach(q)].split_first().expect(NOT_EMPTY);
                *y = rest.iter().fold(*first, |top, &x| if is_larger(x, top) { x } else { top });
            }
        }
    }
}

/// Writes, for each window of `x`, the element of `v` where `x` is largest.
pub(crate) fn gather_max<T: Real>(slides: Slides, x: &[T], v: &[T], out: &mut [T]) {
    let (area, positions) = (area(slides), positions(slides));
    let mut search = Search::new(slides);
    for ((x, v), out) in
        x.chunks_exact(area).zip(v.chunks_exact(area)).zip(out.chunks_exact_mut(positions))
    {
        search.each(x, |position, element| out[position] = v[element]);
    }
}

/// Adds, for each window of `x`, the element of `u` where `x` is largest: the
/// transpose of [`gather_max`].
pub(crate) fn scatter_max<T: Real>(slides: Slides, x: &[T], u: &[T], out: &mut [T]) {
    let (area, positions) = (area(slides), positions(slides));
    let mut search = Search::new(slides);
    for ((x, u), out) in
        x.chunks_exact(area).zip(u.chunks_exact(positions)).zip(out.chunks_exact_mut(area))
    {
        out.fill(T::zero());
        search.each(x, |position, element| out[element] += u[position]);
    }
}

/// The least distance of a window's largest element from its others.
pub(crate) fn max_margin<T: Real>(slides: Slides, x: &[T]) -> T {
    let [down, across] = slides;
    let mut margin = T::infinity();
    for x in x.chunks_exact(area(slides)) {
        Search::new(slides).each(x, |position, largest| {
            for line in down.reach(position / across.positions) {
                for column in across.reach(position % across.positions) {
                    let element = line * across.extent + column;
                    if element != largest {
                        margin = margin.min(x[largest] - x[element]);
                    }
                }
            }
        });
    }
    margin
}

/// Writes the mean of each window.
pub(crate) fn mean<T: Real>(slides: Slides, x: &[T], y: &mut [T]) {
    let [down, across] = slides;
    let mut sums = vec![T::zero(); across.extent];
    let planes = x.chunks_exact(area(slides)).zip(y.chunks_exact_mut(positions(slides)));
    for (x, y) in planes {
        for (row, y) in y.chunks_exact_mut(across.positions).enumerate() {
            sums.fill(T::zero());
            for line in lines(slides, row, x) {
                add(&mut sums, line);
            }
            for (q, y) in y.iter_mut().enumerate() {
                let sum = sums[across.reach(q)].iter().fold(T::zero(), |sum, &x| sum + x);
                *y = sum / count(down.reach(row).len(), across.reach(q).len());
            }
        }
    }
}

/// Spreads each mean evenly over its window: the transpose of [`mean`].
pub(crate) fn spread<T: Real>(slides: Slides, y: &[T], x: &mut [T]) {
    let [down, across] = slides;
    let mut shares = vec![T::zero(); across.extent];
    let planes = y.chunks_exact(positions(slides)).zip(x.chunks_exact_mut(area(slides)));
    for (y, x) in planes {
        x.fill(T::zero());
        for (row, y) in y.chunks_exact(across.positions).enumerate() {
            shares.fill(T::zero());
            for (q, &y) in y.iter().enumerate() {
                let share = y / count(down.reach(row).len(), across.reach(q).len());
                for x in &mut shares[across.reach(q)] {
                    *x += share;
                }
            }
            for line in down.reach(row) {
                add(&mut x[line * across.extent..][..across.extent], &shares);
            }
        }
    }
}

const NOT_EMPTY: &str = "every window covers an element";

/// Whether `x` takes the place of the largest so far, where the first of equals
/// stays and NaN is larger than any number.
#[inline(always)]
fn is_larger<T: Real>(x: T, largest: T) -> bool {
    x > largest || (x.is_nan() && !largest.is_nan())
}

/// The lines of a plane that the windows of one row of positions cover.
fn lines<T: Real>([down, across]: Slides, row: usize, x: &[T]) -> impl Iterator<Item = &[T]> {
    let reach = down.reach(row);
    x[reach.start * across.extent..reach.end * across.extent].chunks_exact(across.extent)
}

fn add<T: Real>(sums: &mut [T], xs: &[T]) {
    vectorised(sums.len(), || {
        for (sum, &x) in sums.iter_mut().zip(xs) {
            *sum += x;
        }
    });
}

fn count<T: Real>(lines: usize, columns: usize) -> T {
    T::from_f64((lines * columns) as f64)
}

/// Finds the first of the largest elements of each window, in row-major order.
struct Search<T> {
    slides: Slides,
    /// The largest element of each column, and the line of the first such.
    tops: Vec<T>,
    lines: Vec<u32>,
}

impl<T: Real> Search<T> {
    fn new(slides: Slides) -> Self {
        let columns = slides[1].extent;
        Self { slides, tops: vec![T::zero(); columns], lines: vec![0; columns] }
    }

    /// Calls `found` with the number of each position and the place of its largest
    /// element in the plane.
    #[inline(always)]
    fn each(&mut self, x: &[T], mut found: impl FnMut(usize, usize)) {
        let [down, across] = self.slides;
        let Self { tops, lines, .. } = self;
        for row in 0..down.positions {
            let first = down.reach(row).start as u32;
            for (line, number) in self::lines(self.slides, row, x).zip(first..) {
                if number == first {
                    tops.copy_from_slice(line);
                    lines.fill(number);
                    continue;
                }
                vectorised(line.len(), || {
                    for ((top, own), &x) in tops.iter_mut().zip(&mut *lines).zip(line) {
                        let larger = is_larger(x, *top);
                        *top = if larger { x } else { *top };
                        *own = if larger { number } else { *own };
                    }
                });
            }
            for q in 0..across.positions {
                let reach = across.reach(q);
                let mut best = reach.start;
                for column in reach.skip(1) {
                    // Of equal tops the upper one comes first.
                    let is_better = is_larger(tops[column], tops[best])
                        || (!is_larger(tops[best], tops[column]) && lines[column] < lines[best]);
                    best = if is_better { column } else { best };
                }
                found(row * across.positions + q, lines[best] as usize * across.extent + best);
            }
        }
    }
}
