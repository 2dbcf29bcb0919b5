//! Derivatives of closures: tape and lifetimes stay inside.
//!
//! Every transform takes a function of variables and tensors to evaluate it at:
//! one tensor, an array of them, or a tuple of such. The function is a closure,
//! written in place or kept with [`func`], or a `fn`.

mod gradient;
mod inputs;
mod jacobian;
mod product;
mod taylor;

pub use gradient::{func, grad, value_and_grad};
pub use inputs::{Function, Inputs};
pub use jacobian::{hessian, jacobian};
pub use product::{fisher_product, gauss_newton_product, hvp, jvp, vjp};
pub use taylor::{taylor, taylor_along};
