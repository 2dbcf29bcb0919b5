//! Elementwise loops: one function of an element of each operand.
//!
//! Operands come with any strides. Short results are computed directly; longer
//! ones in blocks: each operand yields a contiguous block, either its own memory
//! or a copy packed on the stack, and a single plain loop over the blocks is
//! compiled for every vector width.
//!
//! Only that inner loop is compiled for each function; packing is shared, behind
//! one indirect call a block. With some fifty ops, two precisions and three
//! vector widths, the difference is minutes of compile time.

use smallvec::SmallVec;

use super::rows::{Row, Rows};
use super::vectorised;
use crate::Real;
use crate::tensor::{Layout, Shape, View};

/// Elements of a block. Packed operands live on the stack, and a block of each
/// stays in the first-level cache.
const BLOCK: usize = 256;
/// Elements computed together: one or two of the widest vectors.
const LANES: usize = 16;
/// Shorter results than this are computed one by one.
const SHORT: usize = 64;
/// The most operands that a function has.
pub(crate) const MAX_OPERANDS: usize = 8;

/// A block of each operand; those beyond the last are empty.
pub(crate) type Sources<'a, T> = [&'a [T]; MAX_OPERANDS];

/// A function of one element of each operand.
pub(crate) trait Pointwise<T>: Copy {
    /// The number of operands, at most [`MAX_OPERANDS`].
    const OPERANDS: usize;

    /// The value, from the elements that `get` gives for each operand's number.
    fn at(self, get: impl Fn(usize) -> T) -> T;
}

/// Writes `f` of the broadcast operands to `out`, in row-major order.
///
/// Each operand's shape broadcasts to `shape`, and `out` has its elements.
#[inline]
pub(crate) fn map<T: Real, F: Pointwise<T>>(
    args: &[View<'_, T>],
    shape: &Shape,
    out: &mut [T],
    f: F,
) {
    assert!(args.len() == F::OPERANDS && args.len() <= MAX_OPERANDS);
    if out.len() < SHORT
        && let Some(operands) = periods(args, shape, out.len())
    {
        let mut index = [0; MAX_OPERANDS];
        for y in out {
            *y = f.at(|k| operands[k][index[k]]);
            for (index, operand) in index.iter_mut().zip(&operands[..F::OPERANDS]) {
                *index = if *index + 1 == operand.len() { 0 } else { *index + 1 };
            }
        }
        return;
    }
    blocks(args, shape, out, &mut |sources, out| {
        vectorised(out.len(), || apply(sources, out, f));
    });
}

/// One period of each operand, if all of them repeat in the order of the result.
fn periods<'a, T: Real>(
    args: &[View<'a, T>],
    shape: &Shape,
    len: usize,
) -> Option<[&'a [T]; MAX_OPERANDS]> {
    let mut periods: [&[T]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
    for (period, arg) in periods.iter_mut().zip(args) {
        *period = periodic(arg, shape, len)?;
    }
    Some(periods)
}

/// One period of an operand that repeats in the order of the result: all of it, a
/// single number, or a row that is added to every row. The commonest operands are
/// of this kind, and reading them takes no walk along strides.
#[inline]
fn periodic<'a, T: Real>(arg: &View<'a, T>, shape: &Shape, len: usize) -> Option<&'a [T]> {
    match arg.as_slice() {
        Some(slice) if slice.len() == len && len > 0 => return Some(slice),
        _ if arg.layout().is_splat() => return Some(&arg.tail()[..1]),
        _ => {}
    }
    let own = arg.shape();
    let is_suffix = own.len() <= shape.len()
        && own.iter().rev().zip(shape.iter().rev()).all(|(own, extent)| own == extent);
    if is_suffix { arg.as_slice().filter(|slice| !slice.is_empty()) } else { None }
}

/// Hands out the operands block by block, each as long as its part of the result.
#[inline(never)]
fn blocks<T: Real>(
    args: &[View<'_, T>],
    shape: &Shape,
    out: &mut [T],
    apply: &mut dyn FnMut(&Sources<'_, T>, &mut [T]),
) {
    let layouts: [Option<Layout>; MAX_OPERANDS] =
        std::array::from_fn(|k| Some(args.get(k)?.layout().broadcast_to(shape)));
    // Memory is set up for those operands only that have to be packed.
    let mut packed: SmallVec<[[T; BLOCK]; 4]> = SmallVec::new();
    let mut operands = [const { Operand::Whole(&[] as &[T]) }; MAX_OPERANDS];
    for ((operand, arg), layout) in operands.iter_mut().zip(args).zip(&layouts) {
        *operand = match (periodic(arg, shape, out.len()), layout) {
            (Some(slice), _) if slice.len() == out.len() => Operand::Whole(slice),
            (Some(&[number]), _) => {
                packed.push([number; BLOCK]);
                Operand::Packed { slot: packed.len() - 1, walk: None }
            }
            (_, layout) => {
                packed.push([T::zero(); BLOCK]);
                let walk = layout.as_ref().map(|layout| Walk::new(layout, arg.offset()));
                Operand::Packed { slot: packed.len() - 1, walk }
            }
        };
    }
    for (index, out) in out.chunks_mut(BLOCK).enumerate() {
        for (operand, arg) in operands.iter_mut().zip(args) {
            if let Operand::Packed { slot, walk: Some(walk) } = operand {
                walk.fill(arg, &mut packed[*slot][..out.len()]);
            }
        }
        let start = index * BLOCK;
        let mut sources: Sources<'_, T> = [&[]; MAX_OPERANDS];
        for (source, operand) in sources.iter_mut().zip(&operands).take(args.len()) {
            *source = match operand {
                Operand::Whole(slice) => &slice[start..start + out.len()],
                Operand::Packed { slot, .. } => &packed[*slot][..out.len()],
            };
        }
        apply(&sources, out);
    }
}

/// Where the blocks of an operand come from.
enum Operand<'a, T> {
    /// Its own memory, as long as the result.
    Whole(&'a [T]),
    /// A block on the stack: one number throughout, or filled anew by a walk.
    Packed { slot: usize, walk: Option<Walk<'a>> },
}

/// Applies `f` to blocks as long as `out`.
///
/// Chunks are arrays, whose known length lets the compiler turn the inner loop
/// into vector instructions without a check inside.
#[inline(always)]
pub(super) fn apply<T: Real, F: Pointwise<T>>(sources: &Sources<'_, T>, out: &mut [T], f: F) {
    let whole = out.len() - out.len() % LANES;
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    for (c, y) in chunks.iter_mut().enumerate() {
        let none = [T::zero(); LANES];
        let mut xs = [&none; MAX_OPERANDS];
        for k in 0..F::OPERANDS {
            xs[k] = &sources[k].as_chunks().0[c];
        }
        for i in 0..LANES {
            y[i] = f.at(|k| xs[k][i]);
        }
    }
    for (i, y) in rest.iter_mut().enumerate() {
        *y = f.at(|k| sources[k][whole + i]);
    }
}

/// A position in a strided operand, from block to block.
pub(crate) struct Walk<'a> {
    rows: Rows<'a>,
    row: Row,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(layout: &'a Layout, offset: usize) -> Self {
        Self { rows: Rows::new(layout, offset), row: Row { start: 0, stride: 0, count: 0 } }
    }

    /// Passes over the next `count` elements.
    pub(crate) fn skip(&mut self, mut count: usize) {
        while count > 0 {
            if self.row.count == 0 {
                self.row = self.rows.next().expect("a walk goes no further than its operand");
            }
            let now = self.row.count.min(count);
            self.row.start += now as isize * self.row.stride;
            self.row.count -= now;
            count -= now;
        }
    }

    pub(crate) fn fill<T: Real>(&mut self, arg: &View<'_, T>, mut out: &mut [T]) {
        while !out.is_empty() {
            if self.row.count == 0 {
                self.row = self.rows.next().expect("a block has no more elements than its operand");
            }
            let count = self.row.count.min(out.len());
            let (now, later) = out.split_at_mut(count);
            Row { count, ..self.row }.copy(arg.data(), now);
            self.row.start += count as isize * self.row.stride;
            self.row.count -= count;
            out = later;
        }
    }
}
