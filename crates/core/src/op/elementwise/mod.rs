//! Functions of each element by itself.

pub(super) mod activation;
pub(super) mod arithmetic;
pub(super) mod compare;
pub(super) mod exponential;
pub(super) mod hyperbolic;
pub(super) mod piecewise;
pub(super) mod power;
pub(super) mod rounding;
pub(super) mod special;
pub(super) mod trigonometric;

pub use activation::*;
pub use arithmetic::*;
pub use compare::*;
pub use exponential::*;
pub use hyperbolic::*;
pub use power::*;
pub use rounding::*;
pub use special::*;
pub use trigonometric::*;
