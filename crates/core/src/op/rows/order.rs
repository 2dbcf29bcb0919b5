//! Orders of rows: sorting, the largest elements, medians.
//!
//! One op orders, and gives no elements but their indices, as whole numbers in a value
//! like any other. So a program that is run again orders again, and what reads the
//! elements ([`TakeAlong`]) carries the derivative: sorting, [`topk`](Var::topk)
//! and quantiles need no rules of their own. A `f32` counts exactly to 2^24, and
//! longer rows are refused in it.

use super::row_shape;
use crate::kernel::each_row::{for_each_row, for_each_row_of};
use crate::kernel::order as kernel;
use crate::op::{Call, Cost, Domain, Formula, Op, Samples, ShapeClass, TakeAlong, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, Shape, View};

/// The indices of the first `count` elements of each row, in order. Equal elements
/// keep the order in which they stand, and NaN counts as the largest. No
/// derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArgSort {
    /// Whether the largest comes first.
    pub descending: bool,
    /// How many are wanted.
    pub count: usize,
}

impl Op for ArgSort {
    const NAME: &'static str = "argsort";
    const FORMULA: Formula = Formula::new(
        "indices of x in order",
        "dy = 0",
        r"x_{y_0} \le x_{y_1} \le \dots,\quad \dot y = 0",
    )
    .with_convention("equal elements stay in their order; a NaN is the largest");
    const DIFFERENTIABLE: bool = false;
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let (lead, extent) = row_shape(args)?;
        if self.count > extent {
            return Err(format!("rows of {} have no first {} elements", args[0], self.count));
        }
        Ok(lead.inserting(lead.rank(), self.count))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        for_each_row_of([args[0]], out, |[row], indices| {
            kernel::indices(row, self.descending, indices);
        });
    }

    fn jvp<'t, T: Real>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
        None
    }

    fn vjp<'t, T: Real>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
        None
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let elements = args[0].elements() as u64;
        let levels = args[0].last().map_or(0, |&extent| extent.max(1).ilog2()).max(1);
        Cost::adds(elements * u64::from(levels))
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let mut distance = T::infinity();
        for_each_row(args[0], |_, row| {
            let mut indices = vec![T::zero(); row.len()];
            kernel::indices(row, self.descending, &mut indices);
            let sorted = |i: usize| row[indices[i].as_f64() as usize];
            // Below the last one that is wanted, the order does not matter.
            for i in 1..row.len().min(self.count + 1) {
                distance = distance.min((sorted(i) - sorted(i - 1)).abs());
            }
        });
        distance
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no rows");
        let mut sort = |shape: Shape, descending, count| {
            samples.case(ArgSort { descending, count }, [(shape, Domain::reals())]);
        };
        sort([6].into(), false, 6);
        sort([6].into(), true, 2);
        sort([3, 4].into(), true, 4);
        sort([3, 4].into(), false, 1);
        sort([2, 2, 3].into(), true, 3);
        sort([3, 1].into(), false, 1);
        sort([0, 3].into(), false, 3);
        sort([2, 3].into(), false, 0);
        let beyond = ArgSort { descending: true, count: 4 };
        samples.error(beyond, &[[2, 3].into()], "rows of [2, 3] have no first 4 elements");
        samples.error(beyond, &[[].into()], "a scalar has no rows");
    }
}

/// # Orders
impl<'t, T: Real> Var<'t, T> {
    /// The indices of the elements along an axis in ascending order, as whole
    /// numbers; equal elements keep their order, and NaN comes last.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([30.0, 10.0, 20.0]);
    /// assert_eq!(x.argsort(0).value().to_vec(), [1.0, 2.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, or is longer than the precision counts.
    #[track_caller]
    pub fn argsort(self, axis: isize) -> Self {
        let axis = self.resolve_axis("argsort", axis, self.rank()) as isize;
        let rows = self.swap_axes(axis, -1);
        let count = rows.shape()[self.rank() - 1];
        rows.apply(ArgSort { descending: false, count }).swap_axes(axis, -1)
    }

    /// The elements along an axis in ascending order, and their
    /// [indices](Self::argsort). Derivatives go to where the elements came from;
    /// equal elements count as in the order in which they stand. For descending
    /// order see [`topk`](Self::topk).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([30.0, 10.0, 20.0]);
    /// let (sorted, indices) = x.sort(0);
    /// assert_eq!(sorted.value().to_vec(), [10.0, 20.0, 30.0]);
    /// assert_eq!(indices.value().to_vec(), [1.0, 2.0, 0.0]);
    /// let [dx] = (sorted * tape.constant([1.0, 2.0, 3.0])).sum().grad([x]);
    /// assert_eq!(dx.value().to_vec(), [3.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// As [`argsort`](Self::argsort).
    #[track_caller]
    pub fn sort(self, axis: isize) -> (Self, Self) {
        let axis = self.resolve_axis("sort", axis, self.rank());
        self.first(axis as isize, ArgSort { descending: false, count: self.shape()[axis] })
    }

    /// The `k` largest elements along an axis, the largest first, and their indices.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 4.0, 2.0], [9.0, 7.0, 8.0]]);
    /// let (values, indices) = x.topk(2, -1);
    /// assert_eq!(values.value().to_vec(), [4.0, 2.0, 9.0, 8.0]);
    /// assert_eq!(indices.value().to_vec(), [1.0, 2.0, 0.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// As [`argsort`](Self::argsort), and if the axis has fewer than `k` elements.
    #[doc(alias = "top_k")]
    #[track_caller]
    pub fn topk(self, k: usize, axis: isize) -> (Self, Self) {
        let axis = self.resolve_axis("topk", axis, self.rank());
        self.first(axis as isize, ArgSort { descending: true, count: k })
    }

    #[track_caller]
    fn first(self, axis: isize, order: ArgSort) -> (Self, Self) {
        let rows = self.swap_axes(axis, -1);
        let indices = rows.apply(order);
        let values = self.tape().apply(TakeAlong { axis: self.rank() - 1 }, &[indices, rows]);
        (values.swap_axes(axis, -1), indices.swap_axes(axis, -1))
    }

    /// The index of the largest element along an axis, which disappears, as a whole
    /// number; of the first one if several are equal. NaN counts as the largest.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 4.0, 2.0], [9.0, 7.0, 9.0]]);
    /// assert_eq!(x.argmax(-1).value().to_vec(), [1.0, 0.0]);
    /// assert_eq!(x.argmin(0).value().to_vec(), [0.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As [`argsort`](Self::argsort), and if the axis has no elements.
    #[track_caller]
    pub fn argmax(self, axis: isize) -> Self {
        let axis = self.resolve_axis("argmax", axis, self.rank()) as isize;
        let first = ArgSort { descending: true, count: 1 };
        self.swap_axes(axis, -1).apply(first).swap_axes(axis, -1).squeeze(axis)
    }

    /// The index of the smallest element along an axis, which disappears; otherwise
    /// as [`argmax`](Self::argmax). NaN counts as the smallest, as it does for
    /// [`min_over`](Self::min_over).
    ///
    /// # Panics
    /// As [`argmax`](Self::argmax).
    #[track_caller]
    pub fn argmin(self, axis: isize) -> Self {
        (-self).argmax(axis)
    }

    /// The median over some axes, which disappear: of an even number of elements
    /// the mean of the two in the middle, as in NumPy. (PyTorch takes the lower of
    /// the two.) Where one of the elements is NaN, so is the result.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[5.0, 1.0, 9.0], [3.0, 2.0, 4.0]]);
    /// assert_eq!(x.median(-1).value().to_vec(), [5.0, 3.0]);
    /// assert_eq!(x.median(..).item(), 3.5);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, or there are no elements.
    #[track_caller]
    pub fn median(self, axes: impl Axes) -> Self {
        self.quantile(0.5, axes)
    }

    /// The number that a part `q` of the elements over some axes lies below; the
    /// axes disappear. Between two elements it is interpolated linearly, as in NumPy
    /// and PyTorch. Where one of the elements is NaN, so is the result.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, there are no elements, or `q`
    /// is not between 0 and 1.
    #[track_caller]
    pub fn quantile(self, q: f64, axes: impl Axes) -> Self {
        assert!((0.0..=1.0).contains(&q), "quantile: {q} is no part of 1");
        let axes = self.resolve("quantile", axes);
        let rows = self.to_rows(&axes);
        let last = rows.rank() - 1;
        let count = rows.shape()[last];
        assert!(count > 0, "quantile: there are no elements\n  operand: {}", self.describe());
        let place = q * (count - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        let indices = rows.apply(ArgSort { descending: false, count: high + 1 });
        // A NaN sorts last, and is the value of a row that has one.
        let largest = rows.apply(ArgSort { descending: true, count: 1 });
        let value = self.tape().apply(TakeAlong { axis: last }, &[largest, rows]);
        let ends = value.equal(value).select(indices.slice(-1, low..=high), largest);
        let ends = self.tape().apply(TakeAlong { axis: last }, &[ends, rows]);
        let lower = ends.slice(-1, ..1).squeeze(-1);
        if low == high {
            return lower;
        }
        let upper = ends.slice(-1, 1..).squeeze(-1);
        let weight = place - low as f64;
        lower * T::from_f64(1.0 - weight) + upper * T::from_f64(weight)
    }
}
