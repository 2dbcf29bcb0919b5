//! An op whose result is off by a rounding.
//!
//! Its rules are those of the op, off by roundings as well. They read the result that is off, as a rule reads a result that
//! was rounded: the slope of `tanh`, computed from its value, is as wrong here as rounding that
//! value makes it.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use wengert_core::op::{Call, Cost, DynOp};
use wengert_core::{Real, Shape, Tensor, Var, View};

use crate::dice::Dice;
use crate::program::Precision;

/// Where the number of a tangent's noise stands: behind those of the operands' adjoints.
const TANGENT: usize = 1 << 10;

/// An op whose result is off by a rounding, up or down, which depends on a number.
pub struct Noisy<T: Real> {
    /// The op.
    pub op: Rc<dyn DynOp<T>>,
    /// The number.
    pub run: u64,
}

/// The number of the noise of a step, a cotangent or a direction in a run.
pub fn noise(run: u64, place: usize) -> u64 {
    run.wrapping_add(1 + place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A tensor, off by roundings if there is noise.
pub fn shaken<T: Precision>(x: Tensor<T>, run: Option<u64>, place: usize) -> Tensor<T> {
    let Some(run) = run else { return x };
    let mut numbers = x.to_vec();
    shake(&mut numbers, noise(run, place));
    Tensor::new(x.shape(), numbers)
}

/// Moves each of some numbers by a rounding.
fn shake<T: Precision>(numbers: &mut [T], run: u64) {
    let mut dice = Dice::of(91, run);
    for x in numbers {
        let sign = if dice.chance(0.5) { 1.0 } else { -1.0 };
        *x *= T::one() + T::from_f64(sign) * T::epsilon();
    }
}

impl<T: Real> fmt::Debug for Noisy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with noise", self.op)
    }
}

impl<T: Precision> Noisy<T> {
    /// What a rule gives, off by roundings of its own: those of the value may cancel where those
    /// of a rule do not, as in the second derivative of the square of a root.
    fn moved<'t>(&self, given: Var<'t, T>, place: usize) -> Var<'t, T> {
        let mut factors = vec![T::one(); given.elements()];
        shake(&mut factors, noise(self.run, place));
        given * given.tape().constant(Tensor::new(given.shape(), factors))
    }
}

impl<T: Precision> DynOp<T> for Noisy<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        self.op.shape(args)
    }

    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]) {
        self.op.eval(args, shape, out);
        shake(out, self.run);
    }

    fn is_differentiable(&self) -> bool {
        self.op.is_differentiable()
    }

    fn jvp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        self.op.jvp(call, tangents).map(|tangent| self.moved(tangent, TANGENT))
    }

    fn vjp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        self.op.vjp(call, arg, cotangent).map(|adjoint| self.moved(adjoint, arg))
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.op.cost(args, result)
    }

    // A tape that is recorded once has nothing to compare.
    fn equals(&self, _: &dyn Any) -> bool {
        false
    }
}
