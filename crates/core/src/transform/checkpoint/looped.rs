//! Loops and their adjoints as ops.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::run::{Core, owned_value};
use super::segment::{Adjoint, Piece, Segment, part, wanted_of};
use super::step::TangentStep;
use crate::op::{concat, stack};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::{Call, Cost, DynOp, Term};
use crate::tensor::{Shape, View};

/// A loop as an op. Its arguments are the first state, the inputs of which each step has
/// its own part, and the shared values; its value is the last state and each output of all
/// steps, in one vector.
pub(super) struct Loop<T: Real>(pub(super) Rc<Core<T>>);

/// The loop's adjoint, as [`Adjoint`] of a piece.
struct LoopAdjoint<T: Real> {
    of: Rc<Core<T>>,
    wanted: Vec<bool>,
    elements: usize,
}

/// The loop recorded as a whole, for derivatives of its adjoint.
struct Unrolled<T: Real>(Rc<Core<T>>);

impl<T: Real> Piece<T> for Unrolled<T> {
    fn name(&self) -> &'static str {
        "steps"
    }

    /// What a step gives may lie in another order than where the next one takes it in as a
    /// tensor. A step that changes is found by the sweep that goes step by step.
    fn repeats(&self) -> bool {
        false
    }

    fn record<'t>(&self, args: &[Var<'t, T>], _: bool) -> Vec<Var<'t, T>> {
        let core = &self.0;
        let (state, rest) = args.split_at(core.states);
        let (inputs, shared) = rest.split_at(core.inputs);
        let mut state = state.to_vec();
        let mut outputs: Vec<Vec<Var<'t, T>>> = vec![Vec::new(); core.outputs.len()];
        let mut k = 0;
        loop {
            let values: Vec<_> = state.iter().map(|state| owned_value(*state)).collect();
            let goes_on = core.count.goes_on(k, &values);
            if !goes_on {
                state.extend(outputs.iter().map(|own| stack(own, 0)));
                return state;
            }
            let inputs: Vec<_> =
                inputs.iter().map(|input| input.slice(0, k..=k).squeeze(0)).collect();
            state = core.step.record(k, &state, &inputs, shared);
            for (all, own) in outputs.iter_mut().zip(state.split_off(core.states)) {
                all.push(own);
            }
            k += 1;
        }
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| Rc::ptr_eq(&self.0, &other.0))
    }
}

macro_rules! steps_op {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
            Cost::NONE
        }
    };
}

impl<T: Real> fmt::Debug for Loop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("steps")
    }
}

impl<T: Real> DynOp<T> for Loop<T> {
    steps_op!("steps");

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok([self.0.total()].into())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        let (run, value) = self.0.forward(args.iter().map(View::to_tensor).collect());
        out.copy_from_slice(&value);
        self.0.run.replace(self.0.is_swept.then_some(run));
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let core = &self.0;
        let (state, rest) = call.args().split_at(core.states);
        let (inputs, shared) = rest.split_at(core.inputs);
        let (directions, moved) = tangents.split_at(core.states);
        let (moved_inputs, moved_shared) = moved.split_at(core.inputs);
        let directions = directions.iter().zip(state);
        let args: Vec<_> = state
            .iter()
            .copied()
            .chain(directions.map(|(direction, of)| direction.unwrap_or_else(|| of.zeros_like())))
            .chain(inputs.iter().copied())
            .chain(moved_inputs.iter().copied().flatten())
            .chain(shared.iter().copied())
            .chain(moved_shared.iter().copied().flatten())
            .collect();
        let moves = |tangents: &[Term<'t, T>]| tangents.iter().map(Option::is_some).collect();
        let step = TangentStep {
            of: core.step.clone(),
            states: core.states,
            moved_inputs: moves(moved_inputs),
            moved_shared: moves(moved_shared),
        };
        let inputs = inputs.len() + moved_inputs.iter().flatten().count();
        let outputs = [&core.outputs[..], &core.outputs].concat();
        let tape = call.value().tape();
        let doubled = Core::new(
            Rc::new(step),
            core.count.of_first(core.states),
            core.memory.clone(),
            &args[..2 * core.states],
            tape.records_derivatives(),
        );
        let doubled = Loop(Rc::new(doubled.scanning(inputs, outputs)));
        // State, its tangent, outputs, their tangents.
        let value = tape.record(doubled, &args);
        let [state, outputs] = [core.elements, core.total() - core.elements];
        let tangent = value.slice(0, state..2 * state);
        Some(match outputs {
            0 => tangent,
            _ => concat(&[tangent, value.slice(0, 2 * state + outputs..)], 0),
        })
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, cotangent: Var<'t, T>) -> Term<'t, T> {
        let wanted = call.wanted();
        let [adjoints] = call.shared(|| {
            let args: Vec<_> =
                call.args().iter().copied().chain([cotangent, call.value()]).collect();
            let elements = wanted_of(call.args(), &wanted).map(|arg| arg.elements()).sum();
            let adjoint = LoopAdjoint { of: self.0.clone(), wanted: wanted.clone(), elements };
            [call.value().tape().record(adjoint, &args)]
        });
        part(call.args(), &wanted, arg, adjoints)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        let Some(Self(other)) = other.downcast_ref() else { return false };
        let own = &self.0;
        Rc::ptr_eq(own, other)
            || Rc::ptr_eq(&own.step, &other.step)
                && own.count.equals(&other.count)
                && own.memory.keep == other.memory.keep
                && (own.elements, own.is_swept, own.inputs, &own.outputs)
                    == (other.elements, other.is_swept, other.inputs, &other.outputs)
    }
}

impl<T: Real> fmt::Debug for LoopAdjoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("steps_adjoint")
    }
}

impl<T: Real> LoopAdjoint<T> {
    /// The same function, which records the loop as a whole.
    fn unrolled(&self) -> Segment<T> {
        let of = Rc::new(Unrolled(self.of.clone()));
        Segment {
            piece: Rc::new(Adjoint { of, wanted: self.wanted.clone() }),
            elements: self.elements,
            spare: self.of.memory.spare.clone(),
            ready: RefCell::new(None),
        }
    }
}

impl<T: Real> DynOp<T> for LoopAdjoint<T> {
    steps_op!("steps_adjoint");

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok([self.elements].into())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        let (args, rest) = args.split_at(self.wanted.len());
        let [cotangent, value] = rest else { unreachable!("cotangent and value") };
        let args = args.iter().map(View::to_tensor).collect();
        let [cotangent, value] = [cotangent, value].map(|view| view.iter().collect::<Vec<T>>());
        out.copy_from_slice(&self.of.backward(args, &self.wanted, cotangent, &value));
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        self.unrolled().jvp(call, tangents)
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, cotangent: Var<'t, T>) -> Term<'t, T> {
        self.unrolled().vjp(call, arg, cotangent)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other
            .downcast_ref::<Self>()
            .is_some_and(|other| self.wanted == other.wanted && Rc::ptr_eq(&self.of, &other.of))
    }
}
