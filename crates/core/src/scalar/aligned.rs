//! Memory that begins a cache line, for kernels: what they lay out before they compute.
//!
//! A kernel needs it for microseconds, and the next one needs as much. Fresh pages cost more than
//! most kernels take to fill them, so a thread keeps some of what it has given back.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

/// Bytes that a thread keeps of what it has given back.
const KEPT: usize = 32 << 20;
/// Blocks that a thread keeps.
const BLOCKS: usize = 16;
const LINE: usize = 64;
/// Words by which memory is longer, so that it can begin a cache line.
const ROOM: usize = LINE / size_of::<u64>();

thread_local! {
    /// The memory that was given back last comes last.
    static SPARE: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Elements of which the first begins a cache line, so that vectors read from
/// there lie in one line each. What is computed does not depend on it.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    words: Vec<u64>,
    start: usize,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Pod> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let count = (len * size_of::<T>()).div_ceil(size_of::<u64>()) + ROOM;
        let words = match spare(count) {
            Some(mut words) => {
                words[..count].fill(0);
                words
            }
            None => vec![0; count],
        };
        // Alignment is for speed: where it cannot be had, the memory begins anywhere.
        let start = words.as_ptr().align_offset(LINE).min(ROOM);
        Self { words, start, len, elements: PhantomData }
    }

    /// `len` times `element`.
    pub(crate) fn filled(len: usize, element: T) -> Self {
        let mut memory = Self::zeros(len);
        memory.fill(element);
        memory
    }
}

/// The least block that has `count` words, and not many times more.
fn spare(count: usize) -> Option<Vec<u64>> {
    SPARE.with_borrow_mut(|spare| {
        let fits = |words: &Vec<u64>| (count..=4 * count).contains(&words.len());
        let least = (0..spare.len()).filter(|&k| fits(&spare[k])).min_by_key(|&k| spare[k].len());
        least.map(|index| spare.remove(index))
    })
}

impl<T> Drop for Aligned<T> {
    fn drop(&mut self) {
        let words = std::mem::take(&mut self.words);
        let bytes = |words: &Vec<u64>| size_of_val(&words[..]);
        if bytes(&words) > KEPT {
            return;
        }
        // At the end of a thread there is no list any more, and the memory is freed.
        let _ = SPARE.try_with(|spare| {
            let spare = &mut *spare.borrow_mut();
            spare.push(words);
            while spare.len() > BLOCKS || spare.iter().map(bytes).sum::<usize>() > KEPT {
                spare.remove(0);
            }
        });
    }
}

impl<T: Pod> Deref for Aligned<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.words[self.start..])[..self.len]
    }
}

impl<T: Pod> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.words[self.start..])[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_aligned_and_used_again() {
        for len in [0, 1, 7, 8, 9, 1000, 5000, 1_000_000, 9_000_000, 3000] {
            let mut memory = Aligned::<f32>::zeros(len);
            assert_eq!(memory.len(), len);
            assert!(memory.iter().all(|&x| x == 0.0), "{len} zeros");
            assert_eq!(memory.as_ptr().align_offset(LINE), 0);
            memory.fill(1.0);
        }
        let place = Aligned::<f64>::filled(1000, 2.0).as_ptr();
        let again = Aligned::<f64>::filled(900, 3.0);
        assert_eq!(again.as_ptr(), place, "what was given back is taken");
        assert_eq!(again[..], [3.0; 900]);
    }

    #[test]
    fn a_thread_keeps_little() {
        let all: Vec<Aligned<f64>> = (0..40).map(|_| Aligned::zeros(1 << 17)).collect();
        drop(all);
        SPARE.with_borrow(|spare| {
            assert!(spare.len() <= BLOCKS);
            assert!(spare.iter().map(|words| words.len() * 8).sum::<usize>() <= KEPT);
        });
    }
}
