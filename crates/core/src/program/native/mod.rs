//! Formulas of a program as machine code.
//!
//! The kernels of elementwise functions are loops that a compiler made for each function alone; a
//! program knows which functions follow each other. So it writes their formulas down as one
//! list of operations ([`ir`](crate::scalar::ir)), of which [`generate`] makes a function:
//! numbers between them stay in registers.
//!
//! *Invariant*: the bits are those of the interpreter, [`run`](super::run), which stays as the reference
//! and does the work where there is no code (other CPUs, hardened systems, `WENGERT_NATIVE=0`).

#[cfg(target_arch = "x86_64")]
mod encode;
#[cfg(target_arch = "x86_64")]
mod generate;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod map;
#[cfg(not(target_arch = "x86_64"))]
#[path = "none.rs"]
mod map;
#[cfg(target_arch = "x86_64")]
mod schedule;

mod guess;

pub(super) use guess::Guess;
pub(super) use map::{InMemory, OverArrays, Width};

use crate::scalar::{InstructionSet, Real, allows_code, instruction_set};

/// What a place of a code over arrays reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand<'a, T> {
    Array(&'a [T]),
    /// The array that this result is written to, which is read before.
    Result(usize),
}

/// Whether this CPU computes vectors of a width.
#[cfg(target_arch = "x86_64")]
fn is_supported(width: Width) -> bool {
    match instruction_set() {
        InstructionSet::Avx512 => true,
        InstructionSet::Avx2 => width != Width::Bits512,
        _ => false,
    }
}

/// The width of vectors for which code is made; `None` where there is none.
pub(super) fn vectors() -> Option<Width> {
    let width = match instruction_set() {
        InstructionSet::Avx512 => Width::Bits512,
        InstructionSet::Avx2 => Width::Bits256,
        _ => return None,
    };
    allows_code().then_some(width)
}

/// Numbers of a vector in code over one memory; 1 where such code computes one number at a time.
pub(super) fn lanes_in_memory<T: Real>() -> usize {
    // Parts of vectors are read and written by masks, which shorter ones have not.
    if vectors() == Some(Width::Bits512) { 64 / size_of::<T>() } else { 1 }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
