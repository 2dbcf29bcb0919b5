//! Two-dimensional convolution, and its products with respect to either operand.
//!
//! Image by image, the elements under each position of the window are laid out
//! as a column ([`patches`]), and the convolution is a matrix product with the
//! weights: `Y = W X`. Its transposes are `X += W' Y`, added back under the
//! windows, and `W += Y X'`.
//!
//! Images are independent but for the sum over them in [`weights`], which adds
//! groups of images, whose size depends on nothing, in order: so images may be
//! shared out among threads without a change in the last bit.

mod patches;

use super::product::{Matrix, Old, product};
use super::window::{Slide, contiguous};
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
    /// Elements of a plane of the input.
    fn area(&self) -> usize {
        self.slides[0].extent * self.slides[1].extent
    }

    /// Positions of the window: elements of a plane of the output.
    fn positions(&self) -> usize {
        self.slides[0].positions * self.slides[1].positions
    }

    /// Elements under the window at one position, over the channels of a group.
    fn taps(&self) -> usize {
        self.channels * self.slides[0].taps * self.slides[1].taps
    }

    /// Elements of one image of one group: of the input, the output and the
    /// weights.
    fn sizes(&self) -> (usize, usize, usize) {
        let input = self.channels * self.area();
        (input, self.features * self.positions(), self.features * self.taps())
    }
}

/// Images whose products are added up before they are added to the others'.
const CHUNK: usize = 8;

/// Writes the convolution of `x` with weights `w` to `y`.
pub(crate) fn convolve<T: Real>(geometry: &Geometry, x: View<'_, T>, w: View<'_, T>, y: &mut [T]) {
    let (input, output, weights) = geometry.sizes();
    if y.is_empty() {
        return;
    }
    let (x, w) = (contiguous(x), contiguous(w));
    let mut columns = vec![T::zero(); geometry.taps() * geometry.positions()];
    for (i, y) in y.chunks_exact_mut(output).enumerate() {
        let w = &w[i % geometry.groups * weights..][..weights];
        patches::gather(geometry, &x[i * input..][..input], &mut columns);
        product(
            Matrix::row_major(w, geometry.features, geometry.taps()),
            Matrix::row_major(&columns, geometry.taps(), geometry.positions()),
            y,
            Old::Discard,
        );
    }
}

/// Writes to `x` what the convolution's transpose makes of `y`: its adjoint with
/// respect to the input.
pub(crate) fn transpose<T: Real>(geometry: &Geometry, y: View<'_, T>, w: View<'_, T>, x: &mut [T]) {
    let (input, output, weights) = geometry.sizes();
    if x.is_empty() {
        return;
    }
    let (y, w) = (contiguous(y), contiguous(w));
    let mut columns = vec![T::zero(); geometry.taps() * geometry.positions()];
    for (i, x) in x.chunks_exact_mut(input).enumerate() {
        let w = &w[i % geometry.groups * weights..][..weights];
        product(
            Matrix::row_major(w, geometry.features, geometry.taps()).transpose(),
            Matrix::row_major(&y[i * output..][..output], geometry.features, geometry.positions()),
            &mut columns,
            Old::Discard,
        );
        patches::scatter(geometry, &columns, x);
    }
}

/// Writes to `w` the sum over images of the products of `y` with what the windows
/// cover of `x`: the convolution's adjoint with respect to the weights.
pub(crate) fn weights<T: Real>(geometry: &Geometry, x: View<'_, T>, y: View<'_, T>, w: &mut [T]) {
    let (input, output, weights) = geometry.sizes();
    w.fill(T::zero());
    if w.is_empty() || output == 0 {
        return;
    }
    let (x, y) = (contiguous(x), contiguous(y));
    let mut columns = vec![T::zero(); geometry.taps() * geometry.positions()];
    let mut part = vec![T::zero(); w.len()];
    for first in (0..geometry.images).step_by(CHUNK) {
        let last = (first + CHUNK).min(geometry.images);
        part.fill(T::zero());
        for i in first * geometry.groups..last * geometry.groups {
            patches::gather(geometry, &x[i * input..][..input], &mut columns);
            product(
                Matrix::row_major(
                    &y[i * output..][..output],
                    geometry.features,
                    geometry.positions(),
                ),
                Matrix::row_major(&columns, geometry.taps(), geometry.positions()).transpose(),
                &mut part[i % geometry.groups * weights..][..weights],
                Old::Add,
            );
        }
        for (w, &part) in w.iter_mut().zip(&part) {
            *w += part;
        }
    }
}
