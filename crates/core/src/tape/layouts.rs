//! Layouts, each stored once and named by a small number.
//!
//! Most nodes of a tape share a handful of layouts. Interning keeps nodes small
//! and makes "same layout" a comparison of two integers.

use indexmap::IndexSet;

use crate::hash::Words;
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
    entries: IndexSet<Layout, Words>,
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
