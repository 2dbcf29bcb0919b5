//! Nonlinear least squares by the method of Levenberg and Marquardt.

use wengert_core::{Real, Tape, Tensor, Var, concat};

use super::evaluator::{Evaluator, Point};
use super::{Outcome, Solver, StopReason, add, dot, norm, plus};
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
        let mut evaluator = Evaluator::new(net);
        let at = evaluator.position();
        assert!(!at.is_empty(), "there is a parameter to be trained");
        let limit = self.evaluations.unwrap_or(EVALUATIONS * at.len());
        let solver = self.clone().evaluations(limit);
        evaluator.evaluated();
        let (start, mut linear) = linearise(&mut evaluator, &at, &residuals);
        let mut damping = self.method.damping;
        solver.drive(evaluator, start, |evaluator, point| {
            loop {
                let step = linear.step(damping);
                let trial = plus(&point.at, 1.0, &step);
                evaluator.evaluated();
                let value = evaluator.record(&trial, |net, tape, _| {
                    tape.without_gradients(|| half_square(&values(residuals(net, tape))))
                });
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

fn values<T: Real>(residuals: Var<'_, T>) -> Vec<f64> {
    residuals.with_value(|values| values.iter().map(|x| x.as_f64()).collect())
}

fn half_square(residuals: &[f64]) -> f64 {
    0.5 * dot(residuals, residuals)
}

/// The residuals near a point.
struct Linear {
    residuals: Vec<f64>,
    /// By rows: one for each residual.
    jacobian: Vec<f64>,
}

/// Evaluates residuals and Jacobian.
fn linearise<T: Real, M: Module<T>>(
    evaluator: &mut Evaluator<'_, T, M>,
    at: &[f64],
    residuals: &impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
) -> (Point, Linear) {
    let linear = evaluator.record(at, |net, tape, vars| {
        let y = residuals(net, tape);
        let blocks = y.jacobian(vars);
        let rows = y.elements();
        let mut jacobian = Vec::with_capacity(rows * at.len());
        for row in 0..rows {
            for block in &blocks {
                let columns = block.len() / rows;
                let elements = block.as_slice().expect("a Jacobian is contiguous");
                let own = &elements[row * columns..][..columns];
                jacobian.extend(own.iter().map(|x| x.as_f64()));
            }
        }
        Linear { residuals: values(y), jacobian }
    });
    let at = evaluator.position();
    let mut gradient = vec![0.0; at.len()];
    for (row, &r) in linear.jacobian.chunks(at.len()).zip(&linear.residuals) {
        add(&mut gradient, r, row);
    }
    (Point { at, cost: half_square(&linear.residuals), gradient }, linear)
}

impl Linear {
    /// The least-squares solution of `J d = -r` and `sqrt(damping) d = 0`, by the QR
    /// factorisation of both together: the normal equations would square the condition.
    fn step(&self, damping: f64) -> Vec<f64> {
        let rows = self.residuals.len();
        let columns = self.jacobian.len() / rows;
        let tape = Tape::new();
        let jacobian = tape.constant(Tensor::new([rows, columns], self.jacobian.clone()));
        let identity = Tensor::from_fn([columns, columns], |i| {
            if i % (columns + 1) == 0 { damping.sqrt() } else { 0.0 }
        });
        let (q, r) = concat(&[jacobian, tape.constant(identity)], 0).qr();
        let right = self.residuals.iter().map(|r| -r).collect();
        let right = tape.constant(Tensor::new([rows, 1], right));
        // Below the residuals stand zeros, with which the rest of Q is multiplied.
        let right = q.slice(0, ..rows).transpose().matmul(right);
        r.solve_upper_triangular(right).value().to_vec()
    }
}
