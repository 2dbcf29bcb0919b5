//! Exponentials of rows: their sum, and the shares in it.
//!
//! All of them shift by the largest element, so that no exponential overflows.

use super::row_map::{RowMap, fused};
use super::{empty_rows, row_shape, rows};
use crate::kernel::each_row::for_each_row_of;
use crate::kernel::row_functions;
use crate::op::{Call, Cost, Dependence, Formula, Op, RowReduction, Samples, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, Shape, View};

/// An exponential of a shifted number, and its addition to a sum; finding the
/// shift costs a comparison.
const EXP_SUM: Cost = Cost { adds: 3, muls: 0, divs: 0, nonlinear: 1 };

/// The logarithm of the sum of exponentials of each row; of an empty row, minus
/// infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp;

impl RowReduction for LogSumExp {
    const NAME: &'static str = "log_sum_exp";
    const FORMULA: Formula = Formula::new(
        "ln sum over i of e^x[i]",
        "dy = sum of softmax(x)[i] dx[i]",
        r"y = \ln \sum_i e^{x_i},\quad \dot y = \sum_i e^{x_i - y}\,\dot x_i",
    )
    .with_convention("0 where all are minus infinity");

    fn of_nothing(&self) -> Result<f64, &'static str> {
        Ok(f64::NEG_INFINITY)
    }

    fn reduce<T: Real>(&self, row: &[T]) -> T {
        row_functions::log_sum_exp(row)
    }

    fn scaled_gradient<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        _: Var<'t, T>,
        factor: Var<'t, T>,
    ) -> Var<'t, T> {
        // Not e^(x - y): beside a large x, y has lost what tells the shares.
        factor * x.apply(Softmax)
    }

    fn cost(&self, elements: usize, rows: usize) -> Cost {
        EXP_SUM.times(elements).and(Cost::nonlinear(1).times(rows))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, LogSumExp);
        empty_rows(samples, LogSumExp, true);
    }
}

/// `e^x[i]` divided by the sum of all, for each row. Of a row of nothing but minus
/// infinities, all shares are 0, and so are their derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax;

impl Op for Softmax {
    const NAME: &'static str = "softmax";
    const FORMULA: Formula = Formula::new(
        "e^x[i] / sum over j of e^x[j]",
        "dy = y (dx - sum of y dx)",
        r"y_i = e^{x_i} / \textstyle\sum_j e^{x_j},\quad \dot y_i = y_i (\dot x_i - \textstyle\sum_j y_j \dot x_j)",
    )
    .with_convention("0 where all are minus infinity");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        row_shape(args)?;
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        for_each_row_of([args[0]], out, |[x], y| row_functions::softmax(x, y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        // The Jacobian diag(y) - y y^T is symmetric: one formula serves both.
        self.vjp(call, 0, tangents[0]?)
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let y = call.value();
        Some(match fused(self, [call.value(), bar]) {
            Some(adjoint) => adjoint,
            None => y * (bar - (bar * y).sum_keep(-1)),
        })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        EXP_SUM.and(Cost::muls(1)).times(args[0].elements())
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Softmax);
        empty_rows(samples, Softmax, true);
    }
}

/// The logarithm of [`Softmax`], without the underflow of taking it afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSoftmax;

impl Op for LogSoftmax {
    const NAME: &'static str = "log_softmax";
    const FORMULA: Formula = Formula::new(
        "x[i] - ln sum over j of e^x[j]",
        "dy = dx - sum of e^y dx",
        r"y_i = x_i - \ln \textstyle\sum_j e^{x_j},\quad \dot y_i = \dot x_i - \textstyle\sum_j e^{y_j} \dot x_j",
    )
    .with_convention("e^y is 0 where all are minus infinity");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        row_shape(args)?;
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        for_each_row_of([args[0]], out, |[x], y| row_functions::log_softmax(x, y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let tangent = tangents[0]?;
        Some(tangent - (tangent * call.value().exp()).sum_keep(-1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(match fused(self, [call.value(), bar]) {
            Some(adjoint) => adjoint,
            None => bar - call.value().exp() * bar.sum_keep(-1),
        })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        EXP_SUM.and(Cost::adds(1)).times(args[0].elements())
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, LogSoftmax);
        empty_rows(samples, LogSoftmax, true);
    }
}

impl RowMap<2> for Softmax {
    fn adjoint<T: Real>(&self, [y, c]: [&[T]; 2], out: &mut [T]) {
        row_functions::softmax_adjoint(y, c, out);
    }
}

impl RowMap<2> for LogSoftmax {
    fn adjoint<T: Real>(&self, [y, c]: [&[T]; 2], out: &mut [T]) {
        row_functions::log_softmax_adjoint(y, c, out);
    }
}

/// # Exponentials of rows
impl<'t, T: Real> Var<'t, T> {
    /// `ln(sum(exp(x)))` over some axes, which disappear.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "logsumexp")]
    #[track_caller]
    pub fn log_sum_exp(self, axes: impl Axes) -> Self {
        let axes = self.resolve("log_sum_exp", axes);
        self.to_rows(&axes).apply(LogSumExp)
    }

    /// Exponentials along an axis, divided by their sum.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.along(axis, Softmax)
    }

    /// The logarithm of [`softmax`](Self::softmax), computed without underflow.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        self.along(axis, LogSoftmax)
    }
}
