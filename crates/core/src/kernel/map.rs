//! Elementwise loops: one function of an element of each operand.
//!
//! Operands come with any strides. Short results are computed where their operands
//! lie; longer ones in blocks: each operand yields a contiguous block, either its own
//! memory or a copy packed on the stack, and a single plain loop over the blocks is
//! compiled for every vector width.
//!
//! Only the innermost loops are compiled for each function ([`BlockKernel`]); what
//! leads to them is shared. With a hundred ops, two precisions and three vector
//! widths, the difference is minutes of compile time.

use smallvec::SmallVec;

use super::block::{BlockKernel, MAX_OPERANDS, Sources, Steps};
use super::threads;
use crate::scalar::{Real, vectorised};
use crate::tensor::{Layout, Row, Rows, Shape, View};
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// Elements of a block. Packed operands live on the stack, and a block of each
    /// stays in the first-level cache.
    const BLOCK = 1024, tiny 8;
    /// Shorter results than this are computed one by one.
    const SHORT = 64, tiny 2;
}

/// How many elements a function is thought to take in a nanosecond: few functions
/// are slower than 1, and memory lets none be faster than 8.
const ELEMENTS_A_NANOSECOND: usize = 4;

/// One thing for each operand.
type OfEach<X> = SmallVec<[X; MAX_OPERANDS]>;

/// Writes `kernel` of the broadcast operands to `out`, in row-major order.
///
/// Each operand's shape broadcasts to `shape`, and `out` has its elements.
pub(crate) fn map<T: Real>(
    args: &[View<'_, T>],
    shape: &Shape,
    out: &mut [T],
    kernel: &dyn BlockKernel<T>,
) {
    if out.len() >= SHORT {
        return blocks(args, shape, out, &|sources, out| kernel.block(sources, out));
    }
    let mut steps = [Steps::default(); MAX_OPERANDS];
    if let Some(memory) = common_memory(args, out.len(), &mut steps) {
        return kernel.short(memory, &steps, out);
    }
    let mut packed: SmallVec<[T; 4 * SHORT]> = SmallVec::new();
    for (steps, arg) in steps.iter_mut().zip(args) {
        let start = packed.len();
        *steps = Steps::new(start, 1);
        packed.resize(start + out.len(), T::zero());
        match periodic(arg, shape, out.len()) {
            Some(period) => repeat(period, &mut packed[start..]),
            None => {
                let layout = arg.layout().broadcast_to(shape);
                Walk::new(&layout, arg.offset()).fill(arg, &mut packed[start..]);
            }
        }
    }
    kernel.short(&packed, &steps, out);
}

/// Writes a period again and again.
#[inline]
fn repeat<T: Real>(period: &[T], out: &mut [T]) {
    let mut place = 0;
    for y in out {
        *y = period[place];
        place = if place + 1 == period.len() { 0 } else { place + 1 };
    }
}

/// The memory of all operands, if it is one and they lie there in even steps, which
/// are those of the commonest operands: all elements in order, or one number.
#[inline]
fn common_memory<'a, T: Real>(
    args: &[View<'a, T>],
    len: usize,
    steps: &mut [Steps; MAX_OPERANDS],
) -> Option<&'a [T]> {
    let memory = args.first()?.data();
    for (steps, arg) in steps.iter_mut().zip(args) {
        if !std::ptr::eq(arg.data(), memory) {
            return None;
        }
        *steps = match arg.layout() {
            layout if layout.is_splat() => Steps::new(arg.offset(), 0),
            layout if layout.is_contiguous() && layout.elements() == len => {
                Steps::new(arg.offset(), 1)
            }
            _ => return None,
        };
    }
    Some(memory)
}

/// Writes the elements of a view to `out`, in row-major order, on several threads if they are many.
pub(crate) fn copy<T: Real>(x: View<'_, T>, out: &mut [T]) {
    let work = out.len() / ELEMENTS_A_NANOSECOND;
    let layout = match threads::pieces(work) {
        1 => return x.copy_to(out),
        _ => x.layout().collapsed(),
    };
    let Some(&count) = layout.shape().first() else { return x.copy_to(out) };
    let inner = out.len() / count;
    threads::for_each_piece(work, out, inner, |first, out| {
        let (part, moved) = layout.sliced(0, first / inner, out.len() / inner, 1);
        x.with_layout(&part, (x.offset() as isize + moved) as usize).copy_to(out);
    });
}

/// Adds the elements of a view to `sum`, in row-major order.
pub(crate) fn add_view<T: Real>(sum: &mut [T], terms: View<'_, T>) {
    if let Some(slice) = terms.as_slice() {
        return add_slice(sum, slice);
    }
    let mut walk = Walk::new(terms.layout(), terms.offset());
    let mut block: SmallVec<[T; BLOCK]> = SmallVec::from_elem(T::zero(), BLOCK.min(sum.len()));
    for sum in sum.chunks_mut(BLOCK) {
        let block = &mut block[..sum.len()];
        walk.fill(&terms, block);
        add_slice(sum, block);
    }
}

/// Adds the elements of a slice to `sum`.
pub(crate) fn add_slice<T: Real>(sum: &mut [T], terms: &[T]) {
    vectorised(
        sum.len(),
        #[inline(always)]
        || sum.iter_mut().zip(terms).for_each(|(sum, &term)| *sum += term),
    );
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

/// Hands out the operands block by block, each as long as its part of the result,
/// on several threads if there are many.
#[inline(never)]
fn blocks<T: Real>(
    args: &[View<'_, T>],
    shape: &Shape,
    out: &mut [T],
    apply: &(dyn Fn(&Sources<'_, T>, &mut [T]) + Sync),
) {
    let len = out.len();
    threads::for_each_piece(len / ELEMENTS_A_NANOSECOND, out, BLOCK, |first, piece| {
        blocks_from(first, args, shape, len, piece, apply);
    });
}

/// Hands out the blocks of a piece of a result with `whole` elements, from element
/// `first` on.
fn blocks_from<T: Real>(
    first: usize,
    args: &[View<'_, T>],
    shape: &Shape,
    whole: usize,
    piece: &mut [T],
    apply: &dyn Fn(&Sources<'_, T>, &mut [T]),
) {
    let periods: OfEach<Option<&[T]>> =
        args.iter().map(|arg| periodic(arg, shape, whole)).collect();
    let layouts: OfEach<Option<Layout>> = periods
        .iter()
        .zip(args)
        .map(|(period, arg)| period.is_none().then(|| arg.layout().broadcast_to(shape)))
        .collect();
    // Operands that have to be packed take as much memory as the blocks of this piece need: most
    // results are shorter than a block.
    let block = BLOCK.min(piece.len());
    let mut packed: SmallVec<[T; 8 * BLOCK]> = SmallVec::new();
    let mut place = |len: usize, of: T| {
        let start = packed.len();
        packed.resize(start + len, of);
        start
    };
    let mut operands: OfEach<Operand<'_, T>> = SmallVec::new();
    for ((arg, period), layout) in args.iter().zip(&periods).zip(&layouts) {
        operands.push(match (period, layout) {
            (&Some(slice), _) if slice.len() == whole => Operand::Whole(slice),
            // A block from any place in the period lies within a period and a block.
            (&Some(period), _) if period.len() <= BLOCK => {
                Operand::Repeated { start: place(period.len() + block, period[0]), period }
            }
            (&Some(row), _) => Operand::Row { start: place(block, T::zero()), row },
            (None, layout) => {
                let layout = layout.as_ref().expect("a layout where there is no period");
                let walk = Walk::starting(layout, arg.offset(), first);
                Operand::Packed { start: place(block, T::zero()), walk }
            }
        });
    }
    for operand in &operands {
        // A number is there already.
        if let Operand::Repeated { start, period: period @ [_, _, ..] } = operand {
            tile(period, &mut packed[*start..][..period.len() + block]);
        }
    }
    for (index, out) in piece.chunks_mut(BLOCK).enumerate() {
        let (start, len) = (first + index * BLOCK, out.len());
        let start = start - usize::from(damaged(Damage::BlockEarly) && start > 0);
        for (operand, arg) in operands.iter_mut().zip(args) {
            match operand {
                Operand::Packed { start: place, walk } => {
                    walk.fill(arg, &mut packed[*place..][..len]);
                }
                Operand::Row { start: place, row } if start % row.len() + len > row.len() => {
                    let (end, next) =
                        packed[*place..][..len].split_at_mut(row.len() - start % row.len());
                    end.copy_from_slice(&row[start % row.len()..]);
                    next.copy_from_slice(&row[..next.len()]);
                }
                _ => {}
            }
        }
        let mut sources: Sources<'_, T> = [&[]; MAX_OPERANDS];
        for (source, operand) in sources.iter_mut().zip(&operands) {
            *source = match operand {
                Operand::Whole(slice) => &slice[start..start + len],
                Operand::Repeated { start: place, period } => {
                    &packed[*place + start % period.len()..][..len]
                }
                Operand::Row { row, .. } if start % row.len() + len <= row.len() => {
                    &row[start % row.len()..][..len]
                }
                Operand::Row { start: place, .. } | Operand::Packed { start: place, .. } => {
                    &packed[*place..][..len]
                }
            };
        }
        apply(&sources, out);
    }
}

/// Fills `out` with copies of a period, the last of which may be cut.
#[inline]
fn tile<T: Real>(period: &[T], out: &mut [T]) {
    out[..period.len()].copy_from_slice(period);
    let mut done = period.len();
    while done < out.len() {
        let more = done.min(out.len() - done);
        out.copy_within(..more, done);
        done += more;
    }
}

/// Where the blocks of an operand come from. A `start` is a place in the packed memory.
enum Operand<'a, T> {
    /// Its own memory, as long as the result.
    Whole(&'a [T]),
    /// Copies of a short period, a period and a block of them.
    Repeated { start: usize, period: &'a [T] },
    /// A period longer than a block, itself; across its end, a packed block.
    Row { start: usize, row: &'a [T] },
    /// A packed block, filled by a walk.
    Packed { start: usize, walk: Walk<'a> },
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

    /// A walk from element `first` on.
    pub(crate) fn starting(layout: &'a Layout, offset: usize, first: usize) -> Self {
        let count = layout.shape().last().copied().unwrap_or(1).max(1);
        let mut rows = Rows::starting(layout, offset, first / count);
        let mut row = Row { start: 0, stride: 0, count: 0 };
        let skipped = first % count;
        if skipped > 0 {
            row = rows.next().expect("a walk begins within its operand");
            row.start += skipped as isize * row.stride;
            row.count -= skipped;
        }
        Self { rows, row }
    }

    pub(crate) fn fill<T: Real>(&mut self, arg: &View<'_, T>, mut out: &mut [T]) {
        while !out.is_empty() {
            let count = self.row().count.min(out.len());
            let (now, later) = out.split_at_mut(count);
            self.take(count).copy(arg.data(), now);
            out = later;
        }
    }

    /// The next elements, as many as there is `room` for: where they lie if they are
    /// neighbours, and else copied there.
    #[inline]
    pub(crate) fn read<'b, T: Real>(&mut self, arg: &'b View<'_, T>, room: &'b mut [T]) -> &'b [T] {
        let Row { stride, count, .. } = self.row();
        if stride == 1 && count >= room.len() {
            let start = self.take(room.len()).start as usize;
            return &arg.data()[start..start + room.len()];
        }
        self.fill(arg, room);
        room
    }

    /// The row, with elements left in it.
    #[inline]
    fn row(&mut self) -> Row {
        if self.row.count == 0 {
            self.row = self.rows.next().expect("a block has no more elements than its operand");
        }
        self.row
    }

    /// Takes elements from the row.
    #[inline]
    fn take(&mut self, count: usize) -> Row {
        let taken = Row { count, ..self.row };
        self.row.start += count as isize * self.row.stride;
        self.row.count -= count;
        taken
    }
}
