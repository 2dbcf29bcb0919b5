//! Reading and adding at indices that are values themselves.
//!
//! Where indices are known when a program is recorded, [`Gather`](crate::op::Gather)
//! serves. Here they are an operand, whole numbers without a derivative, as
//! [`argsort`](Var::argsort) gives them: a program that is run again reads elsewhere.
//! The two ops are linear in their second operand, and each other's transposes.

use crate::kernel::along as kernel;
use crate::op::{Cost, Domain, Formula, Samples, Selection, ShapeClass, Stacked};
use crate::scalar::Real;
use crate::tape::{Operand, Var};
use crate::tensor::{Shape, View};

/// Of operands `i` and `x`, the elements of `x` at indices `i` along an axis. Beside
/// that axis both have the same extents, or `i` has 1 and stretches. No derivative
/// flows to `i`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TakeAlong {
    /// The axis.
    pub axis: usize,
}

impl Selection for TakeAlong {
    const NAME: &'static str = "take_along_axis";
    const FORMULA: Formula = Formula::new(
        "y[k] = x[i[k]]",
        "dy[k] = dx[i[k]]",
        r"y_k = x_{i_k},\quad \dot y_k = \dot x_{i_k}",
    );

    fn shape(&self, index: &Shape, x: &Shape) -> Result<Shape, String> {
        fits(index, x, self.axis)?;
        Ok(x.with_axis(self.axis, index[self.axis]))
    }

    fn eval<T: Real>(&self, index: View<'_, T>, x: View<'_, T>, out: &mut [T]) {
        kernel::take(index, x, self.axis, out);
    }

    fn transpose<'t, T: Real>(&self, index: Var<'t, T>, x: &Shape, bar: Var<'t, T>) -> Var<'t, T> {
        let op = ScatterAlong { axis: self.axis, extent: x[self.axis] };
        bar.tape().apply(op, &[index, bar])
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Var<'t, T> {
        let args = operands.all_whole();
        args[0].tape().apply(TakeAlong { axis: self.axis + 1 }, &args)
    }

    fn cost(&self, _: &Shape, _: &Shape) -> Cost {
        Cost::NONE
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, indices, x, axis| {
            let extent = x[axis];
            let args = [(indices, Domain::indices(extent)), (x, Domain::reals())];
            samples.case(TakeAlong { axis }, args);
        });
        let op = TakeAlong { axis: 1 };
        samples.error(op, &[[2].into(), [3].into()], "there is no axis 1 in shape [3]");
        samples.error(op, &[[2].into(), [3, 2].into()], "have not the same number of axes");
        samples.error(
            op,
            &[[2, 5].into(), [3, 4].into()],
            "indices of shape [2, 5] do not fit [3, 4] beside axis 1",
        );
    }
}

/// Of operands `i` and `u`, zeros with each element of `u` added at its index `i`
/// along an axis: the transpose of [`TakeAlong`]. Where indices repeat, elements add
/// up, in order. No derivative flows to `i`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScatterAlong {
    /// The axis.
    pub axis: usize,
    /// The extent of the axis in the result.
    pub extent: usize,
}

impl Selection for ScatterAlong {
    const NAME: &'static str = "scatter_along_axis";
    const FORMULA: Formula = Formula::new(
        "y[i[k]] += u[k], from 0",
        "dy[i[k]] += du[k], from 0",
        r"y_j = \sum_{k: i_k = j} u_k,\quad \dot y_j = \sum_{k: i_k = j} \dot u_k",
    );

    fn shape(&self, index: &Shape, u: &Shape) -> Result<Shape, String> {
        fits(index, u, self.axis)?;
        if index[self.axis] != u[self.axis] {
            return Err(format!("{index} indices along axis {} for {u}", self.axis));
        }
        Ok(u.with_axis(self.axis, self.extent))
    }

    fn eval<T: Real>(&self, index: View<'_, T>, u: View<'_, T>, out: &mut [T]) {
        kernel::scatter(index, u, self.axis, self.extent, out);
    }

    fn transpose<'t, T: Real>(&self, index: Var<'t, T>, _: &Shape, bar: Var<'t, T>) -> Var<'t, T> {
        bar.tape().apply(TakeAlong { axis: self.axis }, &[index, bar])
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Var<'t, T> {
        let args = operands.all_whole();
        args[0].tape().apply(ScatterAlong { axis: self.axis + 1, ..*self }, &args)
    }

    fn cost(&self, u: &Shape, _: &Shape) -> Cost {
        Cost::adds(u.elements() as u64)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, indices, x, axis| {
            let u = x.with_axis(axis, indices[axis]);
            let op = ScatterAlong { axis, extent: x[axis] };
            samples.case(op, [(indices, Domain::indices(x[axis])), (u, Domain::reals())]);
        });
        let op = ScatterAlong { axis: 0, extent: 4 };
        samples.error(op, &[[2].into(), [3].into()], "[2] indices along axis 0 for [3]");
    }
}

/// Whether indices fit a value beside an axis.
fn fits(indices: &Shape, x: &Shape, axis: usize) -> Result<(), String> {
    x.check_axis(axis)?;
    if indices.rank() != x.rank() {
        return Err(format!("indices of shape {indices} and {x} have not the same number of axes"));
    }
    let fits = |other: usize| other == axis || indices[other] == x[other] || indices[other] == 1;
    if !(0..x.rank()).all(fits) {
        return Err(format!("indices of shape {indices} do not fit {x} beside axis {axis}"));
    }
    Ok(())
}

/// What the samples of both ops are made of: the shapes of indices and value.
fn for_each_case<O: Clone>(
    samples: &mut Samples<O>,
    case: impl Fn(&mut Samples<O>, Shape, Shape, usize),
) {
    samples.absent(ShapeClass::Scalar, "a scalar has no axis to read along");
    let cases: [(Shape, Shape, usize); 10] = [
        ([6].into(), [4].into(), 0),
        ([3, 3].into(), [3, 3].into(), 0),
        ([2, 5].into(), [2, 3].into(), 1),
        // Whole rows; indices that stretch before the axis, and behind it.
        ([4, 1].into(), [3, 3].into(), 0),
        ([1, 4].into(), [3, 2].into(), 1),
        ([2, 4, 1].into(), [2, 3, 2].into(), 1),
        ([1, 4, 2].into(), [2, 3, 2].into(), 1),
        ([2, 4, 1, 2].into(), [2, 3, 2, 2].into(), 1),
        ([1, 2].into(), [1, 3].into(), 1),
        ([0, 2].into(), [3, 2].into(), 0),
    ];
    for (indices, x, axis) in cases {
        case(samples, indices, x, axis);
    }
}

/// # Elements at indices on the tape
impl<'t, T: Real> Var<'t, T> {
    /// The elements at given indices along an axis, which are whole numbers on the
    /// tape: NumPy's function of this name, and PyTorch's `gather`. Beside the axis
    /// both operands broadcast. Derivatives flow to `self` alone.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let indices = tape.constant([[2.0, 0.0], [1.0, 1.0]]);
    /// assert_eq!(x.take_along_axis(1, indices).value().to_vec(), [3.0, 1.0, 5.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, a index is no whole number of an element there,
    /// shapes do not fit, or the operands are on two tapes.
    #[doc(alias("gather", "take_along_dim"))]
    #[track_caller]
    pub fn take_along_axis(self, axis: isize, indices: impl Operand<'t, T>) -> Self {
        let indices = indices.on(self.tape());
        let axis = self.resolve_axis("take_along_axis", axis, self.rank());
        let x = if indices.rank() == self.rank() {
            // Where only the indices have an extent, the elements repeat.
            let (own, other) = (self.shape(), indices.shape());
            let stretched = |i: usize| if i != axis && own[i] == 1 { other[i] } else { own[i] };
            self.broadcast_to((0..own.rank()).map(stretched).collect::<Shape>())
        } else {
            self
        };
        self.tape().apply(TakeAlong { axis }, &[indices, x])
    }

    /// The parts at given indices along an axis, which are a vector of whole numbers
    /// on the tape: rows of a table of embeddings, for instance. Where the indices are
    /// known beforehand, [`gather`](Self::gather) takes them as they are.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let table = tape.variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let rows = table.index_select(0, tape.constant([2.0, 0.0]));
    /// assert_eq!(rows.value().to_vec(), [5.0, 6.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// As [`take_along_axis`](Self::take_along_axis), and if the indices are no
    /// vector.
    #[doc(alias = "take")]
    #[track_caller]
    pub fn index_select(self, axis: isize, indices: impl Operand<'t, T>) -> Self {
        let indices = indices.on(self.tape());
        let axis = self.resolve_axis("index_select", axis, self.rank());
        let indices = indices.vector_along("index_select", axis, self.rank());
        self.tape().apply(TakeAlong { axis }, &[indices, self])
    }

    /// A vector of indices as a value of some rank, along an axis.
    #[track_caller]
    fn vector_along(self, name: &str, axis: usize, rank: usize) -> Self {
        let count = self.elements();
        assert!(self.rank() == 1, "{name}: indices are a vector\n  indices: {}", self.describe());
        self.reshape((0..rank).map(|i| if i == axis { count } else { 1 }).collect::<Shape>())
    }

    /// Zeros with the elements added at given indices of an axis of some `extent`, in
    /// order: the transpose of [`take_along_axis`](Self::take_along_axis).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let u = tape.variable([1.0, 2.0, 3.0]);
    /// let y = u.scatter_along_axis(0, tape.constant([3.0, 0.0, 3.0]), 4);
    /// assert_eq!(y.value().to_vec(), [2.0, 0.0, 0.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, a index is no whole number below `extent`,
    /// shapes do not fit, or the operands are on two tapes.
    #[doc(alias = "scatter_add")]
    #[track_caller]
    pub fn scatter_along_axis(
        self,
        axis: isize,
        indices: impl Operand<'t, T>,
        extent: usize,
    ) -> Self {
        let indices = indices.on(self.tape());
        let axis = self.resolve_axis("scatter_along_axis", axis, self.rank());
        self.tape().apply(ScatterAlong { axis, extent }, &[indices, self])
    }

    /// The value with other elements at given indices along an axis: NumPy's function
    /// of this name, and PyTorch's `scatter`. Of `values` that share an index, the sum
    /// is taken.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let (x, u) = (tape.variable([1.0, 2.0, 3.0]), tape.variable([7.0]));
    /// let y = x.put_along_axis(0, tape.constant([1.0]), u);
    /// assert_eq!(y.value().to_vec(), [1.0, 7.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// As [`scatter_along_axis`](Self::scatter_along_axis).
    #[doc(alias = "scatter")]
    #[track_caller]
    pub fn put_along_axis(
        self,
        axis: isize,
        indices: impl Operand<'t, T>,
        values: impl Operand<'t, T>,
    ) -> Self {
        let (indices, values) = (indices.on(self.tape()), values.on(self.tape()));
        let axis = self.resolve_axis("put_along_axis", axis, self.rank());
        let (extent, axis) = (self.shape()[axis], axis as isize);
        let ones = self.constant_like(1.0).broadcast_to(values.shape());
        let replaced = ones.scatter_along_axis(axis, indices, extent);
        replaced.select(values.scatter_along_axis(axis, indices, extent), self)
    }

    /// For each element, a whole number, a new last axis of extent `classes` with 1
    /// at that index and 0 elsewhere; nothing but 0 for numbers that are no index.
    /// No derivative flows through it.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let labels = tape.constant([2.0, 0.0]);
    /// assert_eq!(labels.one_hot(3).value().to_vec(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn one_hot(self, classes: usize) -> Self {
        let ones = self.constant_like(1.0).broadcast_to([classes]);
        let indices = ones.cumsum(0) - T::one();
        self.unsqueeze(-1).equal(indices)
    }
}
