//! How results are cut into patches, and when that is worth it.

use super::points::POINTS;
use crate::kernel::convolution::Geometry;
use crate::kernel::convolution::phase::Padding;
use crate::kernel::convolution::weights::chunk;
use crate::kernel::window::Slide;

tuned! {
    /// Patches that are transformed together, which makes rows enough for the
    /// products of matrices, and few enough to be near when these read them.
    pub(super) const BLOCK = 64, tiny 16;
    /// Channels, and features, from which on the transforms are worth it.
    /// Tiny kernels leave it: an error that spreads over a patch is no dependence, and tests of
    /// samples would take it for one.
    const MANY = 16, tiny 16;
    /// The most patches that are summed up one after the other.
    const MOST_IN_ORDER = 512, tiny 32;
}

/// Multiplications that a filter of a channel takes to the points, or from there, for which its
/// numbers come from far. Tiny kernels leave it, so that few results go this way, too.
const TRANSFORM: usize = if cfg!(feature = "tiny-kernels") { 0 } else { 600 };

/// How results are cut into patches along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// Elements of the result.
    pub(super) result: usize,
    taps: usize,
    /// Zeros before the source.
    before: usize,
}

impl Axis {
    /// Results of a patch.
    pub(super) fn results(&self) -> usize {
        POINTS + 1 - self.taps
    }

    pub(super) fn patches(&self) -> usize {
        self.result.div_ceil(self.results())
    }

    /// The elements of the source that the patches read, with zeros around.
    pub(super) fn source(&self) -> Padding {
        let extent = self.patches() * self.results() + self.taps - 1;
        Padding { before: self.before, extent }
    }

    /// The results of whole patches, with zeros beyond the last one.
    pub(super) fn padded(&self) -> Padding {
        Padding { before: 0, extent: self.patches() * self.results() }
    }
}

/// A patch of one of the images that are transformed together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    pub(super) image: usize,
    /// The row and the column of its first result.
    pub(super) corner: [usize; 2],
}

impl Patch {
    /// The offset of its first element, given the distances of columns, rows and images.
    #[inline(always)]
    pub(super) fn start(&self, [column, row, image]: [usize; 3]) -> usize {
        self.image * image + self.corner[0] * row + self.corner[1] * column
    }
}

/// How results are cut into patches.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Patches {
    pub(super) axes: [Axis; 2],
    /// Whether the window is read from its end: that is the transpose.
    pub(super) reversed: bool,
}

impl Patches {
    /// For a convolution, if it is worth it.
    pub(in super::super) fn of_input(geometry: &Geometry) -> Option<Self> {
        let axis = |slide: &Slide| {
            let Slide { positions: result, taps, before, .. } = *slide;
            Some(Axis { result, taps, before })
        };
        Self::new(geometry, axis, false)
    }

    /// For the sum over a convolution's positions, if it is worth it: each chunk of images has sums
    /// at the points of its own, unless patches are few.
    pub(in super::super) fn of_weights(geometry: &Geometry) -> Option<Self> {
        let patches = Self::of_input(geometry)?;
        if patches.are_few(geometry) {
            return Some(patches);
        }
        Self::of_input(&Geometry { images: geometry.images.min(chunk(geometry)), ..*geometry })
    }

    /// For a convolution's transpose with respect to the input, if it is worth it:
    /// that reads the output with the window reversed.
    pub(in super::super) fn of_output(geometry: &Geometry) -> Option<Self> {
        let axis = |slide: &Slide| {
            let Slide { extent: result, taps, before, .. } = *slide;
            Some(Axis { result, taps, before: (taps - 1).checked_sub(before)? })
        };
        Self::new(geometry, axis, true)
    }

    pub(super) fn new(
        geometry: &Geometry,
        axis: impl Fn(&Slide) -> Option<Axis>,
        reversed: bool,
    ) -> Option<Self> {
        let fits =
            |slide: &Slide| slide.stride == 1 && slide.dilation == 1 && matches!(slide.taps, 3 | 5);
        if geometry.channels.min(geometry.features) < MANY || !geometry.slides.iter().all(fits) {
            return None;
        }
        let axes = [axis(&geometry.slides[0])?, axis(&geometry.slides[1])?];
        if axes[0].taps != axes[1].taps {
            return None;
        }
        let patches = Self { axes, reversed };
        let of_image = |f: fn(&Axis) -> usize| f(&axes[0]) * f(&axes[1]);
        let products = of_image(|a| a.result * a.taps) * geometry.images;
        // Patches that reach beyond the last result do some of their work in vain.
        let at_points = POINTS * POINTS * patches.count() * geometry.images;
        (5 * (at_points + TRANSFORM) <= 3 * products).then_some(patches)
    }

    /// Whether the patches of all images, at the points, are fewer numbers than the filters, and so
    /// few that they are summed one after the other; and each image is one block.
    pub(super) fn are_few(&self, geometry: &Geometry) -> bool {
        let Geometry { images, channels, features, .. } = *geometry;
        let all = images * self.count();
        self.count() <= BLOCK
            && all <= MOST_IN_ORDER
            && all * (channels + features) <= channels * features
    }

    /// Patches of an image.
    pub(super) fn count(&self) -> usize {
        self.axes[0].patches() * self.axes[1].patches()
    }

    /// Images that are transformed together.
    pub(super) fn together(&self) -> usize {
        (BLOCK / self.count()).max(1)
    }

    /// Taps of the window along either axis.
    pub(super) fn taps(&self) -> usize {
        self.axes[0].taps
    }

    /// Results of a patch along either axis.
    pub(super) fn results(&self) -> usize {
        self.axes[0].results()
    }

    /// The patches of as many images as are transformed together, image by image.
    pub(super) fn list(&self) -> Vec<Patch> {
        let [down, across] =
            self.axes.map(|axis| (0..axis.patches()).map(move |k| k * axis.results()));
        let corners = down.flat_map(|i| across.clone().map(move |j| [i, j]));
        (0..self.together())
            .flat_map(|image| corners.clone().map(move |corner| Patch { image, corner }))
            .collect()
    }
}
