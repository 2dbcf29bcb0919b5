//! Automatic differentiation on a tensor tape, with networks and checks of
//! derivatives: the face of the workspace.

pub use wengert_core::*;

/// Networks: modules, losses, optimisers.
pub mod nn {
    pub use wengert_nn::*;
}

/// What most programs want in scope.
pub mod prelude {
    pub use wengert_core::op::{Domain, Elementwise, Samples};
    pub use wengert_core::{
        Number, Real, Tape, Tensor, Var, func, grad, hessian, hvp, jacobian, jvp, value_and_grad,
        vjp,
    };
}
