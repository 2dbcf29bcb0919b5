//! Methods that rearrange elements: orders and copies of axes, parts, diagonals.
//!
//! None needs an op of its own. All are views and joins, and derive what a derivative
//! is from those. The diagonal of a matrix of `m` columns, for instance, is every
//! `m + 1`-th of its elements in a row.

use crate::op::{Pad, Slice, concat};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, AxisList, Shape};

/// # Arranging elements
impl<'t, T: Real> Var<'t, T> {
    /// Two axes exchanged; negative numbers count from the end.
    ///
    /// # Panics
    /// If an axis does not exist.
    #[doc(alias("swapaxes", "transpose"))]
    #[track_caller]
    pub fn swap_axes(self, a: isize, b: isize) -> Self {
        let rank = self.rank();
        let mut order: AxisList = (0..rank).collect();
        let a = self.resolve_axis("swap_axes", a, rank);
        let b = self.resolve_axis("swap_axes", b, rank);
        order.swap(a, b);
        self.permute_axes(order)
    }

    /// An axis moved to another position, the others in the order that they have.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.variable(Tensor::<f64>::zeros([2, 3, 4]));
    /// assert_eq!(x.move_axis(0, -1).shape()[..], [3, 4, 2]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist.
    #[doc(alias("moveaxis", "movedim"))]
    #[track_caller]
    pub fn move_axis(self, from: isize, to: isize) -> Self {
        let rank = self.rank();
        let from = self.resolve_axis("move_axis", from, rank);
        let to = self.resolve_axis("move_axis", to, rank);
        let mut order: AxisList = (0..rank).filter(|&axis| axis != from).collect();
        order.insert(to, from);
        self.permute_axes(order)
    }

    /// The elements in reverse order along some axes.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.flip(0).value().to_vec(), [3.0, 4.0, 1.0, 2.0]);
    /// assert_eq!(x.flip(..).value().to_vec(), [4.0, 3.0, 2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    pub fn flip(self, axes: impl Axes) -> Self {
        let mut flipped = self;
        for axis in self.resolve("flip", axes) {
            flipped = flipped.slice_by(axis as isize, .., -1);
        }
        flipped
    }

    /// The elements moved along an axis by `shift` places, those that leave it at one
    /// end coming in at the other.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.roll(0, 1).value().to_vec(), [4.0, 1.0, 2.0, 3.0]);
    /// assert_eq!(x.roll(0, -1).value().to_vec(), [2.0, 3.0, 4.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn roll(self, axis: isize, shift: isize) -> Self {
        let own = self.resolve_axis("roll", axis, self.rank());
        let count = self.shape()[own];
        let Some(shift) = shift.checked_rem_euclid(count as isize).filter(|&shift| shift != 0)
        else {
            return self;
        };
        let cut = count - shift as usize;
        concat(&[self.slice(axis, cut..), self.slice(axis, ..cut)], axis)
    }

    /// The whole value, repeated along each axis by the number given for it; missing axes are put in
    /// front. PyTorch's `repeat`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// let y = x.tile([2, 2]);
    /// assert_eq!(y.shape()[..], [2, 4]);
    /// assert_eq!(y.value().to_vec(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the result is too large for memory.
    #[doc(alias = "repeat")]
    #[track_caller]
    pub fn tile(self, times: impl Into<Shape>) -> Self {
        let (times, shape) = (times.into(), self.shape());
        let rank = times.rank().max(shape.rank());
        let at = |extents: &Shape, axis: usize| match (axis + extents.rank()).checked_sub(rank) {
            Some(own) => extents[own],
            None => 1,
        };
        // Each axis as a pair: which copy, and which element of it.
        let pairs = |copies: bool| -> Shape {
            (0..rank)
                .flat_map(|axis| [if copies { at(&times, axis) } else { 1 }, at(&shape, axis)])
                .collect()
        };
        let joined: Shape =
            (0..rank).map(|axis| at(&times, axis).saturating_mul(at(&shape, axis))).collect();
        self.reshape(pairs(false)).broadcast_to(pairs(true)).reshape(joined)
    }

    /// Each part along an axis, `times` times in a row, as NumPy's `repeat`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// assert_eq!(x.repeat(0, 3).value().to_vec(), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, or the result is too large for memory.
    #[doc(alias = "repeat_interleave")]
    #[track_caller]
    pub fn repeat(self, axis: isize, times: usize) -> Self {
        let shape = self.shape();
        let axis = self.resolve_axis("repeat", axis, shape.rank());
        self.reshape(shape.inserting(axis + 1, 1))
            .broadcast_to(shape.inserting(axis + 1, times))
            .reshape(shape.with_axis(axis, shape[axis] * times))
    }

    /// Parts of given sizes along an axis, one after another.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0, 3.0]);
    /// let parts = x.split(0, &[2, 1]);
    /// assert_eq!(parts[1].value().to_vec(), [3.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, or the sizes do not add up to its extent.
    #[track_caller]
    pub fn split(self, axis: isize, sizes: &[usize]) -> Vec<Self> {
        let own = self.resolve_axis("split", axis, self.rank());
        assert!(
            sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size))
                == Some(self.shape()[own]),
            "split: parts of {sizes:?} do not make up axis {axis}\n  operand: {}",
            self.describe()
        );
        let mut start = 0;
        let mut parts = Vec::with_capacity(sizes.len());
        for &size in sizes {
            parts.push(self.slice(axis, start..start + size));
            start += size;
        }
        parts
    }

    /// As many parts along an axis, of one size but for the last, which may be
    /// smaller; fewer, if fewer make up the axis.
    ///
    /// # Panics
    /// If the axis does not exist, or no parts are asked for.
    #[doc(alias = "array_split")]
    #[track_caller]
    pub fn chunk(self, axis: isize, parts: usize) -> Vec<Self> {
        let own = self.resolve_axis("chunk", axis, self.rank());
        assert!(
            parts > 0,
            "chunk: expected a number of parts, got 0\n  operand: {}",
            self.describe()
        );
        let extent = self.shape()[own];
        let size = extent.div_ceil(parts).max(1);
        let sizes: Vec<usize> =
            (0..extent).step_by(size).map(|start| size.min(extent - start)).collect();
        self.split(axis, &sizes)
    }

    /// The elements on a diagonal of the matrices that two axes span, as a new last
    /// axis in place of those two. Diagonals are counted from the main one, which is
    /// 0, to the right.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.diagonal(0, [0, 1]).value().to_vec(), [1.0, 5.0]);
    /// assert_eq!(x.diagonal(1, [0, 1]).value().to_vec(), [2.0, 6.0]);
    /// assert_eq!(x.diagonal(1, [1, 0]).value().to_vec(), [4.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    pub fn diagonal(self, offset: isize, [rows, columns]: [isize; 2]) -> Self {
        let rank = self.rank();
        let rows = self.resolve_axis("diagonal", rows, rank);
        let columns = self.resolve_axis("diagonal", columns, rank);
        assert!(
            rows != columns,
            "diagonal: one axis spans no matrix\n  operand: {}",
            self.describe()
        );
        let others = (0..rank).filter(|&axis| axis != rows && axis != columns);
        let matrices = self.permute_axes(others.chain([rows, columns]).collect());
        let shape = matrices.shape();
        let (n, m) = (shape[rank - 2], shape[rank - 1]);
        let (start, count) = match usize::try_from(offset) {
            Ok(right) => (right, n.min(m.saturating_sub(right))),
            Err(_) => {
                let down = offset.unsigned_abs();
                (down.saturating_mul(m), m.min(n.saturating_sub(down)))
            }
        };
        let along = Slice { axis: rank - 2, start, count, step: m as isize + 1 };
        matrices.flatten(-2, -1).apply(along)
    }

    /// The elements of the last axis on a diagonal of square matrices of zeros, just
    /// large enough: the transpose of [`diagonal`](Self::diagonal).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// assert_eq!(x.diag_embed(0).value().to_vec(), [1.0, 0.0, 0.0, 2.0]);
    /// assert_eq!(x.diag_embed(-1).shape()[..], [3, 3]);
    /// ```
    ///
    /// # Panics
    /// If the variable is a scalar, or the result is too large for memory.
    #[doc(alias = "diag")]
    #[track_caller]
    pub fn diag_embed(self, offset: isize) -> Self {
        let shape = self.shape();
        let last = self.resolve_axis("diag_embed", -1, shape.rank());
        let beside = offset.unsigned_abs();
        let size = shape[last].saturating_add(beside);
        let matrices = shape.with_axis(last, size).inserting(last, size);
        if let Err(reason) = matrices.check_elements() {
            panic!("diag_embed: {reason}\n  operand: {}", self.describe());
        }
        let start = if offset < 0 { beside * size } else { beside };
        let spread = Pad { axis: last, start, step: size as isize + 1, extent: size * size };
        self.apply(spread).reshape(matrices)
    }

    /// The sum of the main diagonal of each matrix of the last two axes.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.trace().backward().wrt(x).to_vec(), [1.0, 0.0, 0.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn trace(self) -> Self {
        self.diagonal(0, [-2, -1]).sum_over(-1)
    }
}
