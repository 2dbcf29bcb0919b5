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
use super::{dispatched, threads, vectorised};
use crate::Real;
use crate::tensor::{Layout, Shape, View};

/// Elements of a block. Packed operands live on the stack, and a block of each
/// stays in the first-level cache.
const BLOCK: usize = 256;
/// How many elements a function is thought to take in a nanosecond: few functions
/// are slower than 1, and memory lets none be faster than 8.
const ELEMENTS_A_NANOSECOND: usize = 4;
/// Shorter results than this are computed one by one.
const SHORT: usize = 64;
/// The most operands that a function has.
pub(crate) const MAX_OPERANDS: usize = 8;

/// A block of each operand; those beyond the last are empty.
pub(crate) type Sources<'a, T> = [&'a [T]; MAX_OPERANDS];

/// A function of one element of each operand.
pub(crate) trait Pointwise<T>: Copy + Send + Sync {
    /// The number of operands, at most [`MAX_OPERANDS`].
    const OPERANDS: usize;
    /// Whether it may call elementary functions, which even for one number should be
    /// [compiled for this CPU](dispatched).
    const IS_ELEMENTARY: bool;
    /// Whether loops over it are worth compiling for every vector width.
    const VECTORISES: bool;

    /// The value, from the elements that `get` gives for each operand's number.
    fn at(self, get: impl Fn(usize) -> T) -> T;

    /// Whether [`at_near`](Self::at_near) serves these elements.
    #[inline(always)]
    fn is_near(self, _get: impl Fn(usize) -> T) -> bool {
        true
    }

    /// The same bits as [`at`](Self::at), for elements that are
    /// [near](Self::is_near), by code without branches.
    #[inline(always)]
    fn at_near(self, get: impl Fn(usize) -> T) -> T {
        self.at(get)
    }
}

/// Runs `code`, which evaluates `F` for one number, compiled as it should be.
#[inline(always)]
pub(crate) fn alone<T, F: Pointwise<T>, R>(code: impl FnOnce() -> R) -> R {
    if F::IS_ELEMENTARY { dispatched(code) } else { code() }
}

/// Numbers that elementary functions take together, if there are so many: one vector
/// of the widest.
const LANES: usize = 8;

/// Writes `f` of few elements, which `get` gives for operand and position.
#[inline(always)]
pub(crate) fn few<T: Real, F: Pointwise<T>>(out: &mut [T], f: F, get: impl Fn(usize, usize) -> T) {
    if !F::IS_ELEMENTARY {
        for (i, y) in out.iter_mut().enumerate() {
            *y = f.at(
                #[inline(always)]
                |k| get(k, i),
            );
        }
        return;
    }
    dispatched(
        #[inline(always)]
        || {
            if out.len() < LANES {
                for (i, y) in out.iter_mut().enumerate() {
                    *y = f.at(
                        #[inline(always)]
                        |k| get(k, i),
                    );
                }
                return;
            }
            for (chunk, out) in out.chunks_mut(LANES).enumerate() {
                let first = chunk * LANES;
                let mut xs = [[T::zero(); LANES]; MAX_OPERANDS];
                for (k, xs) in xs.iter_mut().enumerate().take(F::OPERANDS) {
                    for (i, x) in xs.iter_mut().enumerate() {
                        // Lanes beyond the last repeat it.
                        *x = get(k, first + i.min(out.len() - 1));
                    }
                }
                let sources = xs.each_ref().map(|xs| &xs[..]);
                let mut ys = [T::zero(); LANES];
                apply(&sources, &mut ys, f);
                out.copy_from_slice(&ys[..out.len()]);
            }
        },
    );
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
        // Most operands are whole or one number: no remainder is needed for those.
        return few(
            out,
            f,
            #[inline(always)]
            |k, i| {
                let operand = operands[k];
                match operand.len() {
                    1 => operand[0],
                    len if i < len => operand[i],
                    len => operand[i % len],
                }
            },
        );
    }
    blocks(args, shape, out, &|sources, out| evaluate(sources, out, f));
}

/// Adds the elements of a view to `sum`, in row-major order.
pub(crate) fn add_view<T: Real>(sum: &mut [T], terms: View<'_, T>) {
    if let Some(slice) = terms.as_slice() {
        return add_slice(sum, slice);
    }
    let mut walk = Walk::new(terms.layout(), terms.offset());
    let mut block = [T::zero(); BLOCK];
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
    let layouts: [Option<Layout>; MAX_OPERANDS] =
        std::array::from_fn(|k| Some(args.get(k)?.layout().broadcast_to(shape)));
    // Memory is set up for those operands only that have to be packed.
    let mut packed: SmallVec<[[T; 2 * BLOCK]; 4]> = SmallVec::new();
    let mut operands = [const { Operand::Whole(&[] as &[T]) }; MAX_OPERANDS];
    for ((operand, arg), layout) in operands.iter_mut().zip(args).zip(&layouts) {
        *operand = match (periodic(arg, shape, whole), layout) {
            (Some(slice), _) if slice.len() == whole => Operand::Whole(slice),
            (Some(period), _) if period.len() <= BLOCK => {
                // A block from any place in the period lies within two of them.
                let mut repeated = [T::zero(); 2 * BLOCK];
                for copy in repeated.chunks_mut(period.len()) {
                    copy.copy_from_slice(&period[..copy.len()]);
                }
                packed.push(repeated);
                Operand::Repeated { slot: packed.len() - 1, period: period.len() }
            }
            (Some(period), _) => {
                packed.push([T::zero(); 2 * BLOCK]);
                Operand::Row { slot: packed.len() - 1, row: period }
            }
            (_, layout) => {
                packed.push([T::zero(); 2 * BLOCK]);
                let layout = layout.as_ref().expect("every operand has a layout");
                let walk = Walk::starting(layout, arg.offset(), first);
                Operand::Packed { slot: packed.len() - 1, walk }
            }
        };
    }
    for (index, out) in piece.chunks_mut(BLOCK).enumerate() {
        let (start, len) = (first + index * BLOCK, out.len());
        for (operand, arg) in operands.iter_mut().zip(args) {
            match operand {
                Operand::Packed { slot, walk } => {
                    walk.fill(arg, &mut packed[*slot][..len]);
                }
                Operand::Row { slot, row } if start % row.len() + len > row.len() => {
                    let (end, next) =
                        packed[*slot][..len].split_at_mut(row.len() - start % row.len());
                    end.copy_from_slice(&row[start % row.len()..]);
                    next.copy_from_slice(&row[..next.len()]);
                }
                _ => {}
            }
        }
        let mut sources: Sources<'_, T> = [&[]; MAX_OPERANDS];
        for (source, operand) in sources.iter_mut().zip(&operands).take(args.len()) {
            *source = match operand {
                Operand::Whole(slice) => &slice[start..start + len],
                Operand::Repeated { slot, period } => &packed[*slot][start % period..][..len],
                Operand::Row { row, .. } if start % row.len() + len <= row.len() => {
                    &row[start % row.len()..][..len]
                }
                Operand::Row { slot, .. } | Operand::Packed { slot, .. } => &packed[*slot][..len],
            };
        }
        apply(&sources, out);
    }
}

/// Where the blocks of an operand come from.
enum Operand<'a, T> {
    /// Its own memory, as long as the result.
    Whole(&'a [T]),
    /// Many copies of a short period on the stack.
    Repeated { slot: usize, period: usize },
    /// A period longer than a block, itself; across its end, a block on the stack.
    Row { slot: usize, row: &'a [T] },
    /// A block on the stack, filled anew by a walk.
    Packed { slot: usize, walk: Walk<'a> },
}

/// Applies `f` to blocks as long as `out`, compiled for this CPU.
#[inline(always)]
pub(super) fn evaluate<T: Real, F: Pointwise<T>>(sources: &Sources<'_, T>, out: &mut [T], f: F) {
    if !F::VECTORISES {
        return apply(sources, out, f);
    }
    let elements = if F::IS_ELEMENTARY { usize::MAX } else { out.len() };
    vectorised(
        elements,
        #[inline(always)]
        || apply(sources, out, f),
    );
}

/// Applies `f` to blocks as long as `out`.
///
/// The slices are cut to one length first, which lets the compiler turn the loop
/// into vector instructions without a check inside.
#[inline(always)]
fn apply<T: Real, F: Pointwise<T>>(sources: &Sources<'_, T>, out: &mut [T], f: F) {
    let len = out.len();
    let mut xs: Sources<'_, T> = [&[]; MAX_OPERANDS];
    for k in 0..F::OPERANDS {
        xs[k] = &sources[k][..len];
    }
    // Without a branch out of the loop, so that it is vectorised.
    let is_near = (0..len).fold(
        true,
        #[inline(always)]
        |is_near, i| {
            is_near
                & f.is_near(
                    #[inline(always)]
                    |k| xs[k][i],
                )
        },
    );
    if is_near {
        for i in 0..len {
            out[i] = f.at_near(
                #[inline(always)]
                |k| xs[k][i],
            );
        }
    } else {
        for i in 0..len {
            out[i] = f.at(
                #[inline(always)]
                |k| xs[k][i],
            );
        }
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
