//! Where the values of a tape lie.
//!
//! Small values stand one after another in a single growing vector, so that
//! recording a scalar costs one push; large ones have a buffer each, which can be
//! shared with tensors outside of the tape. A place outlives a reset, so that a
//! program which repeats itself finds each value's memory where it was; buffers
//! without a place wait in a pool. Fresh pages cost more than most kernels, and a
//! training step in steady state asks the system for no memory.

use std::sync::Arc;

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::scalar::Real;
use crate::tensor::{Buffer, Elements, Layout, Tensor, View};

tuned! {
    /// Values of up to this many elements count as small.
    const SMALL = 64, tiny 2;
}

/// The share of its memory that a frugal store may have waiting: fresh pages cost time.
const IDLE: usize = 8;

/// Where the first element of a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0 for the vector of small values, else a large buffer's number plus 1.
    block: u32,
    offset: u32,
}

impl Place {
    /// Whether the value stands among the small ones, which have no gaps.
    pub(crate) fn is_packed(self) -> bool {
        self.block == 0
    }

    /// The number of the slot of a large value.
    #[inline]
    pub(crate) fn slot(self) -> Option<usize> {
        (self.block as usize).checked_sub(1)
    }

    /// The place `distance` elements further on.
    #[inline]
    pub(crate) fn moved(self, distance: isize) -> Place {
        Place { offset: index((self.offset as isize + distance) as usize), ..self }
    }
}

/// Offsets are kept in 32 bits to keep nodes small.
#[inline]
fn index(offset: usize) -> u32 {
    u32::try_from(offset).expect("a buffer of a tape holds fewer than 2^32 elements")
}

#[derive(Debug, Default)]
pub(crate) struct Store<T> {
    small: Vec<T>,
    large: Vec<Slot<T>>,
    /// Slots whose values nobody will read again, for values to come.
    free: Vec<usize>,
    pool: Pool<T>,
    /// Elements of all large buffers that the tape has asked the system for and
    /// still holds, and the most there were at any time.
    held: usize,
    most: usize,
    is_frugal: bool,
}

/// A place for a large value.
#[derive(Debug)]
struct Slot<T> {
    /// `None` until the value is written.
    buffer: Option<Buffer<T>>,
    /// Whether the buffer came from outside of the tape.
    foreign: bool,
}

impl<T: Real> Slot<T> {
    #[inline]
    fn elements(&self) -> &[T] {
        self.buffer.as_ref().expect("a value is written before it is read")
    }
}

/// What kernels read while a result is being written.
pub(crate) struct Blocks<'a, T> {
    small: &'a [T],
    large: &'a [Slot<T>],
}

impl<'a, T: Real> Blocks<'a, T> {
    #[inline]
    pub(crate) fn view(&self, place: Place, layout: &'a Layout) -> View<'a, T> {
        let data = match place.block {
            0 => self.small,
            block => self.large[block as usize - 1].elements(),
        };
        View::new(data, place.offset as usize, layout)
    }

    /// All small values, side by side.
    pub(crate) fn small(&self) -> &'a [T] {
        self.small
    }

    /// Whether there is no other.
    pub(crate) fn are_all_small(&self) -> bool {
        self.large.is_empty()
    }
}

impl<T: Real> Store<T> {
    /// Room for a value of `len` elements, to be [written](Self::write) next.
    pub(crate) fn room(&mut self, len: usize) -> Place {
        if len <= SMALL {
            let start = self.small.len();
            self.small.resize(start + len, T::zero());
            Place { block: 0, offset: index(start) }
        } else {
            let slot = self.recycled(len).unwrap_or_else(|| {
                self.large.push(Slot { buffer: None, foreign: false });
                self.large.len() - 1
            });
            Place { block: index(slot + 1), offset: 0 }
        }
    }

    /// A free slot with a buffer of the right length.
    fn recycled(&mut self, len: usize) -> Option<usize> {
        let fits = |&slot: &usize| {
            let buffer = self.large[slot].buffer.as_ref();
            buffer.is_some_and(|buffer| buffer.len() == Pool::<T>::rounded(len))
        };
        let position = self.free.iter().rposition(fits)?;
        Some(self.free.remove(position))
    }

    /// Lets values to come have a slot whose value nobody will read again.
    pub(crate) fn recycle(&mut self, slot: usize) {
        if !self.large[slot].foreign && !self.free.contains(&slot) {
            self.free.push(slot);
        }
    }

    /// Keeps all values that are there now.
    pub(crate) fn recycle_no_more(&mut self) {
        self.free.clear();
    }

    /// Room for a value from outside: see [`take_in`](Self::take_in).
    pub(crate) fn room_for(&mut self, view: View<'_, T>, buffer: Option<&Buffer<T>>) -> Place {
        if buffer.is_none() || view.len() <= SMALL {
            return self.room(view.len());
        }
        self.large.push(Slot { buffer: None, foreign: true });
        Place { block: index(self.large.len()), offset: index(view.offset()) }
    }

    /// Whether [`room_for`](Self::room_for) would give such a room to a large value
    /// of the same layout.
    pub(crate) fn has_room_for(
        &self,
        place: Place,
        view: View<'_, T>,
        buffer: Option<&Buffer<T>>,
    ) -> bool {
        let foreign = self.large[place.block as usize - 1].foreign;
        foreign == buffer.is_some() && (!foreign || place.offset as usize == view.offset())
    }

    /// Whether the buffer of a slot is the tape's own.
    pub(crate) fn is_own(&self, slot: usize) -> bool {
        !self.large[slot].foreign
    }

    /// Takes a value in: copied, in row-major order, if small or without a buffer
    /// of its own; else the buffer is shared.
    #[inline]
    pub(crate) fn take_in(&mut self, place: Place, view: View<'_, T>, buffer: Option<&Buffer<T>>) {
        match buffer {
            Some(buffer) if place.block > 0 => {
                self.large[place.block as usize - 1].buffer = Some(buffer.clone());
            }
            _ => self.write(place, view.len(), |_, out| view.copy_to(out)),
        }
    }

    #[inline]
    pub(crate) fn write_scalar(&mut self, place: Place, value: T) {
        self.small[place.offset as usize] = value;
    }

    /// The value of a scalar.
    #[inline]
    pub(crate) fn scalar(&self, place: Place) -> T {
        match place.block {
            0 => self.small[place.offset as usize],
            block => self.large[block as usize - 1].elements()[place.offset as usize],
        }
    }

    /// Lets `write` fill the room for a value of `len` elements. It must set every
    /// element, as the room may hold old numbers, and reads values only whose
    /// rooms were made earlier.
    #[inline]
    pub(crate) fn write(
        &mut self,
        place: Place,
        len: usize,
        write: impl FnOnce(Blocks<'_, T>, &mut [T]),
    ) {
        if place.block == 0 {
            let (earlier, later) = self.small.split_at_mut(place.offset as usize);
            let out = &mut later[..len];
            poison(out);
            write(Blocks { small: earlier, large: &self.large }, out);
        } else {
            let slot = place.block as usize - 1;
            if !self.free.is_empty() {
                self.free.retain(|&free| free != slot);
            }
            let mut buffer = self.unshared(slot, len);
            let out = &mut Arc::get_mut(&mut buffer).expect("nobody shares it")[..len];
            poison(out);
            write(Blocks { small: &self.small, large: &self.large }, out);
            self.large[slot].buffer = Some(buffer);
        }
    }

    /// The buffer of a slot, or another one if a tensor outside shares it.
    fn unshared(&mut self, slot: usize, len: usize) -> Buffer<T> {
        match self.large[slot].buffer.take() {
            Some(own) if Arc::strong_count(&own) == 1 => return own,
            Some(shared) => self.held -= shared.len(),
            None => {}
        }
        self.pool.take(len).unwrap_or_else(|| {
            if self.is_frugal {
                self.held -= self.pool.shrink(self.held / IDLE);
            }
            let len = Pool::<T>::rounded(len);
            self.held += len;
            self.most = self.most.max(self.held);
            Arc::new(Elements::zeros(len))
        })
    }

    /// From now on, gives memory back that waits for its next use before it asks for more.
    pub(crate) fn become_frugal(&mut self) {
        self.is_frugal = true;
    }

    /// Lets values to come have the memory of a value, unless a tensor outside shares it. It is not read
    /// any more, or computed once more before.
    pub(crate) fn give_up(&mut self, slot: usize) {
        match self.large[slot].buffer.take() {
            Some(own) if Arc::strong_count(&own) == 1 => self.pool.give(own),
            Some(shared) => self.held -= shared.len(),
            None => {}
        }
    }

    /// Lets `add` change the `len` elements of a value, whose layout is contiguous
    /// and whose memory nobody else reads.
    pub(crate) fn accumulate(
        &mut self,
        into: Place,
        len: usize,
        add: impl FnOnce(Blocks<'_, T>, &mut [T]),
    ) {
        let start = into.offset as usize;
        if into.block == 0 {
            // What is added may lie in the same vector, so the sum is taken out of it.
            let range = start..start + len;
            let mut sum: SmallVec<[T; SMALL]> = SmallVec::from_slice(&self.small[range.clone()]);
            add(self.blocks(), &mut sum);
            self.small[range].copy_from_slice(&sum);
        } else {
            let slot = into.block as usize - 1;
            let mut buffer = self.large[slot].buffer.take().expect("the sum has a value");
            let sum = Arc::get_mut(&mut buffer).expect("a sum of adjoints has one owner");
            add(self.blocks(), &mut sum[start..start + len]);
            self.large[slot].buffer = Some(buffer);
        }
    }

    #[inline]
    pub(crate) fn blocks(&self) -> Blocks<'_, T> {
        Blocks { small: &self.small, large: &self.large }
    }

    /// A value as a tensor: shared if large, copied if small.
    pub(crate) fn tensor(&self, place: Place, layout: &Layout) -> Tensor<T> {
        match place.block {
            0 => self.blocks().view(place, layout).to_tensor(),
            block => {
                let buffer = self.large[block as usize - 1].buffer.clone();
                let buffer = buffer.expect("a value is written before it is read");
                Tensor::from_parts(buffer, place.offset as usize, layout.clone())
            }
        }
    }

    /// Lets go of what tensors outside share; all else is kept for the recording
    /// to come, in its place unless the store is frugal.
    pub(crate) fn release_shared(&mut self) {
        self.free.clear();
        for number in 0..self.large.len() {
            let Slot { buffer, foreign } = &mut self.large[number];
            let is_shared = buffer.as_ref().is_some_and(|buffer| Arc::strong_count(buffer) > 1);
            if *foreign {
                *buffer = None;
            } else if is_shared || self.is_frugal {
                self.give_up(number);
            }
        }
    }

    /// Forgets the small values from the one at `place` on.
    pub(crate) fn truncate_small(&mut self, place: Place) {
        self.small.truncate(place.offset as usize);
    }

    /// Forgets the slots of large values from a number on. Their buffers go to the
    /// pool.
    pub(crate) fn truncate_large(&mut self, slots: usize) {
        self.free.retain(|&slot| slot < slots);
        for slot in slots..self.large.len() {
            if self.is_own(slot) {
                self.give_up(slot);
            }
        }
        self.large.truncate(slots);
    }

    /// The elements of a slot's buffer, unless it came from outside.
    pub(crate) fn slot_len(&self, slot: usize) -> usize {
        let slot = &self.large[slot];
        slot.buffer.as_ref().filter(|_| !slot.foreign).map_or(0, |buffer| buffer.len())
    }

    /// The elements of all memory held now, and the most there were.
    pub(crate) fn elements_held(&self) -> [usize; 2] {
        [self.held, self.most].map(|large| self.small.capacity() + large)
    }
}

/// In debug builds a kernel that forgets an element leaves a NaN behind.
fn poison<T: Real>(out: &mut [T]) {
    if cfg!(debug_assertions) {
        out.fill(T::nan());
    }
}

/// Buffers that wait for their next use, by length.
#[derive(Debug)]
struct Pool<T> {
    free: IndexMap<usize, Vec<Buffer<T>>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { free: IndexMap::new() }
    }
}

impl<T: Real> Pool<T> {
    /// Lengths are rounded up to four steps an octave, so that nearly equal
    /// shapes share buffers.
    fn rounded(len: usize) -> usize {
        let step = (len.next_power_of_two() / 8).max(1);
        len.div_ceil(step) * step
    }

    fn take(&mut self, len: usize) -> Option<Buffer<T>> {
        self.free.get_mut(&Self::rounded(len))?.pop()
    }

    /// Keeps a buffer that nobody shares.
    fn give(&mut self, buffer: Buffer<T>) {
        self.free.entry(buffer.len()).or_default().push(buffer);
    }

    /// Gives buffers back to the system, the largest first, until there are at most `most` elements.
    /// Returns how many it has given back.
    fn shrink(&mut self, most: usize) -> usize {
        let mut idle: usize = self.free.iter().map(|(len, buffers)| len * buffers.len()).sum();
        let before = idle;
        while idle > most {
            let largest = self.free.iter_mut().filter(|(_, buffers)| !buffers.is_empty());
            let Some((len, buffers)) = largest.max_by_key(|(len, _)| **len) else { break };
            buffers.pop();
            idle -= len;
        }
        before - idle
    }
}
