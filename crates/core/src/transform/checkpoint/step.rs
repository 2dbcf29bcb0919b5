//! A step of a loop for operands of some shapes, with all that follows from it: its ways forwards and
//! back, and its tangents.

use std::cell::RefCell;
use std::rc::Rc;

use super::function::{Function, Moves, Operands, Recorded, Signature, Tangent};
use super::segment::Spare;
use super::walk::{At, Back, Forward, Wanted, Way};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, Tensor};

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

/// A step for operands of some shapes.
pub(super) struct Step<T: Real> {
    pub(super) way: Way<T>,
    /// `None` as long as it is on its way, so that a step within itself gets another one.
    forward: RefCell<Option<Forward<T>>>,
    back: RefCell<Vec<Back<T>>>,
    tangents: RefCell<Vec<(Moves, Rc<Step<T>>)>>,
}

impl<T: Real> Step<T> {
    fn new(way: Way<T>) -> Rc<Self> {
        Rc::new(Self {
            way,
            forward: RefCell::new(None),
            back: RefCell::new(Vec::new()),
            tangents: RefCell::new(Vec::new()),
        })
    }

    pub(super) fn signature(&self) -> &Signature {
        &self.way.signature
    }

    /// Lets `body` have the way forwards. If there is none, it is made for these numbers, and `made` is told
    /// its bytes.
    pub(super) fn forwards<R>(
        &self,
        at: At<'_, T>,
        made: impl FnOnce(usize),
        body: impl FnOnce(&mut Forward<T>) -> R,
    ) -> R {
        let known = self.forward.take();
        let mut forward = known.unwrap_or_else(|| {
            let forward = Forward::new(&self.way, at);
            made(forward.bytes());
            forward
        });
        let result = body(&mut forward);
        self.forward.replace(Some(forward));
        result
    }

    /// Lets `body` have the way back, in the same manner.
    pub(super) fn backwards<R>(
        &self,
        wanted: &Wanted,
        at: At<'_, T>,
        made: impl FnOnce(usize),
        body: impl FnOnce(&mut Back<T>) -> R,
    ) -> R {
        let known = self.back.borrow().iter().position(|back| back.wants(wanted));
        let known = known.map(|known| self.back.borrow_mut().swap_remove(known));
        let mut back = known.unwrap_or_else(|| {
            let back = Back::new(&self.way, wanted, at);
            made(back.bytes());
            back
        });
        let result = body(&mut back);
        self.back.borrow_mut().push(back);
        result
    }

    /// The step together with its tangent.
    pub(super) fn tangent(&self, moves: Moves) -> Rc<Self> {
        let mut tangents = self.tangents.borrow_mut();
        if let Some((_, known)) = tangents.iter().find(|(known, _)| *known == moves) {
            return known.clone();
        }
        let Signature { state, inputs, shared, outputs } = self.signature();
        let and_moved = |shapes: &[Shape], moved: &[bool]| -> Vec<Shape> {
            let moved = shapes.iter().zip(moved).filter(|(_, moves)| **moves);
            shapes.iter().chain(moved.map(|(shape, _)| shape)).cloned().collect()
        };
        let signature = Signature {
            state: [&state[..], state].concat(),
            inputs: and_moved(inputs, &moves.inputs),
            shared: and_moved(shared, &moves.shared),
            outputs: [&outputs[..], outputs].concat(),
        };
        let of = self.way.function.clone();
        let function = Tangent { of, states: state.len(), moves: moves.clone() };
        let way =
            Way { signature: Rc::new(signature), function: Rc::new(function), ..self.way.clone() };
        let tangent = Self::new(way);
        tangents.push((moves, tangent.clone()));
        tangent
    }
}

/// The steps that came of a closure, for operands of other shapes each.
pub(super) struct Known<T: Real>(RefCell<Vec<Rc<Step<T>>>>);

impl<T: Real> Known<T> {
    /// The most shapes that are remembered.
    const MOST: usize = 16;

    pub(super) fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// The step for some operands: `states` states, inputs of which each step has a part, and shared values.
    /// If their shapes are new, the closure is called for the first step.
    ///
    /// # Panics
    /// If the closure is no step.
    #[track_caller]
    pub(super) fn step(
        &self,
        closure: &Rc<dyn Function<T>>,
        spare: &Rc<Spare<T>>,
        [state, inputs, shared]: [&[Var<'_, T>]; 3],
    ) -> Rc<Step<T>> {
        let shapes = |vars: &[Var<'_, T>]| vars.iter().map(|var| var.shape()).collect::<Vec<_>>();
        let (state_shapes, shared_shapes) = (shapes(state), shapes(shared));
        let parts: Vec<Shape> = inputs.iter().map(|input| input.shape()[1..].into()).collect();
        let is_known = |step: &&Rc<Step<T>>| {
            let own = step.signature();
            own.state == state_shapes && own.inputs == parts && own.shared == shared_shapes
        };
        if let Some(known) = self.0.borrow().iter().find(is_known) {
            return known.clone();
        }
        let recorded = spare.with(|tape| {
            // Not by `Var::value`: what is recorded does not depend on the numbers.
            let value = |var: &Var<'_, T>| var.tape().value_of(var.id());
            let whole = |var: &Var<'_, T>| tape.variable(value(var).contiguous());
            let first = |(var, shape): (&Var<'_, T>, &Shape)| {
                let part = value(var).view().iter().take(shape.elements()).collect::<Vec<_>>();
                tape.variable(Tensor::new(shape.clone(), part))
            };
            let k = tape.constant(T::zero());
            let state: Vec<_> = state.iter().map(whole).collect();
            let inputs: Vec<_> = inputs.iter().zip(&parts).map(first).collect();
            let shared: Vec<_> = shared.iter().map(whole).collect();
            let operands = Operands { k, state: &state, inputs: &inputs, shared: &shared };
            Recorded::new(closure, operands)
        });
        let Recorded { function, is_fixed, outputs } = match recorded {
            Ok(recorded) => recorded,
            Err(reason) => panic!("{reason}"),
        };
        let signature =
            Signature { state: state_shapes, inputs: parts, shared: shared_shapes, outputs };
        let way = Way { signature: Rc::new(signature), function, is_fixed, spare: spare.clone() };
        let step = Step::new(way);
        let mut known = self.0.borrow_mut();
        if known.len() == Self::MOST {
            known.remove(0);
        }
        known.push(step.clone());
        step
    }
}
