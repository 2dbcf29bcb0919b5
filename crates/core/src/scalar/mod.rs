//! Elements: numbers, their functions, and the vectors that they come in.
//!
//! [`Real`] is the element of a tensor, [`Number`] what formulas are written in. The instruction
//! set of the CPU is chosen here, and everything that is bound to one: vectors by name, and the
//! micro-kernels of products.
//!
//! *Invariant*: this room sees none but `hash`.

mod aligned;
mod dispatch;
pub(crate) mod elementary;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Code is made for x86-64 alone.
pub(crate) mod ir;
#[allow(unsafe_code)]
pub(crate) mod micro;
mod number;
mod real;
mod simd;
pub(crate) mod special;
mod symbol;
mod width;

pub(crate) use aligned::Aligned;
pub use dispatch::vectorised;
pub(crate) use dispatch::{ARCH, SIZES, dispatched};
pub(crate) use number::{Near, Reads, indicator};
pub use number::{Number, Plain};
pub use real::Real;
pub(crate) use simd::{Lanes, lanes};
pub use symbol::Symbol;
pub(crate) use symbol::{Angles, Writer};
pub(crate) use width::allows_code;
pub use width::{InstructionSet, instruction_set};
