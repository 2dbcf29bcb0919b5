//! The largest element of each row, and where it is.

use super::{empty_rows, row_shape, rows};
use crate::kernel::each_row::{for_each_row, for_each_row_of};
use crate::kernel::order::first_largest;
use crate::op::{Call, Cost, Formula, Op, RowReduction, Samples, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, Shape, View};

/// The largest element of each row. Where several are equal, the derivative goes
/// to the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Max;

impl RowReduction for Max {
    const NAME: &'static str = "max";
    const FORMULA: Formula = Formula::new(
        "max over i of x[i]",
        "dy = dx at the first largest",
        r"y = \max_i x_i,\quad \dot y = \dot x_{i^*},\; i^* = \min \arg\max_i x_i",
    )
    .with_convention("all to the first of several largest");

    fn of_nothing(&self) -> Result<f64, &'static str> {
        Err("have no largest element")
    }

    fn reduce<T: Real>(&self, row: &[T]) -> T {
        row[first_largest(row)]
    }

    fn scaled_gradient<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        _: Var<'t, T>,
        factor: Var<'t, T>,
    ) -> Var<'t, T> {
        x.apply(FirstMax).select(factor, factor.constant_like(0.0))
    }

    fn cost(&self, elements: usize, _: usize) -> Cost {
        Cost::adds(elements as u64)
    }

    fn kink_distance<T: Real>(&self, row: &[T]) -> T {
        let first = first_largest(row);
        let others = (0..row.len()).filter(|&i| i != first);
        others.map(|i| row[first] - row[i]).fold(T::infinity(), T::min)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Max);
        empty_rows(samples, Max, false);
        samples.error(Max, &[[3, 0].into()], "have no largest element");
    }
}

/// 1 at the first largest element of each row, else 0: where [`Max`] sends its
/// derivative. No derivative flows through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstMax;

impl Op for FirstMax {
    const NAME: &'static str = "first_max";
    const FORMULA: Formula = Formula::new(
        "1 at the first largest x[i], else 0",
        "dy = 0",
        r"y_i = [i = \min \arg\max_j x_j],\quad \dot y = 0",
    )
    .with_convention("0 where several are largest");
    const LEADING_AXES: bool = true;
    const DIFFERENTIABLE: bool = false;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        row_shape(args)?;
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        out.fill(T::zero());
        for_each_row_of([args[0]], out, |[row], y| y[first_largest(row)] = T::one());
    }

    fn jvp<'t, T: Real>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
        None
    }

    fn vjp<'t, T: Real>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
        None
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let mut distance = T::infinity();
        for_each_row(args[0], |_, row| distance = distance.min(Max.kink_distance(row)));
        distance
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, FirstMax);
        empty_rows(samples, FirstMax, true);
    }
}

/// # Largest and smallest elements
impl<'t, T: Real> Var<'t, T> {
    /// The largest element over some axes, which disappear; the derivative goes
    /// to the first of equal ones.
    ///
    /// # Panics
    /// If an axis does not exist, is named twice, or has no elements.
    #[doc(alias("amax", "max"))]
    #[track_caller]
    pub fn max_over(self, axes: impl Axes) -> Self {
        let axes = self.resolve("max", axes);
        self.to_rows(&axes).apply(Max)
    }

    /// The smallest element over some axes, which disappear; the derivative goes
    /// to the first of equal ones.
    ///
    /// # Panics
    /// If an axis does not exist, is named twice, or has no elements.
    #[doc(alias("amin", "min"))]
    #[track_caller]
    pub fn min_over(self, axes: impl Axes) -> Self {
        -(-self).max_over(axes)
    }
}
