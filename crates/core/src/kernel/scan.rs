//! Scans: running sums and recurrences along an axis.
//!
//! What runs along is kept in double precision, for numbers of single precision too: a sum of
//! a million terms that is rounded to 24 bits at every step may be wrong in its third digit.
//! A number is rounded when it is written, and never read again.
//!
//! An axis is walked in order, and elements of the axes behind it side by side. All
//! scans work in place, on a copy of their operand that is made run by run, so that
//! it is in the first-level cache when the scan comes to it.
//!
//! Runs are independent of one another, and shared out to threads.

use super::threads;
use crate::scalar::{Real, dispatched, vectorised};
use crate::tensor::View;
use crate::tuned::damage::{Damage, damaged};

/// Nanoseconds that a scan is thought to take for an element.
const ELEMENT: usize = 1;
tuned! {
    /// Elements of a running sum that are added up apart from those before, so that only
    /// one addition in this number waits for another.
    const BLOCK = 8, tiny 2;
    /// Columns that are scanned together: what runs along them lies on the stack.
    const COLUMNS = 128, tiny 2;
}

/// What is added to nothing stays as it is, even a zero with a sign.
const NOTHING: f64 = -0.0;

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

/// Calls `step` with each row of a run, in order or with `reverse` from the last to the first:
/// its columns from `first` on, at most [`COLUMNS`] of them, and where they lie in the run.
#[inline(always)]
fn for_each_row<T>(
    run: &mut [T],
    width: usize,
    first: usize,
    reverse: bool,
    mut step: impl FnMut(usize, &mut [T]),
) {
    let columns = COLUMNS.min(width - first);
    let count = run.len() / width;
    for i in 0..count {
        let place = if reverse { count - 1 - i } else { i } * width + first;
        step(place, &mut run[place..place + columns]);
    }
}

/// Writes the sum of each element along an axis and all before it, or with `reverse`
/// all behind it.
pub(crate) fn running_sum<T: Real>(x: View<'_, T>, axis: usize, reverse: bool, out: &mut [T]) {
    for_each_run(x, axis, out, |_, run, width| {
        vectorised(
            run.len(),
            #[inline(always)]
            || match (width, reverse) {
                (1, false) => {
                    let (blocks, rest) = run.as_chunks_mut::<BLOCK>();
                    let mut carry = NOTHING;
                    for block in blocks {
                        carry = running_block(block.iter_mut(), carry);
                    }
                    running_block(rest.iter_mut(), carry);
                }
                (1, true) => {
                    let (rest, blocks) = run.as_rchunks_mut::<BLOCK>();
                    let mut carry = NOTHING;
                    for block in blocks.iter_mut().rev() {
                        carry = running_block(block.iter_mut().rev(), carry);
                    }
                    running_block(rest.iter_mut().rev(), carry);
                }
                _ => {
                    for first in (0..width).step_by(COLUMNS) {
                        let mut sums = [NOTHING; COLUMNS];
                        for_each_row(
                            run,
                            width,
                            first,
                            reverse,
                            #[inline(always)]
                            |_, row| {
                                for (x, sum) in row.iter_mut().zip(&mut sums) {
                                    *sum += x.as_f64();
                                    *x = T::from_f64(*sum);
                                }
                            },
                        );
                    }
                }
            },
        );
    });
}

/// Sums up a block, with `carry` before it. Returns the last sum.
#[inline(always)]
fn running_block<'a, T: Real>(block: impl Iterator<Item = &'a mut T>, carry: f64) -> f64 {
    let mut sum = NOTHING;
    for x in block {
        sum += x.as_f64();
        *x = T::from_f64(carry + sum);
    }
    if damaged(Damage::Carry) { sum } else { carry + sum }
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
    let a = a.packed();
    for_each_run(b, axis, out, |start, run, width| {
        let a = &a[start..start + run.len()];
        if width == 1 {
            let steps = run.iter_mut().zip(a);
            return if reverse { recur(steps.rev()) } else { recur(steps) };
        }
        vectorised(
            run.len(),
            #[inline(always)]
            || {
                for first in (0..width).step_by(COLUMNS) {
                    let mut before = [0.0; COLUMNS];
                    let mut is_first = true;
                    for_each_row(
                        run,
                        width,
                        first,
                        reverse,
                        #[inline(always)]
                        |place, row| {
                            for ((s, &a), before) in
                                row.iter_mut().zip(&a[place..]).zip(&mut before)
                            {
                                // The first has none before it, and its coefficient may be anything.
                                let carried = if is_first { NOTHING } else { a.as_f64() * *before };
                                *before = s.as_f64() + carried;
                                *s = T::from_f64(*before);
                            }
                            is_first = false;
                        },
                    );
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
    let mut before = first.as_f64();
    for (s, &a) in steps {
        before = s.as_f64() + a.as_f64() * before;
        *s = T::from_f64(before);
    }
}

/// Writes the logarithm of the sum of exponentials of each element along an axis and
/// all before it.
pub(crate) fn running_log_sum_exp<T: Real>(x: View<'_, T>, axis: usize, out: &mut [T]) {
    for_each_run(x, axis, out, |_, run, width| {
        dispatched(
            #[inline(always)]
            || {
                for first in (0..width).step_by(COLUMNS) {
                    let mut largest = [T::neg_infinity(); COLUMNS];
                    // One less, for the largest element itself; before the first one nothing.
                    let mut others = [-1.0; COLUMNS];
                    for_each_row(
                        run,
                        width,
                        first,
                        false,
                        #[inline(always)]
                        |_, row| {
                            let sums = largest.iter_mut().zip(&mut others);
                            for (x, (largest, others)) in row.iter_mut().zip(sums) {
                                *x = add_exponential(*x, largest, others);
                            }
                        },
                    );
                }
            },
        );
    });
}

/// Adds `e^x` to a sum of exponentials, and gives the logarithm of the new sum. The sum is
/// `1 + others` times the exponential of the largest number, so that nothing overflows, and
/// small terms beside a large one keep their digits.
#[inline(always)]
fn add_exponential<T: Real>(x: T, largest: &mut T, others: &mut f64) -> T {
    // Equal infinities would give a NaN for their difference.
    let distance = if x == *largest { T::zero() } else { (x - *largest).abs() };
    let share = (-distance).exp().as_f64();
    // A NaN is taken for the largest, and stays.
    if x <= *largest {
        *others += share;
    } else {
        *others = (1.0 + *others) * share;
        *largest = x;
    }
    *largest + T::from_f64(*others).ln_1p()
}
