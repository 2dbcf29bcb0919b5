//! L-BFGS with a line search for the strong Wolfe conditions.
//!
//! (N&W: Nocedal & Wright, *Numerical Optimization*, second edition, 2006.)

use std::collections::VecDeque;

use wengert_core::{Real, Tape, Var};

use super::evaluator::{Evaluator, Point};
use super::{Outcome, Solver, StopReason, add, difference, dot, norm, plus};
use crate::Module;

/// L-BFGS: a quasi-Newton method that knows the curvature from its last steps (N&W,
/// algorithm 7.4), with steps that meet the strong Wolfe conditions (algorithms 3.5, 3.6),
///
/// ```text
/// f(x + a d) <= f(x) + c1 a g'd      |g(x + a d)'d| <= c2 |g'd|      c1 = 1e-4, c2 = 0.9
/// ```
///
/// so that each pair of a step and a change of the gradient has positive curvature.
///
/// ```
/// use wengert_nn::Param;
/// use wengert_nn::optim::{Lbfgs, StopReason};
///
/// // Rosenbrock's valley.
/// let mut net = Param::new([-1.2_f64, 1.0]);
/// let outcome = Lbfgs::new().run(&mut net, |net, tape| {
///     let p = net.on(tape);
///     let (x, y) = (p.slice(0, ..1), p.slice(0, 1..));
///     ((1.0 - x).square() + 100.0 * (y - x * x).square()).sum()
/// });
/// assert_eq!(outcome.reason, StopReason::GradientTolerance);
/// assert!(net.elements().iter().all(|p: &f64| (p - 1.0).abs() < 1e-8));
/// assert!(outcome.steps < 50);
/// ```
pub type Lbfgs = Solver<Secants>;

/// The method of [`Lbfgs`].
#[derive(Clone, Debug, PartialEq)]
pub struct Secants {
    pairs: usize,
}

/// The constants of the Wolfe conditions.
const DECREASE: f64 = 1e-4;
const FLATTENING: f64 = 0.9;
/// Trials of a line search; usual are one or two.
const TRIALS: usize = 40;

impl Default for Lbfgs {
    fn default() -> Self {
        Self::new()
    }
}

impl Lbfgs {
    /// With ten pairs, and a gradient tolerance of 1e-8.
    pub fn new() -> Self {
        Self::with_method(Secants { pairs: 10 }).gradient_tolerance(1e-8)
    }

    /// With another number of pairs that are remembered.
    #[must_use]
    pub fn pairs(mut self, pairs: usize) -> Self {
        self.method.pairs = pairs;
        self
    }

    /// Minimises from the model's present parameters. `cost` records the whole cost
    /// on the tape it is given.
    ///
    /// # Panics
    /// If the cost has more than one element or depends on no trainable parameter.
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        cost: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        let mut evaluator = Evaluator::new(net);
        let start = evaluator.point(&evaluator.position(), &cost);
        let mut pairs: VecDeque<Pair> = VecDeque::new();
        self.drive(evaluator, start, |evaluator, point| {
            loop {
                let direction = direction(&pairs, &point.gradient);
                // Without curvature, the first trial is a step of length 1 at most.
                let first = match pairs.is_empty() {
                    true => (1.0 / norm(&point.gradient)).min(1.0),
                    false => 1.0,
                };
                let mut along = |at: &[f64]| evaluator.point(at, &cost);
                if let Some(next) = search(point, &direction, first, &mut along) {
                    pairs.extend(Pair::new(point, &next));
                    if pairs.len() > self.method.pairs {
                        pairs.pop_front();
                    }
                    return Ok(next);
                }
                // What was remembered may mislead: begin anew, once.
                if pairs.is_empty() {
                    return Err(StopReason::NoProgress);
                }
                pairs.clear();
            }
        })
    }
}

/// A step and the change of the gradient along it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    product: f64,
}

impl Pair {
    fn new(from: &Point, to: &Point) -> Option<Self> {
        let (step, change) =
            (difference(&to.at, &from.at), difference(&to.gradient, &from.gradient));
        let product = dot(&step, &change);
        (product > 0.0).then_some(Self { step, change, product })
    }
}

/// `-H g` by the two loops of N&W, algorithm 7.4, with (7.20) as the initial matrix.
fn direction(pairs: &VecDeque<Pair>, gradient: &[f64]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = dot(&pair.step, &q) / pair.product;
        add(&mut q, -share, &pair.change);
        shares.push(share);
    }
    if let Some(last) = pairs.back() {
        let scale = last.product / dot(&last.change, &last.change);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, share) in pairs.iter().zip(shares.iter().rev()) {
        let back = dot(&pair.change, &q) / pair.product;
        add(&mut q, share - back, &pair.step);
    }
    q
}

/// A trial of the line search: its step length, the slope along the line, and the point.
struct Trial {
    length: f64,
    slope: f64,
    point: Point,
}

/// A point along the direction that meets the strong Wolfe conditions: bracketing (N&W,
/// algorithm 3.5), then narrowing the bracket (algorithm 3.6).
fn search(
    start: &Point,
    direction: &[f64],
    first: f64,
    evaluate: &mut impl FnMut(&[f64]) -> Point,
) -> Option<Point> {
    let slope = dot(&start.gradient, direction);
    if slope >= 0.0 || !slope.is_finite() {
        return None;
    }
    let mut trial_at = |length: f64| {
        let point = evaluate(&plus(&start.at, length, direction));
        Trial { length, slope: dot(&point.gradient, direction), point }
    };
    // Where costs agree to rounding, the slope alone decides.
    let noise = 4.0 * f64::EPSILON * start.cost.abs();
    let is_low = |trial: &Trial, low: &Trial| {
        let bound = start.cost + DECREASE * trial.length * slope + noise;
        // A cost that is no number is not low.
        trial.point.cost <= bound && trial.point.cost <= low.point.cost + noise
    };
    let is_flat = |trial: &Trial| trial.slope.abs() <= -FLATTENING * slope;

    let mut low = Trial { length: 0.0, slope, point: start.clone() };
    let mut length = first;
    let mut high = None;
    for _ in 0..TRIALS {
        let trial = trial_at(length);
        let beyond = !is_low(&trial, &low);
        if !beyond && is_flat(&trial) {
            return Some(trial.point);
        }
        match (&mut high, beyond) {
            (_, true) => high = Some(trial),
            (None, false) if trial.slope < 0.0 => low = trial,
            (None, false) => high = Some(std::mem::replace(&mut low, trial)),
            (Some(far), false) => {
                if trial.slope * (far.length - low.length) >= 0.0 {
                    *far = low;
                }
                low = trial;
            }
        }
        length = match &high {
            Some(high) => between(&low, high),
            None => 2.0 * low.length,
        };
    }
    // A decrease without flatness is still a step.
    (low.point.cost < start.cost).then_some(low.point)
}

/// The minimiser of the cubic through two trials (N&W, (3.59)), kept away from both ends.
fn between(low: &Trial, high: &Trial) -> f64 {
    let width = high.length - low.length;
    let d1 = low.slope + high.slope - 3.0 * (high.point.cost - low.point.cost) / width;
    let root = (d1 * d1 - low.slope * high.slope).sqrt().copysign(width);
    let share = 1.0 - (high.slope + root - d1) / (high.slope - low.slope + 2.0 * root);
    // No minimum, or a cost that is not finite: the middle.
    let share = if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.5 };
    low.length + share * width
}
