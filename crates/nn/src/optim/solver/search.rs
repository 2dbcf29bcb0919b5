//! A line search for the strong Wolfe conditions.
//!
//! (N&W: Nocedal & Wright, *Numerical Optimization*, second edition, 2006.)

use wengert_core::Real;

use super::bounds::Bounds;
use super::evaluator::Point;
use super::{difference, dot, is_lost, noise, plus};

/// The constants of the Wolfe conditions.
const DECREASE: f64 = 1e-4;
const FLATTENING: f64 = 0.9;
/// Trials of a line search; usual are one or two.
const TRIALS: usize = 40;

/// Where a search goes: along a direction, and along the border where that leads out of bounds.
pub(super) struct Line<'p> {
    pub start: &'p Point,
    /// The gradient at the start, with 0 for what is held.
    pub gradient: &'p [f64],
    pub direction: &'p [f64],
    pub bounds: &'p Bounds,
}

/// A trial of the line search: its step length, the slope along the line, and the point.
struct Trial {
    length: f64,
    slope: f64,
    point: Point,
    /// By how much the gradient at the start says that the cost changes.
    change: f64,
    /// Whether a border has bent the line.
    is_bent: bool,
}

impl Line<'_> {
    fn trial(&self, length: f64, evaluate: &mut impl FnMut(&[f64]) -> Point) -> Trial {
        let straight = plus(&self.start.at, length, self.direction);
        let at = self.bounds.project(straight.clone());
        let point = evaluate(&at);
        // Parameters at a border stand still, whatever their slope is.
        let moves = self.direction.iter().zip(straight.iter().zip(&at));
        let slopes = moves.zip(&point.gradient).filter(|((d, (to, at)), _)| **d != 0.0 && to == at);
        let slope = slopes.map(|((d, _), g)| d * g).sum();
        let change = dot(self.gradient, &difference(&at, &self.start.at));
        Trial { length, slope, change, is_bent: straight != at, point }
    }
}

/// A point along the line that meets the strong Wolfe conditions: bracketing (N&W,
/// algorithm 3.5), then narrowing the bracket (algorithm 3.6). Where the line is bent, a decrease suffices.
pub(super) fn strong_wolfe<T: Real>(
    line: &Line<'_>,
    first: f64,
    evaluate: &mut impl FnMut(&[f64]) -> Point,
) -> Option<Point> {
    let start = line.start;
    let slope = dot(line.gradient, line.direction);
    if slope >= 0.0 || !slope.is_finite() {
        return None;
    }
    // Where costs agree to rounding, the slope alone decides.
    let noise = noise::<T>(start.cost);
    let is_low = |trial: &Trial, low: &Trial| {
        let bound = start.cost + DECREASE * trial.change + noise;
        // A cost that is no number is not low; and where there is no slope, no search goes on.
        let cost = trial.point.cost;
        cost <= bound && cost <= low.point.cost + noise && trial.slope.is_finite()
    };
    // A bent line may have a kink for a minimum, where it is flat nowhere.
    let is_flat = |trial: &Trial| trial.is_bent || trial.slope.abs() <= -FLATTENING * slope;

    let mut low = Trial { length: 0.0, slope, point: start.clone(), change: 0.0, is_bent: false };
    let mut length = first;
    let mut high = None;
    for _ in 0..TRIALS {
        let trial = line.trial(length, evaluate);
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
        let step: Vec<f64> = line.direction.iter().map(|d| (length - low.length) * d).collect();
        if is_lost::<T>(&step, &low.point.at) {
            break;
        }
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
