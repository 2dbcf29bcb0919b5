//! Rows of a plane, read and written in whole vectors.
//!
//! Most rows are short, some vectors or less, so a loop over their elements would be
//! spent in what is left over. Here every row is a number of whole vectors. What is
//! read beyond its end is the next row's, and counts for nothing; what is written
//! there is overwritten when that row's turn comes.

use crate::kernel::window::Slide;
use crate::scalar::{Aligned, Real};

tuned! {
    /// Elements that are taken at once: a vector of the widest in single precision.
    pub(super) const LANES = 16, tiny 4;
    /// Numbers that the rows of a band have, all in all: they stay in the nearest cache.
    const BAND = 4096, tiny 64;
    /// Rows of a band, at most.
    const BAND_ROWS = 16, tiny 2;
}

/// Elements in which vectors may be read that reach beyond the last one.
pub(super) struct Padded<'a, T> {
    elements: &'a [T],
    /// The last elements once more, and zeros beyond.
    last: Vec<T>,
    beyond: usize,
}

impl<'a, T: Real> Padded<'a, T> {
    /// What is read at once is no longer than `longest`, and reaches no further
    /// than `beyond` the end.
    pub(super) fn new(elements: &'a [T], longest: usize, beyond: usize) -> Self {
        let mut last = elements[elements.len().saturating_sub(longest)..].to_vec();
        last.resize(last.len() + beyond, T::zero());
        Self { elements, last, beyond }
    }

    #[inline(always)]
    pub(super) fn at(&self, start: usize, len: usize) -> &[T] {
        match self.elements.get(start..start + len) {
            Some(elements) => elements,
            None => {
                let from_end = self.elements.len() + self.beyond - start;
                &self.last[self.last.len() - from_end..][..len]
            }
        }
    }
}

/// Writes elements from `start` on, as many as there is room for.
#[inline(always)]
pub(super) fn write<T: Copy>(to: &mut [T], start: usize, lanes: [T; LANES]) {
    let to = &mut to[start..];
    if let Some(chunk) = to.first_chunk_mut() {
        *chunk = lanes;
    } else {
        to.copy_from_slice(&lanes[..to.len()]);
    }
}

/// A number for each column that windows can reach, there or not, and that for a
/// band of rows: the processor reads a row back long after it has written it, and
/// need not wait.
pub(super) struct Band<T> {
    none: T,
    before: usize,
    extent: usize,
    /// Numbers of a row.
    width: usize,
    pub(super) rows: usize,
    numbers: Aligned<T>,
}

impl<T: bytemuck::Pod> Band<T> {
    pub(super) fn new(across: Slide, none: T) -> Self {
        let Slide { extent, before, positions, stride, taps, .. } = across;
        let read = positions.next_multiple_of(LANES) * stride + taps;
        let written = before + extent.next_multiple_of(LANES) + LANES;
        let width = read.max(written).next_multiple_of(LANES);
        let rows = (BAND / width).clamp(1, BAND_ROWS);
        let numbers = Aligned::filled(width * rows, none);
        Self { none, before, extent, width, rows, numbers }
    }

    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &[T] {
        &self.numbers[row * self.width..][..self.width]
    }

    /// The columns of a row that are there, and what is over of the last vector.
    #[inline(always)]
    pub(super) fn own(&mut self, row: usize) -> &mut [[T; LANES]] {
        let len = self.extent.next_multiple_of(LANES);
        self.numbers[row * self.width + self.before..][..len].as_chunks_mut().0
    }

    /// Clears what is over of the last vector.
    #[inline(always)]
    pub(super) fn end(&mut self, row: usize) {
        let end = row * self.width + self.before + self.extent;
        self.numbers[end..][..LANES].fill(self.none);
    }
}
