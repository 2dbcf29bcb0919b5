//! Where the values of a tape lie.
//!
//! Small values stand one after another in a single growing vector, so that
//! recording a scalar costs one push; large ones have a buffer each, which can be
//! shared with tensors outside of the tape. Buffers return to a pool when the
//! tape is reset: fresh pages cost more than most kernels, and a training step in
//! steady state asks the system for no memory.

use std::sync::Arc;

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::Real;
use crate::kernel::vectorised;
use crate::tensor::{Buffer, Layout, Tensor, View};

/// Values of up to this many elements count as small.
const SMALL: usize = 64;

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
    large: Vec<Buffer<T>>,
    pool: Pool<T>,
}

/// What kernels read while a result is being written.
pub(crate) struct Blocks<'a, T> {
    small: &'a [T],
    large: &'a [Buffer<T>],
}

impl<'a, T: Real> Blocks<'a, T> {
    #[inline]
    pub(crate) fn view(&self, place: Place, layout: &'a Layout) -> View<'a, T> {
        let data = match place.block {
            0 => self.small,
            block => &self.large[block as usize - 1],
        };
        View::new(data, place.offset as usize, layout)
    }
}

impl<T: Real> Store<T> {
    #[inline]
    pub(crate) fn push_scalar(&mut self, value: T) -> Place {
        let place = Place { block: 0, offset: index(self.small.len()) };
        self.small.push(value);
        place
    }

    /// The value of a scalar.
    #[inline]
    pub(crate) fn scalar(&self, place: Place) -> T {
        match place.block {
            0 => self.small[place.offset as usize],
            block => self.large[block as usize - 1][place.offset as usize],
        }
    }

    /// Takes a value in: copied, in row-major order, if small or without a buffer
    /// of its own; else the buffer is shared.
    #[inline]
    pub(crate) fn insert(&mut self, view: View<'_, T>, buffer: Option<&Buffer<T>>) -> Place {
        match buffer {
            Some(buffer) if view.len() > SMALL => {
                self.large.push(buffer.clone());
                Place { block: index(self.large.len()), offset: index(view.offset()) }
            }
            _ => self.produce(view.len(), |_, out| view.copy_to(out)),
        }
    }

    /// Makes room for `len` elements and lets `write` fill it. `write` must set
    /// every element: the room may hold old numbers.
    #[inline]
    pub(crate) fn produce(
        &mut self,
        len: usize,
        write: impl FnOnce(Blocks<'_, T>, &mut [T]),
    ) -> Place {
        // In debug builds a kernel that forgets an element leaves a NaN behind.
        let stale = if cfg!(debug_assertions) { T::nan() } else { T::zero() };
        if len <= SMALL {
            let start = self.small.len();
            self.small.resize(start + len, stale);
            let (earlier, out) = self.small.split_at_mut(start);
            write(Blocks { small: earlier, large: &self.large }, out);
            Place { block: 0, offset: index(start) }
        } else {
            let mut buffer = self.pool.take(len);
            let out = Arc::get_mut(&mut buffer).expect("the pool keeps what nobody shares");
            if cfg!(debug_assertions) {
                out.fill(stale);
            }
            write(Blocks { small: &self.small, large: &self.large }, &mut out[..len]);
            self.large.push(buffer);
            Place { block: index(self.large.len()), offset: 0 }
        }
    }

    /// Adds a value into another one, whose layout is contiguous and whose memory
    /// nobody else reads.
    pub(crate) fn accumulate(&mut self, into: Place, place: Place, layout: &Layout) {
        let start = into.offset as usize;
        let range = start..start + layout.elements();
        let offset = place.offset as usize;
        let Self { small, large, .. } = self;
        match (into.block as usize, place.block as usize) {
            (0, 0) => {
                // Both lie in one vector, and are small.
                let terms: SmallVec<[T; SMALL]> = View::new(small, offset, layout).iter().collect();
                add(&mut small[range], terms.iter().copied());
            }
            (0, from) => add_view(&mut small[range], View::new(&large[from - 1], offset, layout)),
            (to, 0) => {
                add_view(&mut owned(&mut large[to - 1])[range], View::new(small, offset, layout));
            }
            (to, from) => {
                let blocks = large.get_disjoint_mut([to - 1, from - 1]);
                let [sum, term] = blocks.expect("an owned sum shares memory with nothing");
                add_view(&mut owned(sum)[range], View::new(term, offset, layout));
            }
        }
    }

    #[inline]
    pub(crate) fn blocks(&self) -> Blocks<'_, T> {
        Blocks { small: &self.small, large: &self.large }
    }

    /// A value as a tensor: shared if large, copied if small.
    pub(crate) fn tensor(&self, place: Place, layout: &Layout) -> Tensor<T> {
        match place.block {
            0 => {
                let mut elements = vec![T::zero(); layout.shape().elements()];
                self.blocks().view(place, layout).copy_to(&mut elements);
                Tensor::new(layout.shape().clone(), elements)
            }
            block => {
                let buffer = self.large[block as usize - 1].clone();
                Tensor::from_parts(buffer, place.offset as usize, layout.clone())
            }
        }
    }

    /// Forgets all values and keeps their memory.
    pub(crate) fn reset(&mut self) {
        self.small.clear();
        for buffer in self.large.drain(..) {
            self.pool.give(buffer);
        }
    }
}

/// The elements of a buffer that nobody shares.
fn owned<T>(buffer: &mut Buffer<T>) -> &mut [T] {
    Arc::get_mut(buffer).expect("an accumulated adjoint has one owner")
}

fn add<T: Real>(sum: &mut [T], terms: impl Iterator<Item = T>) {
    for (sum, term) in sum.iter_mut().zip(terms) {
        *sum += term;
    }
}

fn add_view<T: Real>(sum: &mut [T], terms: View<'_, T>) {
    match terms.as_slice() {
        Some(slice) => vectorised(slice.len(), || add(sum, slice.iter().copied())),
        None => add(sum, terms.iter()),
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

    fn take(&mut self, len: usize) -> Buffer<T> {
        let len = Self::rounded(len);
        self.free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| Arc::new(vec![T::zero(); len]))
    }

    /// Keeps a buffer unless a tensor outside still shares it.
    fn give(&mut self, mut buffer: Buffer<T>) {
        if Arc::get_mut(&mut buffer).is_some() && Self::rounded(buffer.len()) == buffer.len() {
            self.free.entry(buffer.len()).or_default().push(buffer);
        }
    }
}
