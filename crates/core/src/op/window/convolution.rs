//! Convolution of images with banks of filters, over two axes.
//!
//! Three ops, closed under transposition. All of them read one trilinear form,
//!
//! ```text
//! <y, x * w> = sum of y[n, o, p, q] w[o, c, i, j] x[n, c, s p + d i - b, s q + d j - b]
//! ```
//!
//! with stride `s`, dilation `d` and `b` zeros before the first element: with two
//! of the three given, it is a linear function of the third, and that function's
//! coefficients are the op's result. So the adjoints of each op are the other two,
//! and every order of derivative exists.
//!
//! As everywhere in the field the filters are not reversed: what is called a
//! convolution is a cross-correlation. (Higham & Higham's matrices (29) and (30)
//! hold the filter in this order, too.)

use super::options::{PerAxis, PerSide, slides};
use crate::kernel::convolution::{self as kernel, Geometry};
use crate::kernel::window::Slide;
use crate::op::knowledge::positions::{listed, transposed, windows};
use crate::op::{
    Along, Bilinear, Conv2dWeights, Cost, Dependence, Domain, Formula, Samples, ShapeClass,
    Stacked, Term,
};
use crate::scalar::Real;
use crate::tape::{Operand, Var};
use crate::tensor::{Shape, View};

/// How a convolution slides over its images: over `D` axes, two for planes.
///
/// ```
/// use wengert_core::op::Convolution;
///
/// let halving: Convolution = Convolution::default().stride(2).padding(1);
/// assert_eq!(halving.padding, [[1, 1], [1, 1]]);
/// let uneven = Convolution::<1>::default().padding([[0, 1]]);
/// assert_eq!(uneven.stride, [1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution<const D: usize = 2> {
    /// From one position of the filter to the next, for each axis: down and across.
    pub stride: [usize; D],
    /// Zeros around each image: `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; D],
    /// From one element of the filter to the next, down and across.
    pub dilation: [usize; D],
    /// Parts into which the channels are divided, each with filters of its own.
    pub groups: usize,
}

impl<const D: usize> Default for Convolution<D> {
    fn default() -> Self {
        Self { stride: [1; D], padding: [[0; 2]; D], dilation: [1; D], groups: 1 }
    }
}

impl<const D: usize> Convolution<D> {
    /// With a stride: one number, or one for each axis, such as `[down, across]`.
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Self { stride: stride.per_axis(), ..self }
    }

    /// With zeros around each image: one number, one for each axis, such as
    /// `[vertical, horizontal]`, or one for each side, `[[top, bottom], [left, right]]`.
    pub fn padding(self, padding: impl PerSide<D>) -> Self {
        Self { padding: padding.per_side(), ..self }
    }

    /// With gaps in the filter: one number, or one for each axis.
    pub fn dilation(self, dilation: impl PerAxis<D>) -> Self {
        Self { dilation: dilation.per_axis(), ..self }
    }

    /// With the channels in groups.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
}

impl Convolution {
    /// The extents for images `[n, c, h, w]` and filters `[o, c / groups, i, j]`.
    fn geometry(&self, x: &[usize], w: &[usize]) -> Result<Geometry, String> {
        let &[images, channels, _, _] = x else {
            return Err(format!("images have axes [n, c, h, w], and {x:?} has not"));
        };
        let &[features, own_channels, i, j] = w else {
            return Err(format!("filters have axes [o, c, h, w], and {w:?} has not"));
        };
        let groups = self.groups;
        if groups == 0 {
            return Err("there is at least 1 group".to_owned());
        }
        if Some(channels) != own_channels.checked_mul(groups) {
            return Err(format!(
                "filters {w:?} in {groups} groups take {} channels, and images {x:?} have {channels}",
                own_channels.saturating_mul(groups)
            ));
        }
        if features % groups != 0 {
            return Err(format!("{features} filters do not divide into {groups} groups"));
        }
        let slides = slides(x, [i, j], self.stride, self.padding, self.dilation)?;
        let features = features / groups;
        Ok(Geometry { images, groups, channels: own_channels, features, slides })
    }

    /// The extents, if `y` has those of the convolution's result.
    pub(super) fn geometry_with(
        &self,
        x: &[usize],
        w: &[usize],
        y: &Shape,
    ) -> Result<Geometry, String> {
        let geometry = self.geometry(x, w)?;
        let expected = result(&geometry);
        if *y != expected {
            return Err(format!("the convolution of {x:?} with {w:?} is a {expected}, not a {y}"));
        }
        Ok(geometry)
    }
}

/// The shape of a convolution's result.
fn result(geometry: &Geometry) -> Shape {
    let Geometry { images, groups, features, slides: [down, across], .. } = *geometry;
    [images, groups * features, down.positions, across.positions].into()
}

/// A stack of images is more images. Filters go one by one.
fn more_images<'t, T: Real, O: Bilinear>(op: O, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
    let (x, filters) = (operands.arg(0), operands.arg(1));
    if !operands.is_stacked(0) || operands.is_stacked(1) {
        return None;
    }
    let y = x.tape().apply(op, &[x.flatten(0, 1), filters]);
    let shape = y.shape();
    let lead = [operands.extent(), shape[0] / operands.extent()];
    Some(y.reshape(lead.iter().chain(&shape[1..]).copied().collect::<Shape>()))
}

/// For each of the channels on one side, of which a group has `own`, the `others` of
/// its group on the other side.
fn in_group(geometry: &Geometry, own: usize, others: usize) -> Vec<Vec<usize>> {
    let of = |channel: usize| (0..others).map(|k| channel / own * others + k).collect();
    (0..geometry.groups * own).map(of).collect()
}

/// The multiplications and additions of one of the three products.
pub(super) fn cost(geometry: Result<Geometry, String>) -> Cost {
    let Ok(geometry) = geometry else { return Cost::NONE };
    let [down, across] = geometry.slides;
    let products = result(&geometry).elements() * geometry.channels * down.taps * across.taps;
    Cost::adds(1).and(Cost::muls(1)).times(products)
}

pub(super) const SHAPES_PASSED: &str = "the shape rule has passed";

/// The convolution of images with filters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d(pub Convolution);

impl Bilinear for Conv2d {
    const NAME: &'static str = "conv2d";
    const FORMULA: Formula = Formula::new(
        "x * w",
        "dy = dx * w + x * dw",
        r"y_{opq} = \sum_{cij} w_{ocij}\, x_{c,\, sp + di - b,\, sq + dj - b},\quad \dot y = \dot x * w + x * \dot w",
    );

    fn shape(&self, x: &Shape, w: &Shape) -> Result<Shape, String> {
        Ok(result(&self.0.geometry(x, w)?))
    }

    fn eval<T: Real>(&self, x: View<'_, T>, w: View<'_, T>, out: &mut [T]) {
        let geometry = self.0.geometry(x.shape(), w.shape()).expect(SHAPES_PASSED);
        kernel::convolve(&geometry, x, w, out);
    }

    fn transpose_left<'t, T: Real>(&self, x: &Shape, w: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T> {
        bar.conv_transpose2d(w, self.0, [x[2], x[3]])
    }

    fn transpose_right<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        w: &Shape,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let op = Conv2dWeights { convolution: self.0, window: [w[2], w[3]] };
        x.tape().apply(op, &[x, bar])
    }

    fn cost(&self, x: &Shape, w: &Shape, _: &Shape) -> Cost {
        cost(self.0.geometry(x, w))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, _: &Shape) -> Dependence {
        let geometry = self.0.geometry(args[0], args[1]).expect(SHAPES_PASSED);
        let [down, across] = geometry.slides;
        Dependence::Axes(match arg {
            0 => vec![
                Along::Same(0),
                Along::Listed(1, in_group(&geometry, geometry.features, geometry.channels)),
                Along::Listed(2, windows(&down)),
                Along::Listed(3, windows(&across)),
            ],
            _ => vec![Along::Same(1), Along::All, Along::All, Along::All],
        })
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        more_images(*self, operands)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, convolution, x, w, _| {
            samples.case(Conv2d(convolution), [(x, Domain::reals()), (w, Domain::reals())]);
        });
        let plain = Convolution::default();
        let mut error = |convolution, x: Shape, w: Shape, message| {
            samples.error(Conv2d(convolution), &[x, w], message);
        };
        error(plain, [3, 5, 5].into(), [2, 3, 3, 3].into(), "images have axes [n, c, h, w]");
        error(plain, [1, 3, 5, 5].into(), [3, 3].into(), "filters have axes [o, c, h, w]");
        error(
            plain,
            [1, 4, 5, 5].into(),
            [2, 3, 3, 3].into(),
            "in 1 groups take 3 channels, and images [1, 4, 5, 5] have 4",
        );
        error(
            plain.groups(2),
            [1, 4, 5, 5].into(),
            [3, 2, 3, 3].into(),
            "3 filters do not divide into 2 groups",
        );
        error(
            plain.padding(1).dilation([1, 3]),
            [1, 1, 4, 4].into(),
            [1, 1, 3, 3].into(),
            "a window of 3 x 7 does not fit into a plane of 6 x 6, padding included",
        );
        let images: Shape = [1, 1, 4, 4].into();
        let filters: Shape = [1, 1, 2, 2].into();
        error(plain.stride(0), images.clone(), filters.clone(), "strides and dilations are at");
        error(plain.dilation([1, 0]), images.clone(), filters.clone(), "dilations are at least 1");
        error(plain.groups(0), images.clone(), filters, "at least 1 group");
        error(plain, images, [1, 1, 0, 2].into(), "windows, strides and dilations are at least 1");
    }
}

/// The transpose of [`Conv2d`] with respect to the images: the field's transposed
/// convolution. The filters keep the shape that they have there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// The convolution of which this is the transpose.
    pub convolution: Convolution,
    /// Height and width of the result. More than one may lead to the same
    /// operand where a stride leaves elements over.
    pub size: [usize; 2],
}

impl ConvTranspose2d {
    /// The shape of the images.
    fn images(&self, y: &Shape, w: &Shape) -> Result<[usize; 4], String> {
        let (&[images, _, _, _], &[_, channels, _, _]) = (&y[..], &w[..]) else {
            return Err(format!("{y} and {w} are not two shapes of four axes"));
        };
        let [height, width] = self.size;
        Ok([images, channels.saturating_mul(self.convolution.groups), height, width])
    }

    fn geometry(&self, y: &Shape, w: &Shape) -> Result<Geometry, String> {
        self.convolution.geometry_with(&self.images(y, w)?, w, y)
    }
}

impl Bilinear for ConvTranspose2d {
    const NAME: &'static str = "conv_transpose2d";
    const FORMULA: Formula = Formula::new(
        "the x-bar of x * w for y",
        "dx = transpose(dy, w) + transpose(y, dw)",
        r"\langle y,\, x * w \rangle = \langle \mathrm{result},\, x \rangle",
    );

    fn shape(&self, y: &Shape, w: &Shape) -> Result<Shape, String> {
        self.geometry(y, w)?;
        Ok(self.images(y, w)?.into())
    }

    fn eval<T: Real>(&self, y: View<'_, T>, w: View<'_, T>, out: &mut [T]) {
        let geometry = self.geometry(y.shape(), w.shape()).expect(SHAPES_PASSED);
        kernel::transpose(&geometry, y, w, out);
    }

    fn transpose_left<'t, T: Real>(&self, _: &Shape, w: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T> {
        bar.conv2d(w, self.convolution)
    }

    fn transpose_right<'t, T: Real>(
        &self,
        y: Var<'t, T>,
        w: &Shape,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let op = Conv2dWeights { convolution: self.convolution, window: [w[2], w[3]] };
        y.tape().apply(op, &[bar, y])
    }

    fn cost(&self, y: &Shape, w: &Shape, _: &Shape) -> Cost {
        cost(self.geometry(y, w))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, _: &Shape) -> Dependence {
        let geometry = self.geometry(args[0], args[1]).expect(SHAPES_PASSED);
        let features = in_group(&geometry, geometry.channels, geometry.features);
        let read = |slide: &Slide| transposed(&windows(slide), slide.extent);
        let [down, across] = geometry.slides;
        let features = Along::Listed(1, features);
        let channels = listed(geometry.groups * geometry.channels, |c| Some(c % geometry.channels));
        Dependence::Axes(match arg {
            0 => vec![
                Along::Same(0),
                features,
                Along::Listed(2, read(&down)),
                Along::Listed(3, read(&across)),
            ],
            _ => vec![features, Along::Listed(1, channels), Along::All, Along::All],
        })
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        more_images(*self, operands)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, convolution, x, w, y| {
            let op = ConvTranspose2d { convolution, size: [x[2], x[3]] };
            samples.case(op, [(y, Domain::reals()), (w, Domain::reals())]);
        });
        let op = ConvTranspose2d { convolution: Convolution::default(), size: [4, 4] };
        samples.error(
            op,
            &[[1, 1, 2, 2].into(), [1, 1, 2, 2].into()],
            "the convolution of [1, 1, 4, 4] with [1, 1, 2, 2] is a [1, 1, 3, 3], not a [1, 1, 2, 2]",
        );
        samples.error(op, &[[3].into(), [1, 1, 2, 2].into()], "not two shapes of four axes");
    }
}

/// What the samples of all three ops are made of: a convolution, and the shapes
/// of its images, filters and result.
pub(super) fn for_each_case<O: Clone>(
    samples: &mut Samples<O>,
    case: impl Fn(&mut Samples<O>, Convolution, Shape, Shape, Shape),
) {
    for class in [ShapeClass::Scalar, ShapeClass::Vector, ShapeClass::Matrix] {
        samples.absent(class, "takes four axes");
    }
    let plain = Convolution::default();
    let cases: [(Convolution, [usize; 4], [usize; 4]); 15] = [
        (plain, [2, 3, 4, 5], [2, 3, 3, 2]),
        // A single pixel, channel and filter; 1 x 1 filters; images as large as filters.
        (plain, [1, 1, 1, 1], [1, 1, 1, 1]),
        (plain, [2, 3, 3, 2], [4, 3, 1, 1]),
        (plain, [2, 2, 3, 4], [3, 2, 3, 4]),
        (plain.padding(1), [2, 2, 3, 3], [2, 2, 3, 3]),
        // Filters larger than the image, and positions that see nothing but zeros.
        (plain.padding(2), [1, 2, 2, 3], [2, 2, 4, 5]),
        (plain.padding([3, 2]), [1, 2, 2, 2], [2, 2, 2, 1]),
        (plain.padding([[0, 1], [2, 0]]), [1, 2, 3, 4], [2, 2, 2, 3]),
        // Strides that leave elements over, and beyond the filter.
        (plain.stride(2), [2, 2, 6, 5], [2, 2, 3, 2]),
        (plain.stride([3, 2]).padding([[0, 1], [0, 1]]), [1, 2, 5, 6], [3, 2, 2, 1]),
        (plain.dilation([2, 3]).padding(1), [1, 2, 5, 6], [2, 2, 2, 2]),
        (plain.stride(2).padding(2).dilation(2), [1, 2, 5, 4], [2, 2, 3, 3]),
        (plain.groups(2).padding(1), [2, 4, 3, 3], [6, 2, 3, 2]),
        (plain.groups(3).stride(2), [1, 3, 4, 4], [3, 1, 2, 2]),
        // No images.
        (plain.padding(1), [0, 2, 3, 3], [2, 2, 3, 3]),
    ];
    // Channels and filters, too, may be none.
    let none = [(plain, [2, 0, 3, 3], [2, 0, 2, 2]), (plain, [2, 2, 3, 3], [0, 2, 2, 2])];
    for (convolution, x, w) in cases.into_iter().chain(none) {
        let y = result(&convolution.geometry(&x, &w).expect("samples fit"));
        case(samples, convolution, x.into(), w.into(), y);
    }
}

/// # Convolutions of planes
impl<'t, T: Real> Var<'t, T> {
    /// Convolves images `[n, c, h, w]` with filters `[o, c / groups, i, j]`.
    ///
    /// The result has shape `[n, o, p, q]`, with `p = (top + h + bottom - span) /
    /// stride + 1`, rounded down, where `span = (i - 1) dilation + 1`; `q`
    /// likewise. Filters are not reversed. Section 7.1 of Higham & Higham has
    /// small examples.
    ///
    /// From 16 channels and 16 filters of a group on, filters of 3 x 3 or 5 x 5 without
    /// stride or dilation go by products at points (Winograd), with errors of some 10
    /// units in the last place of a result of usual size, where a plain sum has 2 to 4.
    /// Errors there are in proportion to the largest elements around a window: about 16
    /// roundings of such an element times the sum of the sizes of a filter's elements. Images,
    /// and filters, with a few elements much larger than the others go by plain sums: if in
    /// more than 3 of 4 groups of 16 elements all are smaller than `4 sqrt(epsilon)` (0.0014
    /// of the largest element in `f32`).
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, op::Convolution};
    ///
    /// let tape = Tape::new();
    /// let image = tape.constant(Tensor::new([1, 1, 1, 4], vec![1.0, 4.0, 9.0, 16.0]));
    /// let difference = tape.variable(Tensor::new([1, 1, 1, 2], vec![-1.0, 1.0]));
    /// let y = image.conv2d(difference, Convolution::default());
    /// assert_eq!(y.value().to_vec(), [3.0, 5.0, 7.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the operands are on two tapes.
    #[doc(alias("conv_general_dilated", "correlate2d"))]
    #[track_caller]
    pub fn conv2d(self, filters: impl Operand<'t, T>, convolution: Convolution) -> Self {
        let filters = filters.on(self.tape());
        self.tape().apply(Conv2d(convolution), &[self, filters])
    }

    /// The transpose of [`conv2d`](Self::conv2d) with respect to the images:
    /// from `[n, o, p, q]`, filters `[o, c / groups, i, j]` and the images'
    /// height and width to images `[n, c, h, w]`.
    ///
    /// # Panics
    /// If images of that size have not a convolution of the shape of `self`, or
    /// the operands are on two tapes.
    #[doc(alias = "conv_transpose")]
    #[track_caller]
    pub fn conv_transpose2d(
        self,
        filters: impl Operand<'t, T>,
        convolution: Convolution,
        size: [usize; 2],
    ) -> Self {
        let filters = filters.on(self.tape());
        self.tape().apply(ConvTranspose2d { convolution, size }, &[self, filters])
    }
}
