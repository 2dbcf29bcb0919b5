//! Automatic differentiation on a tensor tape, with networks and checks of
//! derivatives: the face of the workspace.
//!
//! Everything of the core crate is at the top; networks are in [`nn`]; and
//! [`prelude`] has what most programs use.
//!
//! ```
//! use wengert::prelude::*;
//!
//! let x = Tensor::from([1.0, 2.0]);
//! check::gradient(|x| (x.sin() * x).sum(), &x).assert();
//! ```

pub use wengert_core::*;

/// Networks: modules, layers, losses, optimisers, random numbers.
pub mod nn {
    pub use wengert_nn::*;
}

/// What most programs want in scope.
pub mod prelude {
    pub use wengert_core::op::{Domain, Elementwise, Samples};
    pub use wengert_core::{
        Number, Real, Tape, Tensor, Var, check, concat, func, grad, hessian, hvp, jacobian, jvp,
        stack, value_and_grad, vjp,
    };
}

// The snippets of the README are compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
