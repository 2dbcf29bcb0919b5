//! Functions of whole rows: the last axis at a time.
//!
//! Methods bring other axes to the end first, so that each kernel sees one row
//! after another. All of them shift by the largest element where exponentials or
//! squares could overflow.

use std::any::Any;

use crate::kernel::each_row::{for_each_row, for_each_row_of};
use crate::kernel::row_functions;
use crate::op::elementwise::power::quotient_or_zero;
use crate::op::{
    Call, Cost, Dependence, Domain, DynOp, Formula, Op, Samples, ShapeClass, Stacked, Term,
    operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, AxisList, Shape, View};

/// The largest element of each row. Where several are equal, the derivative goes
/// to the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Max;

impl Op for Max {
    const NAME: &'static str = "max";
    const FORMULA: Formula = Formula::new(
        "max over i of x[i]",
        "dy = dx at the first largest",
        r"y = \max_i x_i,\quad \dot y = \dot x_{i^*},\; i^* = \min \arg\max_i x_i",
    )
    .with_convention("all to the first of several largest");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let (lead, count) = row_shape(args)?;
        if count == 0 {
            return Err(format!("rows of {} have no largest element", args[0]));
        }
        Ok(lead)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        for_each_row_of([args[0]], out, |[row], y| y[0] = largest(row));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some(chosen(call.arg(0), tangents[0]?).sum_over(-1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(chosen(call.arg(0), bar.unsqueeze(-1)))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let mut distance = T::infinity();
        for_each_row(args[0], |_, row| {
            let first = first_largest(row);
            for (i, &x) in row.iter().enumerate() {
                if i != first {
                    distance = distance.min(row[first] - x);
                }
            }
        });
        distance
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Max);
        empty_rows(samples, Max, false);
        samples.error(Max, &[[3, 0].into()], "have no largest element");
    }
}

/// What stands at the first largest element of each row of `x`, and 0 elsewhere.
fn chosen<'t, T: Real>(x: Var<'t, T>, of: Var<'t, T>) -> Var<'t, T> {
    x.apply(FirstMax).select(of, of.constant_like(0.0))
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
        Max.kink_distance(args)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, FirstMax);
        empty_rows(samples, FirstMax, true);
    }
}

/// The logarithm of the sum of exponentials of each row; of an empty row, minus
/// infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp;

impl Op for LogSumExp {
    const NAME: &'static str = "log_sum_exp";
    const FORMULA: Formula = Formula::new(
        "ln sum over i of e^x[i]",
        "dy = sum of softmax(x)[i] dx[i]",
        r"y = \ln \sum_i e^{x_i},\quad \dot y = \sum_i e^{x_i - y}\,\dot x_i",
    )
    .with_convention("0 where all are minus infinity");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(row_shape(args)?.0)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        out.fill(T::neg_infinity());
        for_each_row_of([args[0]], out, |[row], y| y[0] = row_functions::log_sum_exp(row));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some((tangents[0]? * call.arg(0).apply(Softmax)).sum_over(-1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        // Not e^(x - y): beside a large x, y has lost what tells the shares.
        Some(bar.unsqueeze(-1) * call.arg(0).apply(Softmax))
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        EXP_SUM.times(args[0].elements()).and(Cost::nonlinear(1).times(result.elements()))
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
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
        Some(match fused(self, call, bar) {
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
        Some(match fused(self, call, bar) {
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

/// Each row with its mean subtracted and divided by its standard deviation: layer
/// normalisation without scale and shift (Ba, Kiros & Hinton 2016).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// What is added to the variance, so that a constant row has a result.
    pub epsilon: f64,
}

impl Op for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const FORMULA: Formula = Formula::new(
        "(x - mean x) / sqrt(var x + epsilon)",
        "dy = (dx - mean dx - y mean(y dx)) / sqrt(var x + epsilon)",
        r"y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}},\quad \dot y = \frac{\dot x - \overline{\dot x} - y\,\overline{y \dot x}}{\sqrt{\sigma^2 + \epsilon}}",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        row_shape(args)?;
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let epsilon = T::from_f64(self.epsilon);
        for_each_row_of([args[0]], out, |[x], y| row_functions::layer_norm(x, epsilon, y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        // The Jacobian of a row is symmetric: one formula serves both.
        self.vjp(call, 0, tangents[0]?)
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        if let Some(adjoint) = fused(self, call, bar) {
            return Some(adjoint);
        }
        let (x, y) = (call.arg(0), call.value());
        let centred = x.centred(-1);
        // Without a square, which may overflow or vanish.
        let count = centred.shape()[centred.rank() - 1] as f64;
        let length = centred.smooth_norm(-1, self.epsilon * count).unsqueeze(-1);
        let deviation = length / T::from_f64(count.sqrt());
        let along = (bar * y).mean_keep(-1);
        Some((bar - bar.mean_keep(-1) - y * along) / deviation)
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        let rows = result
            .split_last()
            .map_or(0, |(&count, lead)| if count == 0 { 0 } else { lead.iter().product() });
        let each = Cost { adds: 4, muls: 2, ..Cost::NONE }.times(result.elements());
        each.and(Cost { adds: 1, divs: 3, nonlinear: 1, muls: 0 }.times(rows))
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, LayerNorm { epsilon: 1e-3 });
        rows(samples, LayerNorm { epsilon: 0.1 });
        empty_rows(samples, LayerNorm { epsilon: 0.1 }, true);
    }
}

/// The Euclidean norm of each row, smoothed by `epsilon`. Without it the norm has a kink at
/// 0, where the derivative is 0: the subgradient of least norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Added to the sum of squares.
    pub epsilon: f64,
}

impl Norm {
    /// `x / y`, and 0 where `y` is 0. A quotient, and no product with `1 / y`, whose own
    /// derivative is a square.
    fn direction<'t, T: Real>(call: &Call<'_, 't, T>) -> Var<'t, T> {
        quotient_or_zero(call.arg(0), call.value().unsqueeze(-1))
    }
}

impl Op for Norm {
    const NAME: &'static str = "norm";
    const FORMULA: Formula = Formula::new(
        "sqrt of (epsilon + sum over i of x[i]^2)",
        "dy = sum of x[i] dx[i] / y, and 0 where y = 0",
        r"y = \sqrt{\epsilon + \textstyle\sum_i x_i^2},\quad \dot y = \textstyle\sum_i x_i \dot x_i / y",
    )
    .with_convention("0 at 0 without epsilon");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(row_shape(args)?.0)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let epsilon = T::from_f64(self.epsilon);
        // Rows without elements are not visited.
        out.fill(epsilon.sqrt());
        for_each_row_of([args[0]], out, |[row], y| y[0] = row_functions::norm(row, epsilon));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some((tangents[0]? * Norm::direction(call)).sum_over(-1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(bar.unsqueeze(-1) * Norm::direction(call))
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        let square = Cost { adds: 2, muls: 1, divs: 1, nonlinear: 0 };
        square.times(args[0].elements()).and(Cost::nonlinear(1).times(result.elements()))
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let mut distance = T::infinity();
        if self.epsilon == 0.0 {
            for_each_row(args[0], |_, row| {
                distance = distance.min(row_functions::norm(row, T::zero()));
            });
        }
        distance
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Norm { epsilon: 0.0 });
        rows(samples, Norm { epsilon: 0.5 });
        empty_rows(samples, Norm { epsilon: 0.0 }, true);
    }
}

/// A function of rows that keeps the shape, and its adjoint in one go.
trait RowMap: Op + Sync {
    /// Writes the product of the transposed Jacobian and `c`, for one row, where
    /// `y` is the function's value at `x`.
    fn adjoint<T: Real>(&self, x: &[T], y: &[T], c: &[T], out: &mut [T]);
}

impl RowMap for Softmax {
    fn adjoint<T: Real>(&self, _: &[T], y: &[T], c: &[T], out: &mut [T]) {
        row_functions::softmax_adjoint(y, c, out);
    }
}

impl RowMap for LogSoftmax {
    fn adjoint<T: Real>(&self, _: &[T], y: &[T], c: &[T], out: &mut [T]) {
        row_functions::log_softmax_adjoint(y, c, out);
    }
}

impl RowMap for LayerNorm {
    fn adjoint<T: Real>(&self, x: &[T], y: &[T], c: &[T], out: &mut [T]) {
        row_functions::layer_norm_adjoint(x, y, T::from_f64(self.epsilon), c, out);
    }
}

/// The adjoint in one pass over memory, in sweeps that keep nothing; in others it
/// has to be recorded as a formula.
fn fused<'t, T: Real, O: RowMap>(op: &O, call: &Call<'_, 't, T>, bar: Var<'t, T>) -> Term<'t, T> {
    let tape = bar.tape();
    let args = [call.arg(0), call.value(), bar];
    (!tape.records_derivatives()).then(|| tape.record(RowAdjoint(op.clone()), &args))
}

/// The adjoint of a function of rows applied to a cotangent. Only sweeps that keep
/// nothing record it, so it needs no rule.
#[derive(Clone, Debug, PartialEq)]
struct RowAdjoint<O>(O);

impl<T: Real, O: RowMap> DynOp<T> for RowAdjoint<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(args[0].clone())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        for_each_row_of([args[0], args[1], args[2]], out, |[x, y, c], out| {
            self.0.adjoint(x, y, c, out);
        });
    }

    fn has_rules(&self) -> bool {
        false
    }

    fn jvp<'t>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
        unreachable!("it has no rules")
    }

    fn vjp<'t>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
        unreachable!("it has no rules")
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.each())
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(&args[..1], result)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// An exponential of a shifted number, and its addition to a sum; finding the
/// shift costs a comparison.
const EXP_SUM: Cost = Cost { adds: 3, muls: 0, divs: 0, nonlinear: 1 };

/// The leading axes and the length of the rows.
pub(in crate::op) fn row_shape(args: &[&Shape]) -> Result<(Shape, usize), String> {
    let [x] = operands(args)?;
    let (count, lead) = x.split_last().ok_or("a scalar has no rows")?;
    Ok((lead.into(), *count))
}

/// The first of the largest elements; NaN counts as the largest.
fn first_largest<T: Real>(row: &[T]) -> usize {
    let better = |best: usize, i: usize| {
        if row[i] > row[best] || (row[i].is_nan() && !row[best].is_nan()) { i } else { best }
    };
    (1..row.len()).fold(0, better)
}

fn largest<T: Real>(row: &[T]) -> T {
    row[first_largest(row)]
}

pub(in crate::op) fn rows<O: Op>(samples: &mut Samples<O>, op: O) {
    samples.absent(ShapeClass::Scalar, "a scalar has no rows");
    for shape in [Shape::from([4]), [3, 4].into(), [2, 2, 3].into(), [3, 1].into()] {
        samples.case(op.clone(), [(shape, Domain::reals())]);
    }
    samples.error(op, &[[].into()], "a scalar has no rows");
}

pub(in crate::op) fn empty_rows<O: Op>(samples: &mut Samples<O>, op: O, of_no_length: bool) {
    samples.case(op.clone(), [([0, 3].into(), Domain::reals())]);
    if of_no_length {
        samples.case(op, [([3, 0].into(), Domain::reals())]);
    }
}

impl<'t, T: Real> Var<'t, T> {
    /// The axes brought to the end and joined into one, for the functions of rows.
    pub(crate) fn to_rows(self, axes: &AxisList) -> Self {
        let shape = self.shape();
        if axes.len() == 1 && axes[0] + 1 == shape.rank() {
            return self;
        }
        let kept: AxisList = (0..shape.rank()).filter(|axis| !axes.contains(axis)).collect();
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let target: Shape = kept.iter().map(|&axis| shape[axis]).chain([count]).collect();
        let order = kept.iter().chain(axes).copied().collect();
        self.permute_axes(order).reshape(target)
    }

    /// A function of rows along one axis, which keeps the shape.
    #[track_caller]
    fn along<O: Op>(self, axis: isize, op: O) -> Self {
        let axis = self.resolve(O::NAME, axis)[0] as isize;
        self.swap_axes(axis, -1).apply(op).swap_axes(axis, -1)
    }

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

    /// The Euclidean norm over some axes, which disappear. Its derivative at 0
    /// is 0.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "vector_norm")]
    #[track_caller]
    pub fn norm(self, axes: impl Axes) -> Self {
        self.smooth_norm(axes, 0.0)
    }

    /// `sqrt(epsilon + sum of squares)` over some axes, which disappear: a norm without a kink
    /// at 0. The squares neither overflow nor vanish.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    pub fn smooth_norm(self, axes: impl Axes, epsilon: f64) -> Self {
        let axes = self.resolve("norm", axes);
        self.to_rows(&axes).apply(Norm { epsilon })
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

    /// Each row of the last axis with mean 0 and variance 1: layer normalisation
    /// without scale and shift. `epsilon` is added to the variance.
    ///
    /// ```
    /// let tape = wengert_core::Tape::<f64>::new();
    /// let y = tape.variable([[1.0, 3.0], [5.0, 5.0]]).layer_norm(0.0001);
    /// assert!((y.value().at(&[0, 1]) - 1.0).abs() < 1e-4);
    /// assert_eq!(y.value().at(&[1, 1]), 0.0);
    /// ```
    ///
    /// # Panics
    /// If the variable is a scalar.
    #[doc(alias = "standardize")]
    #[track_caller]
    pub fn layer_norm(self, epsilon: f64) -> Self {
        self.apply(LayerNorm { epsilon })
    }
}
