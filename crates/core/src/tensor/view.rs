//! A borrowed tensor: what kernels read.

use std::borrow::Cow;

use super::Tensor;
use super::layout::Layout;
use super::shape::Shape;
use super::walk::{Rows, pack};
use crate::scalar::{Real, vectorised};

/// Whether no number is NaN or infinite.
///
/// ```
/// assert!(wengert_core::are_finite(&[0.0, f64::MAX]));
/// assert!(!wengert_core::are_finite(&[0.0, f64::NAN]));
/// ```
#[inline]
pub fn are_finite<T: Real>(elements: &[T]) -> bool {
    const LANES: usize = 16;
    /// Elements for which the way to the widest vectors is longer than the loop.
    const SHORT: usize = 4 * LANES;
    // `0 x` is 0 of a finite number and else NaN, which no sum loses: so no branch stands in the
    // loop, and sums side by side fill the vectors.
    let plain = |sum: T, &x: &T| sum + x * T::zero();
    if elements.len() < SHORT {
        let (chunks, rest) = elements.as_chunks::<4>();
        let mut sums = [T::zero(); 4];
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += x * T::zero();
            }
        }
        return sums.into_iter().fold(rest.iter().fold(T::zero(), plain), |a, b| a + b)
            == T::zero();
    }
    vectorised(
        elements.len(),
        #[inline(always)]
        move || {
            let mut sums = [T::zero(); LANES];
            let chunks = elements.chunks_exact(LANES);
            let rest = chunks.remainder().iter().fold(T::zero(), plain);
            for chunk in chunks {
                for (sum, &x) in sums.iter_mut().zip(chunk) {
                    *sum += x * T::zero();
                }
            }
            sums.into_iter().fold(rest, |sum, x| sum + x) == T::zero()
        },
    )
}

/// Elements of a buffer as a layout places them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    data: &'a [T],
    offset: usize,
    layout: &'a Layout,
}

impl<'a, T: Real> View<'a, T> {
    /// The elements that `layout` places in `data`, the first one at `offset`.
    #[inline]
    pub(crate) fn new(data: &'a [T], offset: usize, layout: &'a Layout) -> Self {
        Self { data, offset, layout }
    }

    /// The extents.
    #[inline]
    pub fn shape(&self) -> &'a Shape {
        self.layout.shape()
    }

    /// The strides, in elements.
    #[inline]
    pub fn strides(&self) -> &'a [isize] {
        self.layout.strides()
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.layout.elements()
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as a slice, if they lie without gaps in row-major order.
    #[inline]
    pub fn as_slice(&self) -> Option<&'a [T]> {
        let data: &'a [T] = self.data;
        self.layout.is_contiguous().then(|| &data[self.offset..self.offset + self.len()])
    }

    /// The elements in row-major order, copied only where they lie in another one.
    pub(crate) fn packed(self) -> Cow<'a, [T]> {
        self.as_slice().map_or_else(|| Cow::Owned(self.to_vec()), Cow::Borrowed)
    }

    /// The first element.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn first(&self) -> T {
        self.data[self.offset]
    }

    /// The buffer from the first element on, for kernels that walk strides
    /// themselves; strides must not be negative.
    #[inline]
    pub(crate) fn tail(&self) -> &'a [T] {
        let data: &'a [T] = self.data;
        if self.is_empty() { &[] } else { &data[self.offset..] }
    }

    /// The elements in row-major order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let data = self.data;
        Rows::new(self.layout, self.offset).flat_map(move |row| row.iter(data))
    }

    /// Whether no element is NaN or infinite.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.constant([1.0, f64::MAX]);
    /// assert!(x.with_value(|x| x.is_finite()));
    /// assert!(!(x * 2.0).with_value(|x| x.is_finite()));
    /// ```
    #[inline]
    pub fn is_finite(&self) -> bool {
        match self.as_slice() {
            Some(elements) => are_finite(elements),
            None => self.iter().all(|x| x.is_finite()),
        }
    }

    /// Writes the elements to `out` in row-major order.
    ///
    /// # Panics
    /// If `out` is not as long as the view.
    #[inline]
    pub fn copy_to(&self, out: &mut [T]) {
        match self.as_slice() {
            Some(slice) => out.copy_from_slice(slice),
            None => pack(self.data, self.offset, self.layout, out),
        }
    }

    /// The elements in row-major order, copied.
    pub fn to_vec(&self) -> Vec<T> {
        let mut elements = vec![T::zero(); self.len()];
        self.copy_to(&mut elements);
        elements
    }

    /// The elements as a tensor of its own, copied.
    pub fn to_tensor(&self) -> Tensor<T> {
        Tensor::new(self.shape().clone(), self.to_vec())
    }

    /// The same elements under another layout of the same buffer.
    pub(crate) fn with_layout<'b>(&self, layout: &'b Layout, offset: usize) -> View<'b, T>
    where
        'a: 'b,
    {
        View { data: self.data, offset, layout }
    }

    /// The whole buffer.
    #[inline]
    pub(crate) fn data(&self) -> &'a [T] {
        self.data
    }

    /// The offset of the first element in the buffer.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The layout.
    #[inline]
    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_that_is_not_finite_is_found_wherever_it_stands() {
        for len in [0, 1, 2, 15, 16, 17, 31, 32, 33, 100, 1000] {
            let mut elements: Vec<f32> = (0..len).map(|i| f32::MAX * (i as f32).sin()).collect();
            assert!(are_finite(&elements), "{len} finite elements");
            for at in 0..len {
                let before = elements[at];
                for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    elements[at] = wrong;
                    assert!(!are_finite(&elements), "{wrong} at {at} of {len}");
                }
                elements[at] = before;
            }
        }
    }
}
