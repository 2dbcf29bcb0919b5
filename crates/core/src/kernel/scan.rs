//! Scans: running sums and recurrences along an axis.
//!
//! An axis is walked in order, and elements of the axes behind it side by side. All
//! scans work in place, on a copy of their operand that is made run by run, so that
//! it is in the first-level cache when the scan comes to it.
//!
//! Runs are independent of one another, and shared out to threads.

use super::map::add_slice;
use super::{contiguous, dispatched, threads};
use crate::Real;
use crate::tensor::View;

/// Nanoseconds that a scan is thought to take for an element.
const ELEMENT: usize = 1;
/// Elements of a running sum that are added up apart from those before, so that only
/// one addition in so many waits for another.
const BLOCK: usize = 8;

/// Copies `x` to `out` and calls `scan` with each run along an axis there: where it
/// begins, its elements, and how many lie side by side.
fn for_each_run<T: Real>(
    x: View<'_, T>,
    axis: usize,
    out: &mut [T],
    scan: impl Fn(usize, &mut [T], usize) + Sync,
) {
    if out.is_empty() {
        return;
    }
    let width: usize = x.shape()[axis + 1..].iter().product();
    let run = x.shape()[axis] * width;
    let source = x.as_slice();
    if source.is_none() {
        x.copy_to(out);
    }
    threads::for_each_piece(out.len() * ELEMENT, out, run, |first, out| {
        for (number, out) in out.chunks_exact_mut(run).enumerate() {
            let start = first + number * run;
            if let Some(source) = source {
                out.copy_from_slice(&source[start..start + run]);
            }
            scan(start, out, width);
        }
    });
}

/// Calls `step` with each element of a run but the first and the one before it, both
/// as rows of `width` numbers, and the element's place in the run.
#[inline(always)]
fn for_each_pair<T>(
    run: &mut [T],
    width: usize,
    reverse: bool,
    mut step: impl FnMut(usize, &[T], &mut [T]),
) {
    let count = run.len() / width;
    for i in 1..count {
        if reverse {
            let place = (count - 1 - i) * width;
            let (row, before) = run[place..place + 2 * width].split_at_mut(width);
            step(place, before, row);
        } else {
            let place = i * width;
            let (before, row) = run[place - width..place + width].split_at_mut(width);
            step(place, before, row);
        }
    }
}

/// Writes the sum of each element along an axis and all before it, or with `reverse`
/// all behind it.
pub(crate) fn running_sum<T: Real>(x: View<'_, T>, axis: usize, reverse: bool, out: &mut [T]) {
    for_each_run(x, axis, out, |_, run, width| {
        if width > 1 {
            for_each_pair(run, width, reverse, |_, before, row| add_slice(row, before));
            return;
        }
        let mut carry = T::zero();
        if reverse {
            let (rest, blocks) = run.as_rchunks_mut::<BLOCK>();
            for block in blocks.iter_mut().rev() {
                carry = running_block(block.iter_mut().rev(), carry);
            }
            running_block(rest.iter_mut().rev(), carry);
        } else {
            let (blocks, rest) = run.as_chunks_mut::<BLOCK>();
            for block in blocks {
                carry = running_block(block.iter_mut(), carry);
            }
            running_block(rest.iter_mut(), carry);
        }
    });
}

/// Sums up a block, with `carry` before it. Returns the last sum.
#[inline(always)]
fn running_block<'a, T: Real>(block: impl Iterator<Item = &'a mut T>, carry: T) -> T {
    let mut sum = T::zero();
    for x in block {
        sum += *x;
        *x = carry + sum;
    }
    carry + sum
}

/// Writes `s[i] = a[i] s[i - 1] + b[i]` along an axis, or with `reverse`
/// `s[i] = a[i] s[i + 1] + b[i]`; the first of `a` is not read.
pub(crate) fn recurrence<T: Real>(
    a: View<'_, T>,
    b: View<'_, T>,
    axis: usize,
    reverse: bool,
    out: &mut [T],
) {
    let a = contiguous(a);
    for_each_run(b, axis, out, |start, run, width| {
        let a = &a[start..start + run.len()];
        if width == 1 {
            let steps = run.iter_mut().zip(a);
            return if reverse { recur(steps.rev()) } else { recur(steps) };
        }
        for_each_pair(
            run,
            width,
            reverse,
            #[inline(always)]
            |place, before, row| {
                for ((s, &a), &before) in row.iter_mut().zip(&a[place..]).zip(before) {
                    *s += a * before;
                }
            },
        );
    });
}

/// The recurrence over single numbers, each with its coefficient.
#[inline(always)]
fn recur<'a, T: Real>(mut steps: impl Iterator<Item = (&'a mut T, &'a T)>) {
    // The first has none before it, and its coefficient may be anything.
    let Some((first, _)) = steps.next() else { return };
    let mut before = *first;
    for (s, &a) in steps {
        *s += a * before;
        before = *s;
    }
}

/// Writes the logarithm of the sum of exponentials of each element along an axis and
/// all before it.
pub(crate) fn running_log_sum_exp<T: Real>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    for_each_run(x, axis, out, |_, run, width| {
        dispatched(
            #[inline(always)]
            || {
                for_each_pair(
                    run,
                    width,
                    false,
                    #[inline(always)]
                    |_, before, row| {
                        for (y, &before) in row.iter_mut().zip(before) {
                            *y = log_add_exp(before, *y);
                        }
                    },
                );
            },
        );
    });
}

/// `ln(e^a + e^b)`, without overflow, and of infinities too.
#[inline(always)]
fn log_add_exp<T: Real>(a: T, b: T) -> T {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    // Equal infinities would give a NaN for their difference.
    let difference = if low == high { T::zero() } else { low - high };
    high + difference.exp().ln_1p()
}
