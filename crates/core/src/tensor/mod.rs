//! Tensors: a shared buffer and a layout.
//!
//! *Invariant*: no derivative knows strides. Views (transpose, slice, broadcast)
//! share the buffer; writing to a shared buffer copies it first, so that a
//! tensor behaves like a value.

mod axes;
mod buffer;
mod convert;
mod interop;
mod layout;
mod shape;
mod view;
mod walk;

use std::fmt;
use std::sync::Arc;

pub(crate) use axes::resolve_axis;
pub use axes::{Axes, AxisList};
pub(crate) use buffer::{Buffer, Elements, LINE};
#[cfg(any(feature = "faer", feature = "nalgebra"))]
pub use interop::AxesError;
pub use layout::Layout;
pub(crate) use layout::check_progression;
pub use shape::Shape;
pub use view::{View, are_finite};
pub(crate) use walk::{Row, Rows, SIZES};

use crate::scalar::Real;

/// An array of any number of axes, row-major, with elements `f32` or `f64`.
///
/// Cloning is cheap: the buffer is shared until one side writes.
///
/// ```
/// use wengert_core::Tensor;
///
/// let a = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!(a.shape()[..], [2, 3]);
/// assert_eq!(a.transpose().to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct Tensor<T> {
    buffer: Buffer<T>,
    offset: usize,
    layout: Layout,
}

impl<T: Real> Tensor<T> {
    /// A tensor of the given shape from its elements in row-major order.
    ///
    /// # Panics
    /// If the number of elements is not the shape's.
    #[track_caller]
    pub fn new(shape: impl Into<Shape>, elements: Vec<T>) -> Self {
        let shape = shape.into();
        assert!(
            elements.len() == shape.elements(),
            "Tensor::new: expected {} elements for shape {shape}, got {}",
            shape.elements(),
            elements.len()
        );
        Self { buffer: Arc::new(elements.into()), offset: 0, layout: Layout::contiguous(shape) }
    }

    /// A tensor without axes.
    pub fn scalar(value: T) -> Self {
        Self::new([], vec![value])
    }

    /// A tensor with every element the same.
    ///
    /// # Panics
    /// If the shape is too large for memory; see [`Shape::checked_elements`].
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: T) -> Self {
        let shape = shape.into();
        let elements = vec![value; shape.elements()];
        Self::new(shape, elements)
    }

    /// A tensor of zeros.
    ///
    /// # Panics
    /// As [`full`](Self::full).
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, T::zero())
    }

    /// A tensor of ones.
    ///
    /// # Panics
    /// As [`full`](Self::full).
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::full(shape, T::one())
    }

    /// A tensor whose elements `f` gives one after another in row-major order.
    ///
    /// # Panics
    /// As [`full`](Self::full).
    #[track_caller]
    pub fn from_fn(shape: impl Into<Shape>, f: impl FnMut(usize) -> T) -> Self {
        let shape = shape.into();
        let elements = (0..shape.elements()).map(f).collect();
        Self::new(shape, elements)
    }

    pub(crate) fn from_parts(buffer: Buffer<T>, offset: usize, layout: Layout) -> Self {
        Self { buffer, offset, layout }
    }

    #[inline]
    pub(crate) fn parts(&self) -> (&Buffer<T>, usize, &Layout) {
        (&self.buffer, self.offset, &self.layout)
    }

    /// The extents.
    #[doc(alias = "size")]
    #[inline]
    pub fn shape(&self) -> &Shape {
        self.layout.shape()
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.layout.elements()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor, borrowed for a kernel.
    #[inline]
    pub fn view(&self) -> View<'_, T> {
        View::new(&self.buffer, self.offset, &self.layout)
    }

    /// The elements in row-major order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'_, T> {
        self.view().iter()
    }

    /// The elements in row-major order, copied.
    pub fn to_vec(&self) -> Vec<T> {
        self.view().to_vec()
    }

    /// The elements as a slice, if they lie without gaps in row-major order; a
    /// transposed or sliced view has none until it is copied by
    /// [`contiguous`](Self::contiguous).
    pub fn as_slice(&self) -> Option<&[T]> {
        self.view().as_slice()
    }

    /// Whether another tensor, or a tape, reads the same memory, so that writing
    /// would have to copy it first.
    ///
    /// ```
    /// # use wengert_core::Tensor;
    /// let a = Tensor::from([1.0, 2.0]);
    /// assert!(!a.is_shared());
    /// let b = a.clone();
    /// assert!(a.is_shared() && b.is_shared());
    /// ```
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.buffer) > 1
    }

    /// The elements for writing, in row-major order. Copies them first if they
    /// are shared or strided.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if !self.layout.is_contiguous() {
            *self = self.contiguous();
        }
        let range = self.offset..self.offset + self.len();
        &mut Arc::make_mut(&mut self.buffer)[range]
    }

    /// The same tensor with its elements in row-major order, copied if need be.
    pub fn contiguous(&self) -> Self {
        if self.layout.is_contiguous() {
            self.clone()
        } else {
            Self::new(self.shape().clone(), self.to_vec())
        }
    }

    /// The one element of a tensor that has a single one.
    ///
    /// # Panics
    /// If the tensor has more elements, or none.
    #[track_caller]
    pub fn item(&self) -> T {
        assert!(
            self.len() == 1,
            "item: expected a tensor of a single element, got shape {}",
            self.shape()
        );
        self.view().first()
    }

    /// The element at an index, one number for each axis.
    ///
    /// # Panics
    /// If the index has another rank than the tensor or is out of bounds.
    #[track_caller]
    pub fn at(&self, index: &[usize]) -> T {
        let shape = self.shape();
        let inside = index.len() == shape.rank() && index.iter().zip(&**shape).all(|(i, n)| i < n);
        assert!(inside, "at: there is no element {index:?} in a tensor of shape {shape}");
        let strides = self.layout.strides();
        let steps: isize = index.iter().zip(strides).map(|(&i, &stride)| i as isize * stride).sum();
        self.buffer[(self.offset as isize + steps) as usize]
    }

    /// The tensor with its axes reversed; shares the buffer.
    #[doc(alias = "T")]
    pub fn transpose(&self) -> Self {
        let order: Vec<usize> = (0..self.shape().rank()).rev().collect();
        self.permute(&order)
    }

    /// The axes in another order; shares the buffer.
    ///
    /// # Panics
    /// If `order` does not name every axis once.
    #[doc(alias = "transpose")]
    #[track_caller]
    pub fn permute(&self, order: &[usize]) -> Self {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        let axes: Vec<usize> = (0..self.shape().rank()).collect();
        assert!(
            sorted == axes,
            "permute: expected every axis of {} once, got {order:?}",
            self.shape()
        );
        Self { layout: self.layout.permuted(order), ..self.clone() }
    }

    /// The elements under another shape of the same size; shares the buffer
    /// where strides allow.
    ///
    /// # Panics
    /// If the sizes differ.
    #[doc(alias = "view")]
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert!(
            shape.elements() == self.len(),
            "reshape: {} has {} elements and {shape} has {}",
            self.shape(),
            self.len(),
            shape.elements()
        );
        match self.layout.reshaped(&shape) {
            Some(layout) => Self { layout, ..self.clone() },
            None => Self::new(shape, self.to_vec()),
        }
    }

    /// The elements stretched to a larger shape; shares the buffer.
    ///
    /// # Panics
    /// If the shape does not [broadcast](Shape::broadcast) to the target, or the target is
    /// too large for memory.
    #[doc(alias = "expand")]
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert!(
            self.shape().broadcasts_to(&shape),
            "broadcast_to: shape {} does not stretch to {shape}: aligned at the right, extents must \
             be equal or 1",
            self.shape()
        );
        Self { layout: self.layout.broadcast_to(&shape), ..self.clone() }
    }

    /// Every `step`-th of `count` elements along an axis, from `start` on; a
    /// negative step runs backwards. Shares the buffer.
    ///
    /// # Panics
    /// If the axis does not exist, an element would lie outside, or the step of several
    /// elements is 0.
    #[track_caller]
    pub fn slice(&self, axis: usize, start: usize, count: usize, step: isize) -> Self {
        let inside = self
            .shape()
            .check_axis(axis)
            .and_then(|()| check_progression(start, count, step, self.shape()[axis]));
        if let Err(reason) = inside {
            panic!("slice: {reason} of axis {axis} of {}", self.shape());
        }
        let (layout, moved) = self.layout.sliced(axis, start, count, step);
        Self { offset: (self.offset as isize + moved) as usize, layout, ..self.clone() }
    }

    /// `f` of every element.
    pub fn map(&self, f: impl FnMut(T) -> T) -> Self {
        Self::new(self.shape().clone(), self.iter().map(f).collect())
    }

    /// `f` of the pairs of elements of two tensors of one shape.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn zip_map(&self, other: &Self, mut f: impl FnMut(T, T) -> T) -> Self {
        self.expect_shape_of("zip_map", other);
        let elements = self.iter().zip(other.iter()).map(|(x, y)| f(x, y)).collect();
        Self::new(self.shape().clone(), elements)
    }

    #[track_caller]
    pub(crate) fn expect_shape_of(&self, name: &str, other: &Self) {
        let (own, others) = (self.shape(), other.shape());
        assert!(own == others, "{name}: expected two tensors of one shape, got {own} and {others}");
    }

    /// The elements in another precision.
    pub fn cast<U: Real>(&self) -> Tensor<U> {
        let elements = self.iter().map(|x| U::from_f64(x.as_f64())).collect();
        Tensor::new(self.shape().clone(), elements)
    }
}

impl<T: Real> PartialEq for Tensor<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.iter().eq(other.iter())
    }
}

impl<T: Real> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}>{} ", T::NAME, self.shape())?;
        fmt::Display::fmt(self, f)
    }
}

impl<T: Real> fmt::Display for Tensor<T> {
    /// Nested brackets, as the elements would be written in source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn level<T: Real>(
            f: &mut fmt::Formatter<'_>,
            shape: &[usize],
            elements: &mut impl Iterator<Item = T>,
        ) -> fmt::Result {
            let Some((&extent, inner)) = shape.split_first() else {
                return fmt::Display::fmt(&elements.next().expect("one element a place"), f);
            };
            f.write_str("[")?;
            for i in 0..extent {
                if i > 0 {
                    f.write_str(", ")?;
                }
                level(f, inner, elements)?;
            }
            f.write_str("]")
        }
        level(f, self.shape(), &mut self.iter())
    }
}
