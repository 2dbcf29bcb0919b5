//! Networks on Wengert's tape: parameters, modules, layers, losses and stochastic
//! gradient.
//!
//! # Map
//!
//! - [`Param`]: the numbers that training changes, outside of every tape
//! - [`Module`]: whatever holds parameters; derived, and one visit serves all;
//!   [`StateError`] says what a saved state lacks
//! - [`Layer`]: modules that map one variable to one: [`Linear`], [`Conv2d`], [`Lstm`],
//!   [`MultiHeadAttention`], ... in a row in a [`Sequential`]; [`layer`] has all, with what they are made of
//! - [`init`]: where training starts
//! - [`loss`]: what training makes small
//! - [`optim`]: how: [`Sgd`], [`Adam`] and its kin, rules of your own, schedules; solvers for
//!   whole costs, from steepest [`Descent`](optim::Descent) to [`optim::LevenbergMarquardt`], and fits by
//!   [`least_squares`](optim::least_squares)
//! - [`TrainStep`]: a whole step, compiled
//! - [`data`]: files, batches, and what is done to them
//! - [`weights`]: parameters as files; [`Summary`]: a model as a table
//! - [`train`]: a loop with all that belongs to it, and the parts of it
//! - [`check`]: are a model's derivatives right, parameter by parameter
//! - [`sampler`]: which samples a step looks at
//! - [`random`]: uniform and normal numbers, and a generator that equals MATLAB's
//!
//! # A net
//!
//! ```
//! use wengert_core::{Tape, Var};
//! use wengert_nn::loss::cross_entropy;
//! use wengert_nn::random::seeded;
//! use wengert_nn::{Layer, Linear, Module, Sgd};
//!
//! #[derive(Module)]
//! struct Net {
//!     hidden: Linear<f32>,
//!     out: Linear<f32>,
//! }
//!
//! impl Net {
//!     fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
//!         self.out.forward(self.hidden.forward(x).tanh())
//!     }
//! }
//!
//! let rng = &mut seeded(1);
//! let mut net = Net { hidden: Linear::new(2, 8, rng), out: Linear::new(8, 2, rng) };
//! let mut sgd = Sgd::new(0.5).momentum(0.9);
//! let mut tape = Tape::new();
//! for _ in 0..200 {
//!     tape.reset();
//!     // exclusive or
//!     let x = tape.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//!     let loss = cross_entropy(net.forward(x), &[0, 1, 1, 0]);
//!     sgd.step(&mut net, &loss.backward());
//! }
//! # let x = tape.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! # assert!(cross_entropy(net.forward(x), &[0, 1, 1, 0]).item() < 0.05);
//! ```

// The derive macro writes `::wengert_nn`, in this crate as elsewhere.
extern crate self as wengert_nn;

#[doc(hidden)]
pub mod __field;
pub mod check;
pub mod data;
mod error;
pub mod file;
pub mod init;
pub mod layer;
pub mod loss;
pub mod module;
pub mod optim;
mod param;
mod path;
pub mod random;
pub mod sampler;
pub mod state;
pub mod summary;
pub mod train;
mod train_step;
pub mod weights;

pub use error::Error;
pub use file::FileError;
pub use layer::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d,
    AdaptiveMaxPool3d, AvgPool1d, AvgPool2d, AvgPool3d, BatchNorm, Bilinear, Celu, ChannelDropout,
    Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Dropout, Elu,
    Embedding, Flatten, Gelu, GeluTanh, GlobalAvgPool, GlobalMaxPool, Glu, GroupNorm, Gru,
    Hardshrink, Hardsigmoid, Hardswish, Hardtanh, InstanceNorm, Layer, LayerNorm, LeakyRelu,
    LearnedPositions, Linear, LocalResponseNorm, LogSigmoid, LogSoftmax, Lstm, MaxPool1d,
    MaxPool2d, MaxPool3d, Mish, MultiHeadAttention, Prelu, Relu, Relu6, ReluRnn, Residual, RmsNorm,
    Rnn, Selu, Sequential, Sigmoid, Silu, SinusoidalPositions, Softmax, Softmin, Softplus,
    Softshrink, Softsign, Tanh, Tanhshrink, TransformerDecoderLayer, TransformerEncoderLayer,
    Upsample,
};
pub use module::Module;
pub use optim::{Adam, Optimiser, Sgd};
pub use param::Param;
pub(crate) use path::Path;
pub use state::StateError;
pub use summary::Summary;
pub use train_step::TrainStep;
pub use wengert_derive::Module;

/// For the derive macro, which must not ask its users for one more dependency.
#[doc(hidden)]
pub use wengert_core::Real as __Real;
