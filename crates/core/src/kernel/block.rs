//! The innermost loops of an elementwise function, with its type forgotten.
//!
//! Whoever evaluates elementwise functions, the tape as well as a program, needs two
//! pieces of each: the function on blocks of contiguous elements, and the function on
//! a few numbers that stand in one memory. Both are compiled for every vector width
//! and give the same bits.

use smallvec::SmallVec;

use crate::scalar::{Near, Number, Plain, Real, Symbol, dispatched};
use crate::tuned::damage::{Damage, damaged};

/// The most operands that a function has.
pub(crate) const MAX_OPERANDS: usize = 8;

/// A block of each operand; those beyond the last are empty.
pub(crate) type Sources<'a, T> = [&'a [T]; MAX_OPERANDS];

/// A function of one element of each operand, as a formula: floats read it here.
pub(crate) trait Pointwise: Copy + Send + Sync {
    /// The number of operands, at least 1 and at most [`MAX_OPERANDS`].
    const OPERANDS: usize;
    /// Whether it may call elementary functions, which even for one number should be
    /// [compiled for this CPU](dispatched).
    const IS_ELEMENTARY: bool;
    /// Whether loops over it are worth compiling for every vector width.
    const VECTORISES: bool;
    /// How many operands, from the first on, are angles: it takes sines and cosines of these alone.
    /// Blocks of angles that are [near](Real::is_near) are computed by code without branches.
    const ANGLES: usize;

    /// The value, from the elements that `get` gives for each operand's number.
    fn at<A: Number>(self, get: impl Fn(usize) -> A) -> A;
}

/// Runs `code`, which evaluates `F` for one number, compiled as it should be.
#[inline(always)]
pub(crate) fn alone<F: Pointwise, R>(code: impl FnOnce() -> R) -> R {
    if F::IS_ELEMENTARY { dispatched(code) } else { code() }
}

/// Where the elements of a short operand lie: `start`, `start + step`, and so on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    start: u32,
    step: i32,
}

impl Steps {
    #[inline]
    pub(crate) fn new(start: usize, step: i32) -> Self {
        let start =
            u32::try_from(start).expect("a buffer of a tape holds fewer than 2^32 elements");
        Self { start, step }
    }

    pub(crate) fn step(self) -> i32 {
        self.step
    }

    #[inline(always)]
    pub(crate) fn at(self, i: usize) -> usize {
        (self.start as isize + i as isize * self.step as isize) as usize
    }
}

/// An elementwise function on a few numbers or on blocks of them.
pub trait BlockKernel<T>: Send + Sync {
    /// Writes the function of the blocks of its operands, each as long as `out`.
    fn block(&self, sources: &[&[T]; MAX_OPERANDS], out: &mut [T]);

    /// Writes the function of operands that lie in one memory.
    fn short(&self, memory: &[T], operands: &[Steps], out: &mut [T]);

    /// The function, written down.
    fn read<'c>(&self, operands: &[Symbol<'c, T>]) -> Symbol<'c, T>;
}

impl<T: Real, F: Pointwise> BlockKernel<T> for F {
    fn block(&self, sources: &Sources<'_, T>, out: &mut [T]) {
        let f = *self;
        if !F::VECTORISES {
            return apply(sources, out, f);
        }
        dispatched(
            #[inline(always)]
            || apply(sources, out, f),
        );
    }

    fn short(&self, memory: &[T], operands: &[Steps], out: &mut [T]) {
        let (f, operands) = (*self, &operands[..F::OPERANDS]);
        // A loop over few numbers is programs of single ones: no loop, no choice between two.
        if let [y] = out {
            *y = alone::<F, T>(
                #[inline(always)]
                || {
                    f.at(
                        #[inline(always)]
                        |k| Plain(memory[operands[k].start as usize]),
                    )
                    .0
                },
            );
            return;
        }
        if out.len() >= WORTH_BLOCK && operands.iter().all(|steps| matches!(steps.step, 0 | 1)) {
            return in_blocks(self, memory, operands, out);
        }
        if !F::IS_ELEMENTARY {
            return match operands.iter().all(|steps| steps.step == 1) {
                true => apply(&neighbours(memory, operands, out.len()), out, f),
                false => one_by_one(memory, operands, out, f),
            };
        }
        dispatched(
            #[inline(always)]
            || {
                if out.len() < LANES {
                    one_by_one(memory, operands, out, f);
                } else {
                    by_lanes(memory, operands, out, f);
                }
            },
        );
    }

    fn read<'c>(&self, operands: &[Symbol<'c, T>]) -> Symbol<'c, T> {
        self.at(|operand| operands[operand])
    }
}

/// Block by block, with operands that are the same number time and again.
fn with_copies<T: Real>(
    f: &dyn BlockKernel<T>,
    memory: &[T],
    operands: &[Steps],
    blocks: &mut [[T; WORTH_BLOCK]],
) {
    let mut copies = [[T::zero(); WORTH_BLOCK]; MAX_OPERANDS];
    for (copies, steps) in copies.iter_mut().zip(operands).filter(|(_, steps)| steps.step == 0) {
        copies.fill(memory[steps.start as usize]);
    }
    for (number, out) in blocks.iter_mut().enumerate() {
        let mut sources: Sources<'_, T> = [&[]; MAX_OPERANDS];
        for ((source, copies), steps) in sources.iter_mut().zip(&copies).zip(operands) {
            *source = match steps.step {
                0 => copies,
                _ => &memory[steps.at(number * WORTH_BLOCK)..][..WORTH_BLOCK],
            };
        }
        f.block(&sources, out);
    }
}

/// Operands whose elements lie side by side.
#[inline(always)]
fn neighbours<'a, T>(memory: &'a [T], operands: &[Steps], len: usize) -> Sources<'a, T> {
    let mut sources: Sources<'_, T> = [&[]; MAX_OPERANDS];
    for (source, steps) in sources.iter_mut().zip(operands) {
        *source = &memory[steps.start as usize..][..len];
    }
    sources
}

tuned! {
    /// Numbers that elementary functions take together, if there are enough: one vector
    /// of the widest.
    const LANES = 8, tiny 2;
    /// Numbers that are computed as a block: some vectors of the widest.
    const WORTH_BLOCK = 32, tiny 4;
}

/// In whole vectors, of operands whose elements lie side by side or are one; those that are left, as if
/// they were all.
fn in_blocks<T: Real>(f: &dyn BlockKernel<T>, memory: &[T], operands: &[Steps], out: &mut [T]) {
    let (blocks, rest) = out.as_chunks_mut::<WORTH_BLOCK>();
    let whole = blocks.len() * WORTH_BLOCK;
    if operands.iter().all(|steps| steps.step == 1) {
        f.block(&neighbours(memory, operands, whole), blocks.as_flattened_mut());
    } else {
        with_copies(f, memory, operands, blocks);
    }
    if !rest.is_empty() {
        let beyond = |steps: &Steps| Steps::new(steps.at(whole), steps.step);
        let beyond: SmallVec<[Steps; MAX_OPERANDS]> = operands.iter().map(beyond).collect();
        f.short(memory, &beyond, rest);
    }
}

#[inline(always)]
fn one_by_one<T: Real, F: Pointwise>(memory: &[T], operands: &[Steps], out: &mut [T], f: F) {
    for (i, y) in out.iter_mut().enumerate() {
        *y = f
            .at(
                #[inline(always)]
                |k| Plain(memory[operands[k].at(i)]),
            )
            .0;
    }
}

#[inline(always)]
fn by_lanes<T: Real, F: Pointwise>(memory: &[T], operands: &[Steps], out: &mut [T], f: F) {
    for (chunk, out) in out.chunks_mut(LANES).enumerate() {
        let mut xs = [[T::zero(); LANES]; MAX_OPERANDS];
        let last = (out.len() - 1) - usize::from(damaged(Damage::LastLane) && out.len() > 1);
        for (xs, steps) in xs.iter_mut().zip(operands) {
            for (i, x) in xs.iter_mut().enumerate() {
                // Lanes beyond the last repeat it.
                *x = memory[steps.at(chunk * LANES + i.min(last))];
            }
        }
        let sources = slices(&xs);
        let mut ys = [T::zero(); LANES];
        apply(&sources, &mut ys, f);
        out.copy_from_slice(&ys[..out.len()]);
    }
}

/// The lanes of each operand as slices. It does not depend on the function, of which there are
/// many.
#[inline(always)]
fn slices<T>(lanes: &[[T; LANES]; MAX_OPERANDS]) -> Sources<'_, T> {
    lanes.each_ref().map(|lanes| &lanes[..])
}

/// Applies `f` to blocks as long as `out`.
///
/// The slices are cut to one length first, which lets the compiler turn the loop
/// into vector instructions without a check inside.
#[inline(always)]
fn apply<T: Real, F: Pointwise>(sources: &Sources<'_, T>, out: &mut [T], f: F) {
    let len = out.len();
    let mut xs: Sources<'_, T> = [&[]; MAX_OPERANDS];
    for k in 0..F::OPERANDS {
        xs[k] = &sources[k][..len];
    }
    // Without a branch out of the loop, and without an adapter around it, so that it is
    // vectorised in any profile.
    let mut are_near = F::ANGLES > 0;
    for angles in &xs[..F::ANGLES] {
        for x in &angles[..len] {
            are_near &= x.is_near();
        }
    }
    if are_near {
        for i in 0..len {
            out[i] = f
                .at(
                    #[inline(always)]
                    |k| Near(xs[k][i]),
                )
                .0;
        }
    } else {
        for i in 0..len {
            out[i] = f
                .at(
                    #[inline(always)]
                    |k| Plain(xs[k][i]),
                )
                .0;
        }
    }
}
