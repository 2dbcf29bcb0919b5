//! The end of derivatives: a value taken as it is.
//!
//! Its derivative is 0 by declaration and not by calculus, so the harness cannot check
//! it, and it stands outside of the registry.

use std::any::Any;

use crate::op::{Call, Cost, DynOp, Formula, Term, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

#[derive(Clone, Copy, Debug, PartialEq)]
struct StopGradient;

impl<T: Real> DynOp<T> for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn formula(&self) -> Formula {
        Formula::new("x", "dy = 0", r"y = x,\quad \dot y = 0")
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        operands::<1>(args).map(|[x]| x.clone())
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        Some((arg.clone(), 0))
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        args[0].copy_to(out);
    }

    fn is_differentiable(&self) -> bool {
        false
    }

    fn jvp<'t>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
        None
    }

    fn vjp<'t>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
        None
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// # The end of derivatives
impl<T: Real> Var<'_, T> {
    /// The same value, taken as a constant: derivatives stop here.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(3.0);
    /// let [dx] = (x * x.stop_gradient()).grad([x]);
    /// assert_eq!(dx.item(), 3.0);
    /// ```
    #[doc(alias = "detach")]
    #[must_use]
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.tape().record(StopGradient, &[self])
    }
}
