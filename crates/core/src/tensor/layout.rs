//! How the elements of a tensor lie in a buffer.
//!
//! A layout is a shape with a stride for each axis. Transposing, slicing and
//! broadcasting only change the layout, never the buffer. Strides count elements
//! and may be zero (a broadcast axis) or negative (a reversed one).

use smallvec::SmallVec;

use super::shape::{INLINE_AXES, Shape};

/// A shape and its strides. The place of the first element is kept apart, by
/// whoever holds the layout, so that equal layouts can share one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    shape: Shape,
    strides: SmallVec<[isize; INLINE_AXES]>,
    contiguous: bool,
}

impl Layout {
    /// Row-major order without gaps.
    pub fn contiguous(shape: Shape) -> Self {
        let mut strides = SmallVec::from_elem(1, shape.rank());
        for axis in (1..shape.rank()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis] as isize;
        }
        Self { shape, strides, contiguous: true }
    }

    fn strided(shape: Shape, strides: SmallVec<[isize; INLINE_AXES]>) -> Self {
        let mut expected = 1;
        let mut contiguous = true;
        for (&extent, &stride) in shape.iter().zip(&strides).rev() {
            contiguous &= extent == 1 || stride == expected;
            expected *= extent as isize;
        }
        let contiguous = contiguous || shape.elements() == 0;
        Self { shape, strides, contiguous }
    }

    /// The extents.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The distance between neighbours along each axis, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Whether the elements follow one another in row-major order.
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// Whether every element is read from the same place.
    pub(crate) fn is_splat(&self) -> bool {
        self.shape.iter().zip(&self.strides).all(|(&extent, &stride)| extent == 1 || stride == 0)
    }

    /// The same elements stretched to `target`, which the shape broadcasts to.
    pub(crate) fn broadcast_to(&self, target: &Shape) -> Layout {
        let lead = target.rank() - self.shape.rank();
        let mut strides = SmallVec::from_elem(0, target.rank());
        for axis in 0..self.shape.rank() {
            if self.shape[axis] != 1 {
                strides[lead + axis] = self.strides[axis];
            }
        }
        Layout::strided(target.clone(), strides)
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]`.
    pub(crate) fn permuted(&self, order: &[usize]) -> Layout {
        let shape = order.iter().map(|&axis| self.shape[axis]).collect();
        let strides = order.iter().map(|&axis| self.strides[axis]).collect();
        Layout::strided(shape, strides)
    }

    /// Every `step`-th element along an axis, `count` of them from `start`; the
    /// second result is how far the first element moves.
    pub(crate) fn sliced(
        &self,
        axis: usize,
        start: usize,
        count: usize,
        step: isize,
    ) -> (Layout, isize) {
        let mut strides = self.strides.clone();
        let shape = self.shape.with_axis(axis, count);
        // Without elements there may be no buffer to move within.
        let moved = if shape.elements() == 0 { 0 } else { start as isize * strides[axis] };
        strides[axis] *= step;
        (Layout::strided(shape, strides), moved)
    }

    /// The layout of all axes but the last `trailing` ones.
    pub(crate) fn leading(&self, trailing: usize) -> Layout {
        let rank = self.shape.rank().saturating_sub(trailing);
        Layout::strided(self.shape[..rank].into(), self.strides[..rank].into())
    }

    /// The same elements under another shape, if that takes no copy.
    pub(crate) fn reshaped(&self, shape: &Shape) -> Option<Layout> {
        if self.contiguous {
            return Some(Layout::contiguous(shape.clone()));
        }
        // Without a copy, a strided layout takes or loses axes of extent 1 only.
        let mut rest = self.shape.iter().zip(&self.strides).filter(|&(&extent, _)| extent != 1);
        let mut strides = SmallVec::new();
        for &extent in shape.iter() {
            match extent {
                1 => strides.push(0),
                _ => match rest.next() {
                    Some((&own, &stride)) if own == extent => strides.push(stride),
                    _ => return None,
                },
            }
        }
        rest.next().is_none().then(|| Layout::strided(shape.clone(), strides))
    }
}
