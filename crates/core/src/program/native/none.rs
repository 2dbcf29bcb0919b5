//! Where no code is made: these are never made either.

use std::convert::Infallible;
use std::marker::PhantomData;

use super::Operand;
use crate::scalar::Real;
use crate::scalar::ir::Code;

/// The width of vectors.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) enum Width {
    Bits256,
    Bits512,
}

/// Code over arrays.
pub(in crate::program) struct OverArrays<T> {
    none: Infallible,
    numbers: PhantomData<T>,
}

impl<T: Real> OverArrays<T> {
    pub(in crate::program) fn new(_: &Code, _: Width, _: Vec<bool>, _: usize) -> Option<Self> {
        None
    }

    pub(in crate::program) fn run(
        &self,
        _: &[Operand<'_, T>],
        _: &mut [&mut [T]],
        _: usize,
    ) -> bool {
        match self.none {}
    }
}

/// Code over single numbers in one memory.
pub(in crate::program) struct InMemory<T> {
    none: Infallible,
    numbers: PhantomData<T>,
}

impl<T: Real> InMemory<T> {
    pub(in crate::program) fn new(_: &Code) -> Option<Self> {
        None
    }

    pub(in crate::program) fn run(&self, _: &mut [T]) -> bool {
        match self.none {}
    }
}
