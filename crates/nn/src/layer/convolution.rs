//! Convolutions over one, two and three axes, and their transposes.
//!
//! One struct serves all numbers of axes; the names with a number are what one writes.
//! Both directions share the core's [`Convolution`], which says how the filter slides,
//! so padding may differ from side to side in all of them.

use rand::Rng;
use wengert_core::op::{Convolution, PerAxis, PerSide};
use wengert_core::{Real, Shape, Var};

use super::{Layer, not_empty, per_channel};
use crate::{Module, Param, init};

/// A convolution of signals `[batch, channels, length]`.
pub type Conv1d<T> = Conv<T, 1>;

/// A convolution of images `[batch, channels, height, width]`.
pub type Conv2d<T> = Conv<T, 2>;

/// A convolution of volumes `[batch, channels, depth, height, width]`.
pub type Conv3d<T> = Conv<T, 3>;

/// The transpose of a [`Conv1d`].
pub type ConvTranspose1d<T> = ConvTranspose<T, 1>;

/// The transpose of a [`Conv2d`].
pub type ConvTranspose2d<T> = ConvTranspose<T, 2>;

/// The transpose of a [`Conv3d`].
pub type ConvTranspose3d<T> = ConvTranspose<T, 3>;

/// `y_o = b_o + sum over c of w_oc * x_c`: filters that slide over the last `D` axes, as
/// in the paper's section 7.1, not reversed.
///
/// From `[batch, inputs, ..]` to `[batch, outputs, ..]`, where an axis of `n` elements
/// becomes one of `(before + n + after - span) / stride + 1`, rounded down, and `span =
/// (window - 1) dilation + 1`. The weight has shape `[outputs, inputs / groups, window ..]`
/// and the bias `[outputs]`, as in PyTorch.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Conv2d, Layer};
///
/// // the first layer of MatConvNet's network for CIFAR-10
/// let layer = Conv2d::<f32>::new(3, 32, 5, &mut seeded(1)).padding(2);
/// assert_eq!(layer.weight.shape()[..], [32, 3, 5, 5]);
/// let tape = Tape::new();
/// let y = layer.forward(tape.constant(Tensor::zeros([1, 3, 32, 32])));
/// assert_eq!(y.shape()[..], [1, 32, 32, 32]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Conv<T: Real, const D: usize> {
    /// The filters, of shape `[outputs, inputs / groups, window ..]`.
    pub weight: Param<T>,
    /// The bias, of shape `[outputs]`, if there is one.
    pub bias: Option<Param<T>>,
    #[module(skip)]
    convolution: Convolution<D>,
}

impl<T: Real, const D: usize> Conv<T, D> {
    /// Filters with a window, one number or one for each axis, that slide by 1 over what
    /// is there. Weight and bias are uniform within `1 / sqrt(fan in)` of 0, as in PyTorch.
    ///
    /// # Panics
    /// If the window has no element.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(
        inputs: usize,
        outputs: usize,
        window: impl PerAxis<D>,
        rng: &mut R,
    ) -> Self {
        Self::grouped(inputs, outputs, window, 1, rng)
    }

    /// As [`new`](Self::new), with the channels in groups that have filters of their own;
    /// as many groups as inputs make it a depthwise convolution.
    ///
    /// # Panics
    /// If inputs or outputs do not divide into the groups, or the window has no element.
    #[track_caller]
    pub fn grouped<R: Rng + ?Sized>(
        inputs: usize,
        outputs: usize,
        window: impl PerAxis<D>,
        groups: usize,
        rng: &mut R,
    ) -> Self {
        let (weight, bias) = filters(outputs, inputs, outputs, window.per_axis(), groups, rng);
        Self { weight, bias, convolution: Convolution::default().groups(groups) }
    }

    /// With a stride: one number, or one for each axis.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Self { convolution: self.convolution.stride(stride), ..self }
    }

    /// With zeros around each image: one number, one for each axis, or one for each side,
    /// `[[top, bottom], [left, right]]`.
    #[must_use]
    pub fn padding(self, padding: impl PerSide<D>) -> Self {
        Self { convolution: self.convolution.padding(padding), ..self }
    }

    /// With gaps in the filters: one number, or one for each axis.
    #[must_use]
    pub fn dilation(self, dilation: impl PerAxis<D>) -> Self {
        Self { convolution: self.convolution.dilation(dilation), ..self }
    }

    /// The layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// How the filters slide.
    pub fn convolution(&self) -> Convolution<D> {
        self.convolution
    }
}

/// The transpose of a [`Conv`]: from what that gives to the shape of what it takes, with
/// filters that spread each element instead of gathering many. Up-sampling that is learnt.
///
/// From `[batch, inputs, ..]` to `[batch, outputs, ..]`, where an axis of `n` elements
/// becomes one of `(n - 1) stride + span + extra - before - after`. The weight has shape
/// `[inputs, outputs / groups, window ..]`, that of the convolution whose transpose it is,
/// as in PyTorch.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::{ConvTranspose2d, Layer};
///
/// let doubling = ConvTranspose2d::<f64>::new(8, 4, 2, &mut seeded(1)).stride(2);
/// let tape = Tape::new();
/// let y = doubling.forward(tape.constant(Tensor::zeros([1, 8, 5, 7])));
/// assert_eq!(y.shape()[..], [1, 4, 10, 14]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct ConvTranspose<T: Real, const D: usize> {
    /// The filters, of shape `[inputs, outputs / groups, window ..]`.
    pub weight: Param<T>,
    /// The bias, of shape `[outputs]`, if there is one.
    pub bias: Option<Param<T>>,
    #[module(skip)]
    convolution: Convolution<D>,
    #[module(skip)]
    extra: [usize; D],
}

impl<T: Real, const D: usize> ConvTranspose<T, D> {
    /// The transpose of a convolution from `outputs` to `inputs` channels. Weight and bias
    /// are uniform, as in PyTorch, within `1 / sqrt(outputs * window)` of 0.
    ///
    /// # Panics
    /// If the window has no element.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(
        inputs: usize,
        outputs: usize,
        window: impl PerAxis<D>,
        rng: &mut R,
    ) -> Self {
        Self::grouped(inputs, outputs, window, 1, rng)
    }

    /// As [`new`](Self::new), with the channels in groups that have filters of their own.
    ///
    /// # Panics
    /// If inputs or outputs do not divide into the groups, or the window has no element.
    #[track_caller]
    pub fn grouped<R: Rng + ?Sized>(
        inputs: usize,
        outputs: usize,
        window: impl PerAxis<D>,
        groups: usize,
        rng: &mut R,
    ) -> Self {
        let (weight, bias) = filters(inputs, outputs, outputs, window.per_axis(), groups, rng);
        let convolution = Convolution::default().groups(groups);
        Self { weight, bias, convolution, extra: [0; D] }
    }

    /// With the stride of the convolution whose transpose it is.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Self { convolution: self.convolution.stride(stride), ..self }
    }

    /// With the padding of the convolution whose transpose it is: what lies there is cut
    /// off.
    #[must_use]
    pub fn padding(self, padding: impl PerSide<D>) -> Self {
        Self { convolution: self.convolution.padding(padding), ..self }
    }

    /// With `extra` more elements at the end of each axis. Several sizes are convolved to
    /// the same one where a stride leaves elements over; this says which is meant
    /// (PyTorch's `output_padding`).
    #[must_use]
    pub fn extra(self, extra: impl PerAxis<D>) -> Self {
        Self { extra: extra.per_axis(), ..self }
    }

    /// With gaps in the filters.
    #[must_use]
    pub fn dilation(self, dilation: impl PerAxis<D>) -> Self {
        Self { convolution: self.convolution.dilation(dilation), ..self }
    }

    /// The layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The extents of the result's last axes.
    #[track_caller]
    fn size(&self, x: Var<'_, T>) -> [usize; D] {
        let (shape, window) = (x.shape(), &self.weight.shape()[2..]);
        assert!(
            shape.rank() == D + 2,
            "a transposed convolution over {D} axes takes [batch, channels, ..], and this is {}",
            x.describe()
        );
        let Convolution { stride, padding, dilation, .. } = self.convolution;
        std::array::from_fn(|axis| {
            let full = (shape[axis + 2].max(1) - 1) * stride[axis]
                + (window[axis] - 1) * dilation[axis]
                + 1
                + self.extra[axis];
            let cut: usize = padding[axis].iter().sum();
            assert!(
                full > cut,
                "a padding of {cut} cuts off all of the {full} elements of axis {}: {}",
                axis + 2,
                x.describe()
            );
            full - cut
        })
    }
}

/// Filters `[first, second / groups, window ..]` and a bias for the outputs, as in PyTorch.
#[track_caller]
fn filters<T: Real, R: Rng + ?Sized, const D: usize>(
    first: usize,
    second: usize,
    outputs: usize,
    window: [usize; D],
    groups: usize,
    rng: &mut R,
) -> (Param<T>, Option<Param<T>>) {
    assert!(
        groups > 0 && first.is_multiple_of(groups) && second.is_multiple_of(groups),
        "{first} and {second} channels do not divide into {groups} groups"
    );
    not_empty("a convolution", &[("channels", first), ("channels", second)]);
    assert!(!window.contains(&0), "a window has an element at least, and this is {window:?}");
    let own = second / groups;
    let shape: Shape = [first, own].into_iter().chain(window).collect();
    let bound = 1.0 / ((own * window.iter().product::<usize>()) as f64).sqrt();
    let weight = Param::named("weight", init::uniform(shape, -bound, bound, rng));
    (weight, Some(Param::named("bias", init::uniform([outputs], -bound, bound, rng))))
}

/// The bias of each channel, if there is one, added.
#[track_caller]
fn shifted<'t, T: Real>(y: Var<'t, T>, bias: Option<&Param<T>>) -> Var<'t, T> {
    match bias {
        Some(bias) => y + per_channel(bias.on(y.tape()), y.rank()),
        None => y,
    }
}

/// What the core calls a convolution depends on the number of axes.
macro_rules! axes {
    ($($axes:literal $conv:ident $transpose:ident |$size:ident| $given:expr),* $(,)?) => {$(
        impl<T: Real> Layer<T> for Conv<T, $axes> {
            /// # Panics
            /// If the input is not `[batch, inputs, ..]`, or the window does not fit in.
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let y = x.$conv(self.weight.on(x.tape()), self.convolution);
                shifted(y, self.bias.as_ref())
            }
        }

        impl<T: Real> Layer<T> for ConvTranspose<T, $axes> {
            /// # Panics
            /// If the input is not `[batch, inputs, ..]`, or nothing is left of it by the
            /// padding.
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let $size = self.size(x);
                let y = x.$transpose(self.weight.on(x.tape()), self.convolution, $given);
                shifted(y, self.bias.as_ref())
            }
        }
    )*};
}

axes! {
    1 conv1d conv_transpose1d |size| size[0],
    2 conv2d conv_transpose2d |size| size,
    3 conv3d conv_transpose3d |size| size,
}
