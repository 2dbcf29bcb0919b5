//! Two-dimensional convolution, and its transposes with respect to either operand.
//!
//! Nothing is laid out as a matrix: the images are copied once, with the channels
//! of a pixel side by side and zeros around ([`planes`]), and a block of sums in
//! registers ([`tile`]) walks them in the order of the window. The convolution and
//! its transpose with respect to the input are one loop ([`correlate`]), which
//! reads by different tables ([`phase`]); the sum over positions is another
//! ([`weights`]). With one line, the same serves sequences.
//!
//! Images are independent but for that sum, which adds chunks of a fixed number of
//! images in order: so images are shared out among threads without a change in the
//! last bit.

mod correlate;
mod phase;
mod planes;
mod tile;
mod weights;

use correlate::{Extents, correlate};
use phase::Reading;

use super::contiguous;
use super::window::Slide;
use crate::Real;
use crate::tensor::View;

/// Extents of a convolution: `images` of `groups * channels` planes, and as many
/// images of `groups * features` planes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) images: usize,
    pub(crate) groups: usize,
    /// Input planes of a group.
    pub(crate) channels: usize,
    /// Output planes of a group.
    pub(crate) features: usize,
    /// How the window slides down and across.
    pub(crate) slides: [Slide; 2],
}

impl Geometry {
    /// Height and width of a plane of the input.
    fn source(&self) -> [usize; 2] {
        self.slides.map(|slide| slide.extent)
    }

    /// Elements of a plane of the output.
    fn positions(&self) -> usize {
        self.slides[0].positions * self.slides[1].positions
    }

    /// Elements under the window at one position, over the channels of a group.
    fn taps(&self) -> usize {
        self.channels * self.slides[0].taps * self.slides[1].taps
    }

    /// Elements of an image of a group of the input.
    fn input(&self) -> usize {
        self.channels * self.slides[0].extent * self.slides[1].extent
    }

    /// Nanoseconds that the convolution and its transposes are thought to take.
    fn work<T>(&self) -> usize {
        self.images * self.groups * self.taps() * self.output() * size_of::<T>() / 200
    }

    /// Elements of an image of a group of the output.
    fn output(&self) -> usize {
        self.features * self.positions()
    }
}

/// Writes the convolution of `x` with weights `w` to `y`.
pub(crate) fn convolve<T: Real>(geometry: &Geometry, x: View<'_, T>, w: View<'_, T>, y: &mut [T]) {
    if geometry.taps() == 0 || x.is_empty() || y.is_empty() {
        return y.fill(T::zero());
    }
    let [down, across] = geometry.slides;
    let extents = Extents {
        groups: geometry.groups,
        channels: geometry.channels,
        features: geometry.features,
        source: geometry.source(),
        result: geometry.slides.map(|slide| slide.positions),
        strides: [geometry.taps(), down.taps * across.taps, across.taps],
        weights: geometry.features * geometry.taps(),
        work: geometry.work::<T>(),
    };
    let readings = geometry.slides.map(|slide| Reading::of_input(&slide));
    correlate(&extents, readings, &contiguous(x), &contiguous(w), y);
}

/// Writes to `x` what the convolution's transpose makes of `y`: its adjoint with
/// respect to the input.
pub(crate) fn transpose<T: Real>(geometry: &Geometry, y: View<'_, T>, w: View<'_, T>, x: &mut [T]) {
    if y.is_empty() || x.is_empty() {
        return x.fill(T::zero());
    }
    let [down, across] = geometry.slides;
    let extents = Extents {
        groups: geometry.groups,
        channels: geometry.features,
        features: geometry.channels,
        source: geometry.slides.map(|slide| slide.positions),
        result: geometry.source(),
        strides: [down.taps * across.taps, geometry.taps(), across.taps],
        weights: geometry.features * geometry.taps(),
        work: geometry.work::<T>(),
    };
    let readings = geometry.slides.map(|slide| Reading::of_output(&slide));
    correlate(&extents, readings, &contiguous(y), &contiguous(w), x);
}

/// Writes to `w` the sum over images of the products of `y` with what the windows
/// cover of `x`: the convolution's adjoint with respect to the weights.
pub(crate) fn weights<T: Real>(geometry: &Geometry, x: View<'_, T>, y: View<'_, T>, w: &mut [T]) {
    w.fill(T::zero());
    if !(w.is_empty() || x.is_empty() || y.is_empty()) {
        weights::accumulate(geometry, &contiguous(x), &contiguous(y), w);
    }
}
