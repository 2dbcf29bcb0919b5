//! A computation tape of tensor operations, and derivatives of every kind from it.
//!
//! # Map
//!
//! Arrows run one way, from the bottom of this list to its top:
//!
//! - [`mod@trace`]: both sweeps of a tape as something to read and to explore
//! - [`check`]: is a derivative right? The rate of its remainder says so
//! - [`Program`]: what a tape computes, compiled, to be run again
//! - [`transform`](crate::grad): gradients, products and Jacobians of closures
//! - `sweep`: forward and reverse passes over the tape, [`Gradients`]
//! - [`Tape`] and [`Var`]: the list, and handles of its values
//! - [`op`]: elemental functions, each with all that is known of it
//! - [`random`]: samples, as tensors
//! - [`Tensor`], [`Shape`], [`View`]: arrays and how they lie in memory
//! - `kernel`: the loops over elements
//!
//! ```
//! use wengert_core::{Tensor, grad};
//!
//! let x = Tensor::from([1.0, 2.0]);
//! let g = grad(|x| (x.sin() * x).sum(), &x);
//! assert_eq!(g.at(&[0]), 1.0_f64.cos() + 1.0_f64.sin());
//! ```

#[macro_use]
mod tuned;

mod axes;
pub mod check;
mod json;
mod kernel;
mod number;
pub mod op;
mod program;
pub mod random;
mod real;
mod sweep;
mod tape;
mod tensor;
pub mod trace;
mod transform;
mod var;

#[cfg(feature = "tiny-kernels")]
#[doc(hidden)]
pub use kernel::damage::{Damage, damage};
pub use kernel::threads;
#[doc(hidden)]
pub use tuned::sizes;

pub use axes::{Axes, AxisList};
pub use kernel::vectorised;
pub use kernel::width::{InstructionSet, instruction_set};
pub use number::{Number, Plain};
pub use op::{custom_jvp, custom_vjp};
pub use program::{CompileError, Functions, Program, compile, compile_n};
pub use real::Real;
pub use sweep::Gradients;
pub use tape::{Layers, Leaf, Memory, Tape};
#[cfg(any(feature = "faer", feature = "nalgebra"))]
pub use tensor::AxesError;
pub use tensor::{Layout, Shape, Tensor, View, are_finite};
pub use transform::*;
pub use var::{Operand, Var, concat, einsum, stack};
pub use wengert_derive::Inputs;
