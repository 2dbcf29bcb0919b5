//! Nonlinear least squares by the method of Levenberg and Marquardt.

use wengert_core::{Real, Tape, Var};

use super::residuals::{begin, half_square_at, linearise};
use super::{Outcome, Solver, StopReason, norm, plus};
use crate::Module;

/// Levenberg-Marquardt: makes half the sum of squares of residuals small (Levenberg, 1944;
/// Marquardt, 1963). With the residuals `r` and their Jacobian `J`, a step solves
///
/// ```text
/// min |J d + r|^2 + damping |d|^2
/// ```
///
/// and is taken if the sum of squares falls; the damping is divided by the factor then, and
/// otherwise multiplied by it and the step tried again. A large damping makes short steps down
/// the gradient, a small one Gauss-Newton steps. There may be fewer residuals than parameters,
/// since the damping makes the problem definite.
///
/// The defaults are those of MATLAB's `lsqnonlin` with this method: damping 0.01, factor 10,
/// tolerances of 1e-6 for cost and step, 400 steps, 200 evaluations a parameter
/// (all may be set). But the Jacobian is exact, where `lsqnonlin` takes differences unless
/// told otherwise, and it counts as no evaluation.
///
/// ```
/// use wengert_nn::Param;
/// use wengert_nn::optim::LevenbergMarquardt;
///
/// // Rosenbrock's valley: two residuals.
/// let mut net = Param::new([-1.2, 1.0]);
/// let outcome = LevenbergMarquardt::new().run(&mut net, |net, tape| {
///     let p = net.on(tape);
///     let (x, y) = (p.slice(0, ..1), p.slice(0, 1..));
///     wengert_core::concat(&[1.0 - x, 10.0 * (y - x * x)], 0)
/// });
/// assert!(outcome.cost < 1e-20 && outcome.steps < 30);
/// assert!(net.elements().iter().all(|p: &f64| (p - 1.0).abs() < 1e-8));
/// ```
///
/// The outcome's cost is `|r|^2 / 2`, and its gradient `J' r`.
pub type LevenbergMarquardt = Solver<Marquardt>;

/// The method of [`LevenbergMarquardt`].
#[derive(Clone, Debug, PartialEq)]
pub struct Marquardt {
    damping: f64,
    factor: f64,
}

/// Evaluations for each parameter, if nothing else is said.
const EVALUATIONS: usize = 200;

impl Default for LevenbergMarquardt {
    fn default() -> Self {
        Self::new()
    }
}

impl LevenbergMarquardt {
    /// With the defaults above.
    pub fn new() -> Self {
        let method = Marquardt { damping: 0.01, factor: 10.0 };
        Self::with_method(method).budget(400).cost_tolerance(1e-6).step_tolerance(1e-6)
    }

    /// With another damping of the first step.
    ///
    /// # Panics
    /// If it is not positive.
    #[must_use]
    #[track_caller]
    pub fn damping(mut self, damping: f64) -> Self {
        assert!(damping > 0.0, "the damping is positive, not {damping}");
        self.method.damping = damping;
        self
    }

    /// With another factor of the damping.
    ///
    /// # Panics
    /// If it is not above 1.
    #[must_use]
    #[track_caller]
    pub fn factor(mut self, factor: f64) -> Self {
        assert!(factor > 1.0, "the damping's factor is above 1, not {factor}");
        self.method.factor = factor;
        self
    }

    /// Minimises from the model's present parameters. `residuals` records the residuals, of
    /// any shape, on the tape it is given.
    ///
    /// # Panics
    /// If there is no trainable parameter.
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        residuals: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        let (evaluator, start, mut linear) = begin(net, &residuals);
        let limit = self.evaluations.unwrap_or(EVALUATIONS * start.at.len());
        let solver = self.clone().evaluations(limit);
        let mut damping = self.method.damping;
        solver.drive(evaluator, start, |evaluator, point| {
            loop {
                let step = linear.damped_step(damping);
                let trial = plus(&point.at, 1.0, &step);
                let value = half_square_at(evaluator, &trial, &residuals);
                if value < point.cost {
                    damping /= self.method.factor;
                    let next;
                    (next, linear) = linearise(evaluator, &trial, &residuals);
                    return Ok(next);
                }
                damping *= self.method.factor;
                if self.is_short(&step, &point.at) {
                    return Err(StopReason::StepTolerance);
                }
                if norm(&step) <= f64::EPSILON * norm(&point.at) || !damping.is_finite() {
                    return Err(StopReason::NoProgress);
                }
                if solver.has_spent(evaluator.count()) {
                    return Err(StopReason::Evaluations);
                }
            }
        })
    }
}
