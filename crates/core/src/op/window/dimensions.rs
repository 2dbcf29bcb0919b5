//! Convolution and pooling over one axis and over three, by those over two.
//!
//! A signal is an image of one row. Volumes are convolved as planes with more
//! channels: the layers that lie under a filter are put beside each other, so that the
//! sum over layers is a part of the sum over channels, and one product of planes does
//! it all. Windows of pooling are boxes, cropped along each axis for itself; so maxima
//! and means of volumes are those of planes first, and then of what the planes gave.
//!
//! All derivatives follow from those of the parts.

use crate::kernel::window::Slide;
use crate::op::{Convolution, Pooling, Slice, stack};
use crate::scalar::Real;
use crate::tape::{Operand, Var};
use crate::tensor::{Shape, Tensor};

impl Convolution<1> {
    /// The same over images of one row.
    fn of_rows(self) -> Convolution {
        let Convolution { stride: [stride], padding: [sides], dilation: [dilation], groups } = self;
        Convolution {
            stride: [1, stride],
            padding: [[0; 2], sides],
            dilation: [1, dilation],
            groups,
        }
    }
}

impl Convolution<3> {
    /// The same within layers.
    fn of_planes(self) -> Convolution {
        let last = |[_, down, across]: [usize; 3]| [down, across];
        let [_, down, across] = self.padding;
        Convolution {
            stride: last(self.stride),
            padding: [down, across],
            dilation: last(self.dilation),
            groups: self.groups,
        }
    }

    /// How filters of some layers slide from layer to layer.
    #[track_caller]
    fn of_layers(self, layers: usize, taps: usize) -> Slide {
        let ([stride, ..], [dilation, ..]) = (self.stride, self.dilation);
        assert!(
            stride > 0 && dilation > 0 && taps > 0,
            "windows, strides and dilations are at least 1"
        );
        let [sides, ..] = self.padding;
        Slide::new(layers, taps, stride, sides, dilation).unwrap_or_else(|| {
            panic!(
                "{taps} layers of filters do not fit into {layers} of the images, padding included"
            )
        })
    }
}

impl<const D: usize> Pooling<D> {
    /// The same along some axes, of which there may be one that is none.
    fn along(self, axes: [Option<usize>; 2]) -> Pooling {
        Pooling {
            window: axes.map(|axis| axis.map_or(1, |axis| self.window[axis])),
            stride: axes.map(|axis| axis.map_or(1, |axis| self.stride[axis])),
            padding: axes.map(|axis| axis.map_or([0; 2], |axis| self.padding[axis])),
        }
    }
}

/// How much of each element of an axis is in each of some parts, which are as equal as
/// they can be.
#[track_caller]
fn shares<T: Real>(extent: usize, parts: usize) -> Tensor<T> {
    let part = |i: usize| i * extent / parts..((i + 1) * extent).div_ceil(parts);
    Tensor::from_fn([parts, extent], |place| {
        let part = part(place / extent);
        let share = if part.contains(&(place % extent)) { 1.0 / part.len() as f64 } else { 0.0 };
        T::from_f64(share)
    })
}

/// # Convolutions and poolings of sequences and volumes
impl<'t, T: Real> Var<'t, T> {
    /// The extents, if there are `N`.
    #[track_caller]
    fn extents<const N: usize>(self, name: &str, axes: &str) -> [usize; N] {
        match self.shape()[..].try_into() {
            Ok(extents) => extents,
            Err(_) => panic!("{name}: operands have axes {axes}, and this is {}", self.describe()),
        }
    }

    /// Convolves signals `[n, c, l]` with filters `[o, c / groups, i]`, giving
    /// `[n, o, p]`; extents as for [`conv2d`](Self::conv2d).
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, op::Convolution};
    ///
    /// let tape = Tape::new();
    /// let signal = tape.constant(Tensor::new([1, 1, 4], vec![1.0, 4.0, 9.0, 16.0]));
    /// let difference = tape.variable(Tensor::new([1, 1, 2], vec![-1.0, 1.0]));
    /// let y = signal.conv1d(difference, Convolution::default());
    /// assert_eq!(y.value().to_vec(), [3.0, 5.0, 7.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the operands are on two tapes.
    #[doc(alias = "conv_general_dilated")]
    #[track_caller]
    pub fn conv1d(self, filters: impl Operand<'t, T>, convolution: Convolution<1>) -> Self {
        let filters = filters.on(self.tape());
        self.extents::<3>("conv1d", "[n, c, l] and [o, c, l]");
        filters.extents::<3>("conv1d", "[n, c, l] and [o, c, l]");
        self.unsqueeze(2).conv2d(filters.unsqueeze(2), convolution.of_rows()).squeeze(2)
    }

    /// The transpose of [`conv1d`](Self::conv1d) with respect to the signals: from
    /// `[n, o, p]`, filters `[o, c / groups, i]` and the signals' length to
    /// `[n, c, l]`.
    ///
    /// # Panics
    /// If signals of that length have not a convolution of the shape of `self`, or
    /// the operands are on two tapes.
    #[doc(alias = "conv_transpose")]
    #[track_caller]
    pub fn conv_transpose1d(
        self,
        filters: impl Operand<'t, T>,
        convolution: Convolution<1>,
        length: usize,
    ) -> Self {
        let filters = filters.on(self.tape());
        self.extents::<3>("conv_transpose1d", "[n, o, l] and [o, c, l]");
        filters.extents::<3>("conv_transpose1d", "[n, o, l] and [o, c, l]");
        let (rows, filters) = (self.unsqueeze(2), filters.unsqueeze(2));
        rows.conv_transpose2d(filters, convolution.of_rows(), [1, length]).squeeze(2)
    }

    /// Convolves volumes `[n, c, d, h, w]` with filters `[o, c / groups, k, i, j]`,
    /// giving `[n, o, r, p, q]`; extents as for [`conv2d`](Self::conv2d).
    ///
    /// Each layer is copied as often as there are layers of filters that see it.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, op::Convolution};
    ///
    /// let tape = Tape::<f64>::new();
    /// let volume = tape.constant(Tensor::ones([1, 2, 4, 5, 6]));
    /// let filters = tape.variable(Tensor::ones([3, 2, 2, 3, 3]));
    /// let y = volume.conv3d(filters, Convolution::default().padding([0, 1, 1]));
    /// assert_eq!(y.shape()[..], [1, 3, 3, 5, 6]);
    /// assert_eq!(y.value().at(&[0, 0, 0, 2, 2]), 36.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the operands are on two tapes.
    #[doc(alias = "conv_general_dilated")]
    #[track_caller]
    pub fn conv3d(self, filters: impl Operand<'t, T>, convolution: Convolution<3>) -> Self {
        const AXES: &str = "[n, c, d, h, w] and [o, c, d, h, w]";
        let filters = filters.on(self.tape());
        let [images, channels, layers, height, width] = self.extents("conv3d", AXES);
        let [features, own, taps, i, j] = filters.extents("conv3d", AXES);
        let slide = convolution.of_layers(layers, taps);
        let [[before, after], ..] = convolution.padding;
        let padded = if before + after > 0 { self.pad(2, before, after) } else { self };
        let mut seen = Vec::with_capacity(taps);
        for tap in 0..taps {
            let start = tap * slide.dilation;
            let (count, step) = (slide.positions, slide.stride as isize);
            seen.push(padded.apply(Slice { axis: 2, start, count, step }).move_axis(2, 1));
        }
        let planes =
            stack(&seen, 3).reshape([images * slide.positions, channels * taps, height, width]);
        let filters = filters.reshape([features, own * taps, i, j]);
        let y = planes.conv2d(filters, convolution.of_planes());
        let [_, _, p, q] = y.extents("conv3d", AXES);
        y.reshape([images, slide.positions, features, p, q]).move_axis(1, 2)
    }

    /// The transpose of [`conv3d`](Self::conv3d) with respect to the volumes: from
    /// `[n, o, r, p, q]`, filters `[o, c / groups, k, i, j]` and the volumes' depth,
    /// height and width to `[n, c, d, h, w]`.
    ///
    /// # Panics
    /// If volumes of that size have not a convolution of the shape of `self`, or
    /// the operands are on two tapes.
    #[doc(alias = "conv_transpose")]
    #[track_caller]
    pub fn conv_transpose3d(
        self,
        filters: impl Operand<'t, T>,
        convolution: Convolution<3>,
        [layers, height, width]: [usize; 3],
    ) -> Self {
        const AXES: &str = "[n, o, d, h, w] and [o, c, d, h, w]";
        let filters = filters.on(self.tape());
        let [images, features, positions, p, q] = self.extents("conv_transpose3d", AXES);
        let [filter_count, own, taps, i, j] = filters.extents("conv_transpose3d", AXES);
        let slide = convolution.of_layers(layers, taps);
        assert!(
            positions == slide.positions,
            "conv_transpose3d: {layers} layers are convolved to {}, and not to the {positions} of {}",
            slide.positions,
            self.describe()
        );
        let planes = self.move_axis(2, 1).reshape([images * positions, features, p, q]);
        let filters = filters.reshape([filter_count, own * taps, i, j]);
        let seen = planes.conv_transpose2d(filters, convolution.of_planes(), [height, width]);
        let channels = own * convolution.groups;
        let seen = seen
            .reshape([images, positions, channels, taps, height, width])
            .move_axis(1, 2)
            .reshape([images, channels, positions * taps, height, width]);
        let tap = |place: usize| place / taps * slide.stride + place % taps * slide.dilation;
        let places: Vec<usize> = (0..positions * taps).map(tap).collect();
        let [[before, after], ..] = convolution.padding;
        seen.scatter_add(2, places, before + layers + after).slice(2, before..before + layers)
    }

    /// The largest element of each window that slides over the last axis; otherwise as
    /// [`max_pool2d`](Self::max_pool2d).
    ///
    /// ```
    /// use wengert_core::{Tape, op::Pooling};
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 5.0, 2.0, 3.0]);
    /// assert_eq!(x.max_pool1d(Pooling::new(2)).value().to_vec(), [5.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the window does not fit, or could cover no element.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn max_pool1d(self, pooling: Pooling<1>) -> Self {
        self.unsqueeze(-2).max_pool2d(pooling.along([None, Some(0)])).squeeze(-2)
    }

    /// The mean of each window that slides over the last axis; otherwise as
    /// [`avg_pool2d`](Self::avg_pool2d).
    ///
    /// # Panics
    /// If the window does not fit, or could cover no element.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn avg_pool1d(self, pooling: Pooling<1>) -> Self {
        self.unsqueeze(-2).avg_pool2d(pooling.along([None, Some(0)])).squeeze(-2)
    }

    /// The largest element of each window that slides over the last three axes;
    /// otherwise as [`max_pool2d`](Self::max_pool2d).
    ///
    /// # Panics
    /// If the window does not fit, or could cover no element, or there are fewer
    /// axes.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn max_pool3d(self, pooling: Pooling<3>) -> Self {
        let planes = self.max_pool2d(pooling.along([Some(1), Some(2)]));
        let pooled = planes.layers().max_pool2d(pooling.along([Some(0), None]));
        pooled.volumes_like(planes)
    }

    /// The mean of each window that slides over the last three axes; otherwise as
    /// [`avg_pool2d`](Self::avg_pool2d).
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, op::Pooling};
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(Tensor::from_fn([2, 2, 2], |i| i as f64));
    /// assert_eq!(x.avg_pool3d(Pooling::new(2)).value().to_vec(), [3.5]);
    /// ```
    ///
    /// # Panics
    /// If the window does not fit, or could cover no element, or there are fewer
    /// axes.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn avg_pool3d(self, pooling: Pooling<3>) -> Self {
        let planes = self.avg_pool2d(pooling.along([Some(1), Some(2)]));
        let pooled = planes.layers().avg_pool2d(pooling.along([Some(0), None]));
        pooled.volumes_like(planes)
    }

    /// The layers of volumes as rows.
    #[track_caller]
    fn layers(self) -> Self {
        assert!(self.rank() >= 3, "volumes have three axes, and this is {}", self.describe());
        self.flatten(-2, -1)
    }

    /// Rows as layers, of the height and width of others.
    #[track_caller]
    fn volumes_like(self, others: Self) -> Self {
        let (rows, layers) = (self.shape(), others.shape());
        let last = rows.rank() - 1;
        let extents = rows[..last].iter().chain(&layers[layers.rank() - 2..]);
        self.reshape(extents.copied().collect::<Shape>())
    }

    /// The means of `[height, width]` parts of the planes of the last two axes, which
    /// are as equal as they can be: part `i` of `p` of `n` elements goes from `i n / p`,
    /// rounded down, to `(i + 1) n / p`, rounded up, as in PyTorch.
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0, 6.0], [3.0, 4.0, 0.0]]);
    /// assert_eq!(x.adaptive_avg_pool2d([1, 3]).value().to_vec(), [2.0, 3.0, 3.0]);
    /// assert_eq!(x.adaptive_avg_pool2d([1, 2]).value().to_vec(), [2.5, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer axes, no parts are asked for, or planes have no elements.
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: [usize; 2]) -> Self {
        let shape = self.shape();
        let &[.., height, width] = &shape[..] else {
            panic!("adaptive_avg_pool2d: planes have two axes, and this is {}", self.describe())
        };
        assert!(
            !size.contains(&0) && height > 0 && width > 0,
            "adaptive_avg_pool2d: to {size:?} parts, of {}",
            self.describe()
        );
        let [down, across] = size;
        if height % down == 0 && width % across == 0 {
            return self.avg_pool2d(Pooling::new([height / down, width / across]));
        }
        let [rows, columns] = [shares(height, down), shares(width, across)];
        let tape = self.tape();
        tape.constant(rows).matmul(self).matmul(tape.constant(columns).transpose())
    }

    /// The means of `length` parts of the last axis; otherwise as
    /// [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d).
    ///
    /// # Panics
    /// If there is no axis, no parts are asked for, or the axis has no elements.
    #[track_caller]
    pub fn adaptive_avg_pool1d(self, length: usize) -> Self {
        self.unsqueeze(-2).adaptive_avg_pool2d([1, length]).squeeze(-2)
    }
}
