//! The memory behind tensors.
//!
//! Numbers that a user brings stay in the vector that they came in. Memory that
//! Wengert asks for itself begins at a cache line, so that no vector of a kernel
//! lies across two, and large memory is asked of the system directly, on huge
//! pages where it offers them: a fresh page of 4 KiB costs more than most kernels
//! take to fill it, and a huge one costs a tenth of that.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::scalar::Real;

/// Memory, shared by tensors and tapes. It may be longer than the elements that a
/// layout places in it.
pub(crate) type Buffer<T> = Arc<Elements<T>>;

/// Bytes of a cache line, and of the widest vector.
pub(crate) const LINE: usize = 64;

/// A block of elements.
#[derive(Debug)]
pub enum Elements<T> {
    /// The elements of a vector from a place on.
    Vector { vector: Vec<T>, start: usize },
    /// Pages of the system's.
    #[cfg(target_os = "linux")]
    Pages { pages: memmap2::MmapMut, len: usize },
}

impl<T: Real> Elements<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(pages) = huge_pages(len * size_of::<T>()) {
            return Self::Pages { pages, len };
        }
        let line = LINE / size_of::<T>();
        let mut vector = vec![T::zero(); len + line];
        // Alignment is for speed: where it cannot be had, the memory begins anywhere.
        let start = vector.as_ptr().align_offset(LINE).min(line);
        vector.truncate(start + len);
        Self::Vector { vector, start }
    }
}

/// Zeroed pages for `bytes` bytes, if they fill a huge page and the system has them.
#[cfg(target_os = "linux")]
fn huge_pages(bytes: usize) -> Option<memmap2::MmapMut> {
    const HUGE: usize = 2 << 20;
    if bytes < HUGE {
        return None;
    }
    let pages = memmap2::MmapMut::map_anon(bytes).ok()?;
    // A wish: without huge pages the memory is as good, only slower to come by.
    let _ = pages.advise(memmap2::Advice::HugePage);
    Some(pages)
}

impl<T: Real> Default for Elements<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Real> From<Vec<T>> for Elements<T> {
    fn from(vector: Vec<T>) -> Self {
        Self::Vector { vector, start: 0 }
    }
}

impl<T: Real> Deref for Elements<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Vector { vector, start } => &vector[*start..],
            #[cfg(target_os = "linux")]
            Self::Pages { pages, len } => &bytemuck::cast_slice(pages)[..*len],
        }
    }
}

impl<T: Real> DerefMut for Elements<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Vector { vector, start } => &mut vector[*start..],
            #[cfg(target_os = "linux")]
            Self::Pages { pages, len } => &mut bytemuck::cast_slice_mut(pages)[..*len],
        }
    }
}

impl<T: Real> Clone for Elements<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_aligned_and_of_its_length() {
        for len in [0, 1, 63, 1000, 524_288, 600_001] {
            let memory = Elements::<f32>::zeros(len);
            assert_eq!(memory.len(), len);
            assert!(memory.iter().all(|&x| x == 0.0));
            assert_eq!(memory.as_ptr().align_offset(LINE), 0);
        }
    }

    #[test]
    fn a_copy_holds_the_same_elements() {
        for len in [5, 700_000] {
            let mut memory = Elements::<f64>::zeros(len);
            memory[len - 1] = 2.5;
            assert_eq!(memory.clone()[..], memory[..]);
        }
    }
}
