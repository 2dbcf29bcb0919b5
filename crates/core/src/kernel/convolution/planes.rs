//! Planes of several channels with the channels of each pixel side by side.
//!
//! Tensors hold one plane after another. The kernels read a pixel's channels
//! together, and the zeros around it like any other pixel: so a source is copied
//! once, and read as often as the window has taps.

use super::phase::Padding;
use crate::scalar::micro::transpose;
use crate::scalar::{Aligned, Real};
use crate::tuned::damage::{Damage, damaged};

/// Padded planes, by line, column and channel.
#[derive(Debug)]
pub(super) struct Planes<T> {
    /// As [`distances`] says.
    pub(super) distances: [usize; 3],
    /// Extents of the source.
    extents: [usize; 2],
    padding: [Padding; 2],
    pub(super) pixels: Aligned<T>,
}

/// From a pixel of some channels to the next, from a line to the next, and from an
/// image to the next.
pub(super) fn distances(channels: usize, [down, across]: [Padding; 2]) -> [usize; 3] {
    let line = across.extent * channels;
    [channels, line, down.extent * line]
}

impl<T: Real> Planes<T> {
    /// Zeros for `images` of `channels` channels, with `slack` zeros behind the last,
    /// so that whole vectors can be read there.
    pub(super) fn new(
        images: usize,
        channels: usize,
        extents: [usize; 2],
        padding: [Padding; 2],
        slack: usize,
    ) -> Self {
        let distances = distances(channels, padding);
        let pixels = Aligned::zeros(images * distances[2] + slack);
        Self { distances, extents, padding, pixels }
    }

    /// Copies an image to its place. The zeros around it stay.
    pub(super) fn fill(&mut self, image: usize, x: &[T]) {
        let [channels, line, size] = self.distances;
        let [height, width] = self.extents;
        let start = image * size;
        let [down, across] = self.padding;
        let lines = height.min(down.extent.saturating_sub(down.before));
        let columns = width.min(across.extent.saturating_sub(across.before));
        if columns == 0 || channels == 0 {
            return;
        }
        let area = height * width;
        for row in 0..lines {
            let start = start + (down.before + row) * line + across.before * channels;
            let pixels = &mut self.pixels[start..][..columns * channels];
            let copied = channels - usize::from(damaged(Damage::Channel));
            transpose([copied, columns], &x[row * width..], area, pixels, channels);
        }
    }
}
