//! Optimisers: how a gradient changes the parameters.
//!
//! An [`Optimiser`] is a [`Rule`], the formula by which one number moves, and what
//! is remembered of each parameter. A step is a loop over the model's parameters
//! that looks each one's gradient up by its key; memory is kept by that key too. Beside it
//! stand what changes a step from outside: a [`Schedule`] of rates, a [`group`] of parameters,
//! an [`Average`] of weights.
//!
//! A [`Solver`] takes a cost that is the same at every step, and runs until it is done:
//! [`Descent`], [`Lbfgs`], [`NewtonCg`] and, for sums of squares, [`LevenbergMarquardt`] and
//! [`GaussNewton`], with [`Robust`] losses; [`Covariance`] says how well the parameters are known then, and
//! [`least_squares`] and [`curve_fit`] are fits of a few numbers in one call.
//! All see a model's trainable parameters as one vector, and end in an [`Outcome`]. A function
//! of a plain vector needs no more than a [`Param`](crate::Param), which is a model.

mod adam;
mod adaptive;
mod average;
mod clip;
mod group;
pub(crate) mod number;
mod optimiser;
pub(crate) mod plan;
mod refusal;
mod rule;
mod schedule;
pub(crate) mod settled;
mod sgd;
mod solver;

pub use adam::{Adam, AdamW, DecoupledMoments, Moments, NAdam, NesterovMoments};
pub use adaptive::{
    AdaDelta, AdaGrad, Lion, RmsProp, SignOfMean, SquareMean, SquareSum, StepMeans,
};
pub use average::Average;
pub use group::group;
pub use optimiser::Optimiser;
pub(crate) use optimiser::States;
pub use refusal::StepError;
pub(crate) use refusal::{called, first_non_finite, index as index_of};
pub use rule::{Hyperparameters, Rule};
pub use schedule::{Plateau, PlateauState, Schedule};
pub use sgd::{Momentum, Sgd};
pub use solver::{
    Covariance, Curvature, Descent, Fit, GaussNewton, Lbfgs, LevenbergMarquardt, LinearModel,
    Marquardt, NewtonCg, Outcome, Robust, Secants, Solver, Steepest, StopReason, curve_fit,
    least_squares,
};

use wengert_core::{Gradients, Real};

use crate::{Module, Path};

/// The Euclidean norm of the gradient with respect to all parameters, in double
/// precision.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Param;
/// use wengert_nn::optim::gradient_norm;
///
/// let net = (Param::new(3.0), Param::new(4.0));
/// let tape = Tape::new();
/// let cost = (net.0.on(&tape).square() + net.1.on(&tape).square()) * 0.5;
/// assert_eq!(gradient_norm(&net, &cost.backward()), 5.0);
/// ```
pub fn gradient_norm<T: Real, M: Module<T> + ?Sized>(net: &M, gradients: &Gradients<'_, T>) -> f64 {
    let mut norm = 0.0_f64;
    net.visit(&Path::root(), &mut |_, param| {
        gradients.with_parameter(param.key(), |gradient| {
            // Relative to the largest, so that no square overflows or vanishes.
            let largest = gradient.iter().map(|x| x.as_f64().abs()).fold(0.0, f64::max);
            let scale = if largest > 0.0 && largest.is_finite() { largest } else { 1.0 };
            let squares = gradient.iter().map(|x| (x.as_f64() / scale).powi(2)).sum::<f64>();
            norm = norm.hypot(squares.sqrt() * scale);
        });
    });
    norm
}
