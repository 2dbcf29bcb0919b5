//! The Taylor remainder, and the rate at which it falls.
//!
//! For a right gradient `g` the remainder `|f(x + hv) - f(x) - h <g, v>|` falls as
//! `h^2`, for a wrong one as `h`. That rate needs no tolerance: it tells a small
//! error from a strongly curved function, which a comparison of numbers at one
//! step size cannot. Taking `h^2/2 <v, Hv>` off as well leaves a remainder of
//! order 3 if the Hessian is right.
//!
//! Rates exist only between truncation and rounding. A linear function has no
//! remainder but rounding, so the ladder of steps goes down until the remainder
//! drowns in the noise of the function, and what has drowned is not judged. The
//! noise is estimated, by the method of Moré and Wild (Estimating Computational
//! Noise, 2011): third differences of the function over steps so small that
//! nothing but noise is left of them.

use std::slice::from_ref;

use super::problem::{Evaluate, inner, moved};
use super::report::Verdict;
use crate::{Real, Tensor};

/// The first step to try, relative to the size of `x`.
const FIRST_STEP: f64 = 0.125;
/// The longest ladder.
const RUNGS: usize = 22;
/// A remainder counts if it is so many times larger than the noise.
const ABOVE_NOISE: f64 = 10.0;
/// Rungs to which a rate is fitted: the finest ones that count.
const FITTED: usize = 4;
/// Rungs that it takes to call a derivative wrong: two differ by chance too easily.
const LEAST: usize = 3;
/// How far a rate may fall short of its order: halfway down would be the order of
/// a wrong derivative plus one half.
const SHORTFALL: f64 = 0.25;

/// A derivative along a line, to be judged.
pub(super) enum Candidate<'a, T> {
    /// A gradient: `<g, v>` is taken with the step as it was rounded.
    Gradient(&'a [Tensor<T>]),
    /// A tangent, contracted with the cotangent.
    Slope(f64),
}

/// One step: how the function differed, and how the candidates said it would.
struct Step {
    h: f64,
    difference: f64,
    predicted: Vec<f64>,
}

/// A function along a line through `x`: what all rates are computed from.
pub(super) struct Line {
    steps: Vec<Step>,
    /// Finer steps, for the eye: rounding grows there as `1 / h`.
    tail: Vec<Step>,
    /// The noise of one difference.
    noise: f64,
    /// The natural size of `<g, v>`: the sum of the absolute terms.
    scale: f64,
    /// The smallest relative error that steps of this precision resolve.
    precision: f64,
    /// What lies in the way of larger steps.
    pub(super) obstacle: Option<String>,
    /// Whether there was room for a rate below the obstacle.
    pub(super) is_blocked: bool,
    /// The largest step without an obstacle.
    pub(super) largest: f64,
}

/// The line that starts at the point in question.
pub(super) struct Walk<'a, T: Real> {
    pub(super) function: &'a dyn Evaluate<T>,
    pub(super) x: &'a [Tensor<T>],
    pub(super) y: &'a Tensor<T>,
    pub(super) v: &'a [Tensor<T>],
    pub(super) w: &'a Tensor<T>,
    pub(super) candidates: &'a [Candidate<'a, T>],
    /// A relative error that is no mistake; precision sets a least one.
    pub(super) tolerance: f64,
    /// Whether to go on where only rounding is left, for the picture.
    pub(super) whole: bool,
}

impl<T: Real> Walk<'_, T> {
    /// The step of length `h`, and what lies between here and there.
    fn step(&self, h: f64) -> (Step, Option<String>) {
        let there: Vec<_> = self.x.iter().zip(self.v).map(|(x, v)| moved(x, h, v)).collect();
        let (y, obstacle) = self.function.at(&there);
        let difference = if y.shape() == self.y.shape() { self.contract(&y) } else { f64::NAN };
        // The step that was taken, after rounding, and not the one asked for.
        let predict = |g: &[Tensor<T>]| {
            let terms = g.iter().zip(self.x).zip(&there).flat_map(|((g, x), there)| {
                let taken = there.iter().zip(x.iter()).map(|(b, a)| b.as_f64() - a.as_f64());
                g.iter().zip(taken).map(|(g, taken)| g.as_f64() * taken)
            });
            terms.sum()
        };
        let predicted = self.candidates.iter().map(|candidate| match candidate {
            Candidate::Gradient(g) => predict(g),
            Candidate::Slope(slope) => h * slope,
        });
        (Step { h, difference, predicted: predicted.collect() }, obstacle)
    }

    /// `<w, y - f(x)>`, differences first.
    fn contract(&self, y: &Tensor<T>) -> f64 {
        let terms = y.iter().zip(self.y.iter()).zip(self.w.iter());
        terms.map(|((b, a), w)| (b.as_f64() - a.as_f64()) * w.as_f64()).sum()
    }

    /// Whether the function has another slope on the other side of the point: the second
    /// difference, which knows no derivative, falls as `h^2` if it has not, and as `h`
    /// or not at all if it has.
    pub(super) fn is_bent(&self, line: &Line) -> bool {
        let epsilon = T::epsilon().as_f64();
        let bends = line.steps.iter().rev().map(|step| Rung {
            h: step.h,
            remainder: (step.difference + self.step(-step.h).0.difference).abs(),
            floor: 2.0 * line.floor(step.h, epsilon),
        });
        let finest: Vec<Rung> = bends.filter(Rung::counts).take(FITTED).collect();
        // Where terms cancel, noise may be more than was estimated: it is no change of slope that
        // a rate would show.
        let slopes = line.steps.iter().map(|step| (step.difference / step.h).abs());
        let natural = slopes.fold(line.scale, f64::max);
        finest.len() >= LEAST
            && finest.iter().all(|rung| rung.remainder > line.precision * natural * rung.h)
            && fit(&finest).is_some_and(|slope| slope < 1.5)
    }

    /// Third differences over tiny steps, scaled to the deviation of one value.
    fn noise(&self, epsilon: f64) -> f64 {
        let remainders: Vec<f64> = (1..=7)
            .map(|i| {
                let (step, _) = self.step(64.0 * epsilon * f64::from(i));
                step.difference - step.predicted[0]
            })
            .collect();
        let third = remainders.windows(4).map(|r| r[3] - 3.0 * r[2] + 3.0 * r[1] - r[0]);
        let squares: Vec<f64> = third.map(|d| d * d).filter(|d| d.is_finite()).collect();
        (squares.iter().sum::<f64>() / squares.len().max(1) as f64 / 20.0).sqrt()
    }

    /// Goes down the ladder of steps until nothing but noise is left.
    pub(super) fn descend(&self) -> Line {
        let epsilon = T::epsilon().as_f64();
        let ratio = if epsilon < 1e-10 { 4.0 } else { 2.0 };
        let smallest = epsilon.sqrt() * 16.0;
        let scale = self.candidates.iter().map(|candidate| match candidate {
            Candidate::Gradient(g) => inner(g, self.v).1,
            Candidate::Slope(slope) => slope.abs(),
        });
        let size = inner(from_ref(self.y), from_ref(self.w)).1;
        let mut line = Line {
            steps: Vec::new(),
            tail: Vec::new(),
            noise: self.noise(epsilon).max(epsilon * size),
            scale: scale.fold(0.0, f64::max),
            precision: self.tolerance.max(8.0 * epsilon.sqrt()),
            obstacle: None,
            is_blocked: false,
            largest: FIRST_STEP,
        };
        loop {
            let (step, obstacle) = self.step(line.largest);
            if obstacle.is_none() && step.difference.is_finite() {
                line.steps.push(step);
                break;
            }
            line.obstacle = obstacle.or(line.obstacle);
            line.largest /= ratio;
            if line.largest < smallest {
                line.is_blocked = true;
                return line;
            }
        }
        while line.steps.len() < RUNGS && !line.has_drowned(epsilon) {
            let h = line.steps[line.steps.len() - 1].h / ratio;
            line.steps.push(self.step(h).0);
        }
        let mut h = line.steps[line.steps.len() - 1].h / ratio;
        while self.whole && h > 2.0 * epsilon {
            line.tail.push(self.step(h).0);
            h /= ratio;
        }
        line
    }
}

impl Line {
    /// What rounding may leave of a remainder.
    fn floor(&self, h: f64, epsilon: f64) -> f64 {
        ABOVE_NOISE * (self.noise + epsilon * h * self.scale)
    }

    /// Whether two rungs in a row show nothing, or five the same wrong slope.
    fn has_drowned(&self, epsilon: f64) -> bool {
        let remainders: Vec<(f64, f64)> = self
            .steps
            .iter()
            .map(|step| {
                let off = step.predicted.iter().map(|p| (step.difference - p).abs());
                (step.h, off.fold(0.0, f64::max))
            })
            .collect();
        let drowned = |&(h, r): &(f64, f64)| r <= self.floor(h, epsilon);
        let count = remainders.len();
        let last = |n: usize| &remainders[count.saturating_sub(n)..];
        let is_straight = |pair: &[(f64, f64)]| (pair[0].1 / pair[1].1).log(pair[0].0 / pair[1].0);
        count >= 2 && last(2).iter().all(drowned)
            || count >= 10 && last(5).windows(2).all(|pair| (is_straight(pair) - 1.0).abs() < 0.003)
    }

    /// How fast the remainder of a candidate falls. With a `curvature`, half its
    /// product with `h^2` is taken off too, and the right rate is 3.
    pub(super) fn rate<T: Real>(&self, candidate: usize, curvature: Option<(f64, f64)>) -> Rate {
        let epsilon = T::epsilon().as_f64();
        let order = if curvature.is_some() { 3 } else { 2 };
        let (bend, bend_scale) = curvature.unwrap_or_default();
        let rung = |step: &Step| {
            let h = step.h;
            let remainder = step.difference - step.predicted[candidate] - 0.5 * h * h * bend;
            let floor = self.floor(h, epsilon) + ABOVE_NOISE * epsilon * h * h * bend_scale;
            Rung { h, remainder: remainder.abs(), floor }
        };
        let rungs: Vec<Rung> = self.steps.iter().map(rung).collect();
        let tail = self.tail.iter().map(rung).collect();
        let power = order as i32 - 1;
        let factor = if order == 3 { 2.0 } else { 1.0 };
        // The finest rungs that count, without a gap between them.
        let end = rungs.iter().rposition(Rung::counts).map_or(0, |last| last + 1);
        let run = rungs[..end].iter().rev().take_while(|rung| rung.counts()).count();
        let fitted = &rungs[end - run.min(FITTED)..end];
        let slope = fit(fitted);
        // The error that the finest rungs would put it down to, and the least that
        // any rung would have shown.
        let natural = match curvature {
            None => self.scale.max(self.steps.first().map_or(0.0, |s| (s.difference / s.h).abs())),
            Some(_) => bend_scale.max(self.bend(candidate)),
        };
        let relative =
            |r: f64, h: f64| if r == 0.0 { 0.0 } else { factor * r / h.powi(power) / natural };
        let error = fitted.last().map_or(0.0, |rung| relative(rung.remainder, rung.h));
        let resolution = rungs
            .iter()
            .map(|rung| relative(rung.remainder.max(rung.floor), rung.h))
            .fold(f64::INFINITY, f64::min);
        let tolerance =
            if order == 3 { self.precision.max(8.0 * epsilon.cbrt()) } else { self.precision };
        let verdict = if self.is_blocked {
            if self.obstacle.is_some() { Verdict::Kink } else { Verdict::NotFinite }
        } else if fitted.is_empty() {
            Verdict::RoundingFloor
        } else if slope.is_some_and(|slope| slope >= f64::from(order) - SHORTFALL)
            || is_rising(fitted, f64::from(order) - 0.5)
            || is_refuted(fitted, &rungs[end..], power)
        {
            Verdict::Right
        } else if error <= tolerance || fitted.len() < LEAST {
            Verdict::RoundingFloor
        } else {
            Verdict::Wrong
        };
        Rate { order, rungs, tail, slope, error, resolution, verdict, natural, noise: self.noise }
    }

    /// The curvature that the largest steps show.
    fn bend(&self, candidate: usize) -> f64 {
        let bends = self.steps.iter().take(3).map(|step| {
            2.0 * (step.difference - step.predicted[candidate]).abs() / (step.h * step.h)
        });
        bends.fold(0.0, f64::max)
    }
}

/// The slope of the logarithm of the remainder against that of the step.
fn fit(rungs: &[Rung]) -> Option<f64> {
    if rungs.len() < 2 {
        return None;
    }
    let points: Vec<(f64, f64)> = rungs.iter().map(|r| (r.h.ln(), r.remainder.ln())).collect();
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / count, y + p.1 / count));
    let (xy, xx) = points
        .iter()
        .fold((0.0, 0.0), |(xy, xx), p| (xy + (p.0 - x) * (p.1 - y), xx + (p.0 - x).powi(2)));
    Some(xy / xx)
}

/// Whether the rate rises towards its order where the remainder drowns, as it may
/// for a right derivative seen at coarse steps only. That of a wrong one falls.
fn is_rising(rungs: &[Rung], least: f64) -> bool {
    let rates: Vec<f64> = rungs.windows(2).filter_map(fit).collect();
    rates.last().is_some_and(|&last| last >= least) && rates.is_sorted()
}

/// Whether finer rungs, drowned as they are, show less than the finest one that
/// counts would leave of a wrong derivative.
fn is_refuted(rungs: &[Rung], finer: &[Rung], power: i32) -> bool {
    let Some(last) = rungs.last() else { return false };
    finer.iter().any(|rung| {
        let if_wrong = last.remainder * (rung.h / last.h).powi(power);
        rung.remainder + 0.3 * rung.floor < 0.6 * if_wrong
    })
}

/// One step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// The step, relative to the size of `x`.
    pub h: f64,
    /// What the derivatives leave unexplained.
    pub remainder: f64,
    /// Below this, a remainder says nothing.
    pub floor: f64,
}

impl Rung {
    /// Whether the remainder stands out from rounding.
    pub fn counts(&self) -> bool {
        self.remainder > self.floor
    }
}

/// How fast a remainder falls, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The rate of a right derivative: 2, or 3 with the Hessian's term.
    pub order: u32,
    /// The steps, largest first.
    pub rungs: Vec<Rung>,
    /// The rate, if two rungs or more stand out from rounding.
    pub slope: Option<f64>,
    /// The relative error that the finest of them would amount to.
    pub error: f64,
    /// The least relative error that would have shown.
    pub resolution: f64,
    /// What follows.
    pub verdict: Verdict,
    /// Finer steps than were judged: nothing but rounding shows there.
    pub tail: Vec<Rung>,
    /// What the error is relative to: the slope along the line, its terms without signs.
    pub natural: f64,
    /// The noise of one difference of values.
    pub noise: f64,
}

impl Rate {
    /// The step at which a difference quotient is most accurate: there its two errors,
    /// truncation which falls with the step and rounding which grows, are equal.
    pub fn best_step(&self) -> Option<f64> {
        let power = self.order as i32;
        let finest = self.rungs.iter().rfind(|rung| rung.counts())?;
        let steepness = finest.remainder / finest.h.powi(power);
        (self.verdict != Verdict::Wrong && steepness > 0.0)
            .then(|| (self.noise / steepness).powf(1.0 / f64::from(power)))
    }
}
