//! A borrowed tensor: what kernels read.

use super::Tensor;
use super::layout::Layout;
use super::shape::Shape;
use crate::Real;
use crate::kernel::rows::{Row, Rows, pack};

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

    /// A vector as one row.
    #[inline]
    pub(crate) fn row(&self) -> Row {
        Row { start: self.offset as isize, stride: self.strides()[0], count: self.len() }
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
