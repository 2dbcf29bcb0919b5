//! Blocks in the first-level cache, which the steps of a loop hand numbers on through.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::BLOCK_BYTES;
use crate::scalar::Real;
use crate::tensor::{Elements, LINE};

/// The blocks of a loop, for one thread.
pub(super) struct Scratch<T: Real> {
    pub(super) registers: Vec<Cached<T>>,
    /// For operands that have to be packed or repeated.
    pub(super) loaded: Vec<Cached<T>>,
}

/// A block that begins with a cache line, so that no vector lies across two.
#[derive(Default)]
pub(super) struct Cached<T: Real> {
    memory: Elements<T>,
    start: usize,
}

impl<T: Real> Cached<T> {
    /// The block number `index` of a set. Blocks whose addresses differ by 4 KiB
    /// get into each other's way (a load seems to depend on an earlier store), so
    /// they begin at different lines.
    fn new(index: usize) -> Self {
        let start = 2 * (index % 16) * LINE / size_of::<T>();
        Self { memory: Elements::zeros(Scratch::<T>::BLOCK + start), start }
    }

    #[inline]
    pub(super) fn first(&self, len: usize) -> &[T] {
        &self.memory[self.start..self.start + len]
    }

    #[inline]
    pub(super) fn first_mut(&mut self, len: usize) -> &mut [T] {
        &mut self.memory[self.start..self.start + len]
    }
}

impl<T: Real> Scratch<T> {
    /// Elements of a block.
    pub(super) const BLOCK: usize = BLOCK_BYTES / size_of::<T>();

    fn new(registers: usize, loads: usize) -> Self {
        let mut blocks = (0..registers + loads).map(Cached::new);
        let registers = blocks.by_ref().take(registers).collect();
        Self { registers, loaded: blocks.collect() }
    }
}

/// The blocks of a loop that no thread needs at the moment. A thread that finds none
/// makes some, once.
pub(in crate::program) struct Scratches<T: Real> {
    registers: usize,
    loads: usize,
    free: Mutex<Vec<Scratch<T>>>,
}

impl<T: Real> Scratches<T> {
    pub(in crate::program) fn new(registers: usize, loads: usize) -> Self {
        let free = Mutex::new(vec![Scratch::new(registers, loads)]);
        Self { registers, loads, free }
    }

    /// Blocks for one thread, until they are dropped.
    pub(super) fn lend(&self) -> Lent<'_, T> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let scratch = free.unwrap_or_else(|| Scratch::new(self.registers, self.loads));
        Lent { scratch: Some(scratch), owner: self }
    }
}

/// Blocks that return to their loop.
pub(super) struct Lent<'s, T: Real> {
    /// There until the drop.
    scratch: Option<Scratch<T>>,
    owner: &'s Scratches<T>,
}

impl<T: Real> Deref for Lent<'_, T> {
    type Target = Scratch<T>;

    fn deref(&self) -> &Scratch<T> {
        self.scratch.as_ref().expect("there until the drop")
    }
}

impl<T: Real> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut Scratch<T> {
        self.scratch.as_mut().expect("there until the drop")
    }
}

impl<T: Real> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut free = self.owner.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.scratch.take());
    }
}
