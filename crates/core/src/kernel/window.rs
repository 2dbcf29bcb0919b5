//! Windows that slide along an axis: which element each of their taps reads.
//!
//! Convolutions and poolings of any rank are made of these, one for each axis.

use std::ops::Range;

/// A window of some taps, sliding along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slide {
    /// Elements of the axis.
    pub(crate) extent: usize,
    /// Taps of the window.
    pub(crate) taps: usize,
    /// Positions of the window.
    pub(crate) positions: usize,
    /// From one position to the next.
    pub(crate) stride: usize,
    /// From one tap to the next.
    pub(crate) dilation: usize,
    /// Elements that are thought before the first one.
    pub(crate) before: usize,
}

impl Slide {
    /// A window over an axis with some elements thought `before` and `after` it;
    /// `None` if it does not fit, or its places are too many for a number.
    pub(crate) fn new(
        extent: usize,
        taps: usize,
        stride: usize,
        [before, after]: [usize; 2],
        dilation: usize,
    ) -> Option<Self> {
        let span = taps.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let room = before.checked_add(extent)?.checked_add(after)?.checked_sub(span)?;
        Some(Self { extent, taps, positions: room / stride + 1, stride, dilation, before })
    }

    /// The positions at which a tap reads an element that is there.
    pub(crate) fn inside(&self, tap: usize) -> Range<usize> {
        let reach = tap * self.dilation;
        let first = self.before.saturating_sub(reach).div_ceil(self.stride);
        let beyond = (self.before + self.extent).saturating_sub(reach).div_ceil(self.stride);
        let beyond = beyond.min(self.positions);
        first.min(beyond)..beyond
    }

    /// The element that a tap reads at a position of the window, if it is there.
    pub(crate) fn element(&self, position: usize, tap: usize) -> Option<usize> {
        let place = position * self.stride + tap * self.dilation;
        place.checked_sub(self.before).filter(|&element| element < self.extent)
    }

    /// The elements under the window, for a window without gaps.
    #[inline]
    pub(crate) fn reach(&self, position: usize) -> Range<usize> {
        let start = position * self.stride;
        let end = (start + self.taps).min(self.before + self.extent);
        start.saturating_sub(self.before)..end.saturating_sub(self.before)
    }

    /// The positions at which a window without gaps covers an element.
    pub(crate) fn cover(&self, element: usize) -> Range<usize> {
        let place = self.before + element;
        let beyond = (place / self.stride + 1).min(self.positions);
        let first = (place + 1).saturating_sub(self.taps).div_ceil(self.stride);
        first.min(beyond)..beyond
    }
}
