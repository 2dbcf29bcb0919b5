//! A group that counts the time which is spent in it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{Exchange, Group};

/// A group, and how long was waited for it.
#[derive(Debug)]
pub(crate) struct Timed<E> {
    group: E,
    spent: Cell<Duration>,
}

impl<E> Timed<E> {
    pub(crate) fn new(group: E) -> Self {
        Self { group, spent: Cell::default() }
    }

    /// The time spent in collective calls, waiting for slower processes included.
    pub(crate) fn spent(&self) -> Duration {
        self.spent.get()
    }

    /// The group itself, for calls that nobody waits for.
    pub(crate) fn untimed(&self) -> &E {
        &self.group
    }

    /// Says that somebody has waited for such calls.
    pub(crate) fn add(&self, waited: Duration) {
        self.spent.set(self.spent.get() + waited);
    }

    fn timed<X>(&self, call: impl FnOnce(&E) -> X) -> X {
        let start = Instant::now();
        let result = call(&self.group);
        self.add(start.elapsed());
        result
    }
}

impl<E: Group> Group for Timed<E> {
    fn rank(&self) -> usize {
        self.group.rank()
    }

    fn size(&self) -> usize {
        self.group.size()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.timed(|group| group.gather(own))
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        self.timed(|group| group.broadcast(own))
    }

    fn barrier(&self) {
        self.timed(Group::barrier);
    }
}

impl<T, E: Exchange<T>> Exchange<T> for Timed<E> {
    fn all_to_all(&self, own: &[T], sent: &[usize], all: &mut [T], received: &[usize]) {
        self.timed(|group| group.all_to_all(own, sent, all, received));
    }

    fn all_gather(&self, own: &[T], all: &mut [T], lengths: &[usize]) {
        self.timed(|group| group.all_gather(own, all, lengths));
    }
}
