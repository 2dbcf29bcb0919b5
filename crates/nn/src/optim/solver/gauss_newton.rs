//! Nonlinear least squares by the method of Gauss and Newton.

use wengert_core::{Real, Tape, Var};

use super::bounds::Bounds;
use super::residuals::Squares;
use super::{Advance, EVALUATIONS, Outcome, Robust, Solver, StopReason, dot, is_lost, noise, plus};
use crate::Module;

/// Gauss-Newton with a line search: makes half the sum of squares of residuals small (N&W, section
/// 10.3). With the residuals `r` and their Jacobian `J`, a step goes along the solution of
///
/// ```text
/// min |J d + r|^2
/// ```
///
/// (the shortest, if there are several, of parameters in units of the columns of `J`), all of the way if the
/// sum of squares falls enough, else half, a quarter and so on: Armijo's rule. Where the residuals are small or nearly linear, it
/// converges like Newton's method and without second derivatives.
/// [`LevenbergMarquardt`](super::LevenbergMarquardt) is the safer choice where `J` nearly loses its rank: here, steps become long then and
/// have to be cut short, and the end may be far from a minimum, as the outcome's gradient tells.
///
/// Both want the Jacobian as a matrix. For models of many parameters, and for other convex losses,
/// [`NewtonCg::run_gauss_newton`](super::NewtonCg::run_gauss_newton) does with products;
/// [`wengert_core::gauss_newton_product`] is one.
///
/// Budget and tolerances are those of Levenberg-Marquardt, unless set otherwise.
///
/// ```
/// use wengert_nn::Param;
/// use wengert_nn::optim::GaussNewton;
///
/// // a e^(b t) through three points
/// let mut net = Param::new([1.0, 0.0]);
/// let outcome = GaussNewton::new().run(&mut net, |net, tape| {
///     let p = net.on(tape);
///     let (a, b) = (p.slice(0, ..1), p.slice(0, 1..));
///     let (t, y) = (tape.constant([0.0, 1.0, 2.0]), tape.constant([2.0, 1.0, 0.5]));
///     a * (b * t).exp() - y
/// });
/// assert!(outcome.cost < 1e-20 && outcome.steps < 10);
/// assert!((net.elements()[1] + 2.0_f64.ln()).abs() < 1e-8);
/// ```
///
/// The outcome's cost is `|r|^2 / 2`, and its gradient `J' r`.
pub type GaussNewton = Solver<LinearModel>;

/// The method of [`GaussNewton`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    robust: Robust,
}

/// The share of the decrease promised by the slope from which a step is taken.
const ACCEPTED: f64 = 1e-4;

impl Default for GaussNewton {
    fn default() -> Self {
        Self::new()
    }
}

impl GaussNewton {
    /// With the defaults above.
    pub fn new() -> Self {
        let solver = Self::with_method(LinearModel { robust: Robust::default() });
        solver.cost_tolerance(1e-14).step_tolerance(1e-8)
    }

    /// With a loss that outliers among the residuals count less in.
    ///
    /// # Panics
    /// If its scale is not positive.
    #[must_use]
    #[track_caller]
    pub fn robust(mut self, robust: Robust) -> Self {
        robust.check();
        self.method.robust = robust;
        self
    }

    /// Minimises from the model's present parameters. `residuals` records the residuals, of
    /// any shape, on the tape it is given.
    ///
    /// # Panics
    /// If there is no trainable parameter, or there are no residuals.
    #[track_caller]
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        residuals: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        let squares = Squares { residuals: &residuals, robust: self.method.robust };
        let (evaluator, start, mut linear) = squares.begin(net);
        let limit = self.evaluations.unwrap_or(EVALUATIONS * start.at.len());
        let solver = self.clone().evaluations(limit);
        solver.drive(evaluator, &Bounds::default(), start, |evaluator, point| {
            // In these units, rounding alone decides which singular values are 0.
            let mut scale = linear.column_norms();
            scale.iter_mut().filter(|scale| **scale == 0.0).for_each(|scale| *scale = 1.0);
            let (mut step, _) = linear.factored(&scale, &vec![true; scale.len()]).step(0.0);
            loop {
                let trial = plus(&point.at, 1.0, &step);
                let promise = linear.promise(&point.gradient, &step);
                let cost = squares.cost_at(evaluator, &trial);
                let most = point.cost + ACCEPTED * dot(&point.gradient, &step);
                if cost <= most + noise::<T>(point.cost)
                    && let Some((to, next)) = squares.linearise_finite(evaluator, &trial)
                {
                    linear = next;
                    return Ok(Advance { to, promise });
                }
                if solver.is_settled::<T>((cost - point.cost).abs().max(promise), point.cost) {
                    return Err(StopReason::CostTolerance);
                }
                if solver.is_short(&step, &point.at) {
                    return Err(StopReason::StepTolerance);
                }
                if is_lost::<T>(&step, &point.at) {
                    return Err(StopReason::NoProgress);
                }
                if solver.has_spent(evaluator.count()) {
                    return Err(StopReason::Evaluations);
                }
                step.iter_mut().for_each(|d| *d /= 2.0);
            }
        })
    }
}
