//! What a tape takes in as a value.

use crate::scalar::Real;
use crate::tensor::{Buffer, Layout, Shape, Tensor, View};

/// A value from outside: a tensor, a reference to one, a number, a vector or an
/// array of numbers.
///
/// Small values are copied onto the tape; the memory of large tensors is shared.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no value of `{T}` for a tape",
    label = "neither a number nor an array, vector or tensor of `{T}`",
    note = "literals of real numbers have a point: `1.0`, `[1.0, 2.0]`",
    note = "other numbers are converted by `as`, a tensor of another precision by `.cast()`, deeper arrays by `Tensor::from`"
)]
pub trait Leaf<T: Real> {
    /// The elements in row-major order and the extents, where they stand so: what a small input of a
    /// program is copied from, without a layout in between.
    #[doc(hidden)]
    #[inline]
    fn plain(&self) -> Option<(&[T], &[usize])> {
        None
    }

    /// Shows the elements and, if there is one that may be shared, their buffer.
    #[doc(hidden)]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R;
}

impl<T: Real> Leaf<T> for &Tensor<T> {
    #[inline]
    fn plain(&self) -> Option<(&[T], &[usize])> {
        Some((self.as_slice()?, self.shape()))
    }

    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        take(self.view(), Some(self.parts().0))
    }
}

impl<T: Real> Leaf<T> for Tensor<T> {
    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        (&self).with(take)
    }
}

impl<T: Real> Leaf<T> for Vec<T> {
    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        Tensor::from(self).with(take)
    }
}

/// Shows plain numbers under a shape, without a tensor around them.
#[inline]
fn with_slice<T: Real, R>(
    data: &[T],
    shape: Shape,
    take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R,
) -> R {
    take(View::new(data, 0, &Layout::contiguous(shape)), None)
}

impl<T: Real> Leaf<T> for T {
    #[inline]
    fn plain(&self) -> Option<(&[T], &[usize])> {
        Some((std::slice::from_ref(self), &[]))
    }

    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        with_slice(&[self], Shape::scalar(), take)
    }
}

impl<T: Real> Leaf<T> for &[T] {
    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        with_slice(self, [self.len()].into(), take)
    }
}

impl<T: Real, const N: usize> Leaf<T> for [T; N] {
    #[inline]
    fn plain(&self) -> Option<(&[T], &[usize])> {
        Some((self, const { &[N] }))
    }

    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        with_slice(&self, [N].into(), take)
    }
}

impl<T: Real, const N: usize, const M: usize> Leaf<T> for [[T; M]; N] {
    #[inline]
    fn plain(&self) -> Option<(&[T], &[usize])> {
        Some((self.as_flattened(), const { &[N, M] }))
    }

    #[inline]
    fn with<R>(self, take: impl FnOnce(View<'_, T>, Option<&Buffer<T>>) -> R) -> R {
        with_slice(self.as_flattened(), [N, M].into(), take)
    }
}
