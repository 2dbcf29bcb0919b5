//! Methods that move elements: shapes, slices, joins, and positions.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::op::{BroadcastTo, Gather, Pad, Permute, Reshape, ScatterAdd, Slice};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{AxisList, Shape};

/// # Shapes, slices and positions
impl<'t, T: Real> Var<'t, T> {
    /// The elements stretched to a larger shape, by the rule of
    /// [`Shape::broadcast`].
    ///
    /// # Panics
    /// If the shapes do not fit, or the larger one is too large for memory.
    #[doc(alias = "expand")]
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if self.shape() == shape { self } else { self.apply(BroadcastTo { shape }) }
    }

    /// The elements in row-major order under another shape.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    #[doc(alias = "view")]
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if self.shape() == shape { self } else { self.apply(Reshape { shape }) }
    }

    /// The axes from `first` to `last`, both included, joined into one; negative
    /// numbers count from the end.
    ///
    /// # Panics
    /// If an axis does not exist or `last` stands before `first`.
    #[doc(alias = "ravel")]
    #[track_caller]
    pub fn flatten(self, first: isize, last: isize) -> Self {
        let shape = self.shape();
        let first = self.resolve_axis("flatten", first, shape.rank());
        let last = self.resolve_axis("flatten", last, shape.rank());
        assert!(
            first <= last,
            "flatten: expected axes in order, got {first} and {last}\n  operand: {}",
            self.describe()
        );
        let joined = shape[first..=last].iter().product();
        let target: Shape = shape[..first]
            .iter()
            .copied()
            .chain([joined])
            .chain(shape[last + 1..].iter().copied())
            .collect();
        self.reshape(target)
    }

    /// A new axis of extent 1 before position `axis`; -1 stands for the end.
    ///
    /// # Panics
    /// If the position does not exist.
    #[doc(alias("expand_dims", "newaxis"))]
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        let shape = self.shape();
        let axis = self.resolve_axis("unsqueeze", axis, shape.rank() + 1);
        self.reshape(shape.inserting(axis, 1))
    }

    /// The axis, of extent 1, removed.
    ///
    /// # Panics
    /// If the axis does not exist or has another extent.
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        let shape = self.shape();
        let axis = self.resolve_axis("squeeze", axis, shape.rank());
        assert!(
            shape[axis] == 1,
            "squeeze: expected extent 1 of axis {axis}, got {}\n  operand: {}",
            shape[axis],
            self.describe()
        );
        self.reshape(shape.reduced(&[axis], false))
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]`.
    ///
    /// # Panics
    /// If `order` does not name every axis once.
    #[doc(alias = "transpose")]
    #[track_caller]
    pub fn permute<const N: usize>(self, order: [isize; N]) -> Self {
        let rank = self.rank();
        let order = order.iter().map(|&axis| self.resolve_axis("permute", axis, rank)).collect();
        self.permute_axes(order)
    }

    #[track_caller]
    pub(crate) fn permute_axes(self, order: AxisList) -> Self {
        if order.iter().copied().eq(0..self.rank()) { self } else { self.apply(Permute { order }) }
    }

    /// The axes in reverse order.
    #[doc(alias = "T")]
    #[track_caller]
    pub fn transpose(self) -> Self {
        self.permute_axes((0..self.rank()).rev().collect())
    }

    /// The last two axes exchanged: the transpose of each matrix.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[doc(alias = "mT")]
    #[track_caller]
    pub fn matrix_transpose(self) -> Self {
        let rank = self.rank();
        assert!(
            rank >= 2,
            "matrix_transpose: expected two axes or more, got shape {}\n  operand: {}",
            self.shape(),
            self.describe()
        );
        self.swap_axes(-2, -1)
    }

    /// A range of elements along an axis.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.slice(1, 1..).value().to_vec(), [2.0, 3.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist or the range leaves it.
    #[doc(alias("narrow", "slice_in_dim"))]
    #[track_caller]
    pub fn slice(self, axis: isize, range: impl RangeBounds<usize>) -> Self {
        self.slice_by(axis, range, 1)
    }

    /// Every `step`-th element of a range along an axis; a negative step starts
    /// at the range's end and goes backwards.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0, 3.0, 4.0, 5.0]);
    /// assert_eq!(x.slice_by(0, .., 2).value().to_vec(), [1.0, 3.0, 5.0]);
    /// assert_eq!(x.slice_by(0, 1..4, -1).value().to_vec(), [4.0, 3.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, the range leaves it, or the step is 0.
    #[doc(alias = "slice_in_dim")]
    #[track_caller]
    pub fn slice_by(self, axis: isize, range: impl RangeBounds<usize>, step: isize) -> Self {
        assert!(step != 0, "slice_by: the step is 0\n  operand: {}", self.describe());
        let shape = self.shape();
        let axis = self.resolve_axis("slice", axis, shape.rank());
        let low = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let high = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => shape[axis],
        };
        let count = high.saturating_sub(low).div_ceil(step.unsigned_abs());
        let start = if step > 0 || count == 0 { low } else { high - 1 };
        self.apply(Slice { axis, start, count, step })
    }

    /// Zeros before and after the elements along an axis.
    ///
    /// # Panics
    /// If the axis does not exist, or the result is too large for memory.
    #[track_caller]
    pub fn pad(self, axis: isize, before: usize, after: usize) -> Self {
        let shape = self.shape();
        let axis = self.resolve_axis("pad", axis, shape.rank());
        let extent = shape[axis].saturating_add(before).saturating_add(after);
        self.apply(Pad { axis, start: before, step: 1, extent })
    }

    /// The elements at given positions along an axis, which may repeat.
    ///
    /// # Panics
    /// If the axis or a position does not exist.
    #[doc(alias("index_select", "take"))]
    #[track_caller]
    pub fn gather(self, axis: isize, indices: impl Into<Arc<[usize]>>) -> Self {
        let axis = self.resolve_axis("gather", axis, self.rank());
        self.apply(Gather { axis, indices: indices.into() })
    }

    /// The elements added, in order, at given positions of an axis of `extent`
    /// zeros.
    ///
    /// # Panics
    /// If the axis or a position does not exist, or the indices do not fit the
    /// axis.
    #[doc(alias("index_add", "segment_sum"))]
    #[track_caller]
    pub fn scatter_add(self, axis: isize, indices: impl Into<Arc<[usize]>>, extent: usize) -> Self {
        let axis = self.resolve_axis("scatter_add", axis, self.rank());
        self.apply(ScatterAdd { axis, indices: indices.into(), extent })
    }
}
