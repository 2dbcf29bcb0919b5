//! What rows of windows read of a plane.

use super::vectors::{LANES, Padded};
use crate::kernel::window::Slide;
use crate::scalar::Real;

/// How a window slides, down and across.
pub(crate) type Slides = [Slide; 2];

/// In place of a stride that is known: any.
pub(super) const ANY: usize = 0;

/// Planes, as rows of windows read them.
pub(super) struct Windows<'a, T> {
    pub(super) slides: Slides,
    x: Padded<'a, T>,
    pub(super) rows: Vec<Row<T>>,
}

/// What a row of windows reads of a plane.
pub(super) struct Row<T> {
    /// The first element.
    pub(super) first: usize,
    /// Elements from there on, with what is over of the last line's last vector.
    len: usize,
    /// The number of lines.
    pub(super) count: T,
}

impl<'a, T: Real> Windows<'a, T> {
    pub(super) fn new(slides: Slides, x: &'a [T]) -> Self {
        let [down, across] = slides;
        let over = across.extent.next_multiple_of(LANES) - across.extent;
        let row = |p| {
            let reach = down.reach(p);
            Row {
                first: reach.start * across.extent,
                len: reach.len() * across.extent + over,
                count: T::from_f64(reach.len() as f64),
            }
        };
        let longest = down.taps * across.extent + over;
        Self {
            slides,
            x: Padded::new(x, longest, over),
            rows: (0..down.positions).map(row).collect(),
        }
    }

    #[inline(always)]
    pub(super) fn lines(&self, plane: usize, row: &Row<T>) -> &[T] {
        self.x.at(plane * area(self.slides) + row.first, row.len)
    }
}

#[inline(always)]
pub(super) fn stride<const STRIDE: usize>(across: Slide) -> usize {
    if STRIDE == ANY { across.stride } else { STRIDE }
}

pub(super) fn area([down, across]: Slides) -> usize {
    down.extent * across.extent
}

pub(super) fn positions([down, across]: Slides) -> usize {
    down.positions * across.positions
}

/// Whether `x` takes the place of the largest that was found, where the first of equals
/// stays and NaN is larger than any number.
#[inline(always)]
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "true of a NaN, in one comparison")]
pub(super) fn is_larger<T: Real>(x: T, largest: T) -> bool {
    !(x <= largest) & !largest.is_nan()
}

#[inline(always)]
pub(super) fn larger<T: Real>(largest: T, x: T) -> T {
    if is_larger(x, largest) { x } else { largest }
}
