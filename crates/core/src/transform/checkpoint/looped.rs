//! Loops and their adjoints as ops.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::function::{Moves, Operands};
use super::run::Core;
use super::segment::{Adjoint, Piece, Segment, part, wanted_of};
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
        let signature = core.step.signature();
        let (state, rest) = args.split_at(signature.state.len());
        let (inputs, shared) = rest.split_at(signature.inputs.len());
        let mut state = state.to_vec();
        let mut outputs: Vec<Vec<Var<'t, T>>> = vec![Vec::new(); signature.outputs.len()];
        let mut k = 0;
        loop {
            let values: Vec<_> =
                state.iter().map(|state| state.with_value(|view| view.to_tensor())).collect();
            let goes_on = core.count.goes_on(k, &values);
            if !goes_on {
                state.extend(outputs.iter().map(|own| stack(own, 0)));
                return state;
            }
            let inputs: Vec<_> =
                inputs.iter().map(|input| input.slice(0, k..=k).squeeze(0)).collect();
            let number = args[0].tape().constant(T::from_f64(k as f64));
            let operands = Operands { k: number, state: &state, inputs: &inputs, shared };
            let mut next = core.step.way.function.record(operands);
            for (all, own) in outputs.iter_mut().zip(next.split_off(state.len())) {
                all.push(own);
            }
            state = next;
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
        self.0.forward(args, out);
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let core = &self.0;
        let signature = core.step.signature();
        let states = signature.state.len();
        let (state, rest) = call.args().split_at(states);
        let (inputs, shared) = rest.split_at(signature.inputs.len());
        let (directions, moved) = tangents.split_at(states);
        let (moved_inputs, moved_shared) = moved.split_at(inputs.len());
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
        let moves = Moves { inputs: moves(moved_inputs), shared: moves(moved_shared) };
        let tape = call.value().tape();
        let doubled = Core::new(
            core.step.tangent(moves),
            core.count.of_first(states),
            core.memory.clone(),
            tape.records_derivatives(),
        );
        let doubled = Loop(Rc::new(doubled));
        // State, its tangent, outputs, their tangents.
        let value = tape.record(doubled, &args);
        let [state, outputs] = [core.elements(), core.total() - core.elements()];
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
                && own.is_swept == other.is_swept
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
        let [cotangent, value] = [cotangent.packed(), value.packed()];
        self.of.backward(args, &self.wanted, &cotangent, &value, out);
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
