//! Pooling: maxima and means over windows that slide over the last two axes.
//!
//! Windows are cropped at the border, as in MatConvNet: padding only lets them
//! reach beyond it. So a maximum never sees a zero that is not there, and a mean
//! divides by the number of elements that are. (PyTorch's default divides by the
//! size of the whole window; there this is `count_include_pad=False`.)
//!
//! The derivative of a maximum reads `v` where `x` is largest. That is linear in
//! `v`, and constant in `x` but for jumps, so it is an op of both, with an op for
//! its transpose: they are each other's derivatives, and every order exists.

use super::options::{PerAxis, PerSide, slides};
use crate::kernel::pool as kernel;
use crate::kernel::window::Slide;
use crate::op::knowledge::positions::{transposed, windows};
use crate::op::{
    Along, Call, Cost, Dependence, Domain, Formula, Linear, Op, Samples, Selection, ShapeClass,
    Shapes, Stacked, Term, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// How a window of pooling slides: over `D` axes, two for planes.
///
/// ```
/// use wengert_core::op::Pooling;
///
/// let pooling: Pooling = Pooling::new(2);
/// assert_eq!(pooling.stride, [2, 2]);
/// let overlapping = Pooling::new([3, 3]).stride(2).padding([[0, 1], [0, 1]]);
/// assert_eq!(overlapping.window, [3, 3]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling<const D: usize = 2> {
    /// The extents of the window: height and width.
    pub window: [usize; D],
    /// From one position of the window to the next, down and across.
    pub stride: [usize; D],
    /// How far windows may reach beyond each border: `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; D],
}

impl<const D: usize> Pooling<D> {
    /// A window that is moved by its own size: one number, or one for each axis, such
    /// as `[height, width]`.
    pub fn new(window: impl PerAxis<D>) -> Self {
        let window = window.per_axis();
        Self { window, stride: window, padding: [[0; 2]; D] }
    }

    /// With a stride: one number, or one for each axis, such as `[down, across]`.
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Self { stride: stride.per_axis(), ..self }
    }

    /// With windows that reach beyond the border: by one number, one for each axis,
    /// such as `[vertical, horizontal]`, or one for each side, `[[top, bottom], [left, right]]`.
    pub fn padding(self, padding: impl PerSide<D>) -> Self {
        Self { padding: padding.per_side(), ..self }
    }
}

impl Pooling {
    /// How the window slides over planes of a shape's last two axes.
    fn slides(&self, x: &[usize]) -> Result<kernel::Slides, String> {
        let &[.., height, width] = x else {
            return Err(format!("planes have two axes, and {x:?} has not"));
        };
        if height == 0 || width == 0 {
            return Err(format!("planes of {height} x {width} have no elements"));
        }
        for axis in 0..2 {
            let (window, beyond) = (self.window[axis], self.padding[axis]);
            if beyond.iter().any(|&beyond| beyond >= window) {
                return Err(format!(
                    "a window of {window} that reaches {} beyond the border covers no element",
                    beyond[0].max(beyond[1])
                ));
            }
        }
        slides(x, self.window, self.stride, self.padding, [1, 1])
    }

    fn pooled(&self, x: &Shape) -> Result<Shape, String> {
        let [down, across] = self.slides(x)?;
        let lead = &x[..x.rank() - 2];
        Ok(lead.iter().copied().chain([down.positions, across.positions]).collect())
    }

    /// The shape of the planes of a given size that are pooled to `y`.
    fn planes(&self, y: &Shape, size: [usize; 2]) -> Result<Shape, String> {
        let lead = &y[..y.rank().saturating_sub(2)];
        let x: Shape = lead.iter().copied().chain(size).collect();
        let expected = self.pooled(&x)?;
        if *y != expected {
            return Err(format!("{x} is pooled to {expected}, not to {y}"));
        }
        Ok(x)
    }

    /// How the last two axes are related, for planes of a shape.
    fn dependence(&self, x: &Shape, related: impl Fn(&Slide) -> Vec<Vec<usize>>) -> Dependence {
        let lead = x.rank() - 2;
        let [down, across] = self.slides(x).expect(SHAPES_PASSED);
        let planes =
            [Along::Listed(lead, related(&down)), Along::Listed(lead + 1, related(&across))];
        Dependence::Axes((0..lead).map(Along::Same).chain(planes).collect())
    }

    /// One operation for every element of every window.
    fn cost(&self, y: &Shape) -> u64 {
        (y.elements() * self.window[0] * self.window[1]) as u64
    }
}

const SHAPES_PASSED: &str = "the shape rule has passed";

/// The mean of each window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPool2d(pub Pooling);

impl Linear for AvgPool2d {
    const NAME: &'static str = "avg_pool2d";
    const FORMULA: Formula = Formula::new(
        "mean of x over each window",
        "dy = mean of dx over each window",
        r"y_p = \frac{1}{|W_p|} \sum_{i \in W_p} x_i,\quad \bar x_i \mathrel{+}= \sum_{p: i \in W_p} \bar y_p / |W_p|",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        self.0.pooled(x)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let slides = self.0.slides(args[0].shape()).expect(SHAPES_PASSED);
        kernel::mean(slides, &args[0].packed(), out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let x = args.of(0);
        bar.apply(AvgUnpool2d { pooling: self.0, size: size_of(&x) })
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        Cost::adds(self.0.cost(result)).and(Cost::divs(1).times(result.elements()))
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        self.0.dependence(args[0], windows)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.each())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, pooling, x, _| {
            samples.case(AvgPool2d(pooling), [(x, Domain::reals())]);
        });
        for_each_error(|pooling, x, message| samples.error(AvgPool2d(pooling), &[x], message));
    }
}

/// Each mean spread evenly over its window: the transpose of [`AvgPool2d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgUnpool2d {
    /// The pooling of which this is the transpose.
    pub pooling: Pooling,
    /// Height and width of the result's planes.
    pub size: [usize; 2],
}

impl Linear for AvgUnpool2d {
    const NAME: &'static str = "avg_unpool2d";
    const FORMULA: Formula = Formula::new(
        "y, spread evenly over each window",
        "y's adjoint += mean of x's over each window",
        r"x_i = \sum_{p: i \in W_p} y_p / |W_p|,\quad \bar y_p \mathrel{+}= \frac{1}{|W_p|} \sum_{i \in W_p} \bar x_i",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [y] = operands(args)?;
        self.pooling.planes(y, self.size)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let slides = self.pooling.slides(&self.size).expect(SHAPES_PASSED);
        kernel::spread(slides, &args[0].packed(), out);
    }

    fn transpose<'t, T: Real>(
        &self,
        _: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.apply(AvgPool2d(self.pooling))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(self.pooling.cost(args[0])).and(Cost::divs(1).times(args[0].elements()))
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        self.pooling.dependence(result, |slide| transposed(&windows(slide), slide.extent))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.each())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, pooling, x, y| {
            let op = AvgUnpool2d { pooling, size: size_of(&x) };
            samples.case(op, [(y, Domain::reals())]);
        });
        let op = AvgUnpool2d { pooling: Pooling::new(2), size: [4, 4] };
        samples.error(op, &[[3, 2].into()], "[4, 4] is pooled to [2, 2], not to [3, 2]");
    }
}

/// The largest element of each window; where several are equal, the derivative
/// goes to the first in row-major order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool2d(pub Pooling);

impl Op for MaxPool2d {
    const NAME: &'static str = "max_pool2d";
    const FORMULA: Formula = Formula::new(
        "max of x over each window",
        "dy = dx at the first largest of each window",
        r"y_p = \max_{i \in W_p} x_i,\quad \dot y_p = \dot x_{i^*},\; i^* = \min \arg\max_{i \in W_p} x_i",
    )
    .with_convention("all to the first of several largest");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        self.0.pooled(x)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let slides = self.0.slides(args[0].shape()).expect(SHAPES_PASSED);
        kernel::max(slides, &args[0].packed(), out);
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let x = call.arg(0);
        Some(x.tape().apply(GatherMax2d(self.0), &[x, tangents[0]?]))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let x = call.arg(0);
        Some(x.tape().apply(ScatterMax2d(self.0), &[x, bar]))
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        Cost::adds(self.0.cost(result))
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let slides = self.0.slides(args[0].shape()).expect(SHAPES_PASSED);
        kernel::max_margin(slides, &args[0].packed())
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        self.0.dependence(args[0], windows)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, pooling, x, _| {
            samples.case(MaxPool2d(pooling), [(x, Domain::reals())]);
        });
        for_each_error(|pooling, x, message| samples.error(MaxPool2d(pooling), &[x], message));
    }
}

/// Of operands `x` and `v`, for each window the element of `v` where `x` is
/// largest: the derivative of [`MaxPool2d`]. No derivative flows to `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GatherMax2d(pub Pooling);

impl Selection for GatherMax2d {
    const NAME: &'static str = "gather_max2d";
    const FORMULA: Formula = Formula::new(
        "v at the first largest x of each window",
        "dy = dv at the first largest x of each window",
        r"y_p = v_{i^*},\quad \dot y_p = \dot v_{i^*},\; i^* = \min \arg\max_{i \in W_p} x_i",
    )
    .with_convention("all to the first of several largest");

    fn shape(&self, x: &Shape, v: &Shape) -> Result<Shape, String> {
        if x != v {
            return Err(format!("{x} and {v} are not two equal shapes"));
        }
        self.0.pooled(x)
    }

    fn eval<T: Real>(&self, x: View<'_, T>, v: View<'_, T>, out: &mut [T]) {
        let slides = self.0.slides(x.shape()).expect(SHAPES_PASSED);
        kernel::gather_max(slides, &x.packed(), &v.packed(), out);
    }

    fn transpose<'t, T: Real>(&self, x: Var<'t, T>, _: &Shape, bar: Var<'t, T>) -> Var<'t, T> {
        x.tape().apply(ScatterMax2d(self.0), &[x, bar])
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Var<'t, T> {
        operands.each()
    }

    fn cost(&self, _: &Shape, result: &Shape) -> Cost {
        Cost::adds(self.0.cost(result))
    }

    fn kink_distance<T: Real>(&self, x: View<'_, T>) -> T {
        MaxPool2d(self.0).kink_distance(&[x])
    }

    fn dependence(&self, v: &Shape, _: &Shape) -> Dependence {
        self.0.dependence(v, windows)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, pooling, x, _| {
            let op = GatherMax2d(pooling);
            samples.case(op, [(x.clone(), Domain::reals()), (x, Domain::reals())]);
        });
        let op = GatherMax2d(Pooling::new(2));
        samples.error(op, &[[4, 4].into(), [2, 2].into()], "are not two equal shapes");
    }
}

/// Of operands `x` and `u`, zeros with each element of `u` added where `x` is
/// largest in its window: the transpose of [`GatherMax2d`] in its second operand,
/// and the adjoint of [`MaxPool2d`]. No derivative flows to `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScatterMax2d(pub Pooling);

impl Selection for ScatterMax2d {
    const NAME: &'static str = "scatter_max2d";
    const FORMULA: Formula = Formula::new(
        "u added at the first largest x of each window",
        "dy = du added at the first largest x of each window",
        r"y_i = \sum_{p: i = i^*(p)} u_p,\quad \dot y_i = \sum_{p: i = i^*(p)} \dot u_p",
    )
    .with_convention("all to the first of several largest");

    fn shape(&self, x: &Shape, u: &Shape) -> Result<Shape, String> {
        let pooled = self.0.pooled(x)?;
        if *u != pooled {
            return Err(format!("{x} is pooled to {pooled}, not to {u}"));
        }
        Ok(x.clone())
    }

    fn eval<T: Real>(&self, x: View<'_, T>, u: View<'_, T>, out: &mut [T]) {
        let slides = self.0.slides(x.shape()).expect(SHAPES_PASSED);
        kernel::scatter_max(slides, &x.packed(), &u.packed(), out);
    }

    fn transpose<'t, T: Real>(&self, x: Var<'t, T>, _: &Shape, bar: Var<'t, T>) -> Var<'t, T> {
        x.tape().apply(GatherMax2d(self.0), &[x, bar])
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Var<'t, T> {
        operands.each()
    }

    fn cost(&self, u: &Shape, _: &Shape) -> Cost {
        Cost::adds(self.0.cost(u))
    }

    fn kink_distance<T: Real>(&self, x: View<'_, T>) -> T {
        MaxPool2d(self.0).kink_distance(&[x])
    }

    fn dependence(&self, _: &Shape, x: &Shape) -> Dependence {
        self.0.dependence(x, |slide| transposed(&windows(slide), slide.extent))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, pooling, x, y| {
            samples.case(ScatterMax2d(pooling), [(x, Domain::reals()), (y, Domain::reals())]);
        });
        let op = ScatterMax2d(Pooling::new(2));
        let message = "[4, 4] is pooled to [2, 2], not to [3, 2]";
        samples.error(op, &[[4, 4].into(), [3, 2].into()], message);
    }
}

fn size_of(x: &Shape) -> [usize; 2] {
    [x[x.rank() - 2], x[x.rank() - 1]]
}

/// What the samples of all ops are made of: a pooling, and the shapes of its
/// operand and result.
fn for_each_case<O: Clone>(
    samples: &mut Samples<O>,
    case: impl Fn(&mut Samples<O>, Pooling, Shape, Shape),
) {
    for class in [ShapeClass::Scalar, ShapeClass::Vector] {
        samples.absent(class, "takes planes of two axes");
    }
    let uneven = Pooling::new(3).stride(2).padding([[0, 1], [0, 1]]);
    let cases: [(Pooling, Shape); 11] = [
        (Pooling::new(2), [4, 6].into()),
        (Pooling::new(2), [2, 5, 5].into()),
        // The paper's: overlapping windows, cropped below and at the right.
        (uneven, [2, 4, 4].into()),
        (uneven, [1, 2, 3, 6].into()),
        (Pooling::new(3).stride(1).padding(1), [2, 3, 4].into()),
        (Pooling::new([1, 3]).stride([2, 1]).padding([[0, 0], [2, 1]]), [3, 4].into()),
        // A window as large as the plane, and larger; strides beyond the window.
        (Pooling::new([3, 2]), [2, 3, 2].into()),
        (Pooling::new([4, 3]).padding([[1, 2], [2, 0]]), [2, 2, 2].into()),
        (Pooling::new(1).stride(2), [3, 5].into()),
        (Pooling::new(1), [1, 1, 1, 1].into()),
        (Pooling::new(2), [0, 2, 4, 4].into()),
    ];
    for (pooling, x) in cases {
        let y = pooling.pooled(&x).expect("samples fit");
        case(samples, pooling, x, y);
    }
}

fn for_each_error(mut error: impl FnMut(Pooling, Shape, &'static str)) {
    let two = Pooling::new(2);
    error(two, [3].into(), "planes have two axes, and [3] has not");
    error(two, [2, 0].into(), "planes of 2 x 0 have no elements");
    error(two, [3, 1].into(), "a window of 2 x 2 does not fit into a plane of 3 x 1");
    error(two.stride(0), [4, 4].into(), "strides and dilations are at least 1");
    error(
        two.padding([0, 2]),
        [4, 4].into(),
        "a window of 2 that reaches 2 beyond the border covers no element",
    );
}

/// # Poolings of planes
impl<'t, T: Real> Var<'t, T> {
    /// The largest element of each window that slides over the last two axes; the
    /// derivative goes to the first of equal ones, in row-major order.
    ///
    /// Planes of `h` rows have `p = (top + h + bottom - window) / stride + 1` rows
    /// afterwards, rounded down, and columns likewise. Windows are cropped at the
    /// border.
    ///
    /// ```
    /// use wengert_core::{Tape, op::Pooling};
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 5.0, 2.0], [3.0, 4.0, -6.0], [-7.0, -8.0, -9.0]]);
    /// let y = x.max_pool2d(Pooling::new(2).padding([[0, 1], [0, 1]]));
    /// assert_eq!(y.value().to_vec(), [5.0, 2.0, -7.0, -9.0]);
    /// ```
    ///
    /// # Panics
    /// If the window does not fit, or could cover no element.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn max_pool2d(self, pooling: Pooling) -> Self {
        self.apply(MaxPool2d(pooling))
    }

    /// The mean of each window that slides over the last two axes; shapes as for
    /// [`max_pool2d`](Self::max_pool2d). A window that is cropped at the border
    /// has the mean of the elements that it covers.
    ///
    /// ```
    /// use wengert_core::{Tape, op::Pooling};
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 3.0, 2.0], [3.0, 5.0, 4.0]]);
    /// let y = x.avg_pool2d(Pooling::new(2).padding([[0, 0], [0, 1]]));
    /// assert_eq!(y.value().to_vec(), [3.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the window does not fit, or could cover no element.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn avg_pool2d(self, pooling: Pooling) -> Self {
        self.apply(AvgPool2d(pooling))
    }
}
