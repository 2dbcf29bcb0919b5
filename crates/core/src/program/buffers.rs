//! Runs on numbers that lie in slices: for loops that run a program again and again.
//!
//! Nothing is looked up, checked for the user or allocated here but where a tensor outside
//! shares a buffer of the program.

use super::Program;
use super::memory::{Argument, Place};
use crate::scalar::Real;

impl<T: Real> Program<T> {
    /// Writes the elements of an input.
    #[inline]
    pub(crate) fn write_input(&mut self, input: usize, numbers: &[T]) {
        let place = self.inputs[input].place;
        let elements = self.memory.elements_mut(place, numbers.len());
        match (elements, numbers) {
            ([element], [number]) => *element = *number,
            (elements, numbers) => elements.copy_from_slice(numbers),
        }
    }

    /// Makes an input zero.
    pub(crate) fn clear_input(&mut self, input: usize, elements: usize) {
        let place = self.inputs[input].place;
        self.memory.elements_mut(place, elements).fill(T::zero());
    }

    /// Reads the elements of an input: the last ones given, or the state after the last run.
    #[inline]
    pub(crate) fn read_input(&self, input: usize, out: &mut [T]) {
        let numbers = match self.inputs[input].place {
            Place::Short(start) => &self.memory.short[start..],
            Place::Long(slot) => self.memory.long[slot].as_ref().expect("inputs have values"),
        };
        match (numbers, out) {
            ([number, ..], [element]) => *element = *number,
            (numbers, out) => out.copy_from_slice(&numbers[..out.len()]),
        }
    }

    /// Reads the elements of an output, in row-major order.
    #[inline]
    pub(crate) fn read_output(&self, output: usize, out: &mut [T]) {
        match (&self.outputs[output], out) {
            (&Argument { place: Place::Short(start), offset, .. }, [element]) => {
                *element = self.memory.short[(start as isize + offset) as usize];
            }
            (argument, out) => self.memory.view(argument).copy_to(out),
        }
    }
}
