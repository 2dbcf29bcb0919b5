//! Nonlinear least squares by the method of Gauss and Newton.

use wengert_core::{Real, Tape, Var};

use super::residuals::{begin, half_square_at, linearise};
use super::{Outcome, Solver, StopReason, dot, norm, plus};
use crate::Module;

/// Gauss-Newton with a line search: makes half the sum of squares of residuals small (N&W, section
/// 10.3). With the residuals `r` and their Jacobian `J`, a step goes along the solution of
///
/// ```text
/// min |J d + r|^2
/// ```
///
/// (the shortest, if there are several), all of the way if the sum of squares falls enough, else
/// half, a quarter and so on: Armijo's rule. Where the residuals are small or nearly linear, it
/// converges like Newton's method and without second derivatives, and unlike
/// [`LevenbergMarquardt`](super::LevenbergMarquardt) it does not depend on the scales of parameters.
/// That one is the safer choice where `J` nearly loses its rank: here, steps become long then and
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
pub struct LinearModel(());

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
        let solver = Self::with_method(LinearModel(()));
        solver.budget(400).cost_tolerance(1e-6).step_tolerance(1e-6)
    }

    /// Minimises from the model's present parameters. `residuals` records the residuals, of
    /// any shape, on the tape it is given.
    ///
    /// # Panics
    /// If there is no trainable parameter, or there are no residuals.
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        residuals: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        let (evaluator, start, mut linear) = begin(net, &residuals);
        self.drive(evaluator, start, |evaluator, point| {
            let mut step = linear.least_norm_step();
            loop {
                let trial = plus(&point.at, 1.0, &step);
                let value = half_square_at(evaluator, &trial, &residuals);
                if value <= point.cost + ACCEPTED * dot(&point.gradient, &step) {
                    let next;
                    (next, linear) = linearise(evaluator, &trial, &residuals);
                    return Ok(next);
                }
                if self.is_short(&step, &point.at) {
                    return Err(StopReason::StepTolerance);
                }
                if norm(&step) <= f64::EPSILON * norm(&point.at) || norm(&step) == 0.0 {
                    return Err(StopReason::NoProgress);
                }
                if self.has_spent(evaluator.count()) {
                    return Err(StopReason::Evaluations);
                }
                step.iter_mut().for_each(|d| *d /= 2.0);
            }
        })
    }
}
