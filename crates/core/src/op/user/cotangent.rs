//! The identity, but for its adjoint: what is done to cotangents on their way back.
//!
//! Their derivatives are what is declared and not those of calculus, so they stand outside of
//! the registry, like the stop of gradients.

use std::any::Any;

use crate::op::{Call, Cost, DynOp, Formula, Term, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// What becomes of a cotangent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cotangent {
    /// It is multiplied by a number.
    Scaled(f64),
    /// Each element is kept between a number and its opposite.
    Clipped(f64),
    /// It is scaled down to a Euclidean norm, if it is longer.
    ClippedNorm(f64),
}

impl<T: Real> DynOp<T> for Cotangent {
    fn name(&self) -> &'static str {
        match self {
            Cotangent::Scaled(_) => "scale_gradient",
            Cotangent::Clipped(_) => "clip_gradient",
            Cotangent::ClippedNorm(_) => "clip_gradient_norm",
        }
    }

    fn formula(&self) -> Formula {
        Formula::new("x", "x's adjoint += g(y's)", r"y = x,\quad \bar x \mathrel{+}= g(\bar y)")
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

    fn jvp<'t>(&self, _: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        match *self {
            Cotangent::Scaled(scale) => Some(tangents[0]? * T::from_f64(scale)),
            _ => tangents[0],
        }
    }

    fn vjp<'t>(&self, _: &Call<'_, 't, T>, _: usize, w: Var<'t, T>) -> Term<'t, T> {
        Some(match *self {
            Cotangent::Scaled(scale) => w * T::from_f64(scale),
            Cotangent::Clipped(limit) => {
                w.maximum(w.constant_like(-limit)).minimum(w.constant_like(limit))
            }
            Cotangent::ClippedNorm(limit) => {
                let limit = w.constant_like(limit);
                w * (limit / w.reshape([w.elements()]).norm(0).maximum(limit))
            }
        })
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// # Cotangents on their way back
impl<T: Real> Var<'_, T> {
    /// The same value, with its derivative multiplied by a number; -1 reverses the gradient
    /// (Ganin & Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(3.0);
    /// let y = x.scale_gradient(-1.0).square();
    /// assert_eq!((y.item(), y.backward().wrt(x).item()), (9.0, -6.0));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn scale_gradient(self, scale: f64) -> Self {
        self.tape().record(Cotangent::Scaled(scale), &[self])
    }

    /// The same value; what comes back as its cotangent is clipped, element by element, to
    /// numbers from `-limit` to `limit`. Tangents pass as they are.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([3.0, 0.1]);
    /// let y = x.clip_gradient(1.0).square().sum();
    /// assert_eq!(y.backward().wrt(x).to_vec(), [1.0, 0.2]);
    /// ```
    ///
    /// # Panics
    /// If the limit is not positive.
    #[must_use]
    #[track_caller]
    pub fn clip_gradient(self, limit: f64) -> Self {
        assert!(limit > 0.0, "clip_gradient wants a positive limit, not {limit}");
        self.tape().record(Cotangent::Clipped(limit), &[self])
    }

    /// The same value; what comes back as its cotangent is scaled down to the Euclidean
    /// norm `limit` if it is longer. Tangents pass as they are.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([3.0, 4.0]);
    /// let y = x.clip_gradient_norm(1.0).square().sum();
    /// assert_eq!(y.backward().wrt(x).to_vec(), [6.0 * 0.1, 8.0 * 0.1]);
    /// ```
    ///
    /// # Panics
    /// If the limit is not positive.
    #[must_use]
    #[track_caller]
    pub fn clip_gradient_norm(self, limit: f64) -> Self {
        assert!(limit > 0.0, "clip_gradient_norm wants a positive limit, not {limit}");
        self.tape().record(Cotangent::ClippedNorm(limit), &[self])
    }
}
