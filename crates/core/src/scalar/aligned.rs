//! Memory that begins a cache line.

use std::ops::{Deref, DerefMut};

use super::Real;

/// Elements of which the first begins a cache line, so that vectors read from
/// there lie in one line each. What is computed does not depend on it.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    elements: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy> Aligned<T> {
    const LINE: usize = 64;

    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self
    where
        T: Real,
    {
        Self::filled(len, T::zero())
    }

    /// `len` times `element`.
    pub(crate) fn filled(len: usize, element: T) -> Self {
        let room = Self::LINE / size_of::<T>();
        let elements = vec![element; len + room];
        let start = elements.as_ptr().align_offset(Self::LINE).min(room);
        Self { elements, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.elements[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.elements[self.start..self.start + self.len]
    }
}
