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

impl LayoutId {
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

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

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Passes on keys that are a hash already, or a small number.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are single words");
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        // The table looks at the top bits too, which small numbers lack.
        self.0 = word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
