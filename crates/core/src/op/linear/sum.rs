//! Sums and means over axes, and the adjoint of broadcasting.

use crate::kernel::reduce::sum_axes;
use crate::op::{
    Along, Cost, Dependence, Domain, Formula, Linear, Samples, Shapes, Stacked, Term, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, AxisList, Layout, Shape, View};

/// The sum over axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The axes, ascending.
    pub axes: AxisList,
    /// Whether they stay, with extent 1.
    pub keep: bool,
}

impl Linear for Sum {
    const NAME: &'static str = "sum";
    const FORMULA: Formula = Formula::new(
        "sum of x over axes",
        "x's adjoint += y's, broadcast",
        r"y = \sum_i x_i,\quad \bar x_i \mathrel{+}= \bar y",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        reduced(args, &self.axes, self.keep)
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        view_of_one(arg, &self.axes, self.keep)
    }

    fn total(&self, arg: &Shape) -> Option<f64> {
        (arg.reduced(&self.axes, false).elements() == 1).then_some(1.0)
    }

    fn sum_of_rows(&self, arg: &Shape) -> Option<f64> {
        are_first(&self.axes, arg).then_some(1.0)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        sum_axes(args[0], &self.axes, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        stretch(bar, &self.axes, args.of(0))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        reduction(args[0], &self.axes, self.keep)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(Sum { axes: moved_on(&self.axes), keep: self.keep }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        over_axes(samples, |axes, keep| Sum { axes, keep });
    }
}

/// The axes behind a new leading one.
fn moved_on(axes: &AxisList) -> AxisList {
    axes.iter().map(|axis| axis + 1).collect()
}

/// The mean over axes. The mean of no elements is NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// The axes, ascending.
    pub axes: AxisList,
    /// Whether they stay, with extent 1.
    pub keep: bool,
}

impl Mean {
    fn count(&self, shape: &Shape) -> f64 {
        self.axes.iter().map(|&axis| shape[axis]).product::<usize>() as f64
    }
}

impl Linear for Mean {
    const NAME: &'static str = "mean";
    const FORMULA: Formula = Formula::new(
        "sum of x over axes / n",
        "x's adjoint += y's / n, broadcast",
        r"y = \frac1n \sum_i x_i,\quad \bar x_i \mathrel{+}= \bar y / n",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        reduced(args, &self.axes, self.keep)
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        view_of_one(arg, &self.axes, self.keep)
    }

    fn total(&self, arg: &Shape) -> Option<f64> {
        (arg.reduced(&self.axes, false).elements() == 1).then(|| self.count(arg))
    }

    fn sum_of_rows(&self, arg: &Shape) -> Option<f64> {
        are_first(&self.axes, arg).then(|| self.count(arg))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        sum_axes(args[0], &self.axes, out);
        let count = T::from_f64(self.count(args[0].shape()));
        for sum in out {
            *sum /= count;
        }
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let shape = args.of(0);
        stretch(bar / T::from_f64(self.count(&shape)), &self.axes, shape)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64).and(Cost::divs(result.elements() as u64))
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        reduction(args[0], &self.axes, self.keep)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(Mean { axes: moved_on(&self.axes), keep: self.keep }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        over_axes(samples, |axes, keep| Mean { axes, keep });
    }
}

/// The sum over all copies that broadcasting made: the adjoint of
/// [`BroadcastTo`](crate::op::BroadcastTo).
#[derive(Clone, Debug, PartialEq)]
pub struct SumTo {
    /// The shape before broadcasting.
    pub shape: Shape,
}

impl SumTo {
    /// The axes that broadcasting added or stretched.
    fn axes(&self, from: &Shape) -> AxisList {
        let lead = from.rank() - self.shape.rank();
        let stretched =
            |&axis: &usize| axis < lead || (self.shape[axis - lead] == 1 && from[axis] != 1);
        (0..from.rank()).filter(stretched).collect()
    }
}

impl Linear for SumTo {
    const NAME: &'static str = "sum_to";
    const FORMULA: Formula = Formula::new(
        "sum of x over broadcast axes",
        "x's adjoint += y's, broadcast",
        r"y = \sum_i x_i,\quad \bar x_i \mathrel{+}= \bar y",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        if !self.shape.broadcasts_to(x) {
            return Err(format!(
                "{} does not broadcast to {x}, so {x} does not sum to it",
                self.shape
            ));
        }
        Ok(self.shape.clone())
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        let (layout, moved) = view_of_one(arg, &self.axes(arg.shape()), true)?;
        Some((layout.reshaped(&self.shape)?, moved))
    }

    fn total(&self, _: &Shape) -> Option<f64> {
        (self.shape.elements() == 1).then_some(1.0)
    }

    fn sum_of_rows(&self, arg: &Shape) -> Option<f64> {
        are_first(&self.axes(arg), arg).then_some(1.0)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        sum_axes(args[0], &self.axes(args[0].shape()), out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.broadcast_to(args.of(0))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        let summed = self.axes(args[0]);
        let lead = args[0].rank() - self.shape.rank();
        let along = |axis: usize| match summed.contains(&axis) {
            true => Along::All,
            false => Along::Same(axis - lead),
        };
        Dependence::Axes((0..args[0].rank()).map(along).collect())
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let x = operands.arg(0);
        let axes = moved_on(&self.axes(&x.shape()[1..].into()));
        Some(x.apply(Sum { axes, keep: false }).reshape(operands.shape(&self.shape)))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let mut sum = |from: Shape, to: Shape| {
            samples.case(SumTo { shape: to }, [(from, Domain::reals())]);
        };
        sum([].into(), [].into());
        sum([3].into(), [].into());
        sum([2, 3].into(), [3].into());
        sum([2, 3].into(), [2, 1].into());
        sum([2, 3, 2].into(), [3, 1].into());
        sum([1, 3].into(), [1, 1].into());
        sum([0, 3].into(), [3].into());
        samples.error(SumTo { shape: [2].into() }, &[[3].into()], "does not sum to it");
    }
}

/// Where each sum has one term, the operand in another shape.
fn view_of_one(arg: &Layout, axes: &[usize], keep: bool) -> Option<(Layout, isize)> {
    let is_one = axes.iter().all(|&axis| arg.shape()[axis] == 1);
    is_one.then(|| arg.reshaped(&arg.shape().reduced(axes, keep)))?.map(|layout| (layout, 0))
}

/// Whether axes are the first ones of a shape, and rows of more than one element are left.
fn are_first(axes: &[usize], shape: &Shape) -> bool {
    let all = (0..axes.len()).all(|axis| axes.contains(&axis));
    all && axes.len() < shape.rank() && shape[shape.rank() - 1] > 1
}

/// A cotangent of the reduced axes, broadcast to the operand's shape.
fn stretch<'t, T: Real>(bar: Var<'t, T>, axes: &[usize], shape: Shape) -> Var<'t, T> {
    let column = if axes.len() == shape.rank() {
        // A single number broadcasts as it is.
        bar
    } else {
        bar.reshape(shape.reduced(axes, true))
    };
    column.broadcast_to(shape)
}

fn reduced(args: &[&Shape], axes: &[usize], keep: bool) -> Result<Shape, String> {
    let [x] = operands(args)?;
    axes.iter().try_for_each(|&axis| x.check_axis(axis))?;
    Ok(x.reduced(axes, keep))
}

/// Which elements a reduction reads.
fn reduction(arg: &Shape, axes: &[usize], keep: bool) -> Dependence {
    let along = |axis: usize| match axes.contains(&axis) {
        true => Along::All,
        false if keep => Along::Same(axis),
        false => Along::Same(axis - axes.iter().filter(|&&gone| gone < axis).count()),
    };
    Dependence::Axes((0..arg.rank()).map(along).collect())
}

fn over_axes<L: Linear>(samples: &mut Samples<L>, op: impl Fn(AxisList, bool) -> L) {
    let mut reduce = |shape: Shape, axes: &[usize], keep: bool| {
        samples.case(op(axes.into(), keep), [(shape, Domain::reals())]);
    };
    reduce([].into(), &[], false);
    reduce([4].into(), &[0], false);
    reduce([3, 4].into(), &[0], false);
    reduce([3, 4].into(), &[1], true);
    reduce([2, 3, 4].into(), &[0, 2], false);
    reduce([2, 3, 4].into(), &[1], true);
    reduce([1, 3].into(), &[0], false);
    reduce([3, 0].into(), &[0], false);
    samples.error(op([2].as_slice().into(), false), &[[3, 4].into()], "there is no axis 2");
}

/// # Sums and means
impl<'t, T: Real> Var<'t, T> {
    /// The sum of all elements.
    #[track_caller]
    pub fn sum(self) -> Self {
        self.sum_over(..)
    }

    /// The sum over some axes, which disappear.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "sum")]
    #[track_caller]
    pub fn sum_over(self, axes: impl Axes) -> Self {
        self.apply(Sum { axes: self.resolve("sum", axes), keep: false })
    }

    /// The sum over some axes, which stay with extent 1.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "sum")]
    #[track_caller]
    pub fn sum_keep(self, axes: impl Axes) -> Self {
        self.apply(Sum { axes: self.resolve("sum", axes), keep: true })
    }

    /// The mean of all elements.
    #[track_caller]
    pub fn mean(self) -> Self {
        self.mean_over(..)
    }

    /// The mean over some axes, which disappear.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "mean")]
    #[track_caller]
    pub fn mean_over(self, axes: impl Axes) -> Self {
        self.apply(Mean { axes: self.resolve("mean", axes), keep: false })
    }

    /// The mean over some axes, which stay with extent 1.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "mean")]
    #[track_caller]
    pub fn mean_keep(self, axes: impl Axes) -> Self {
        self.apply(Mean { axes: self.resolve("mean", axes), keep: true })
    }

    /// The variance over some axes, which disappear: the sum of squared deviations
    /// from the mean, divided by the number of elements less `correction`. That is 0
    /// for the variance of the elements themselves (NumPy's default), and 1 for an
    /// unbiased estimate from a sample (PyTorch's). Of no more elements than that it
    /// is not finite.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 1.0, 7.0, 7.0]);
    /// assert_eq!(x.var_over(.., 0).item(), 9.0);
    /// assert_eq!(x.var_over(.., 1).item(), 12.0);
    /// assert_eq!(x.std_over(.., 0).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "var")]
    #[track_caller]
    pub fn var_over(self, axes: impl Axes, correction: usize) -> Self {
        let axes = self.resolve("var", axes);
        let freedom = self.freedom(&axes, correction);
        self.centred(axes.clone()).square().sum_over(axes) / freedom
    }

    /// The standard deviation over some axes, which disappear: the root of
    /// [`var_over`](Self::var_over). Its derivative where all elements are equal is
    /// 0, as that of the [norm](Self::norm).
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "std")]
    #[track_caller]
    pub fn std_over(self, axes: impl Axes, correction: usize) -> Self {
        let axes = self.resolve("std", axes);
        let freedom = self.freedom(&axes, correction);
        self.centred(axes.clone()).norm(axes) / freedom.sqrt()
    }

    /// The elements less their mean over some axes. It is the mean of what they have not in
    /// common with the first, beside which they would lose their digits.
    pub(crate) fn centred(self, axes: impl Axes) -> Self {
        let axes = self.resolve("mean", axes);
        let first = axes.iter().fold(self.stop_gradient(), |x, &axis| {
            let count = x.shape()[axis].min(1);
            x.slice(axis as isize, ..count)
        });
        let apart = self - first;
        apart - apart.mean_keep(axes)
    }

    /// The number of elements over some axes, less a correction, but not below 0.
    fn freedom(self, axes: &[usize], correction: usize) -> T {
        let shape = self.shape();
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        T::from_f64(count.saturating_sub(correction) as f64)
    }

    /// The sum over all copies that broadcasting from `shape` would make: the
    /// adjoint of [`broadcast_to`](Self::broadcast_to).
    ///
    /// # Panics
    /// If `shape` does not broadcast to the variable's shape.
    #[doc(alias = "sum_to_size")]
    #[track_caller]
    pub fn sum_to(self, shape: &Shape) -> Self {
        if self.shape() == *shape { self } else { self.apply(SumTo { shape: shape.clone() }) }
    }

    /// As [`sum_to`](Self::sum_to), to the shape of another variable.
    #[inline]
    pub(crate) fn sum_to_shape_of(self, other: Var<'t, T>) -> Self {
        if self.tape().same_shape(self.id(), other.id()) {
            self
        } else {
            self.sum_to(&other.shape())
        }
    }
}
