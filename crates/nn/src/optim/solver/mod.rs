//! Methods for a cost that is the same at every step: where they begin and when they end.
//!
//! A [`Solver`] is a method and the criteria by which it stops. The loop is the same for
//! all, [`Solver::drive`]: a method only says how to get from one point to the next, given
//! an [`Evaluator`], which shows it the model's trainable parameters as one vector. Vectors are
//! in double precision for both types of element; multipliers of rate and decay have no
//! meaning here.
//!
//! Sums of squares are a room within: `residuals` (values, Jacobian, and what is solved with them), [`Robust`]
//! (what residuals count), [`Covariance`] and [`Fit`] (what is known of the parameters then). [`Bounds`] serve
//! every method that moves along projected steps.

mod bounds;
mod covariance;
mod descent;
mod evaluator;
mod fit;
mod gauss_newton;
mod lbfgs;
mod marquardt;
mod newton;
mod residuals;
mod robust;
mod search;

pub use covariance::Covariance;
pub use descent::{Descent, Steepest};
pub use fit::{Fit, curve_fit, least_squares};
pub use gauss_newton::{GaussNewton, LinearModel};
pub use lbfgs::{Lbfgs, Secants};
pub use marquardt::{LevenbergMarquardt, Marquardt};
pub use newton::{Curvature, NewtonCg};
pub use robust::Robust;

use bounds::Bounds;
use evaluator::{Evaluator, Point};
use wengert_core::Real;

use crate::Module;

/// A method for a cost that is the same at every step, with criteria for stopping:
/// [`Descent`], [`Lbfgs`], [`NewtonCg`], [`LevenbergMarquardt`], [`GaussNewton`].
///
/// The budget is 1000 steps, and no tolerance is asked for, unless the method or one of the setters
/// below says otherwise. A tolerance of 0 is one that is not asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Solver<S> {
    method: S,
    budget: usize,
    evaluations: Option<usize>,
    gradient_tolerance: f64,
    cost_tolerance: f64,
    step_tolerance: f64,
    step_size: StepSize,
}

/// How a step is compared with where it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepSize {
    /// Parameter by parameter, so that no unit decides.
    OfEach,
    /// As vectors, by their Euclidean norms.
    OfAll,
}

/// A step that a method has taken.
struct Advance {
    to: Point,
    /// By how much the method's model of the cost said that it would fall; 0 of a method without one.
    promise: f64,
}

/// Why a solver has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The steps allowed are taken.
    Budget,
    /// The cost was evaluated as often as is allowed.
    Evaluations,
    /// The gradient's norm is within the tolerance.
    GradientTolerance,
    /// The last step changed the cost by no more than the tolerance, nor was it expected to.
    CostTolerance,
    /// The last step, or one that was tried in vain, is within the tolerance for every parameter.
    StepTolerance,
    /// No step along the method's direction makes the cost smaller.
    NoProgress,
    /// The cost or its gradient is no longer a finite number: the rate is too
    /// large.
    NotFinite,
}

/// How a solver has ended. The parameters are those of the last step taken, and cost and
/// gradient are the ones there.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Why it stopped.
    pub reason: StopReason,
    /// The number of steps taken.
    pub steps: usize,
    /// How often the cost was evaluated, with or without a gradient.
    pub evaluations: usize,
    /// The cost.
    pub cost: f64,
    /// The Euclidean norm of the gradient, without the slopes that lead out of bounds.
    pub gradient_norm: f64,
    /// By how much the last step changed the cost, negative when it fell; `None`
    /// if no step was taken.
    pub cost_change: Option<f64>,
}

impl<S> Solver<S> {
    fn with_method(method: S) -> Self {
        Self {
            method,
            budget: 1000,
            evaluations: None,
            gradient_tolerance: 0.0,
            cost_tolerance: 0.0,
            step_tolerance: 0.0,
            step_size: StepSize::OfEach,
        }
    }

    /// With a largest number of steps.
    #[must_use]
    pub fn budget(self, budget: usize) -> Self {
        Self { budget, ..self }
    }

    /// With a largest number of evaluations of the cost, looked at before each step.
    #[must_use]
    pub fn evaluations(self, evaluations: usize) -> Self {
        Self { evaluations: Some(evaluations), ..self }
    }

    /// Stops where the gradient's Euclidean norm is at most this.
    #[must_use]
    pub fn gradient_tolerance(self, gradient_tolerance: f64) -> Self {
        Self { gradient_tolerance, ..self }
    }

    /// Stops when a step changes the cost by at most this fraction of it, and the method's model of the
    /// cost promised no more: two equal costs alone may be an accident. Fractions below the
    /// rounding unit of the elements count as the rounding unit, except for 0, which asks for nothing.
    #[must_use]
    pub fn cost_tolerance(self, cost_tolerance: f64) -> Self {
        Self { cost_tolerance, ..self }
    }

    /// Stops when a step changes every parameter (each element of it) by at most this fraction. To the parameter's size is
    /// added the root of the rounding unit, for parameters of 0.
    #[must_use]
    pub fn step_tolerance(self, step_tolerance: f64) -> Self {
        Self { step_tolerance, ..self }
    }

    /// Goes from point to point until a criterion is met. `advance` gives the next point, or
    /// says why there is none.
    fn drive<T: Real, M: Module<T>>(
        &self,
        mut evaluator: Evaluator<'_, T, M>,
        bounds: &Bounds,
        mut point: Point,
        mut advance: impl FnMut(&mut Evaluator<'_, T, M>, &Point) -> Result<Advance, StopReason>,
    ) -> Outcome {
        let (mut cost_change, mut is_settled, mut is_short) = (None, false, false);
        let mut steps = 0;
        let reason = loop {
            let gradient_norm = norm(&bounds.inward(&point));
            if !point.cost.is_finite() || !gradient_norm.is_finite() {
                break StopReason::NotFinite;
            } else if gradient_norm <= self.gradient_tolerance {
                break StopReason::GradientTolerance;
            } else if is_settled {
                break StopReason::CostTolerance;
            } else if is_short {
                break StopReason::StepTolerance;
            } else if steps >= self.budget {
                break StopReason::Budget;
            } else if self.has_spent(evaluator.count()) {
                break StopReason::Evaluations;
            }
            match advance(&mut evaluator, &point) {
                Ok(Advance { to, promise }) => {
                    let change = to.cost - point.cost;
                    cost_change = Some(change);
                    is_settled = self.is_settled::<T>(change.abs().max(promise), to.cost);
                    is_short = self.is_short(&difference(&to.at, &point.at), &point.at);
                    point = to;
                    steps += 1;
                }
                Err(reason) => break reason,
            }
        };
        evaluator.move_to(&point.at);
        Outcome {
            reason,
            steps,
            evaluations: evaluator.count(),
            cost: point.cost,
            gradient_norm: norm(&bounds.inward(&point)),
            cost_change,
        }
    }

    /// Whether the cost was evaluated as often as is allowed.
    fn has_spent(&self, evaluations: usize) -> bool {
        self.evaluations.is_some_and(|most| evaluations >= most)
    }

    /// Whether a change of the cost is within its tolerance.
    fn is_settled<T: Real>(&self, change: f64, cost: f64) -> bool {
        let tolerance = self.cost_tolerance.max(rounding::<T>());
        self.cost_tolerance > 0.0 && change <= tolerance * cost.abs()
    }

    /// Whether a step is within its tolerance.
    fn is_short(&self, step: &[f64], at: &[f64]) -> bool {
        let is_within =
            |step: f64, at: f64| step <= self.step_tolerance * (f64::EPSILON.sqrt() + at);
        self.step_tolerance > 0.0
            && match self.step_size {
                StepSize::OfAll => is_within(norm(step), norm(at)),
                StepSize::OfEach => step.iter().zip(at).all(|(s, x)| is_within(s.abs(), x.abs())),
            }
    }
}

/// Evaluations for each parameter, if nothing else is said to the methods for sums of squares.
const EVALUATIONS: usize = 200;

/// The rounding unit of a type of element.
fn rounding<T: Real>() -> f64 {
    T::epsilon().as_f64()
}

/// By how much two costs may differ that are equal but for rounding. Where a method compares what a step has done with what
/// was promised, it adds this to both (Conn, Gould & Toint, *Trust-Region Methods*, section 17.4.2), so that the last steps
/// go by the gradient alone.
fn noise<T: Real>(cost: f64) -> f64 {
    10.0 * rounding::<T>() * cost.abs()
}

/// Whether a step is so short that rounding decides whether it moves any parameter.
fn is_lost<T: Real>(step: &[f64], at: &[f64]) -> bool {
    step.iter().zip(at).all(|(step, at)| step.abs() <= rounding::<T>() * at.abs())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `a + factor b`.
fn plus(a: &[f64], factor: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
}

/// `a <- a + factor b`.
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}
