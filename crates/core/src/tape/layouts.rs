//! Layouts, each stored once and named by a small number.
//!
//! Most nodes of a tape share a handful of layouts. Interning keeps nodes small
//! and makes "same layout" a comparison of two integers.

use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexSet;

use crate::tensor::{Layout, Shape};

/// Names an entry of [`Layouts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayoutId(u32);

/// The layout of a scalar, always the first entry.
pub(crate) const SCALAR: LayoutId = LayoutId(0);

#[derive(Debug)]
pub(crate) struct Layouts {
    entries: IndexSet<Layout, BuildHasherDefault<WordHasher>>,
}

impl Layouts {
    pub(crate) fn new() -> Self {
        let mut layouts = Self { entries: IndexSet::default() };
        layouts.intern(&Layout::contiguous(Shape::scalar()));
        layouts
    }

    #[inline]
    pub(crate) fn get(&self, id: LayoutId) -> &Layout {
        &self.entries[id.0 as usize]
    }

    #[inline]
    pub(crate) fn intern(&mut self, layout: &Layout) -> LayoutId {
        if let Some(index) = self.entries.get_index_of(layout) {
            return LayoutId(index as u32);
        }
        let (index, _) = self.entries.insert_full(layout.clone());
        LayoutId(u32::try_from(index).expect("fewer than 2^32 layouts"))
    }

    /// Forgets all layouts but the scalar's, once there are very many: a program
    /// whose shapes never repeat would otherwise grow without bound.
    pub(crate) fn trim(&mut self) {
        const PLENTY: usize = 1 << 14;
        if self.entries.len() > PLENTY {
            self.entries.truncate(1);
        }
    }
}

/// A hash for keys of a few machine words, where the standard one would cost more
/// than recording an operation.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

impl WordHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        // Fibonacci hashing: the golden ratio's bits spread a word over all bits.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for WordHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.mix(u64::from_ne_bytes(*word));
        }
        for &byte in rest {
            self.mix(byte.into());
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.mix(value.into());
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}
