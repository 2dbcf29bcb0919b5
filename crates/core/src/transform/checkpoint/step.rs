//! One step of a loop, recorded on any tape, and how many there are.

use std::rc::Rc;

use super::segment::wanted_of;
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Tensor;

/// How many steps there are.
#[derive(Clone)]
pub(super) enum Count<T: Real> {
    Known(usize),
    /// As long as this holds of the step's number and the state.
    While(Rc<Condition<T>>),
}

/// Whether to go on, from a step's number and the state before it.
type Condition<T> = dyn Fn(usize, &[Tensor<T>]) -> bool;

impl<T: Real> Count<T> {
    pub(super) fn goes_on(&self, k: usize, state: &[Tensor<T>]) -> bool {
        match self {
            Count::Known(n) => k < *n,
            Count::While(goes_on) => goes_on(k, state),
        }
    }

    /// The same, for states of which the first `states` count.
    pub(super) fn of_first(&self, states: usize) -> Self {
        match self {
            Count::Known(n) => Count::Known(*n),
            Count::While(goes_on) => {
                let goes_on = goes_on.clone();
                Count::While(Rc::new(move |k, state| goes_on(k, &state[..states])))
            }
        }
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Count::Known(own), Count::Known(other)) => own == other,
            (Count::While(own), Count::While(other)) => Rc::ptr_eq(own, other),
            _ => false,
        }
    }
}

/// A step that can be recorded on any tape.
pub(super) trait Step<T: Real> {
    /// The next state, and behind it what the step gives beside.
    fn record<'t>(
        &self,
        k: usize,
        state: &[Var<'t, T>],
        inputs: &[Var<'t, T>],
        shared: &[Var<'t, T>],
    ) -> Vec<Var<'t, T>>;
}

/// What holds for every step.
pub(super) fn check_step<T: Real>(k: usize, next: &[Var<'_, T>], state: &[Var<'_, T>]) {
    assert!(
        state[0].tape().parameter_keys().is_empty(),
        "steps: step {k} takes in a parameter, whose gradient would be lost; take it in before \
         the loop, and give it as one of the values that steps share"
    );
    for (next, before) in next.iter().zip(state) {
        assert!(
            next.shape() == before.shape(),
            "steps: expected a state of shape {} from step {k}, got {}\n  state: {}",
            before.shape(),
            next.shape(),
            next.describe()
        );
    }
}

/// A step with its tangent: state and outputs are followed by their tangents, inputs and
/// shared values by the tangents of those that have one.
pub(super) struct TangentStep<T: Real> {
    pub(super) of: Rc<dyn Step<T>>,
    pub(super) states: usize,
    pub(super) moved_inputs: Vec<bool>,
    pub(super) moved_shared: Vec<bool>,
}

impl<T: Real> Step<T> for TangentStep<T> {
    fn record<'t>(
        &self,
        k: usize,
        state: &[Var<'t, T>],
        inputs: &[Var<'t, T>],
        shared: &[Var<'t, T>],
    ) -> Vec<Var<'t, T>> {
        let (state, directions) = state.split_at(self.states);
        let (inputs, input_directions) = inputs.split_at(self.moved_inputs.len());
        let (shared, shared_directions) = shared.split_at(self.moved_shared.len());
        let mut next = self.of.record(k, state, inputs, shared);
        let tangents: Vec<_> = state
            .iter()
            .copied()
            .zip(directions.iter().copied())
            .chain(wanted_of(inputs, &self.moved_inputs).zip(input_directions.iter().copied()))
            .chain(wanted_of(shared, &self.moved_shared).zip(shared_directions.iter().copied()))
            .collect();
        let derivative = state[0].tape().tangents_of(&next, &tangents);
        let (derivative, output_derivative) = derivative.split_at(self.states);
        let outputs = next.split_off(self.states);
        next.extend_from_slice(derivative);
        next.extend(outputs);
        next.extend_from_slice(output_derivative);
        next
    }
}
