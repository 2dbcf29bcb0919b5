//! Scans: running sums and products along an axis, and what they are made of.
//!
//! A running product divides by nothing, here or in its derivatives: it is a linear
//! recurrence, `y[i] = x[i] y[i - 1]`, and the derivative of a linear recurrence is
//! one again, forwards for tangents and backwards for adjoints. So zeros among the
//! elements are numbers like any other, to every order.

use crate::kernel::scan as kernel;
use crate::op::{
    Call, Cost, Domain, Elementwise, Formula, Linear, LogAddExp, Op, Samples, ShapeClass, Shapes,
    Stacked, Term, add_terms, concat, operands,
};
use crate::scalar::Real;
use crate::tape::{Operand, Var};
use crate::tensor::{Shape, View};

/// The sum of each element along an axis and all before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CumSum {
    /// The axis.
    pub axis: usize,
    /// Whether to add up from the end: the element and all behind it.
    pub reverse: bool,
}

impl Linear for CumSum {
    const NAME: &'static str = "cumsum";
    const FORMULA: Formula = Formula::new(
        "sum of x[j] over j <= i",
        "x's adjoint[j] += sum of y's[i] over i >= j",
        r"y_i = \sum_{j \le i} x_j,\quad \bar x_j \mathrel{+}= \sum_{i \ge j} \bar y_i",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        x.check_axis(self.axis)?;
        Ok(x.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        kernel::running_sum(args[0], self.axis, self.reverse, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        _: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.apply(CumSum { reverse: !self.reverse, ..*self })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(CumSum { axis: self.axis + 1, ..*self }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, shape, axis| {
            for reverse in [false, true] {
                samples.case(CumSum { axis, reverse }, [(shape.clone(), Domain::reals())]);
            }
        });
        samples.error(CumSum { axis: 1, reverse: false }, &[[3].into()], "there is no axis 1");
    }
}

/// Of operands `a` and `b`, `s[i] = a[i] s[i - 1] + b[i]` along an axis, from 0: a
/// linear recurrence with coefficients that vary. Running sums, running products,
/// discounted returns and linear recurrent networks are cases of it.
///
/// The first element of `a` multiplies nothing and is not read. G&W's
/// sections 3.1 and 3.2 are this op: the tangents of a sequence of steps obey a
/// recurrence with its Jacobians, the adjoints the transposed one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearRecurrence {
    /// The axis.
    pub axis: usize,
    /// Whether it runs from the end: `s[i] = a[i] s[i + 1] + b[i]`.
    pub reverse: bool,
}

impl LinearRecurrence {
    /// Each element times the value before it, and 0 for the one that multiplies nothing.
    fn times_before<'t, T: Real>(&self, x: Var<'t, T>, value: Var<'t, T>) -> Var<'t, T> {
        let (axis, count) = (self.axis as isize, value.shape()[self.axis]);
        match (count, self.reverse) {
            (0, _) => x,
            (_, true) => (x.slice(axis, ..count - 1) * value.slice(axis, 1..)).pad(axis, 0, 1),
            (_, false) => (x.slice(axis, 1..) * value.slice(axis, ..count - 1)).pad(axis, 1, 0),
        }
    }
}

impl Op for LinearRecurrence {
    const NAME: &'static str = "linear_recurrence";
    const FORMULA: Formula = Formula::new(
        "s[i] = a[i] s[i-1] + b[i]",
        "ds[i] = a[i] ds[i-1] + (da[i] s[i-1] + db[i])",
        r"s_i = a_i s_{i-1} + b_i,\quad \bar b_i = \bar s_i + a_{i+1} \bar b_{i+1},\quad \bar a_i = \bar b_i s_{i-1}",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a, b] = operands(args)?;
        a.check_axis(self.axis)?;
        if a != b {
            return Err(format!("shapes {a} and {b} differ"));
        }
        Ok(b.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        kernel::recurrence(args[0], args[1], self.axis, self.reverse, out);
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let steps =
            add_terms([tangents[0].map(|da| self.times_before(da, call.value())), tangents[1]])?;
        Some(steps.tape().apply(*self, &[call.arg(0), steps]))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let back = LinearRecurrence { reverse: !self.reverse, ..*self };
        let [steps] = call.shared(|| {
            // The adjoint of s[i-1] gets a[i] times that of s[i].
            let coefficients = shifted(call.arg(0), self.axis, self.reverse);
            [bar.tape().apply(back, &[coefficients, bar])]
        });
        Some(match arg {
            0 => self.times_before(steps, call.value()),
            _ => steps,
        })
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        Cost::adds(1).and(Cost::muls(1)).times(result.elements())
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let args = operands.all_whole();
        Some(args[0].tape().apply(LinearRecurrence { axis: self.axis + 1, ..*self }, &args))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, shape, axis| {
            for reverse in [false, true] {
                let op = LinearRecurrence { axis, reverse };
                samples.case(op, [shape.clone(), shape.clone()].map(|s| (s, Domain::reals())));
            }
        });
        let op = LinearRecurrence { axis: 0, reverse: false };
        samples.error(op, &[[3].into(), [2].into()], "shapes [3] and [2] differ");
        samples.error(op, &[[].into(), [].into()], "there is no axis 0");
    }
}

/// The logarithm of the sum of exponentials of each element along an axis and all
/// before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogCumSumExp {
    /// The axis.
    pub axis: usize,
}

impl LogCumSumExp {
    /// `e^(y[i-1] - y[i])` and `e^(x[i] - y[i])`: the tangents obey
    /// `dy[i] = a[i] dy[i-1] + b[i] dx[i]`, in which nothing overflows. Where a sum is infinite,
    /// they are the partials of [`LogAddExp`], which each step is.
    fn weights<'t, T: Real>(&self, call: &Call<'_, 't, T>) -> [Var<'t, T>; 2] {
        let x = call.arg(0);
        let (axis, count) = (self.axis as isize, x.shape()[self.axis]);
        if count == 0 {
            return [x, x];
        }
        // They do not depend on a shift, and beside a large one they would be lost.
        let largest = x.stop_gradient().max_over(axis).unsqueeze(axis);
        let is_infinite = largest.abs().equal(x.constant_like(f64::INFINITY));
        let x = x - is_infinite.select(x.constant_like(0.0), largest);
        let y = x.apply(*self);
        let (step, sum) = ([y.slice(axis, ..count - 1), x.slice(axis, 1..)], y.slice(axis, 1..));
        let is_infinite = sum.abs().equal(x.constant_like(f64::INFINITY));
        // The first x is all of the first sum, and nothing comes before it.
        let one = x.constant_like(1.0).broadcast_to(x.shape().with_axis(self.axis, 1));
        [0, 1].map(|arg| {
            // Rounding errors of differences cancel in the product of many; those of shares do not.
            let share = is_infinite.select(x.constant_like(0.0), step[arg] - sum).exp();
            let share = is_infinite.select(LogAddExp.partial(arg, step, sum), share);
            concat(&[one, share], axis)
        })
    }
}

impl Op for LogCumSumExp {
    const NAME: &'static str = "log_cumsum_exp";
    const FORMULA: Formula = Formula::new(
        "ln sum of e^x[j] over j <= i",
        "dy[i] = sum of e^(x[j] - y[i]) dx[j] over j <= i",
        r"y_i = \ln \textstyle\sum_{j \le i} e^{x_j},\quad \dot y_i = e^{y_{i-1} - y_i} \dot y_{i-1} + e^{x_i - y_i} \dot x_i",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        x.check_axis(self.axis)?;
        Ok(x.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        kernel::running_log_sum_exp(args[0], self.axis, out);
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let tangent = tangents[0]?;
        let [a, b] = self.weights(call);
        let op = LinearRecurrence { axis: self.axis, reverse: false };
        Some(tangent.tape().apply(op, &[a, b * tangent]))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [a, b] = self.weights(call);
        let op = LinearRecurrence { axis: self.axis, reverse: true };
        let steps = bar.tape().apply(op, &[shifted(a, self.axis, false), bar]);
        Some(b * steps)
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        Cost::adds(3).and(Cost::nonlinear(2)).times(result.elements())
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(LogCumSumExp { axis: self.axis + 1 }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, shape, axis| {
            samples.case(LogCumSumExp { axis }, [(shape, Domain::reals())]);
        });
        samples.error(LogCumSumExp { axis: 1 }, &[[3].into()], "there is no axis 1");
    }
}

/// The elements moved by one along an axis, with a 0 in the place that gets free:
/// `x[i - 1]` if they move up, and `x[i + 1]` if not.
fn shifted<'t, T: Real>(x: Var<'t, T>, axis: usize, up: bool) -> Var<'t, T> {
    let count = x.shape()[axis];
    let axis = axis as isize;
    match (count, up) {
        (0, _) => x,
        (_, true) => x.slice(axis, ..count - 1).pad(axis, 1, 0),
        (_, false) => x.slice(axis, 1..).pad(axis, 0, 1),
    }
}

/// The shapes and axes that all scans are tried on.
fn for_each_case<O: Clone>(samples: &mut Samples<O>, case: impl Fn(&mut Samples<O>, Shape, usize)) {
    samples.absent(ShapeClass::Scalar, "a scalar has no axis to go along");
    let cases: [(Shape, usize); 7] = [
        ([5].into(), 0),
        // Longer than a block of the kernel, by a part of one.
        ([19].into(), 0),
        ([3, 3].into(), 0),
        ([2, 4].into(), 1),
        ([2, 3, 2].into(), 1),
        ([1, 3].into(), 0),
        ([0, 3].into(), 0),
    ];
    for (shape, axis) in cases {
        case(samples, shape, axis);
    }
}

/// # Running sums
impl<'t, T: Real> Var<'t, T> {
    /// The sum of each element along an axis and all before it.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0, 3.0]);
    /// assert_eq!(x.cumsum(0).value().to_vec(), [1.0, 3.0, 6.0]);
    /// assert_eq!(x.reverse_cumsum(0).value().to_vec(), [6.0, 5.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn cumsum(self, axis: isize) -> Self {
        let axis = self.resolve_axis("cumsum", axis, self.rank());
        self.apply(CumSum { axis, reverse: false })
    }

    /// The sum of each element along an axis and all behind it.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn reverse_cumsum(self, axis: isize) -> Self {
        let axis = self.resolve_axis("reverse_cumsum", axis, self.rank());
        self.apply(CumSum { axis, reverse: true })
    }

    /// The product of each element along an axis and all before it. No derivative
    /// divides, so zeros do no harm.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([2.0, 0.0, 3.0]);
    /// let y = x.cumprod(0);
    /// assert_eq!(y.value().to_vec(), [2.0, 0.0, 0.0]);
    /// assert_eq!(y.sum().backward().wrt(x).to_vec(), [1.0, 8.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn cumprod(self, axis: isize) -> Self {
        let axis = self.resolve_axis("cumprod", axis, self.rank());
        if self.shape()[axis] == 0 {
            return self;
        }
        self.running_product(self.slice(axis as isize, ..1), axis, false)
    }

    /// `y[i] = self[i] y[i - 1]` along an axis, the first of which is `start`, or with
    /// `reverse` from the end. The axis has elements.
    #[track_caller]
    fn running_product(self, start: Self, axis: usize, reverse: bool) -> Self {
        let others = self.shape()[axis] - 1;
        let (before, behind) = if reverse { (others, 0) } else { (0, others) };
        let start = start.pad(axis as isize, before, behind);
        self.tape().apply(LinearRecurrence { axis, reverse }, &[self, start])
    }

    /// For each element along an axis the product of all others: of those before it
    /// and of those behind it.
    #[track_caller]
    pub(in crate::op) fn product_of_others(self, axis: usize) -> Self {
        let shape = self.shape();
        if shape[axis] == 0 {
            return self;
        }
        let one = self.constant_like(1.0).broadcast_to(shape.with_axis(axis, 1));
        let before = shifted(self, axis, true).running_product(one, axis, false);
        let behind = shifted(self, axis, false).running_product(one, axis, true);
        before * behind
    }

    /// The logarithm of the sum of exponentials of each element along an axis and
    /// all before it.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let y = tape.variable([1000.0, 1000.0]).log_cumsum_exp(0).value();
    /// assert!((y.at(&[1]) - (1000.0 + 2.0_f64.ln())).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist.
    #[doc(alias("cumlogsumexp", "logcumsumexp"))]
    #[track_caller]
    pub fn log_cumsum_exp(self, axis: isize) -> Self {
        let axis = self.resolve_axis("log_cumsum_exp", axis, self.rank());
        self.apply(LogCumSumExp { axis })
    }

    /// The linear recurrence `s[i] = self[i] s[i - 1] + b[i]` along an axis, from 0.
    /// The first element of `self` along the axis is not read.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let (decay, x) = (tape.variable([0.5, 0.5, 0.5]), tape.variable([8.0, 0.0, 1.0]));
    /// let s = decay.linear_recurrence(x, 0);
    /// assert_eq!(s.value().to_vec(), [8.0, 4.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, the shapes differ, or the operands are on two
    /// tapes.
    #[doc(alias = "associative_scan")]
    #[track_caller]
    pub fn linear_recurrence(self, b: impl Operand<'t, T>, axis: isize) -> Self {
        let b = b.on(self.tape());
        let axis = self.resolve_axis("linear_recurrence", axis, self.rank());
        self.tape().apply(LinearRecurrence { axis, reverse: false }, &[self, b])
    }

    /// As [`linear_recurrence`](Self::linear_recurrence), from the end:
    /// `s[i] = self[i] s[i + 1] + b[i]`. The last element of `self` along the axis is
    /// not read.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// // What is still to come, each step of waiting counting half.
    /// let (discount, reward) = (tape.constant([0.5; 3]), tape.variable([1.0, 0.0, 4.0]));
    /// let worth = discount.reverse_linear_recurrence(reward, 0);
    /// assert_eq!(worth.value().to_vec(), [2.0, 2.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist, the shapes differ, or the operands are on two
    /// tapes.
    #[track_caller]
    pub fn reverse_linear_recurrence(self, b: impl Operand<'t, T>, axis: isize) -> Self {
        let b = b.on(self.tape());
        let axis = self.resolve_axis("reverse_linear_recurrence", axis, self.rank());
        self.tape().apply(LinearRecurrence { axis, reverse: true }, &[self, b])
    }
}
