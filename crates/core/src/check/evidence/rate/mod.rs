//! The Taylor remainder, and the rate at which it falls.
//!
//! For a right gradient `g` the remainder `|f(x + hv) - f(x) - h <g, v>|` falls as
//! `h^2`, for a wrong one as `h`. That rate needs no tolerance: it tells a small
//! error from a strongly curved function, which a comparison of numbers at one
//! step size cannot. Taking `h^2/2 <v, Hv>` off as well leaves a remainder of
//! order 3 if the Hessian is right.
//!
//! Rates exist only between truncation and rounding. In single precision that leaves so few
//! steps that a rate of 1.5 may mean either. So the rate is what a report shows, and what
//! judges is the number behind it: the slope that the steps to both sides tend to
//! ([`limit`]), with what it may be off by. A derivative is wrong if it lies further
//! from that slope than truncation, rounding and its own digits explain, and an error that could
//! hide in them is what the report says as its resolution.

pub(in crate::check) mod limit;
pub(in crate::check) mod line;

use super::verdict::Verdict;
use crate::scalar::Real;
use limit::Limit;
use line::{Line, Size};

/// Rungs to which a rate is fitted: the finest ones that count.
const FITTED: usize = 4;
/// How far a rate may fall short of its order: halfway down would be the order of
/// a wrong derivative plus one half.
const SHORTFALL: f64 = 0.25;
/// An error of the gradient that is this many times as large as what shows along a direction is seen
/// in one of the directions, however its parts cancel in some of them.
const MARGIN: f64 = 4.0;
/// The worst resolution of a verdict.
const COARSEST: f64 = 0.1;

impl Line {
    /// Whether a candidate is right, with the rate at which its remainder falls. With a `curvature`,
    /// half its product with `h^2` is taken off too, and the right rate is 3.
    pub(in crate::check) fn rate<T: Real>(
        &self,
        candidate: usize,
        curvature: Option<(f64, f64)>,
    ) -> Rate {
        let epsilon = T::epsilon().as_f64();
        let order = if curvature.is_some() { 3 } else { 2 };
        let (bend, bend_scale) = curvature.unwrap_or_default();
        let rung = |(h, remainder): (f64, f64)| {
            let remainder = (remainder - 0.5 * h * h * bend).abs();
            let floor = self.floor(h) + 10.0 * epsilon * h * h * bend_scale;
            Rung { h, remainder, floor }
        };
        let rungs: Vec<Rung> = self.remainders(candidate).into_iter().map(rung).collect();
        let tail = self.tail(candidate).into_iter().map(rung).collect();
        // The finest rungs that count, without a gap between them.
        let end = rungs.iter().rposition(Rung::counts).map_or(0, |last| last + 1);
        let run = rungs[..end].iter().rev().take_while(|rung| rung.counts()).count();
        let slope = fit(&rungs[end - run.min(FITTED)..end]);
        let Size { limit, natural, is_level } = match curvature {
            None => self.natural(candidate),
            Some(curvature) => Size {
                limit: self.curvature_error(candidate, curvature),
                natural: bend_scale.max(self.bend(candidate)),
                is_level: false,
            },
        };
        let tolerance = match curvature {
            None => self.tolerance,
            Some(_) => self.tolerance.max(8.0 * epsilon.cbrt()),
        };
        let relative = |of: fn(Limit) -> f64| match limit {
            _ if curvature.is_none() && self.is_constant(candidate) => 0.0,
            Some(limit) if of(limit) == 0.0 => 0.0,
            Some(limit) => of(limit) / natural,
            None => f64::INFINITY,
        };
        let error = relative(|limit| limit.value.abs());
        let doubt = relative(|limit| limit.doubt);
        let is_wrong = limit.is_some_and(|limit| limit.is_steady && error > tolerance.max(doubt));
        let hidden = match curvature {
            _ if is_wrong => doubt,
            None => self.hidden(candidate, &[limit.map_or(0.0, |limit| limit.value)]),
            Some(_) => doubt.max(error),
        };
        let resolution = MARGIN * tolerance.max(hidden);
        let falls = slope.is_some_and(|slope| slope >= f64::from(order) - SHORTFALL);
        let verdict = match () {
            () if self.is_blocked && self.obstacle.is_some() => Verdict::Kink,
            () if self.is_blocked => Verdict::NotFinite,
            () if is_wrong => Verdict::Wrong,
            () => of_resolution(resolution, falls),
        };
        let noise = self.noise;
        Rate { order, rungs, tail, slope, error, resolution, verdict, natural, is_level, noise }
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

/// One step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Rate {
    /// The rate of a right derivative: 2, or 3 with the Hessian's term.
    pub order: u32,
    /// The steps, largest first.
    pub rungs: Vec<Rung>,
    /// The rate, if two rungs or more stand out from rounding.
    pub slope: Option<f64>,
    /// How far the derivative lies from the slope that the function shows, relative to `natural`.
    pub error: f64,
    /// The least error of the gradient, relative to its norm, that would have shown.
    pub resolution: f64,
    /// What follows.
    pub verdict: Verdict,
    /// Finer steps than were judged: nothing but rounding shows there.
    pub tail: Vec<Rung>,
    /// What errors are relative to: the root of the sum of the squared terms of `<g, v>`.
    pub natural: f64,
    /// Whether the gradient vanishes at the point, beside the slope of the largest step, which
    /// errors are then relative to.
    pub is_level: bool,
    /// The noise of one difference of values.
    pub noise: f64,
}

/// What a derivative is that nothing contradicts.
fn of_resolution(resolution: f64, falls: bool) -> Verdict {
    match resolution <= COARSEST {
        true if falls => Verdict::Right,
        true => Verdict::RoundingFloor,
        // Or a NaN.
        false => Verdict::Unresolved,
    }
}

impl Rate {
    /// The same rate, seen along several directions: a right derivative gets the resolution that
    /// they had together, of which `hidden` is what may be left in them.
    pub(in crate::check) fn among(&mut self, hidden: f64, tolerance: f64) {
        let is_open =
            matches!(self.verdict, Verdict::Right | Verdict::RoundingFloor | Verdict::Unresolved);
        if is_open {
            self.resolution = MARGIN * tolerance.max(hidden);
            let falls = self.falls();
            self.verdict = of_resolution(self.resolution, falls);
        }
    }

    /// Whether the remainder falls as fast as that of a right derivative.
    fn falls(&self) -> bool {
        self.slope.is_some_and(|slope| slope >= f64::from(self.order) - SHORTFALL)
    }

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
