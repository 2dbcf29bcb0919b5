//! A row of things that threads make ahead of time, in order.
//!
//! With `n` threads, the k-th thing is made by thread `k mod n` and taken from that thread's own
//! channel, so that they arrive in order whoever is faster.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::FileError;

/// Things that each thread may have ready.
const AHEAD: usize = 2;

/// How the thing of a number is made.
type Make<X> = Arc<dyn Fn(usize) -> Result<X, FileError> + Send + Sync>;

/// The things from one number up to another, one after another.
///
/// After an error, the things that follow can still be had; a panic on another thread ends the row.
pub(crate) struct Ahead<X> {
    make: Make<X>,
    workers: Vec<Worker<X>>,
    next: usize,
    end: usize,
}

/// A thread that makes every n-th thing.
struct Worker<X> {
    made: Receiver<Result<X, FileError>>,
    thread: JoinHandle<()>,
}

impl<X: Send + 'static> Worker<X> {
    fn start(make: &Make<X>, first: usize, end: usize, step: usize) -> Self {
        let make = Arc::clone(make);
        let (sender, made) = sync_channel(AHEAD);
        let thread = thread::spawn(move || {
            for number in (first..end).step_by(step) {
                if sender.send(make(number)).is_err() {
                    // Nobody wants the rest.
                    return;
                }
            }
        });
        Self { made, thread }
    }
}

impl<X: Send + 'static> Ahead<X> {
    /// Things that `threads` threads make; with none, whoever asks for them.
    pub(crate) fn new(
        next: usize,
        end: usize,
        threads: usize,
        make: impl Fn(usize) -> Result<X, FileError> + Send + Sync + 'static,
    ) -> Self {
        let (make, next): (Make<X>, usize) = (Arc::new(make), next.min(end));
        let threads = threads.min(end - next);
        // The k-th thing belongs to thread k mod n.
        let first_of = |thread: usize| next + (thread + threads - next % threads) % threads;
        let start = |thread| Worker::start(&make, first_of(thread), end, threads);
        let workers = (0..threads).map(start).collect();
        Self { make, workers, next, end }
    }
}

impl<X> Iterator for Ahead<X> {
    type Item = Result<X, FileError>;

    /// # Panics
    /// If what makes the things has panicked, with its panic.
    fn next(&mut self) -> Option<Self::Item> {
        let number = self.next;
        if number == self.end {
            return None;
        }
        self.next += 1;
        if self.workers.is_empty() {
            return Some((self.make)(number));
        }
        let index = number % self.workers.len();
        if let Ok(made) = self.workers[index].made.recv() {
            return Some(made);
        }
        // The others are not at their places any more, and are not asked again.
        self.next = self.end;
        let worker = self.workers.swap_remove(index);
        match worker.thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that is done has sent all that it made"),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl<X> ExactSizeIterator for Ahead<X> {}

impl<X> Drop for Ahead<X> {
    /// Waits for the threads, so that none of them outlives the row.
    fn drop(&mut self) {
        for Worker { made, thread } in self.workers.drain(..) {
            drop(made);
            // Its panic, if any, is of a thing that nobody has asked for.
            let _ = thread.join();
        }
    }
}
