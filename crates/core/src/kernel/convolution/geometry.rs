//! The extents of a convolution, and what follows from them.

use crate::kernel::window::Slide;

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
    pub(super) fn source(&self) -> [usize; 2] {
        self.slides.map(|slide| slide.extent)
    }

    /// Elements of a plane of the output.
    pub(super) fn positions(&self) -> usize {
        self.slides[0].positions * self.slides[1].positions
    }

    /// Elements under the window at one position, over the channels of a group.
    pub(super) fn taps(&self) -> usize {
        self.channels * self.slides[0].taps * self.slides[1].taps
    }

    /// Elements of an image of a group of the input.
    pub(super) fn input(&self) -> usize {
        self.channels * self.slides[0].extent * self.slides[1].extent
    }

    /// Nanoseconds that the convolution and its transposes are thought to take.
    pub(super) fn work<T>(&self) -> usize {
        self.images * self.groups * self.taps() * self.output() * size_of::<T>() / 200
    }

    /// Elements of an image of a group of the output.
    pub(super) fn output(&self) -> usize {
        self.features * self.positions()
    }
}
