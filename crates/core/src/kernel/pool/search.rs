//! Where the largest element of each window is.
//!
//! Down the columns, the largest of those above is kept together with its place. Across them,
//! the largest is found first, and its place then: two plain loops stay vectors
//! where one that compares both does not.

use super::vectors::{Band, LANES};
use super::windows::{ANY, Slides, Windows, is_larger, larger, stride};
use crate::scalar::Real;

/// The numbers of a vector's elements.
const NUMBERS: [u32; LANES] = {
    let mut numbers = [0; LANES];
    let mut i = 0;
    while i < LANES {
        numbers[i] = i as u32;
        i += 1;
    }
    numbers
};

/// Finds the first of the largest elements of each window, in row-major order.
pub(super) struct Search<'a, T> {
    windows: Windows<'a, T>,
    /// The largest element of each column, and the place of the first such in the plane.
    tops: Band<T>,
    places: Band<u32>,
}

impl<'a, T: Real> Search<'a, T> {
    pub(super) fn new(slides: Slides, x: &'a [T]) -> Self {
        let [_, across] = slides;
        Self {
            windows: Windows::new(slides, x),
            tops: Band::new(across, T::neg_infinity()),
            places: Band::new(across, u32::MAX),
        }
    }

    /// Calls `found` with the number of a position and the places, in the plane, of
    /// the largest elements from that window on.
    #[inline(always)]
    pub(super) fn each<const STRIDE: usize>(
        &mut self,
        plane: usize,
        mut found: impl FnMut(usize, &[u32]),
    ) {
        let Self { windows, tops, places } = self;
        let [_, across] = windows.slides;
        let stride = stride::<STRIDE>(across);
        let mut position = 0;
        for rows in windows.rows.chunks(tops.rows) {
            for (number, row) in rows.iter().enumerate() {
                let lines = windows.lines(plane, row);
                let columns = tops.own(number).iter_mut().zip(places.own(number));
                for (vector, (tops, places)) in columns.enumerate() {
                    let mut xs = lines[vector * LANES..].windows(LANES).step_by(across.extent);
                    let mut own = (row.first + vector * LANES) as u32;
                    let (mut top, mut place) = ([T::neg_infinity(); LANES], [0; LANES]);
                    if let Some(xs) = xs.next() {
                        for i in 0..LANES {
                            (top[i], place[i]) = (xs[i], own + NUMBERS[i]);
                        }
                    }
                    for xs in xs {
                        own += across.extent as u32;
                        for i in 0..LANES {
                            let is_larger = is_larger(xs[i], top[i]);
                            top[i] = if is_larger { xs[i] } else { top[i] };
                            place[i] = if is_larger { own + NUMBERS[i] } else { place[i] };
                        }
                    }
                    (*tops, *places) = (top, place);
                }
                tops.end(number);
                places.end(number);
            }
            for number in 0..rows.len() {
                let (tops, places) = (tops.row(number), places.row(number));
                for first in (0..across.positions).step_by(LANES) {
                    let count = LANES.min(across.positions - first);
                    // Of strides that are not known, no vectors are read.
                    let lanes = if STRIDE == ANY { count } else { LANES };
                    let reach = LANES * stride + across.taps - 1;
                    let tops = tops[first * stride..][..reach].windows(LANES * stride);
                    let places = places[first * stride..][..reach].windows(LANES * stride);
                    let mut largest = [T::neg_infinity(); LANES];
                    for tops in tops.clone() {
                        for i in 0..lanes {
                            largest[i] = larger(largest[i], tops[i * stride]);
                        }
                    }
                    // Of equal ones in several columns, the one that comes first.
                    let mut place = [u32::MAX; LANES];
                    for (tops, places) in tops.zip(places) {
                        for i in 0..lanes {
                            let (top, own) = (tops[i * stride], places[i * stride]);
                            let is_largest = (top == largest[i]) | top.is_nan();
                            place[i] = place[i].min(if is_largest { own } else { u32::MAX });
                        }
                    }
                    found(position + first, &place[..count]);
                }
                position += across.positions;
            }
        }
    }
}
