//! A step of a loop as a function: recorded once, and from then on known by its recording.
//!
//! The closure of a loop is called once for its shapes. What it recorded is replayed wherever the
//! step is wanted on a tape: to be compiled, to be differentiated, to be unrolled. So all of these
//! are the same function, whatever the closure would do the next time. A closure that looks at a
//! number which depends on its arguments may have decided on it: its recording holds for that number
//! alone, and the closure is called at each step.

use std::ops::Range;
use std::rc::Rc;

use super::segment::wanted_of;
use crate::program::Recording;
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Shape;

/// The shapes of what a step takes and gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Signature {
    pub(super) state: Vec<Shape>,
    /// Of its own parts of the inputs.
    pub(super) inputs: Vec<Shape>,
    pub(super) shared: Vec<Shape>,
    pub(super) outputs: Vec<Shape>,
}

/// The elements of values of some shapes.
pub(super) fn elements(shapes: &[Shape]) -> usize {
    shapes.iter().map(Shape::elements).sum()
}

/// Where, among stacks of `n` values of each shape, value `k` of one of them lies.
fn stacked(shapes: &[Shape], n: usize, index: usize, k: usize) -> Range<usize> {
    let own = shapes[index].elements();
    let start = n * elements(&shapes[..index]) + k * own;
    start..start + own
}

impl Signature {
    /// Where the part of step `k` of `n` lies among all inputs.
    pub(super) fn part(&self, n: usize, input: usize, k: usize) -> Range<usize> {
        stacked(&self.inputs, n, input, k)
    }

    /// Where an output lies among those of one step.
    pub(super) fn output(&self, output: usize) -> Range<usize> {
        stacked(&self.outputs, 1, output, 0)
    }

    /// Where the output of step `k` of `n` lies in the loop's value.
    pub(super) fn place(&self, n: usize, output: usize, k: usize) -> Range<usize> {
        let Range { start, end } = stacked(&self.outputs, n, output, k);
        let before = elements(&self.state);
        before + start..before + end
    }
}

/// What a step takes: its number, the state, its own parts of the inputs and what all steps share.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a, 't, T: Real> {
    pub(super) k: Var<'t, T>,
    pub(super) state: &'a [Var<'t, T>],
    pub(super) inputs: &'a [Var<'t, T>],
    pub(super) shared: &'a [Var<'t, T>],
}

impl<'t, T: Real> Operands<'_, 't, T> {
    pub(super) fn all(&self) -> Vec<Var<'t, T>> {
        [&[self.k], self.state, self.inputs, self.shared].concat()
    }
}

/// A function that can be recorded on any tape.
pub(super) trait Function<T: Real> {
    /// The next state, and behind it what the step gives beside.
    fn record<'t>(&self, operands: Operands<'_, 't, T>) -> Vec<Var<'t, T>>;
}

impl<T: Real> Function<T> for Recording<T> {
    fn record<'t>(&self, operands: Operands<'_, 't, T>) -> Vec<Var<'t, T>> {
        self.record_on(operands.k.tape(), &operands.all())
    }
}

/// A step with its tangent: state and outputs are followed by their tangents, inputs and
/// shared values by the tangents of those that have one.
pub(super) struct Tangent<T: Real> {
    pub(super) of: Rc<dyn Function<T>>,
    /// How many states the function itself has.
    pub(super) states: usize,
    pub(super) moves: Moves,
}

/// Which inputs have a tangent, and which shared values.
#[derive(Clone, PartialEq)]
pub(super) struct Moves {
    pub(super) inputs: Vec<bool>,
    pub(super) shared: Vec<bool>,
}

impl<T: Real> Function<T> for Tangent<T> {
    fn record<'t>(&self, operands: Operands<'_, 't, T>) -> Vec<Var<'t, T>> {
        let Moves { inputs: moved_inputs, shared: moved_shared } = &self.moves;
        let (state, directions) = operands.state.split_at(self.states);
        let (inputs, input_directions) = operands.inputs.split_at(moved_inputs.len());
        let (shared, shared_directions) = operands.shared.split_at(moved_shared.len());
        let mut next = self.of.record(Operands { k: operands.k, state, inputs, shared });
        let tangents: Vec<_> = state
            .iter()
            .copied()
            .zip(directions.iter().copied())
            .chain(wanted_of(inputs, moved_inputs).zip(input_directions.iter().copied()))
            .chain(wanted_of(shared, moved_shared).zip(shared_directions.iter().copied()))
            .collect();
        let derivative = operands.k.tape().tangents_of(&next, &tangents);
        let (derivative, output_derivative) = derivative.split_at(self.states);
        let outputs = next.split_off(self.states);
        next.extend_from_slice(derivative);
        next.extend(outputs);
        next.extend_from_slice(output_derivative);
        next
    }
}

/// A closure as it was recorded.
pub(super) struct Recorded<T: Real> {
    pub(super) function: Rc<dyn Function<T>>,
    /// Whether it is the same function for all numbers.
    pub(super) is_fixed: bool,
    /// The shapes of what it gives beside the state.
    pub(super) outputs: Vec<Shape>,
}

impl<T: Real> Recorded<T> {
    /// Records a closure. An error is what is wrong with the step.
    pub(super) fn new(
        closure: &Rc<dyn Function<T>>,
        operands: Operands<'_, '_, T>,
    ) -> Result<Self, String> {
        let results = closure.record(operands);
        check(operands, &results)?;
        let outputs = results[operands.state.len()..].iter().map(|output| output.shape()).collect();
        let recording = Recording::of_function(operands.k.tape(), &operands.all(), &results);
        Ok(match recording {
            Some(recording) => Self { function: Rc::new(recording), is_fixed: true, outputs },
            None => Self { function: closure.clone(), is_fixed: false, outputs },
        })
    }
}

/// What holds for every step.
pub(super) fn check<T: Real>(
    operands: Operands<'_, '_, T>,
    results: &[Var<'_, T>],
) -> Result<(), String> {
    if !operands.k.tape().parameter_keys().is_empty() {
        return Err("steps: the step takes in a parameter, whose gradient would be lost; take it \
                    in before the loop, and give it as one of the values that steps share"
            .to_owned());
    }
    for (next, before) in results.iter().zip(operands.state) {
        if next.shape() != before.shape() {
            return Err(format!(
                "steps: expected a state of shape {} from the step, got {}\n  state: {}",
                before.shape(),
                next.shape(),
                next.describe()
            ));
        }
    }
    Ok(())
}
