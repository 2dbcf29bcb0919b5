//! Layers: modules that map one variable to one.
//!
//! A layer is an ordinary struct with a `forward`; the trait serves only those
//! that stand in a row, and lets [`Sequential`] hold them behind one type. Models
//! with other connections are structs of layers with a `forward` of their own.

mod activation;
mod attention;
mod batch_norm;
mod bilinear;
mod convolution;
mod dropout;
mod embedding;
mod linear;
mod normalisation;
mod pooling;
mod recurrent;
mod sequential;
mod shape;
mod transformer;

pub use activation::{
    Celu, Elu, Gelu, GeluTanh, Glu, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu,
    LogSigmoid, LogSoftmax, Mish, Prelu, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softmin,
    Softplus, Softshrink, Softsign, Tanh, Tanhshrink,
};
pub use attention::{AttentionMask, MultiHeadAttention, attention, causal_attention};
pub use batch_norm::BatchNorm;
pub use bilinear::Bilinear;
pub use convolution::{
    Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d,
};
pub use dropout::{ChannelDropout, Dropout};
pub use embedding::{Embedding, LearnedPositions, SinusoidalPositions};
pub use linear::Linear;
pub use normalisation::{GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm};
pub use pooling::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool,
    AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d,
    AvgPool3d, GlobalAvgPool, GlobalMaxPool, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d,
};
pub use recurrent::{
    Cell, Gru, GruCell, Lstm, LstmCell, Recurrent, ReluCell, ReluRnn, Rnn, RnnCell,
};
pub use sequential::Sequential;
pub use shape::{Flatten, Residual, Upsample};
pub use transformer::{TransformerDecoderLayer, TransformerEncoderLayer};

use wengert_core::{Real, Shape, Var};

use crate::Module;

/// A module that maps one variable to one.
///
/// Parameters, numbers and data stand beside variables as they are ([`Operand`](wengert_core::Operand)
/// has the rule), so that `forward` is one function for both precisions:
///
/// ```
/// use wengert_core::{Real, Tape, Var};
/// use wengert_nn::{Layer, Module, Param};
///
/// /// One factor for each feature, around 1.
/// #[derive(Module)]
/// struct Scale<T: Real>(Param<T>);
///
/// impl<T: Real> Layer<T> for Scale<T> {
///     fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
///         x * (1.0 + self.0.on(x.tape())) // or, without the 1, `x * &self.0`
///     }
/// }
///
/// let tape = Tape::new();
/// let y = Scale(Param::new([1.0, 2.0])).forward(tape.constant([1.0, 1.0]));
/// assert_eq!(y.value().to_vec(), [2.0, 3.0]);
/// ```
pub trait Layer<T: Real>: Module<T> {
    /// Records the layer's value on the tape of `x`.
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T>;
}

impl<T: Real, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        (**self).forward(x)
    }
}

/// That a layer has something of everything that it is made for: no extent is 0.
#[track_caller]
fn not_empty(layer: &str, extents: &[(&str, usize)]) {
    if let Some((what, _)) = extents.iter().find(|(_, extent)| *extent == 0) {
        panic!("{layer}: expected {what} of at least 1, got 0");
    }
}

/// Panics unless a value has `channels` channels.
#[track_caller]
fn check_channels<T: Real>(what: &str, x: Var<'_, T>, channels: usize) {
    assert!(
        x.rank() >= 2 && x.shape()[1] == channels,
        "{what} of {channels} channels takes [batch, {channels}, ..], not {}",
        x.describe()
    );
}

/// Numbers of each channel as they stand beside `[batch, channels, ..]`, a value of some
/// rank.
#[track_caller]
fn per_channel<T: Real>(numbers: Var<'_, T>, rank: usize) -> Var<'_, T> {
    if rank == 2 {
        return numbers;
    }
    let beside = (1..rank).map(|axis| if axis == 1 { numbers.elements() } else { 1 });
    numbers.reshape(beside.collect::<Shape>())
}
