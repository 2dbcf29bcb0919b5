//! The memory of a program: short values one after another, long ones in buffers.

use std::sync::Arc;

use crate::scalar::Real;
use crate::tensor::{Buffer, Elements, Layout, Tensor, View};

/// Where a value of its own begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the memory of short values.
    Short(usize),
    /// In a buffer.
    Long(usize),
}

impl Place {
    /// Calls `visit` with the slot of the buffer, if it is one.
    pub(super) fn for_each_slot(&mut self, visit: &mut dyn FnMut(&mut usize)) {
        if let Self::Long(slot) = self {
            visit(slot);
        }
    }
}

/// A value as an instruction reads it.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) place: Place,
    /// The first element, counted from the place.
    pub(super) offset: isize,
    pub(super) layout: Layout,
}

pub(super) struct Memory<T: Real> {
    pub(super) short: Vec<T>,
    /// `None` while an instruction writes to it, and for inputs not given yet.
    pub(super) long: Vec<Option<Buffer<T>>>,
}

/// What instructions read while one of them writes.
pub(super) struct Readable<'a, T> {
    pub(super) short: &'a [T],
    pub(super) long: &'a [Option<Buffer<T>>],
}

impl<'a, T: Real> Readable<'a, T> {
    pub(super) fn view<'b>(&self, argument: &'b Argument) -> View<'b, T>
    where
        'a: 'b,
    {
        let (data, start): (&'a [T], _) = match argument.place {
            Place::Short(start) => (self.short, start),
            Place::Long(slot) => (self.long[slot].as_ref().expect("computed before it is read"), 0),
        };
        View::new(data, (start as isize + argument.offset) as usize, &argument.layout)
    }
}

impl<T: Real> Memory<T> {
    /// Takes a buffer out to be written. One that a tensor outside still shares is
    /// left to it.
    pub(super) fn take(&mut self, slot: usize) -> Buffer<T> {
        let mut buffer = self.long[slot].take().expect("buffers return after each instruction");
        if Arc::get_mut(&mut buffer).is_none() {
            buffer = Arc::new(Elements::zeros(buffer.len()));
        }
        buffer
    }

    /// Takes a buffer out to be written over, element by element.
    pub(super) fn take_filled(&mut self, slot: usize) -> Buffer<T> {
        let mut buffer = self.long[slot].take().expect("buffers return after each instruction");
        Arc::make_mut(&mut buffer);
        buffer
    }

    /// The elements of an input, to be written over.
    pub(super) fn elements_mut(&mut self, place: Place, len: usize) -> &mut [T] {
        match place {
            Place::Short(start) => &mut self.short[start..start + len],
            Place::Long(slot) => {
                self.long[slot] = Some(self.take(slot));
                &mut exclusive(self.long[slot].as_mut().expect("put there"))[..len]
            }
        }
    }

    pub(super) fn view<'a>(&'a self, argument: &'a Argument) -> View<'a, T> {
        Readable { short: &self.short, long: &self.long }.view(argument)
    }

    /// A value as a tensor: shared if long, copied if short.
    pub(super) fn tensor(&self, argument: &Argument) -> Tensor<T> {
        match argument.place {
            Place::Long(slot) => {
                let buffer = self.long[slot].clone().expect("computed before it is read");
                Tensor::from_parts(buffer, argument.offset as usize, argument.layout.clone())
            }
            Place::Short(_) => self.view(argument).to_tensor(),
        }
    }
}

/// The elements of a buffer that an instruction has taken out.
pub(super) fn exclusive<T: Real>(buffer: &mut Buffer<T>) -> &mut [T] {
    Arc::get_mut(buffer).expect("taken out, it has one owner")
}
