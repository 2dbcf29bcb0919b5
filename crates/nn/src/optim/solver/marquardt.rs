//! Nonlinear least squares by the method of Levenberg and Marquardt.

use wengert_core::{Real, Tape, Tensor, Var};

use super::bounds::Bounds;
use super::residuals::{Factored, Linear, Squares};
use super::{
    Advance, EVALUATIONS, Outcome, Robust, Solver, StepSize, StopReason, difference, dot, is_lost,
    noise, norm, plus,
};
use crate::Module;

/// Levenberg-Marquardt: makes half the sum of squares of residuals small (Levenberg, 1944;
/// Marquardt, 1963). With the residuals `r` and their Jacobian `J`, a step solves
///
/// ```text
/// min |J d + r|^2 + damping |D d|^2
/// ```
///
/// where `D` has, of each column of `J`, the largest norm since the start: the units of parameters do not matter. The
/// damping is the one that makes `|D d|` as long as a region's radius. The region grows or shrinks by the gain, the
/// ratio of the cost's fall to the fall of `|J d + r|^2 / 2` (Moré, "The Levenberg-Marquardt algorithm:
/// implementation and theory", 1978, as in MINPACK). The first one is as large as `|D p|`, of the start `p`. There
/// may be fewer residuals than parameters.
///
/// It ends when a step changes no parameter by more than 1e-8 of its size, or neither changes the cost by more than 1e-14 of it
/// nor was to; after 1000 steps; or after 200 evaluations for each parameter (all may be set).
/// The Jacobian counts as no evaluation. [`lsqnonlin`](Self::lsqnonlin) is the method as MATLAB has it.
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
/// The outcome's cost is `|r|^2 / 2`, or what a [robust](Self::robust) loss makes of it, and its gradient `J' r`.
pub type LevenbergMarquardt = Solver<Marquardt>;

/// The method of [`LevenbergMarquardt`].
#[derive(Clone, Debug, PartialEq)]
pub struct Marquardt {
    rule: Rule,
    bounds: Bounds,
    robust: Robust,
}

/// How the damping of a step is found.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// By the radius of a region.
    Region,
    /// By a factor up or down, in the parameters' own units.
    Factor { damping: f64, factor: f64 },
}

impl Default for LevenbergMarquardt {
    fn default() -> Self {
        Self::new()
    }
}

impl LevenbergMarquardt {
    /// With the defaults above.
    pub fn new() -> Self {
        let method =
            Marquardt { rule: Rule::Region, bounds: Bounds::default(), robust: Robust::default() };
        Self::with_method(method).cost_tolerance(1e-14).step_tolerance(1e-8)
    }

    /// The method of MATLAB's `lsqnonlin`, with its defaults: `D` is the identity; the damping is
    /// 0.01 at first, divided by 10 if the sum of squares falls, and otherwise multiplied by 10
    /// and the step tried again; tolerances are 1e-6 for the cost and for the step, which is measured as a vector, by its norm;
    /// 400 steps; 200 evaluations a parameter. But the Jacobian is exact, where `lsqnonlin` takes differences unless
    /// told otherwise.
    pub fn lsqnonlin() -> Self {
        let mut solver = Self::new().budget(400).cost_tolerance(1e-6).step_tolerance(1e-6);
        solver.step_size = StepSize::OfAll;
        solver.method.rule = Rule::Factor { damping: 0.01, factor: 10.0 };
        solver
    }

    /// The method of [`lsqnonlin`](Self::lsqnonlin), with another damping of the first step, and another factor.
    ///
    /// # Panics
    /// If the damping is not positive, or the factor not above 1.
    #[must_use]
    #[track_caller]
    pub fn damping(mut self, damping: f64, factor: f64) -> Self {
        assert!(damping > 0.0, "the damping is positive, not {damping}");
        assert!(factor > 1.0, "the damping's factor is above 1, not {factor}");
        self.method.rule = Rule::Factor { damping, factor };
        self
    }

    /// With bounds that no parameter leaves: a number for all, or one for each element of the trainable
    /// parameters, in the order of [`Module::parameters`]. Ends may be infinite. The method begins and stays within
    /// the bounds; residuals are never evaluated elsewhere.
    ///
    /// ```
    /// use wengert_nn::optim::LevenbergMarquardt;
    ///
    /// // Rosenbrock's valley, where y is at least 1.5.
    /// let solver = LevenbergMarquardt::new().bounds([f64::NEG_INFINITY, 1.5], f64::INFINITY);
    /// let fit = solver.fit(|[x, y]| wengert_core::stack(&[10.0 * (y - x * x), 1.0 - x], 0), [2.0, 2.0]);
    /// assert!((fit.parameters[0] - 1.22437075).abs() < 1e-8); // as scipy's documentation has it
    /// assert_eq!(fit.parameters[1], 1.5);
    /// ```
    ///
    /// # Panics
    /// If a lower bound is above the upper one, or one is no number. A run panics if there are bounds of another number than
    /// parameters, or if it would begin outside of them.
    #[must_use]
    #[track_caller]
    pub fn bounds(mut self, lower: impl Into<Tensor<f64>>, upper: impl Into<Tensor<f64>>) -> Self {
        self.method.bounds = Bounds::new(lower.into(), upper.into());
        self
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
    /// If there is no trainable parameter, or there are no residuals, or the start is out of bounds.
    #[track_caller]
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        residuals: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        let squares = Squares { residuals: &residuals, robust: self.method.robust };
        let (evaluator, start, mut linear) = squares.begin(net);
        let bounds = self.method.bounds.around::<T>(&start.at);
        let limit = self.evaluations.unwrap_or(EVALUATIONS * start.at.len());
        let solver = self.clone().evaluations(limit);
        let mut control = self.method.rule.begin(&start.at, &linear);
        solver.drive(evaluator, &bounds, start, |evaluator, point| {
            let factored = linear.factored(control.scale(&linear), &bounds.free(point));
            loop {
                let proposal = control.propose(&factored);
                let trial = bounds.project(plus(&point.at, 1.0, &proposal.step));
                let step = difference(&trial, &point.at);
                let promise = linear.promise(&point.gradient, &step);
                let cost = squares.cost_at(evaluator, &trial);
                let mut gain = Gain {
                    fall: point.cost - cost,
                    promise,
                    noise: noise::<T>(point.cost),
                    slope: dot(&point.gradient, &step),
                    is_far: 0.1 * cost.sqrt() >= point.cost.sqrt(),
                };
                let mut next = None;
                if control.accepts(&gain) {
                    next = squares.linearise_finite(evaluator, &trial);
                    if next.is_none() {
                        gain.fall = f64::NEG_INFINITY;
                    }
                }
                control.learn(&proposal, &gain);
                if let Some((to, nearby)) = next {
                    linear = nearby;
                    return Ok(Advance { to, promise: control.promised(promise) });
                }
                if solver.is_settled::<T>(gain.fall.abs().max(promise), point.cost) {
                    return Err(StopReason::CostTolerance);
                }
                if solver.is_short(&step, &point.at) {
                    return Err(StopReason::StepTolerance);
                }
                if is_lost::<T>(&step, &point.at) || control.is_exhausted() {
                    return Err(StopReason::NoProgress);
                }
                if solver.has_spent(evaluator.count()) {
                    return Err(StopReason::Evaluations);
                }
            }
        })
    }
}

/// What a step has done, beside what it was to do.
struct Gain {
    /// By how much the cost has fallen.
    fall: f64,
    /// By how much it was to fall.
    promise: f64,
    /// How much of both may be rounding.
    noise: f64,
    /// The gradient's product with the step.
    slope: f64,
    /// Whether the cost is more than a hundred times what it was.
    is_far: bool,
}

/// A step, not yet projected.
struct Proposal {
    step: Vec<f64>,
    /// `|D d|`
    length: f64,
    damping: f64,
}

/// The share of the promised decrease from which a step is taken.
const ACCEPTED: f64 = 1e-4;

/// A rule at work.
enum Control {
    Region { scale: Vec<f64>, radius: f64, is_first: bool },
    Factor { scale: Vec<f64>, damping: f64, factor: f64 },
}

impl Rule {
    fn begin(&self, at: &[f64], linear: &Linear) -> Control {
        match *self {
            Self::Region => {
                // What does nothing at first is in units of its own.
                let norms = linear.column_norms().into_iter();
                let scale: Vec<f64> =
                    norms.map(|norm| if norm > 0.0 { norm } else { 1.0 }).collect();
                let size = norm(&at.iter().zip(&scale).map(|(x, d)| x * d).collect::<Vec<_>>());
                let radius = if size > 0.0 { size } else { 1.0 };
                Control::Region { scale, radius, is_first: true }
            }
            Self::Factor { damping, factor } => {
                Control::Factor { scale: vec![1.0; at.len()], damping, factor }
            }
        }
    }
}

impl Control {
    /// `D` at a new point.
    fn scale(&mut self, linear: &Linear) -> &[f64] {
        match self {
            Self::Region { scale, .. } => {
                for (scale, norm) in scale.iter_mut().zip(linear.column_norms()) {
                    *scale = scale.max(norm);
                }
                scale
            }
            Self::Factor { scale, .. } => scale,
        }
    }

    fn propose(&self, factored: &Factored) -> Proposal {
        match *self {
            Self::Region { radius, .. } => {
                let (step, length, damping) = factored.step_within(radius);
                Proposal { step, length, damping }
            }
            Self::Factor { damping, .. } => {
                let (step, length) = factored.step(damping);
                Proposal { step, length, damping }
            }
        }
    }

    /// Whether a step is taken.
    fn accepts(&self, gain: &Gain) -> bool {
        match self {
            Self::Region { .. } => gain.ratio() > ACCEPTED,
            Self::Factor { .. } => gain.fall > 0.0,
        }
    }

    /// What follows from a step for the next one.
    fn learn(&mut self, proposal: &Proposal, gain: &Gain) {
        let is_taken = self.accepts(gain);
        match self {
            Self::Region { radius, is_first, .. } => {
                if std::mem::take(is_first) {
                    *radius = radius.min(proposal.length);
                }
                let ratio = gain.ratio();
                if ratio >= 0.75 || ratio > 0.25 && proposal.damping == 0.0 {
                    *radius = 2.0 * proposal.length;
                } else if ratio.is_nan() || ratio <= 0.25 {
                    *radius = gain.shrinkage() * radius.min(10.0 * proposal.length);
                }
            }
            Self::Factor { damping, factor, .. } => {
                if is_taken {
                    *damping /= *factor
                } else {
                    *damping *= *factor
                }
            }
        }
    }

    /// The promise that ends a run if it is small: MATLAB's rule has none.
    fn promised(&self, promise: f64) -> f64 {
        match self {
            Self::Region { .. } => promise,
            Self::Factor { .. } => 0.0,
        }
    }

    /// Whether steps cannot become shorter.
    fn is_exhausted(&self) -> bool {
        match self {
            Self::Region { radius, .. } => radius.is_nan() || *radius <= 0.0,
            Self::Factor { damping, .. } => !damping.is_finite(),
        }
    }
}

impl Gain {
    fn ratio(&self) -> f64 {
        (self.fall + self.noise) / (self.promise.max(0.0) + self.noise)
    }

    /// By what a region shrinks after a poor step: to the minimum of the parabola through both costs, with the slope at the
    /// first; to a tenth at least, and to a half at most.
    fn shrinkage(&self) -> f64 {
        if self.is_far || !self.fall.is_finite() {
            return 0.1;
        }
        let share = match self.fall >= 0.0 {
            true => 0.5,
            false => 0.5 * self.slope / (self.slope + self.fall),
        };
        share.clamp(0.1, 0.5)
    }
}
