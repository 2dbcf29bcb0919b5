//! The states that a loop keeps, in one buffer that serves run after run.

use crate::scalar::Real;

/// States that are kept on a stack, each with the number of the step after it.
pub(super) struct Kept<T> {
    /// The elements of a state.
    size: usize,
    numbers: Vec<T>,
    /// The number of the step, and where the state lies, counted in states.
    stack: Vec<(usize, usize)>,
    free: Vec<usize>,
}

impl<T: Real> Kept<T> {
    pub(super) fn new() -> Self {
        Self { size: 0, numbers: Vec::new(), stack: Vec::new(), free: Vec::new() }
    }

    pub(super) fn clear(&mut self, size: usize) {
        self.size = size;
        self.numbers.clear();
        self.stack.clear();
        self.free.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.stack.len()
    }

    /// The numbers of the steps after them.
    pub(super) fn steps(&self) -> impl Iterator<Item = usize> + '_ {
        self.stack.iter().map(|&(step, _)| step)
    }

    pub(super) fn push(&mut self, step: usize, state: &[T]) {
        match self.free.pop() {
            Some(place) => {
                self.stack.push((step, place));
                self.numbers[place * self.size..][..self.size].copy_from_slice(state);
            }
            None => {
                self.stack.push((step, self.stack.len()));
                self.numbers.extend_from_slice(state);
            }
        }
    }

    pub(super) fn remove(&mut self, position: usize) {
        let (_, place) = self.stack.remove(position);
        self.free.push(place);
    }

    pub(super) fn drop_last(&mut self) {
        self.remove(self.stack.len() - 1);
    }

    /// The last one.
    pub(super) fn last(&self) -> (usize, &[T]) {
        let &(step, place) = self.stack.last().expect("the schedule keeps count");
        (step, &self.numbers[place * self.size..][..self.size])
    }
}
