//! Bounds of parameters, and how a method keeps to them.
//!
//! A step is projected: what would leave its interval ends at the border. A parameter that stands at
//! a border, with the cost falling beyond it, is *held*: the method moves the others as if it were a constant. So a
//! direction that falls along the free parameters is still one that falls after the projection (Bertsekas, "Projected
//! Newton methods for optimization problems with simple constraints", SIAM J. Control 20, 1982), and
//! borders are reached exactly, after few steps.

use std::borrow::Cow;

use wengert_core::{Real, Tensor};

use super::evaluator::Point;

/// An interval for each element of the trainable parameters. By default, none has an end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    /// Empty: nothing is bounded.
    intervals: Vec<Interval>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    lower: f64,
    upper: f64,
}

impl Bounds {
    /// Bounds as a user gives them: one number for all elements, or one for each.
    #[track_caller]
    pub fn new(lower: Tensor<f64>, upper: Tensor<f64>) -> Self {
        let (lower, upper) = (lower.to_vec(), upper.to_vec());
        let count = lower.len().max(upper.len());
        assert!(
            [lower.len(), upper.len()].iter().all(|&len| len == 1 || len == count),
            "there are {} lower bounds and {} upper ones; a bound is one number, or one for each parameter",
            lower.len(),
            upper.len()
        );
        let end = |bounds: &[f64], i: usize| bounds[if bounds.len() == 1 { 0 } else { i }];
        let interval = |i| Interval { lower: end(&lower, i), upper: end(&upper, i) };
        let intervals: Vec<_> = (0..count).map(interval).collect();
        let is_none = |i: &Interval| i.lower.is_nan() || i.upper.is_nan() || i.lower > i.upper;
        if let Some(i) = intervals.iter().position(is_none) {
            let Interval { lower, upper } = intervals[i];
            panic!(
                "bounds of parameter {i} are {lower} and {upper}: the lower one is to be at most the upper one"
            );
        }
        Self { intervals }
    }

    /// One interval for each element, in the precision of the parameters.
    ///
    /// # Panics
    /// If there are bounds of another number, or the start is outside of them.
    #[track_caller]
    pub fn around<T: Real>(&self, start: &[f64]) -> Self {
        let rounded = |x| T::from_f64(x).as_f64();
        let round = |i: &Interval| Interval { lower: rounded(i.lower), upper: rounded(i.upper) };
        let intervals: Vec<_> = match &self.intervals[..] {
            [all] => vec![round(all); start.len()],
            each => each.iter().map(round).collect(),
        };
        assert!(
            intervals.is_empty() || intervals.len() == start.len(),
            "there are bounds for {} parameters, and the model has {} to be trained",
            intervals.len(),
            start.len()
        );
        for (i, (&x, &Interval { lower, upper })) in start.iter().zip(&intervals).enumerate() {
            assert!(
                !(x < lower || x > upper),
                "the start of parameter {i} is {x}, outside of its bounds {lower} and {upper}: begin within them"
            );
        }
        Self { intervals }
    }

    /// Which parameters are free to move: all but those held at a border.
    pub fn free(&self, point: &Point) -> Vec<bool> {
        let mut free = vec![true; point.at.len()];
        for (i, interval) in self.intervals.iter().enumerate() {
            let (x, slope) = (point.at[i], point.gradient[i]);
            free[i] = !(x <= interval.lower && slope > 0.0 || x >= interval.upper && slope < 0.0);
        }
        free
    }

    /// Which parameters are held.
    pub fn held(&self, point: &Point) -> Vec<usize> {
        if self.intervals.is_empty() {
            return Vec::new();
        }
        let free = self.free(point).into_iter().enumerate();
        free.filter(|&(_, is_free)| !is_free).map(|(i, _)| i).collect()
    }

    /// The gradient, with 0 for parameters that are held.
    pub fn inward<'p>(&self, point: &'p Point) -> Cow<'p, [f64]> {
        if self.intervals.is_empty() {
            return Cow::Borrowed(&point.gradient);
        }
        let parts = point.gradient.iter().zip(self.free(point));
        Cow::Owned(parts.map(|(&slope, is_free)| if is_free { slope } else { 0.0 }).collect())
    }

    /// The nearest place within the bounds.
    pub fn project(&self, mut at: Vec<f64>) -> Vec<f64> {
        for (x, interval) in at.iter_mut().zip(&self.intervals) {
            *x = x.max(interval.lower).min(interval.upper);
        }
        at
    }
}
