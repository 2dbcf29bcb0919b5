//! A function along a line through the point in question: what is known of it at each step.
//!
//! Every step is taken to both sides. What is odd about the remainders belongs to the slope, what
//! is even to the curvature, or to a kink at the point itself, where the slope of one side is
//! no derivative however well it fits that side.
//!
//! The noise of the function is estimated by the method of Moré and Wild (Estimating Computational
//! Noise, 2011): third differences of the function over steps so small that nothing but noise is
//! left of them. A function whose value is rounded to few digits does not move at all over such
//! steps; its noise is the size of the steps that it takes.

use std::slice::from_ref;

use super::limit::{Limit, Quotient, limit};
use crate::check::evidence::problem::{Evaluate, inner, moved};
use crate::scalar::Real;
use crate::tensor::Tensor;

/// The first step to try, relative to the size of `x`. In single precision there are few steps
/// above rounding, so that they begin further away.
pub(in crate::check) const FIRST_STEP: f64 = 0.125;
const FIRST_SINGLE_STEP: f64 = 1.0;
/// The longest ladder, and the shortest.
const RUNGS: usize = 22;
const FEWEST: usize = 5;
/// A remainder counts if it is this many times larger than the noise.
pub(in crate::check) const ABOVE_NOISE: f64 = 10.0;
/// From this many times the noise to no difference at all: a value that has steps.
const LEAP: f64 = 64.0;

/// The part of the slope that a gradient must have to be what errors are relative to.
const FAR: f64 = 0.125;

/// A derivative along a line, to be judged.
pub(in crate::check) enum Candidate<'a, T> {
    /// A gradient: `<g, v>` is taken with the step as it was rounded.
    Gradient(&'a [Tensor<T>]),
    /// A tangent, contracted with the cotangent: its sum, and the root of the sum of squares.
    Slope(f64, f64),
}

impl<T: Real> Candidate<'_, T> {
    /// A tangent and the cotangent that it is contracted with.
    pub(in crate::check) fn tangent(tangent: &Tensor<T>, w: &Tensor<T>) -> Self {
        let (sum, _) = inner(from_ref(w), from_ref(tangent));
        Self::Slope(sum, root(from_ref(w), from_ref(tangent)))
    }
}

/// How the function differed at one end of a step, and how the candidates said it would.
struct End {
    difference: f64,
    predicted: Vec<f64>,
}

/// One step, to both sides.
struct Step {
    h: f64,
    ends: [End; 2],
}

impl Step {
    /// What a candidate leaves unexplained at each end.
    fn remainders(&self, candidate: usize) -> [f64; 2] {
        self.ends.each_ref().map(|end| end.difference - end.predicted[candidate])
    }

    fn odd(&self, candidate: usize) -> f64 {
        let [up, down] = self.remainders(candidate);
        0.5 * (up - down)
    }

    fn even(&self, candidate: usize) -> f64 {
        let [up, down] = self.remainders(candidate);
        0.5 * (up + down)
    }
}

/// A function along a line through `x`: what all rates are computed from.
pub(in crate::check) struct Line {
    steps: Vec<Step>,
    /// Finer steps, to one side and for the eye: rounding grows there as `1 / h`.
    tail: Vec<(f64, End)>,
    ratio: f64,
    epsilon: f64,
    /// The noise of one difference.
    pub(in crate::check) noise: f64,
    /// The size of the steps that the value takes, if it takes steps.
    pub(in crate::check) quantum: Option<f64>,
    /// The sum of the absolute terms of `<g, v>`.
    scale: f64,
    /// The root of the sum of their squares, of each candidate: what `<g, v>` amounts to if the
    /// signs of `v` are random.
    roots: Vec<f64>,
    /// What each candidate says the slope is.
    slopes: Vec<f64>,
    /// A relative error that is no mistake.
    pub(in crate::check) tolerance: f64,
    /// What lies in the way of larger steps.
    pub(in crate::check) obstacle: Option<String>,
    /// Whether there was room for a rate below the obstacle.
    pub(in crate::check) is_blocked: bool,
    /// The largest step without an obstacle.
    pub(in crate::check) largest: f64,
}

/// The line that starts at the point in question.
pub(in crate::check) struct Walk<'a, T: Real> {
    pub(in crate::check) function: &'a dyn Evaluate<T>,
    pub(in crate::check) x: &'a [Tensor<T>],
    pub(in crate::check) y: &'a Tensor<T>,
    pub(in crate::check) v: &'a [Tensor<T>],
    pub(in crate::check) w: &'a Tensor<T>,
    pub(in crate::check) candidates: &'a [Candidate<'a, T>],
    /// A relative error that is no mistake; precision sets a least one.
    pub(in crate::check) tolerance: f64,
    /// Whether to go on where only rounding is left, for the picture.
    pub(in crate::check) whole: bool,
}

impl<T: Real> Walk<'_, T> {
    /// The end of a step of length `h`, and what lies between here and there.
    fn end(&self, h: f64) -> (End, Option<String>) {
        let there: Vec<_> = self.x.iter().zip(self.v).map(|(x, v)| moved(x, h, v)).collect();
        let (y, obstacle) = self.function.at(&there);
        let difference = if y.shape() == self.y.shape() { self.contract(&y) } else { f64::NAN };
        // The step that was taken, after rounding, and not the one asked for.
        let taken = |g: &[Tensor<T>]| -> f64 {
            let terms = g.iter().zip(self.x).zip(&there).flat_map(|((g, x), there)| {
                let taken = there.iter().zip(x.iter()).map(|(b, a)| b.as_f64() - a.as_f64());
                g.iter().zip(taken).map(|(g, taken)| g.as_f64() * taken)
            });
            terms.sum()
        };
        // How far rounding of the step moves the value: a slope alone does not know.
        let rounded = self.candidates.iter().find_map(|candidate| match candidate {
            Candidate::Gradient(g) => Some(taken(g) - h * inner(g, self.v).0),
            Candidate::Slope(..) => None,
        });
        let predicted = self.candidates.iter().map(|candidate| match candidate {
            Candidate::Gradient(g) => taken(g),
            Candidate::Slope(slope, _) => h * slope + rounded.unwrap_or(0.0),
        });
        (End { difference, predicted: predicted.collect() }, obstacle)
    }

    /// The step of length `h`, to both sides.
    fn step(&self, h: f64) -> (Step, Option<String>) {
        let (up, above) = self.end(h);
        let (down, below) = self.end(-h);
        (Step { h, ends: [up, down] }, above.or(below))
    }

    /// `<w, y - f(x)>`, differences first.
    fn contract(&self, y: &Tensor<T>) -> f64 {
        let terms = y.iter().zip(self.y.iter()).zip(self.w.iter());
        terms.map(|((b, a), w)| (b.as_f64() - a.as_f64()) * w.as_f64()).sum()
    }

    /// Third differences over tiny steps, scaled to the deviation of one value.
    fn noise(&self, epsilon: f64) -> f64 {
        let remainders: Vec<f64> = (1..=7)
            .map(|i| {
                let (end, _) = self.end(64.0 * epsilon * f64::from(i));
                end.difference - end.predicted[0]
            })
            .collect();
        let third = remainders.windows(4).map(|r| r[3] - 3.0 * r[2] + 3.0 * r[1] - r[0]);
        let squares: Vec<f64> = third.map(|d| d * d).filter(|d| d.is_finite()).collect();
        (squares.iter().sum::<f64>() / squares.len().max(1) as f64 / 20.0).sqrt()
    }

    /// Goes down the ladder of steps until nothing but noise is left.
    pub(in crate::check) fn descend(&self) -> Line {
        let epsilon = T::epsilon().as_f64();
        let is_double = epsilon < 1e-10;
        let (ratio, largest) = if is_double { (4.0, FIRST_STEP) } else { (2.0, FIRST_SINGLE_STEP) };
        let smallest = epsilon.sqrt() * 16.0;
        let (mut roots, mut slopes, mut scale) = (Vec::new(), Vec::new(), 0.0_f64);
        for candidate in self.candidates {
            let (slope, size, root) = match candidate {
                Candidate::Gradient(g) => {
                    let (sum, size) = inner(g, self.v);
                    (sum, size, root(g, self.v))
                }
                Candidate::Slope(slope, root) => (*slope, slope.abs(), *root),
            };
            scale = scale.max(size);
            slopes.push(slope);
            roots.push(root);
        }
        let size = inner(from_ref(self.y), from_ref(self.w)).1;
        let mut line = Line {
            steps: Vec::new(),
            tail: Vec::new(),
            ratio,
            epsilon,
            noise: self.noise(epsilon).max(epsilon * size),
            quantum: None,
            scale,
            roots,
            slopes,
            tolerance: self.tolerance.max(epsilon.sqrt()),
            obstacle: None,
            is_blocked: false,
            largest,
        };
        loop {
            let (step, obstacle) = self.step(line.largest);
            let is_finite = step.ends.iter().all(|end| end.difference.is_finite());
            if obstacle.is_none() && is_finite {
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
        while line.steps.len() < RUNGS && !line.has_drowned() {
            let h = line.steps[line.steps.len() - 1].h / ratio;
            line.steps.push(self.step(h).0);
        }
        line.find_quantum();
        let mut h = line.steps[line.steps.len() - 1].h / ratio;
        while self.whole && h > 2.0 * epsilon {
            line.tail.push((h, self.end(h).0));
            h /= ratio;
        }
        line
    }

    /// How far the first `own` candidates are off, by the two steps that told most along another
    /// line through the same point, if that is no more than they may be off: a direction more
    /// costs four evaluations.
    pub(in crate::check) fn brief_errors(&self, own: usize, other: &Line) -> Option<Vec<f64>> {
        let limits: Option<Vec<Limit>> = (0..own).map(|own| other.brief(own)).collect();
        let limits = limits?;
        let h = other.steps[limits.first()?.place].h;
        let steps = [h * other.ratio, h].map(|h| self.step(h));
        if steps.iter().any(|(_, obstacle)| obstacle.is_some()) {
            return None;
        }
        let error = |(own, limit): (usize, &Limit)| {
            let [coarse, fine] = steps.each_ref().map(|(step, _)| step.odd(own) / step.h);
            let error = (fine + (fine - coarse) / (other.ratio.powi(2) - 1.0)).abs();
            let natural = other.tolerance * other.natural(own).natural;
            (error <= natural.max(2.0 * limit.doubt)).then_some(error)
        };
        limits.iter().enumerate().map(error).collect()
    }
}

/// What the error of a candidate's slope amounts to.
pub(in crate::check) struct Size {
    /// The slope that the steps show, as a difference from what the candidate says.
    pub(in crate::check) limit: Option<Limit>,
    /// What errors are relative to.
    pub(in crate::check) natural: f64,
    /// Whether that is the slope of the largest step, since there is none at the point.
    pub(in crate::check) is_level: bool,
}

impl Line {
    /// What rounding may leave of a remainder.
    pub(in crate::check) fn floor(&self, h: f64) -> f64 {
        ABOVE_NOISE * (self.noise + self.epsilon * h * self.scale)
    }

    /// The steps and what a candidate leaves unexplained of each, on the side that `v` points to.
    pub(in crate::check) fn remainders(&self, candidate: usize) -> Vec<(f64, f64)> {
        self.steps.iter().map(|step| (step.h, step.remainders(candidate)[0])).collect()
    }

    /// The same of finer steps, where only rounding is left.
    pub(in crate::check) fn tail(&self, candidate: usize) -> Vec<(f64, f64)> {
        let left = |(h, end): &(f64, End)| (*h, end.difference - end.predicted[candidate]);
        self.tail.iter().map(left).collect()
    }

    /// Whether two rungs in a row show nothing, or five the same wrong slope.
    fn has_drowned(&self) -> bool {
        let remainders: Vec<(f64, f64)> = self
            .steps
            .iter()
            .map(|step| {
                let all = (0..self.roots.len()).flat_map(|candidate| step.remainders(candidate));
                (step.h, all.fold(0.0, |most: f64, r| most.max(r.abs())))
            })
            .collect();
        let drowned = |&(h, r): &(f64, f64)| r <= self.floor(h);
        let count = remainders.len();
        let last = |n: usize| &remainders[count.saturating_sub(n)..];
        let is_straight = |pair: &[(f64, f64)]| (pair[0].1 / pair[1].1).log(pair[0].0 / pair[1].0);
        count >= FEWEST && last(2).iter().all(drowned)
            || count >= 10 && last(5).windows(2).all(|pair| (is_straight(pair) - 1.0).abs() < 0.003)
    }

    /// A value that moves by far more than its noise over one step and not at all over the next,
    /// to either side, has steps: the least difference that was seen.
    fn find_quantum(&mut self) {
        let most = |step: &Step| {
            step.ends.iter().fold(0.0, |most: f64, end| most.max(end.difference.abs()))
        };
        let leaps = self
            .steps
            .windows(2)
            .any(|pair| most(&pair[0]) > LEAP * self.noise && most(&pair[1]) == 0.0);
        if leaps {
            let differences = self.steps.iter().flat_map(|step| &step.ends);
            let differences = differences.map(|end| end.difference.abs()).filter(|&d| d > 0.0);
            let least = differences.fold(f64::INFINITY, f64::min);
            self.quantum = Some(least);
            self.noise = self.noise.max(0.3 * least);
        }
    }

    fn limit(
        &self,
        quotient: impl Fn(&Step) -> f64,
        noise: impl Fn(f64) -> f64,
        powers: &[i32],
    ) -> Option<Limit> {
        let quotients = self
            .steps
            .iter()
            .map(|step| Quotient { value: quotient(step), noise: noise(step.h) })
            .collect::<Vec<_>>();
        limit(&quotients, self.ratio, powers)
    }

    /// How far the slope that both sides show lies from what a candidate says.
    pub(in crate::check) fn slope_error(&self, candidate: usize, powers: &[i32]) -> Option<Limit> {
        self.limit(|step| step.odd(candidate) / step.h, |h| self.floor(h) / h, powers)
    }

    /// How far the curvature lies from `bend`, of which terms have the size `scale`.
    pub(in crate::check) fn curvature_error(
        &self,
        candidate: usize,
        (bend, scale): (f64, f64),
    ) -> Option<Limit> {
        self.limit(
            |step| 2.0 * step.even(candidate) / (step.h * step.h) - bend,
            |h| 2.0 * self.floor(h) / (h * h) + ABOVE_NOISE * self.epsilon * scale,
            &[2, 4],
        )
    }

    /// Whether the function has another slope on the other side of the point: what is even about
    /// it, which knows no derivative, falls as `h^2` if it has not, and as `h` if it has.
    pub(in crate::check) fn is_bent(&self) -> bool {
        let bent = self.limit(|step| step.even(0) / step.h, |h| self.floor(h) / h, &[1, 3]);
        // Noise may be more than was estimated: it is no change of slope that a rate would show.
        let slopes = self
            .steps
            .iter()
            .flat_map(|step| step.ends.iter().map(|end| (end.difference / step.h).abs()));
        let natural = slopes.fold(self.scale, f64::max);
        bent.is_some_and(|bent| {
            bent.is_steady && bent.value.abs() > bent.doubt.max(self.tolerance * natural)
        })
    }

    /// The limit that two steps show, if they are the right ones.
    pub(in crate::check) fn brief(&self, candidate: usize) -> Option<Limit> {
        self.slope_error(candidate, &[2, 4])
    }

    pub(in crate::check) fn natural(&self, candidate: usize) -> Size {
        let limit = self.slope_error(candidate, &[2, 4, 6]);
        let seen = limit.map_or(0.0, |limit| (self.slopes[candidate] + limit.value).abs());
        // A sum of few terms is small by chance, and a claim that is far too small no measure.
        let root = self.roots.iter().fold(0.0, |most: f64, &root| most.max(root));
        let own = if root >= FAR * seen { root } else { seen };
        let steepest = self.steps.first().map_or(0.0, |step| {
            let most = step.ends.iter().fold(0.0, |most: f64, end| most.max(end.difference.abs()));
            if most > self.floor(step.h) { most / step.h } else { 0.0 }
        });
        let is_level = own < self.tolerance * steepest;
        Size { limit, natural: if is_level { steepest } else { own }, is_level }
    }

    /// What may hide an error of a candidate along several directions at once, of which `errors`
    /// are what was seen, relative to the natural size: in many of them noise does not cancel an
    /// error every time.
    pub(in crate::check) fn hidden(&self, candidate: usize, errors: &[f64]) -> f64 {
        let Size { limit, natural, .. } = self.natural(candidate);
        if self.is_constant(candidate) {
            return 0.0;
        }
        let (Some(limit), count) = (limit, errors.len() as f64) else { return f64::INFINITY };
        let limit = if errors.len() > 1 { self.brief(candidate).unwrap_or(limit) } else { limit };
        let squares: f64 = errors.iter().map(|error| error * error).sum();
        let deviation = limit.noise / ABOVE_NOISE + (limit.doubt - limit.noise) / 3.0;
        let doubt = (1.0 + 1.5 / count) * deviation;
        doubt.max((squares / count).sqrt()) / natural
    }

    /// Whether the value is the same everywhere, and a candidate says so: nothing is relative to 0.
    pub(in crate::check) fn is_constant(&self, candidate: usize) -> bool {
        let mut ends = self.steps.iter().flat_map(|step| &step.ends);
        self.roots[candidate] == 0.0 && ends.all(|end| end.difference == 0.0)
    }

    /// The curvature that the largest steps show.
    pub(in crate::check) fn bend(&self, candidate: usize) -> f64 {
        let bends = self.steps.iter().take(3);
        let bends = bends.map(|step| 2.0 * step.remainders(candidate)[0].abs() / (step.h * step.h));
        bends.fold(0.0, f64::max)
    }
}

/// The root of the sum of the squared products.
fn root<T: Real>(a: &[Tensor<T>], b: &[Tensor<T>]) -> f64 {
    let products = a
        .iter()
        .zip(b)
        .flat_map(|(a, b)| a.iter().zip(b.iter()).map(|(a, b)| (a.as_f64() * b.as_f64()).powi(2)));
    products.sum::<f64>().sqrt()
}
