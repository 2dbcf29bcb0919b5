//! How many threads kernels compute with, and how they share work out.
//!
//! The thread that calls a kernel does its work, and others help: the work is cut
//! into items, and whoever is free takes the next one. Helpers that come late find
//! nothing left, and nobody waits for them. So on a busy machine a kernel takes no
//! longer than on one thread, and small work never leaves the caller.
//!
//! Helpers are the threads of a rayon pool of their own, which leaves the
//! application's pool alone. They sleep while there is nothing to do. Rayon's own
//! way to hand work in (`install`) would move it off the caller's thread and its
//! warm caches, and its scopes wait for helpers that have not begun.
//!
//! *Invariant*: results do not depend on the number of threads, to the last bit.
//! What is shared out are elements that do not depend on each other, or parts of a
//! reduction that are the same for any number of threads.
//!
//! Without the feature `threads` all of this is a loop on the caller's thread.

#[cfg(feature = "threads")]
mod helpers;

use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// Nanoseconds of work that are worth a thread: waking one up takes a part of it.
    const WORTH_A_THREAD = 25_000, tiny 1;
}

/// Pieces of work for each thread, so that one that is held up leaves little undone.
const PIECES: usize = 6;

/// The number of threads that kernels compute with.
///
/// It is what [`set`] was given; without that, the environment variable
/// `WENGERT_THREADS`; without that, the number of CPUs that the process may use.
/// Without the feature `threads` it is 1.
///
/// # Panics
/// If `WENGERT_THREADS` is not a number of at least 1.
#[track_caller]
pub fn count() -> usize {
    #[cfg(feature = "threads")]
    return helpers::count();
    #[cfg(not(feature = "threads"))]
    1
}

/// Makes kernels compute with `count` threads from now on, the caller's included.
/// With 1, none is started.
///
/// Results do not depend on it, to the last bit. Without the feature `threads` it
/// has no effect.
///
/// ```
/// use wengert_core::{Tape, threads};
///
/// threads::set(1);
/// assert_eq!(threads::count(), 1);
/// ```
///
/// # Panics
/// If the number is 0.
pub fn set(count: usize) {
    assert!(count > 0, "there is no computing with 0 threads");
    #[cfg(feature = "threads")]
    helpers::set(count);
}

/// Whether this thread takes part in work that is shared out: it does its part alone.
fn is_shared() -> bool {
    #[cfg(feature = "threads")]
    return helpers::is_busy();
    #[cfg(not(feature = "threads"))]
    true
}

/// How many threads some work, in nanoseconds, is worth.
fn worth(work: usize) -> usize {
    // Small work does not even look at the settings.
    if work < 2 * WORTH_A_THREAD || is_shared() { 1 } else { count().min(work / WORTH_A_THREAD) }
}

/// Shares work out: `participant` is called on each thread that takes part, with an
/// iterator from which it takes items until there are none.
///
/// `work` is an estimate in nanoseconds. Work that is too small stays on the
/// caller's thread, and so does work within a participant.
///
/// ```
/// use wengert_core::threads;
///
/// let mut squares = vec![0.0; 100_000];
/// threads::share(100_000, squares.chunks_mut(1000).enumerate(), |chunks| {
///     for (index, chunk) in chunks {
///         for (i, y) in chunk.iter_mut().enumerate() {
///             *y = ((1000 * index + i) as f64).powi(2);
///         }
///     }
/// });
/// assert_eq!(squares[2026], 2026.0 * 2026.0);
/// ```
#[cfg_attr(not(feature = "threads"), expect(unused_variables, reason = "one thread does it all"))]
pub fn share<I: Send>(
    work: usize,
    mut items: impl Iterator<Item = I> + Send,
    participant: impl Fn(&mut dyn Iterator<Item = I>) + Sync,
) {
    #[cfg(feature = "threads")]
    if let threads @ 2.. = worth(work) {
        let items = std::sync::Mutex::new(items);
        // If taking an item panics, nobody gets another.
        let next = || items.lock().ok()?.next();
        return helpers::run(threads - 1, &|| participant(&mut std::iter::from_fn(next)));
    }
    participant(&mut items);
}

/// Calls `f` with pieces of `out` and where they begin: all of it at once, or shared
/// out in multiples of `unit` elements.
///
/// How it is cut depends on the number of threads, so no element may depend on it.
pub(crate) fn for_each_piece<T: Send>(
    work: usize,
    out: &mut [T],
    unit: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    let pieces = pieces(work);
    if pieces == 1 || out.len() <= unit {
        return f(0, out);
    }
    let len = (out.len() / unit).div_ceil(pieces) * unit;
    share(work, out.chunks_mut(len).enumerate(), |pieces| {
        for (index, piece) in pieces {
            if damaged(Damage::Piece) && index == 1 {
                continue;
            }
            f(index * len, piece);
        }
    });
}

/// In how many pieces work is best cut that can be cut anywhere.
pub(crate) fn pieces(work: usize) -> usize {
    Cut::of(work).pieces
}

/// How some work is best cut.
///
/// Any thread may [set](set) the number of threads at any moment. Whoever needs both
/// numbers takes both from one `Cut`, so that they belong together.
pub(crate) struct Cut {
    /// How many threads the work is worth.
    pub threads: usize,
    /// In how many pieces it is cut where it can be cut anywhere, at least as many as `threads`.
    pub pieces: usize,
}

impl Cut {
    /// `work` is an estimate in nanoseconds.
    pub(crate) fn of(work: usize) -> Self {
        let threads = worth(work);
        let pieces = match threads {
            1 => 1,
            _ => (PIECES * threads).min(2 * work / WORTH_A_THREAD),
        };
        Self { threads, pieces }
    }
}
