//! Derivatives of closures: tape and lifetimes stay inside.
//!
//! Every transform takes a function of variables and tensors to evaluate it at:
//! one tensor, an array of them, a tuple of such, or a structure ([`Inputs`]). The
//! function is a closure, written in place or kept with [`func`], or a `fn`.

pub mod checkpoint;
mod directional;
mod gradient;
mod implicit;
mod jacobian;
pub mod sparse;
mod taylor;
mod vmap;

pub use checkpoint::checkpoint;
pub use directional::{fisher_product, gauss_newton_product, hvp, jvp, vjp};
pub use gradient::{func, func_n, grad, value_and_grad, value_and_grad_aux};
pub use implicit::{fixed_point, minimiser, root};
pub(crate) use jacobian::jacobian_of;
pub use jacobian::{hessian, jacobian};
pub use taylor::{taylor, taylor_along};
pub use vmap::vmap;
