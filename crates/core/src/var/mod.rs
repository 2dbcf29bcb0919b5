//! The methods of variables, and functions of their arrangements.

mod arithmetic;
mod arrange;
mod einsum;
mod elementwise;
pub(crate) mod inputs;
mod keep;
mod movement;
mod sample;

pub use einsum::einsum;
pub use inputs::{Function, FunctionAux, Inputs};

use crate::op::Reshape;
use crate::scalar::Real;
use crate::tape::Var;

impl<T: Real> Var<'_, T> {
    /// The same value as a node of its own: what depends on it need not depend on `self` in
    /// other ways.
    #[track_caller]
    pub(crate) fn alias(self) -> Self {
        self.apply(Reshape { shape: self.shape() })
    }

    /// A constant of zeros of the same shape; takes the memory of one number.
    #[track_caller]
    pub(crate) fn zeros_like(self) -> Self {
        self.constant_like(0.0).broadcast_to(self.shape())
    }
}
