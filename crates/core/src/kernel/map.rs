//! Elementwise loops: one function of `N` numbers over `N` tensors.
//!
//! Operands come with any strides. Short results are computed directly; longer
//! ones in blocks: each operand yields a contiguous block, either its own memory
//! or a copy packed on the stack, and a single plain loop over the blocks is
//! compiled for every vector width.

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

/// Writes `f` of the broadcast operands to `out`, in row-major order.
///
/// Each operand's shape broadcasts to `shape`, and `out` has its elements.
#[inline]
pub(crate) fn map<T: Real, const N: usize>(
    args: [View<'_, T>; N],
    shape: &Shape,
    out: &mut [T],
    f: impl Fn([T; N]) -> T + Copy,
) {
    let mut periods = [None; N];
    for (period, arg) in periods.iter_mut().zip(&args) {
        *period = periodic(arg, shape, out.len());
    }
    if out.len() < SHORT
        && let Some(operands) = all(periods)
    {
        let mut index = [0; N];
        for y in out {
            *y = f(std::array::from_fn(|k| operands[k][index[k]]));
            for (index, operand) in index.iter_mut().zip(&operands) {
                *index = if *index + 1 == operand.len() { 0 } else { *index + 1 };
            }
        }
        return;
    }
    blocks(args, periods, shape, out, f);
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

fn all<T: Copy, const N: usize>(options: [Option<T>; N]) -> Option<[T; N]> {
    options.iter().all(Option::is_some).then(|| options.map(|o| o.expect("checked above")))
}

#[inline(never)]
fn blocks<T: Real, const N: usize>(
    args: [View<'_, T>; N],
    periods: [Option<&[T]>; N],
    shape: &Shape,
    out: &mut [T],
    f: impl Fn([T; N]) -> T + Copy,
) {
    let layouts = args.map(|arg| arg.layout().broadcast_to(shape));
    let mut packed = [[T::zero(); BLOCK]; N];
    let mut walks: [Option<Walk<'_>>; N] = [const { None }; N];
    let total = out.len();
    for i in 0..N {
        match periods[i] {
            Some(&[number]) => packed[i].fill(number),
            Some(whole) if whole.len() == total => {}
            _ => walks[i] = Some(Walk::new(&layouts[i], args[i].offset())),
        }
    }
    for (index, out) in out.chunks_mut(BLOCK).enumerate() {
        for i in 0..N {
            if let Some(walk) = &mut walks[i] {
                walk.fill(&args[i], &mut packed[i][..out.len()]);
            }
        }
        let start = index * BLOCK;
        let sources: [&[T]; N] = std::array::from_fn(|i| match periods[i] {
            Some(whole) if whole.len() == total && total > 1 => &whole[start..start + out.len()],
            _ => &packed[i][..out.len()],
        });
        vectorised(out.len(), || apply(sources, out, f));
    }
}

/// Applies `f` to blocks as long as `out`.
///
/// Chunks are arrays, whose known length lets the compiler turn the inner loop
/// into vector instructions without a check inside.
#[inline(always)]
fn apply<T: Real, const N: usize>(
    sources: [&[T]; N],
    out: &mut [T],
    f: impl Fn([T; N]) -> T + Copy,
) {
    let whole = out.len() - out.len() % LANES;
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    for (c, y) in chunks.iter_mut().enumerate() {
        let xs = sources.map(|source| &source.as_chunks::<LANES>().0[c]);
        for i in 0..LANES {
            y[i] = f(xs.map(|x| x[i]));
        }
    }
    for (i, y) in rest.iter_mut().enumerate() {
        *y = f(sources.map(|source| source[whole + i]));
    }
}

/// A position in a strided operand, from block to block.
struct Walk<'a> {
    rows: Rows<'a>,
    row: Row,
}

impl<'a> Walk<'a> {
    fn new(layout: &'a Layout, offset: usize) -> Self {
        Self { rows: Rows::new(layout, offset), row: Row { start: 0, stride: 0, count: 0 } }
    }

    fn fill<T: Real>(&mut self, arg: &View<'_, T>, mut out: &mut [T]) {
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
