//! Normalisation over a batch, with running statistics for when there is none.

use wengert_core::{Real, Tensor, Var};

use super::{Layer, check_channels, not_empty, per_channel};
use crate::{Module, Param};

/// Each channel of `[batch, channels, ..]` with mean 0 and variance 1 over the batch and
/// all further axes, then scaled and shifted (Ioffe and Szegedy, 2015): PyTorch's
/// `BatchNorm1d`, `2d` and `3d`.
///
/// In [training](wengert_core::Tape::train), mean and variance are those of the batch, and
/// move the running ones: `running = (1 - momentum) running + momentum new`, with the
/// unbiased variance. Otherwise the running ones are used and stay. They are
/// [buffers](Param::buffer): `forward` records what they shall be, and the optimiser's step
/// moves them, so evaluating leaves no trace.
///
/// Weight and bias have shape `[channels]` and start with 1 and 0, the running mean and
/// variance with 0 and 1. PyTorch's state also counts the batches, and so does this one.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{BatchNorm, Layer, Sgd};
///
/// let mut norm = BatchNorm::<f64>::new(1);
/// let tape = Tape::new();
/// tape.train(1);
/// let y = norm.forward(tape.constant([[1.0], [3.0]]));
/// assert!((y.value().at(&[1, 0]) - 1.0).abs() < 1e-5);
/// Sgd::new(0.0).step(&mut norm, &y.sum().backward());
/// assert!((norm.running_mean.value().at(&[0]) - 0.2).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, Module)]
pub struct BatchNorm<T: Real> {
    /// The scale of each channel.
    pub weight: Param<T>,
    /// What is added to each channel.
    pub bias: Param<T>,
    /// The running mean of each channel, a buffer.
    pub running_mean: Param<T>,
    /// The running variance of each channel, a buffer.
    pub running_var: Param<T>,
    /// How many batches have moved them, a buffer.
    pub num_batches_tracked: Param<T>,
    momentum: f64,
    epsilon: f64,
}

impl<T: Real> BatchNorm<T> {
    /// For `channels` channels, with PyTorch's momentum of 0.1 and `epsilon` of 1e-5.
    ///
    /// # Panics
    /// If there are no channels.
    #[track_caller]
    pub fn new(channels: usize) -> Self {
        not_empty("BatchNorm", &[("channels", channels)]);
        let full = |value| Tensor::full([channels], value);
        Self {
            weight: Param::named("weight", full(T::one())),
            bias: Param::named("bias", full(T::zero())),
            running_mean: Param::buffer(full(T::zero())),
            running_var: Param::buffer(full(T::one())),
            num_batches_tracked: Param::buffer(Tensor::scalar(T::zero())),
            momentum: 0.1,
            epsilon: 1e-5,
        }
    }

    /// With another share of the new in the running statistics.
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

/// Records that the running mean and variance of channels move towards those of a batch,
/// `[channels, 2]`, by a share of the way. These are numbers for the next step, and pass no
/// derivative on.
pub(super) fn move_towards<T: Real>(running: [&Param<T>; 2], moments: Var<'_, T>, share: f64) {
    for (k, buffer) in running.into_iter().enumerate() {
        let running = buffer.on(moments.tape());
        let own = moments.stop_gradient().slice(1, k..=k).reshape(running.shape());
        buffer.assign(running + (own - running) * T::from_f64(share));
    }
}

impl<T: Real> Layer<T> for BatchNorm<T> {
    /// # Panics
    /// If the input is not `[batch, channels, ..]`, or, in training, channels have fewer
    /// than two elements: their variance says nothing.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let (shape, tape) = (x.shape(), x.tape());
        let channels = self.weight.len();
        check_channels("a normalisation", x, channels);
        let on = |param: &Param<T>| per_channel(param.on(tape), x.rank());
        let epsilon = T::from_f64(self.epsilon);
        if !tape.is_training() {
            // One factor and one shift for each channel.
            let scale = on(&self.weight) / (on(&self.running_var) + epsilon).sqrt();
            return x * scale + (on(&self.bias) - on(&self.running_mean) * scale);
        }
        let count = shape.elements() / channels.max(1);
        assert!(
            count > 1,
            "training wants two elements of each channel, not {}: the last batch of an epoch may have one sample \
             (`DataLoader::drop_last` leaves it out), and so may a shard",
            x.describe()
        );
        let moments = x.stop_gradient().channel_moments(1);
        move_towards([&self.running_mean, &self.running_var], moments, self.momentum);
        let seen = self.num_batches_tracked.on(tape);
        self.num_batches_tracked.assign(seen + T::one());
        x.batch_norm(self.weight.on(tape), self.bias.on(tape), self.epsilon)
    }
}
