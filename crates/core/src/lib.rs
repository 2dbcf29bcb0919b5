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

pub mod check;
mod hash;
mod json;
mod kernel;
pub mod op;
mod program;
pub mod random;
mod scalar;
mod sweep;
mod tape;
mod tensor;
pub mod trace;
mod transform;
mod var;

pub use kernel::threads;
pub use op::{concat, custom_jvp, custom_vjp, stack};
pub use program::{CompileError, Functions, Program, compile, compile_n};
pub use scalar::{InstructionSet, Number, Plain, Real, instruction_set, vectorised};
pub use sweep::Gradients;
pub use tape::{Layers, Leaf, Memory, Operand, Tape, Var};
#[cfg(any(feature = "faer", feature = "nalgebra"))]
pub use tensor::AxesError;
pub use tensor::{Axes, AxisList, Layout, Shape, Tensor, View, are_finite};
pub use trace::closure::{trace, trace_along};
pub use transform::*;
#[cfg(feature = "tiny-kernels")]
#[doc(hidden)]
pub use tuned::damage::{Damage, damage};
pub use var::{Function, FunctionAux, Inputs, einsum};
pub use wengert_derive::Inputs;

/// All constants that are declared by `tuned!`, for tests. One of them fails if a file's are not
/// listed here.
#[doc(hidden)]
pub fn sizes() -> Vec<(&'static str, usize)> {
    let others = [scalar::SIZES, tensor::SIZES, tape::store::SIZES];
    [kernel::SIZES_OF_FILES, program::SIZES_OF_FILES, &others].concat().concat()
}
