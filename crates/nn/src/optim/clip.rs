//! Clipping: gradients that are too large are made smaller before the step.
//!
//! It is written with variables, after the sweep and on its tape, so that a recorded
//! step and a [compiled](crate::TrainStep) one read the same lines.

use wengert_core::{Real, Var, stack};

/// How gradients are made smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Clip {
    /// Each element is cut off at this size.
    Value(f64),
    /// All are multiplied by one factor that makes the norm of all together this large, if
    /// it is larger.
    Norm(f64),
}

impl Clip {
    /// What becomes of an element that is alone, to see what becomes of one that is not finite.
    pub(crate) fn of_element(self, x: f64) -> f64 {
        match self {
            Self::Value(size) => x.clamp(-size, size),
            Self::Norm(size) => x * (size / x.abs().max(size)),
        }
    }

    /// Replaces the gradients of all trained parameters.
    pub(crate) fn apply<T: Real>(self, gradients: &mut [Var<'_, T>]) {
        match self {
            Self::Value(size) => {
                for gradient in gradients {
                    *gradient = gradient.clamp(-size, size);
                }
            }
            Self::Norm(size) => {
                // The norm of norms: no square overflows or vanishes.
                let norms = gradients.iter().map(|gradient| gradient.norm(..));
                let norm = match norms.collect::<Vec<_>>()[..] {
                    [] => return,
                    [norm] => norm,
                    ref norms => stack(norms, 0).norm(0),
                };
                let size = norm.tape().constant(T::from_f64(size));
                // A gradient within the bound keeps its bits.
                let factor = size / norm.maximum(size);
                for gradient in gradients {
                    *gradient *= factor;
                }
            }
        }
    }
}
