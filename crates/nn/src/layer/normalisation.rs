//! Normalisations that look at one sample: along features, in groups of channels, over
//! neighbouring channels. ([`BatchNorm`](super::BatchNorm) looks at a whole batch.)
//!
//! Layer, group and instance normalisation are one function of rows, the core's
//! [`Var::layer_norm`], and differ in what a row is.

use wengert_core::op::Pooling;
use wengert_core::{Real, Shape, Tensor, Var};

use super::batch_norm::move_towards;
use super::{Layer, check_channels, not_empty, per_channel};
use crate::{Module, Param};

/// What PyTorch adds to a variance if nothing else is said.
const EPSILON: f64 = 1e-5;

/// `(x - mean) / sqrt(var + epsilon) * weight + bias` over the last axes, for each sample
/// and place by itself (Ba et al., 2016).
///
/// Weight and bias have the shape of those axes, and start with 1 and 0.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, LayerNorm};
///
/// let tape = Tape::new();
/// let y = LayerNorm::<f64>::new([2]).forward(tape.constant([[1.0, 3.0], [10.0, 50.0]]));
/// assert!(y.value().iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-5));
/// ```
#[derive(Clone, Debug, Module)]
pub struct LayerNorm<T: Real> {
    /// The scale of each element.
    pub weight: Param<T>,
    /// What is added to each element, if anything.
    pub bias: Option<Param<T>>,
    epsilon: f64,
}

impl<T: Real> LayerNorm<T> {
    /// Normalises over the last axes, which have this shape; `epsilon` is 1e-5.
    ///
    /// # Panics
    /// If the shape has no axis, or no element.
    #[track_caller]
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert!(
            shape.rank() > 0 && !shape.contains(&0),
            "a normalisation goes over one axis at least, with an element at least, not over {shape}"
        );
        let bias = Some(Param::named("bias", Tensor::zeros(shape.clone())));
        Self { weight: Param::named("weight", Tensor::ones(shape)), bias, epsilon: EPSILON }
    }

    /// With another number added to the variance.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// The layer without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }
}

/// A value whose last axes are those of a weight, normalised over these as one, then scaled.
#[track_caller]
fn over_last_axes<'t, T: Real>(
    x: Var<'t, T>,
    weight: &Param<T>,
    normalised: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
) -> Var<'t, T> {
    let (own, given) = (weight.shape(), x.shape());
    assert!(
        given.ends_with(own),
        "a normalisation over axes {own} takes [.., those], and not {}",
        x.describe()
    );
    let rows = x.flatten(-(own.rank() as isize), -1);
    normalised(rows).reshape(given) * weight.on(x.tape())
}

impl<T: Real> Layer<T> for LayerNorm<T> {
    /// # Panics
    /// If the last axes are others.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let scaled = over_last_axes(x, &self.weight, |rows| rows.layer_norm(self.epsilon));
        self.bias.as_ref().map_or(scaled, |bias| scaled + bias.on(x.tape()))
    }
}

/// `x / sqrt(mean x^2 + epsilon) * weight` over the last axes (Zhang and Sennrich, 2019): a
/// layer normalisation that leaves the mean as it is.
///
/// The weight starts with 1. As in PyTorch, `epsilon` is the distance from 1 to the next
/// number of `T`, unless set.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, RmsNorm};
///
/// let tape = Tape::new();
/// let y = RmsNorm::<f64>::new([2]).forward(tape.constant([1.0, 7.0]));
/// assert!((y.value().at(&[1]) - 1.4).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Module)]
pub struct RmsNorm<T: Real> {
    /// The scale of each element.
    pub weight: Param<T>,
    epsilon: f64,
}

impl<T: Real> RmsNorm<T> {
    /// Normalises over the last axes, which have this shape.
    ///
    /// # Panics
    /// If the shape has no axis, or no element.
    #[track_caller]
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert!(
            shape.rank() > 0 && !shape.contains(&0),
            "a normalisation goes over one axis at least, with an element at least, not over {shape}"
        );
        Self { weight: Param::named("weight", Tensor::ones(shape)), epsilon: T::epsilon().as_f64() }
    }

    /// With another number added to the mean square.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }
}

impl<T: Real> Layer<T> for RmsNorm<T> {
    /// # Panics
    /// If the last axes are others.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        over_last_axes(x, &self.weight, |rows| {
            // No square, which may overflow or vanish.
            let count = self.weight.shape().elements() as f64;
            let length = rows.smooth_norm(-1, self.epsilon * count).unsqueeze(-1);
            rows / (length / T::from_f64(count.sqrt()))
        })
    }
}

/// A [`LayerNorm`] over each of some groups of channels of `[batch, channels, ..]`, with
/// all of their elements (Wu and He, 2018), then a scale and a shift for each channel.
///
/// Weight and bias have shape `[channels]`, and start with 1 and 0.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::{GroupNorm, Layer};
///
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::from_fn([1, 4, 3], |i| i as f64));
/// let y = GroupNorm::new(2, 4).forward(x);
/// assert!(y.slice(1, ..2).sum().item().abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Module)]
pub struct GroupNorm<T: Real> {
    /// The scale of each channel.
    pub weight: Param<T>,
    /// What is added to each channel.
    pub bias: Param<T>,
    groups: usize,
    epsilon: f64,
}

impl<T: Real> GroupNorm<T> {
    /// Normalises `groups` groups of channels; `epsilon` is 1e-5.
    ///
    /// # Panics
    /// If the channels do not divide into the groups, or there are none.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> Self {
        not_empty("GroupNorm", &[("channels", channels)]);
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "{channels} channels do not divide into {groups} groups"
        );
        let weight = Param::named("weight", Tensor::ones([channels]));
        Self {
            weight,
            bias: Param::named("bias", Tensor::zeros([channels])),
            groups,
            epsilon: EPSILON,
        }
    }

    /// With another number added to the variance.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }
}

impl<T: Real> Layer<T> for GroupNorm<T> {
    /// # Panics
    /// If the input is not `[batch, channels, ..]`.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let (shape, tape) = (x.shape(), x.tape());
        check_channels("a normalisation", x, self.weight.len());
        let rows =
            x.reshape([shape[0], self.groups, shape[1..].iter().product::<usize>() / self.groups]);
        let normal = rows.layer_norm(self.epsilon).reshape(shape);
        let [weight, bias] =
            [&self.weight, &self.bias].map(|param| per_channel(param.on(tape), x.rank()));
        normal * weight + bias
    }
}

/// Each channel of each sample of `[batch, channels, ..]` with mean 0 and variance 1
/// (Ulyanov et al., 2016), and then, if [asked for](Self::affine), multiplied by a scale and
/// shifted: PyTorch's `InstanceNorm1d`, `2d` and `3d`. With
/// [running statistics](Self::track_running_stats), these are used outside of training.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::{InstanceNorm, Layer};
///
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::new([1, 2, 2], vec![1.0_f64, 3.0, 10.0, 50.0]));
/// let y = InstanceNorm::new().forward(x);
/// assert!(y.value().iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-5));
/// ```
#[derive(Clone, Debug, Module)]
pub struct InstanceNorm<T: Real> {
    /// The scale of each channel, if there is one.
    pub weight: Option<Param<T>>,
    /// What is added to each channel, if something is.
    pub bias: Option<Param<T>>,
    /// The running mean of each channel, a buffer, if there is one.
    pub running_mean: Option<Param<T>>,
    /// The running variance of each channel, a buffer, if there is one.
    pub running_var: Option<Param<T>>,
    /// A buffer that PyTorch's state has as well, and which stays 0, as there.
    pub num_batches_tracked: Option<Param<T>>,
    momentum: f64,
    epsilon: f64,
}

impl<T: Real> InstanceNorm<T> {
    /// Without parameters, as PyTorch has it by default, and with an `epsilon` of 1e-5.
    pub fn new() -> Self {
        Self {
            weight: None,
            bias: None,
            running_mean: None,
            running_var: None,
            num_batches_tracked: None,
            momentum: 0.1,
            epsilon: EPSILON,
        }
    }

    /// With a scale of 1 and a shift of 0 for each of `channels` channels, to be trained.
    ///
    /// ```
    /// # use wengert_nn::{InstanceNorm, Module};
    /// assert_eq!(InstanceNorm::<f64>::affine(3).parameter_count(), 6);
    /// ```
    ///
    /// # Panics
    /// If there are no channels.
    #[track_caller]
    pub fn affine(channels: usize) -> Self {
        not_empty("InstanceNorm", &[("channels", channels)]);
        Self {
            weight: Some(Param::named("weight", Tensor::ones([channels]))),
            bias: Some(Param::named("bias", Tensor::zeros([channels]))),
            ..Self::new()
        }
    }

    /// With a running mean and variance of `channels` channels, which start with 0 and 1. In
    /// [training](wengert_core::Tape::train), instances are normalised by their own mean and
    /// variance, whose means over the batch move the running ones, as in a
    /// [`BatchNorm`](super::BatchNorm): `running = (1 - momentum) running + momentum new`, with the
    /// unbiased variance. Otherwise all are normalised by the running ones.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// # use wengert_nn::{InstanceNorm, Layer};
    /// let norm = InstanceNorm::<f64>::new().track_running_stats(2).epsilon(0.0);
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::full([1, 2, 3], 7.0));
    /// assert_eq!(norm.forward(x).value(), x.value());
    /// ```
    ///
    /// # Panics
    /// If there are parameters of other channels.
    #[must_use]
    #[track_caller]
    pub fn track_running_stats(self, channels: usize) -> Self {
        if let Some(weight) = &self.weight {
            let own = weight.len();
            assert!(own == channels, "statistics of {channels} channels, and scales of {own}");
        }
        Self {
            running_mean: Some(Param::buffer(Tensor::full([channels], T::zero()))),
            running_var: Some(Param::buffer(Tensor::full([channels], T::one()))),
            num_batches_tracked: Some(Param::buffer(Tensor::scalar(T::zero()))),
            ..self
        }
    }

    /// With another share of the new in the running statistics than PyTorch's 0.1.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With another number added to the variance.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }
}

impl<T: Real> Default for InstanceNorm<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> InstanceNorm<T> {
    /// Each channel with mean 0 and variance 1, by its own statistics or the running ones.
    #[track_caller]
    fn normal<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let rows = x.flatten(2, -1);
        if let (Some(mean), Some(variance)) = (&self.running_mean, &self.running_var) {
            check_channels("a normalisation", x, mean.len());
            if !x.tape().is_training() {
                let [mean, variance] =
                    [mean, variance].map(|buffer| per_channel(buffer.on(x.tape()), x.rank()));
                return (x - mean) / (variance + T::from_f64(self.epsilon)).sqrt();
            }
            assert!(
                rows.shape()[2] > 1,
                "training wants two elements of each channel, not {}",
                x.describe()
            );
            // Each channel of each sample is one, and counts as much as any other.
            let [samples, channels, count] = [0, 1, 2].map(|axis| rows.shape()[axis]);
            let apart = rows.stop_gradient().reshape([1, samples * channels, count]);
            let moments = apart.channel_moments(1).reshape([samples, channels, 2]).mean_over(0);
            move_towards([mean, variance], moments, self.momentum);
        }
        rows.layer_norm(self.epsilon).reshape(x.shape())
    }
}

impl<T: Real> Layer<T> for InstanceNorm<T> {
    /// # Panics
    /// If there are fewer than three axes, other channels than those of parameters or statistics,
    /// or, in training with statistics, channels of one element.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        assert!(x.rank() >= 3, "instances have axes [batch, channels, ..], not {}", x.describe());
        let normal = self.normal(x);
        let (Some(weight), Some(bias)) = (&self.weight, &self.bias) else { return normal };
        check_channels("a normalisation", x, weight.len());
        let [weight, bias] = [weight, bias].map(|param| per_channel(param.on(x.tape()), x.rank()));
        normal * weight + bias
    }
}

/// `x_c / (k + alpha / n sum of x_d^2)^beta`, over the `n` channels `d` around channel `c`
/// of `[batch, channels, ..]` (Krizhevsky et al., 2012).
///
/// As in PyTorch the sum is divided by `n`, also at the border, where some of the channels
/// are not there. MatConvNet does not divide: its `alpha` is `1 / n` of this one.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::{Layer, LocalResponseNorm};
///
/// let tape = Tape::new();
/// let norm = LocalResponseNorm::new(3).alpha(3.0).beta(1.0);
/// let y = norm.forward(tape.constant(Tensor::<f64>::ones([1, 3, 1])));
/// assert_eq!(y.value().to_vec(), [1.0 / 3.0, 1.0 / 4.0, 1.0 / 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct LocalResponseNorm {
    channels: usize,
    alpha: f64,
    beta: f64,
    k: f64,
}

impl LocalResponseNorm {
    /// Over `channels` neighbouring channels, with PyTorch's `alpha` 1e-4, `beta` 0.75 and `k` 1.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn new(channels: usize) -> Self {
        assert!(channels > 0, "a response is normalised by one channel at least");
        Self { channels, alpha: 1e-4, beta: 0.75, k: 1.0 }
    }

    /// With another factor of the mean square.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// With another exponent.
    #[must_use]
    pub fn beta(self, beta: f64) -> Self {
        Self { beta, ..self }
    }

    /// With another number added.
    #[must_use]
    pub fn k(self, k: f64) -> Self {
        Self { k, ..self }
    }
}

impl<T: Real> Layer<T> for LocalResponseNorm {
    /// # Panics
    /// If there are fewer than three axes.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        assert!(x.rank() >= 3, "responses have axes [batch, channels, ..], not {}", x.describe());
        let n = self.channels;
        // Planes of channels by places, in which a window of n by 1 slides.
        let squares = x.square().flatten(2, -1).pad(1, n / 2, (n - 1) / 2);
        let means = squares.avg_pool2d(Pooling::new([n, 1]).stride(1)).reshape(x.shape());
        x / (means * T::from_f64(self.alpha) + T::from_f64(self.k)).powf(self.beta)
    }
}
