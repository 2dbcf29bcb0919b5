//! Pooling: what windows, parts or whole planes have at most, or on average.
//!
//! The core crops windows at the border, as MatConvNet does: a maximum never sees a zero
//! that is not there, and a mean divides by the elements that are. PyTorch's mean counts
//! the zeros, so [`AvgPool`] does unless it is asked to crop. Sizes are rounded down, as in
//! both, unless PyTorch's `ceil_mode` is asked for.

use wengert_core::op::{PerAxis, PerSide, Pooling};
use wengert_core::{Real, Shape, Tensor, Var, concat};

use super::Layer;
use crate::Module;

/// The maxima of windows of signals.
pub type MaxPool1d = MaxPool<1>;
/// The maxima of windows of images.
pub type MaxPool2d = MaxPool<2>;
/// The maxima of windows of volumes.
pub type MaxPool3d = MaxPool<3>;
/// The means of windows of signals.
pub type AvgPool1d = AvgPool<1>;
/// The means of windows of images.
pub type AvgPool2d = AvgPool<2>;
/// The means of windows of volumes.
pub type AvgPool3d = AvgPool<3>;
/// The means of parts of signals.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
/// The means of parts of images.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
/// The means of parts of volumes.
pub type AdaptiveAvgPool3d = AdaptiveAvgPool<3>;
/// The maxima of parts of signals.
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
/// The maxima of parts of images.
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
/// The maxima of parts of volumes.
pub type AdaptiveMaxPool3d = AdaptiveMaxPool<3>;

/// The largest element of each window that slides over the last `D` axes; where several
/// are equal, the derivative goes to the first.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, MaxPool1d};
///
/// let tape = Tape::new();
/// let x = tape.constant([[1.0, 5.0, 2.0, -3.0, -1.0]]);
/// assert_eq!(MaxPool1d::new(2).forward(x).value().to_vec(), [5.0, 2.0]);
/// // reaching beyond the end, as MatConvNet's network for CIFAR-10 does
/// let reaching = MaxPool1d::new(3).stride(2).padding([[0, 1]]);
/// assert_eq!(reaching.forward(x).value().to_vec(), [5.0, 2.0]);
/// // of every second element
/// let wide = MaxPool1d::new(2).stride(1).dilation(2);
/// assert_eq!(wide.forward(x).value().to_vec(), [2.0, 5.0, 2.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct MaxPool<const D: usize> {
    #[module(skip)]
    pooling: Pooling<D>,
    #[module(skip)]
    dilation: [usize; D],
    ceil: bool,
}

/// The mean of each window that slides over the last `D` axes.
///
/// Where windows reach beyond the border, zeros count as elements, as in PyTorch; with
/// [`cropped`](Self::cropped) they do not, as in MatConvNet.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{AvgPool1d, Layer};
///
/// let tape = Tape::new();
/// let x = tape.constant([[1.0, 5.0, 3.0]]);
/// let pool = AvgPool1d::new(2).padding([[0, 1]]);
/// assert_eq!(pool.forward(x).value().to_vec(), [3.0, 1.5]);
/// assert_eq!(pool.cropped().forward(x).value().to_vec(), [3.0, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct AvgPool<const D: usize> {
    #[module(skip)]
    pooling: Pooling<D>,
    cropped: bool,
    ceil: bool,
}

impl<const D: usize> MaxPool<D> {
    /// A window, one number or one for each axis, that moves by its own size.
    pub fn new(window: impl PerAxis<D>) -> Self {
        Self { pooling: Pooling::new(window), dilation: [1; D], ceil: false }
    }

    /// With a stride: one number, or one for each axis.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Self { pooling: self.pooling.stride(stride), ..self }
    }

    /// With windows that reach beyond the border: by one number, one for each axis, or one
    /// for each side, `[[top, bottom], [left, right]]`.
    #[must_use]
    pub fn padding(self, padding: impl PerSide<D>) -> Self {
        Self { pooling: self.pooling.padding(padding), ..self }
    }

    /// With `dilation` places from one element of a window to the next: one number, or one for each
    /// axis. Unless it is 1, the elements of all windows are copied.
    #[must_use]
    pub fn dilation(self, dilation: impl PerAxis<D>) -> Self {
        Self { dilation: dilation.per_axis(), ..self }
    }

    /// With the number of windows rounded up: the last one may reach beyond the padding, if it
    /// starts before the end of the elements, as in PyTorch.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// # use wengert_nn::{Layer, MaxPool1d};
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0, 5.0, 2.0]]);
    /// assert_eq!(MaxPool1d::new(2).ceil_mode().forward(x).value().to_vec(), [5.0, 2.0]);
    /// ```
    #[must_use]
    pub fn ceil_mode(self) -> Self {
        Self { ceil: true, ..self }
    }

    /// How windows slide over values of a shape.
    fn slides(&self, x: &Shape) -> Pooling<D> {
        if self.ceil { rounded_up(self.pooling, self.dilation, x) } else { self.pooling }
    }
}

/// Windows that reach as far beyond the end of each axis as `ceil_mode` wants: to one position
/// more than fits, unless that starts behind the elements and the padding before them. (Shapes
/// that do not suit are left to the pooling to complain about.)
fn rounded_up<const D: usize>(
    mut pooling: Pooling<D>,
    dilation: [usize; D],
    x: &Shape,
) -> Pooling<D> {
    let Some(first) = x.rank().checked_sub(D) else { return pooling };
    for axis in 0..D {
        let (stride, [before, after]) = (pooling.stride[axis], pooling.padding[axis]);
        let span = span(pooling.window[axis], dilation[axis]);
        let end = before + x[first + axis];
        let Some(room) = (end + after).checked_sub(span).filter(|_| stride > 0) else { continue };
        let last = room.div_ceil(stride);
        let last = if last * stride < end { last } else { last.saturating_sub(1) };
        pooling.padding[axis][1] = after.max((last * stride + span).saturating_sub(end));
    }
    pooling
}

/// The places from a window's first element to its last, both included.
fn span(window: usize, dilation: usize) -> usize {
    window.saturating_sub(1) * dilation + 1
}

/// The largest elements of windows with gaps: along one axis after the other, from the last, so
/// that of equal ones the first in row-major order has the derivative.
#[track_caller]
fn dilated_maxima<'t, T: Real, const D: usize>(
    x: Var<'t, T>,
    pooling: Pooling<D>,
    dilation: [usize; D],
) -> Var<'t, T> {
    assert!(x.rank() >= D, "windows slide over {D} axes, and this is {}", x.describe());
    (0..D).rev().fold(x, |x, axis| {
        let mut shape = x.shape().to_vec();
        let along = shape.len() - D + axis;
        let (window, stride) = (pooling.window[axis], pooling.stride[axis]);
        let taps = taps(shape[along], window, stride, pooling.padding[axis], dilation[axis])
            .unwrap_or_else(|why| panic!("{why}: {}", x.describe()));
        shape[along] = taps.len() / window;
        shape.insert(along + 1, window);
        // What is not there reads the first element that is, and then is the least number.
        let indices: Vec<usize> = taps.iter().map(|tap| tap.unwrap_or(0)).collect();
        let windows = x.gather(along as isize, indices).reshape(&shape[..]);
        if taps.iter().all(Option::is_some) {
            return windows.max_over(along as isize + 1);
        }
        let beyond = taps.iter().map(|tap| if tap.is_none() { T::one() } else { T::zero() });
        let mut beside = vec![1; shape.len()];
        beside[along..along + 2].copy_from_slice(&shape[along..along + 2]);
        let beyond = x.tape().constant(Tensor::new(&beside[..], beyond.collect()));
        windows.masked_fill(beyond, T::min_value().as_f64()).max_over(along as isize + 1)
    })
}

/// The elements of each position of a window along an axis, and `None` for those that are not there.
fn taps(
    extent: usize,
    window: usize,
    stride: usize,
    [before, after]: [usize; 2],
    dilation: usize,
) -> Result<Vec<Option<usize>>, String> {
    if window == 0 || stride == 0 || dilation == 0 {
        return Err("windows, strides and dilations are at least 1".to_owned());
    }
    let (span, room) = (span(window, dilation), before + extent + after);
    let Some(last) = room.checked_sub(span) else {
        return Err(format!("a window over {span} places does not fit into {room}, with padding"));
    };
    let mut taps = Vec::new();
    for start in (0..=last).step_by(stride) {
        let element = |tap: usize| {
            let place = (start + tap * dilation).checked_sub(before)?;
            (place < extent).then_some(place)
        };
        taps.extend((0..window).map(element));
        if taps.iter().rev().take(window).all(Option::is_none) {
            return Err(format!("a window over {span} places covers no element of {extent}"));
        }
    }
    Ok(taps)
}

impl<const D: usize> AvgPool<D> {
    /// A window, one number or one for each axis, that moves by its own size.
    pub fn new(window: impl PerAxis<D>) -> Self {
        Self { pooling: Pooling::new(window), cropped: false, ceil: false }
    }

    /// With a stride: one number, or one for each axis.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Self { pooling: self.pooling.stride(stride), ..self }
    }

    /// With windows that reach beyond the border: by one number, one for each axis, or one
    /// for each side, `[[top, bottom], [left, right]]`.
    #[must_use]
    pub fn padding(self, padding: impl PerSide<D>) -> Self {
        Self { pooling: self.pooling.padding(padding), ..self }
    }

    /// With windows that end at the border: the mean is that of the elements that are
    /// there (PyTorch's `count_include_pad=False`).
    #[must_use]
    pub fn cropped(self) -> Self {
        Self { cropped: true, ..self }
    }

    /// With the number of windows rounded up, as [`MaxPool::ceil_mode`]; what a window covers
    /// beyond the padding does not count for its mean, as in PyTorch.
    #[must_use]
    pub fn ceil_mode(self) -> Self {
        Self { ceil: true, ..self }
    }

    /// The zeros that count laid around the elements, and how windows slide over both.
    #[track_caller]
    fn padded<'t, T: Real>(&self, x: Var<'t, T>) -> (Var<'t, T>, Pooling<D>) {
        let mut slides =
            if self.ceil { rounded_up(self.pooling, [1; D], &x.shape()) } else { self.pooling };
        if self.cropped {
            return (x, slides);
        }
        for (slide, [_, after]) in slides.padding.iter_mut().zip(self.pooling.padding) {
            *slide = [0, slide[1] - after];
        }
        let sides = self.pooling.padding.iter().enumerate();
        let padded = sides.fold(x, |x, (axis, &[before, after])| {
            if before + after > 0 { x.pad(axis as isize - D as isize, before, after) } else { x }
        });
        (padded, slides)
    }
}

/// The means of equal parts of the last `D` axes, whatever their extents: part `i` of `p`
/// of `n` elements goes from `i n / p`, rounded down, to `(i + 1) n / p`, rounded up, as in
/// PyTorch.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{AdaptiveAvgPool1d, Layer};
///
/// let tape = Tape::new();
/// let y = AdaptiveAvgPool1d::new(2).forward(tape.constant([[1.0, 2.0, 6.0]]));
/// assert_eq!(y.value().to_vec(), [1.5, 4.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct AdaptiveAvgPool<const D: usize>(#[module(skip)] [usize; D]);

/// As [`AdaptiveAvgPool`], of maxima.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct AdaptiveMaxPool<const D: usize>(#[module(skip)] [usize; D]);

impl<const D: usize> AdaptiveAvgPool<D> {
    /// Into `parts` parts: one number, or one for each axis.
    pub fn new(parts: impl PerAxis<D>) -> Self {
        Self(parts.per_axis())
    }
}

impl<const D: usize> AdaptiveMaxPool<D> {
    /// Into `parts` parts: one number, or one for each axis.
    pub fn new(parts: impl PerAxis<D>) -> Self {
        Self(parts.per_axis())
    }
}

/// The maxima of the parts of one axis. Boxes have the maxima of their rows' maxima.
#[track_caller]
fn maxima<'t, T: Real>(x: Var<'t, T>, axis: isize, parts: usize) -> Var<'t, T> {
    let shape = x.shape();
    let extent = shape[shape.rank().checked_add_signed(axis).expect("the axis exists")];
    assert!(parts > 0 && extent > 0, "{parts} parts of {extent} elements: {}", x.describe());
    let part = |i: usize| i * extent / parts..((i + 1) * extent).div_ceil(parts);
    let largest: Vec<Var<'t, T>> =
        (0..parts).map(|i| x.slice(axis, part(i)).max_over(axis).unsqueeze(axis)).collect();
    concat(&largest, axis)
}

impl<T: Real, const D: usize> Layer<T> for AdaptiveMaxPool<D> {
    /// # Panics
    /// If there are fewer than `D + 1` axes, no parts are asked for, or there are no
    /// elements.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        assert!(
            x.rank() > D,
            "the last {D} axes of [channels, ..] are parted, and this is {}",
            x.describe()
        );
        let parts = self.0.iter().enumerate();
        parts.fold(x, |x, (axis, &parts)| maxima(x, axis as isize - D as isize, parts))
    }
}

/// The mean of each channel: from `[batch, channels, ..]` to `[batch, channels]`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{GlobalAvgPool, GlobalMaxPool, Layer};
///
/// let tape = Tape::new();
/// let x = tape.constant([[1.0, 2.0], [3.0, 6.0]]).reshape([1, 1, 2, 2]);
/// assert_eq!(GlobalAvgPool.forward(x).value().to_vec(), [3.0]);
/// assert_eq!(GlobalMaxPool.forward(x).value().to_vec(), [6.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct GlobalAvgPool;

/// The largest element of each channel: from `[batch, channels, ..]` to `[batch, channels]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct GlobalMaxPool;

/// The elements of each channel, side by side.
#[track_caller]
fn channels<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
    assert!(x.rank() >= 3, "channels have axes [batch, channels, ..], not {}", x.describe());
    x.flatten(2, -1)
}

impl<T: Real> Layer<T> for GlobalAvgPool {
    /// # Panics
    /// If there are fewer than three axes.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        channels(x).mean_over(-1)
    }
}

impl<T: Real> Layer<T> for GlobalMaxPool {
    /// # Panics
    /// If there are fewer than three axes, or channels have no elements.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        channels(x).max_over(-1)
    }
}

/// What the core calls a pooling depends on the number of axes.
macro_rules! axes {
    ($($axes:literal $max:ident $avg:ident),* $(,)?) => {$(
        impl<T: Real> Layer<T> for MaxPool<$axes> {
            /// # Panics
            /// If the window does not fit, or could cover no element.
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let slides = self.slides(&x.shape());
                if self.dilation == [1; $axes] {
                    x.$max(slides)
                } else {
                    dilated_maxima(x, slides, self.dilation)
                }
            }
        }

        impl<T: Real> Layer<T> for AvgPool<$axes> {
            /// # Panics
            /// If the window does not fit, or, cropped, could cover no element.
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let (x, pooling) = self.padded(x);
                x.$avg(pooling)
            }
        }
    )*};
}

axes! {
    1 max_pool1d avg_pool1d,
    2 max_pool2d avg_pool2d,
    3 max_pool3d avg_pool3d,
}

impl<T: Real> Layer<T> for AdaptiveAvgPool<1> {
    /// # Panics
    /// If no parts are asked for, or there are no elements.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.adaptive_avg_pool1d(self.0[0])
    }
}

impl<T: Real> Layer<T> for AdaptiveAvgPool<2> {
    /// # Panics
    /// If no parts are asked for, or there are no elements.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.adaptive_avg_pool2d(self.0)
    }
}

impl<T: Real> Layer<T> for AdaptiveAvgPool<3> {
    /// # Panics
    /// If no parts are asked for, or there are no elements.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        assert!(x.rank() >= 3, "volumes have three axes, and this is {}", x.describe());
        let [depth, height, width] = self.0;
        // Boxes have the means of their layers' means.
        let layers = x.adaptive_avg_pool2d([height, width]);
        layers.move_axis(-3, -1).adaptive_avg_pool1d(depth).move_axis(-1, -3)
    }
}
