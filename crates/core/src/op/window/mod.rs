//! Windows that slide over the last axes: convolution and pooling.

pub(super) mod convolution;
mod convolution_weights;
pub(super) mod dimensions;
pub(super) mod options;
pub(super) mod pool;

pub use convolution::*;
pub use convolution_weights::*;
pub use options::{PerAxis, PerSide};
pub use pool::*;
