//! L-BFGS with a line search for the strong Wolfe conditions.
//!
//! (N&W: Nocedal & Wright, *Numerical Optimization*, second edition, 2006. G&L: Gilbert & Lemaréchal, "Some numerical
//! experiments with variable-storage quasi-Newton algorithms", Mathematical Programming 45, 1989.)

use std::collections::VecDeque;

use wengert_core::{Real, Tape, Tensor, Var};

use super::bounds::Bounds;
use super::evaluator::{Evaluator, Point};
use super::search::{self, Line};
use super::{Advance, Outcome, Solver, StopReason, add, difference, dot, norm};
use crate::Module;

/// L-BFGS: a quasi-Newton method that knows the curvature from its last steps (N&W,
/// algorithm 7.4), with steps that meet the strong Wolfe conditions (algorithms 3.5, 3.6),
///
/// ```text
/// f(x + a d) <= f(x) + c1 a g'd      |g(x + a d)'d| <= c2 |g'd|      c1 = 1e-4, c2 = 0.9
/// ```
///
/// so that each pair of a step and a change of the gradient has positive curvature. Where the recursion begins
/// stands a diagonal that learns from every pair (G&L, section 4), so that parameters in very different units are no obstacle.
///
/// It ends when a step neither changes the cost by more than 1e-14 of it nor was to, where the gradient's norm is at most
/// 1e-10, or after 1000 steps (all may be set).
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
    bounds: Bounds,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self::new()
    }
}

impl Lbfgs {
    /// With twelve pairs, and the tolerances above.
    pub fn new() -> Self {
        let solver = Self::with_method(Secants { pairs: 12, bounds: Bounds::default() });
        solver.cost_tolerance(1e-14).gradient_tolerance(1e-10)
    }

    /// With another number of pairs that are remembered.
    #[must_use]
    pub fn pairs(mut self, pairs: usize) -> Self {
        self.method.pairs = pairs;
        self
    }

    /// With bounds that no parameter leaves: a number for all, or one for each element of the trainable
    /// parameters, in the order of [`Module::parameters`]. Ends may be infinite. The method begins and stays within
    /// the bounds; the cost is never evaluated elsewhere.
    ///
    /// ```
    /// use wengert_nn::Param;
    /// use wengert_nn::optim::Lbfgs;
    ///
    /// let mut net = Param::new([2.0, 1.0]);
    /// Lbfgs::new().bounds(0.0, [5.0, 1.5]).run(&mut net, |net, tape| {
    ///     (net.on(tape) - tape.constant([-1.0, 3.0])).square().sum()
    /// });
    /// assert_eq!(net.elements(), [0.0, 1.5]);
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

    /// Minimises from the model's present parameters. `cost` records the whole cost
    /// on the tape it is given.
    ///
    /// # Panics
    /// If the cost has more than one element or depends on no trainable parameter, or the start is out of bounds.
    #[track_caller]
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        cost: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        let mut evaluator = Evaluator::new(net);
        let start = evaluator.position();
        let bounds = self.method.bounds.around::<T>(&start);
        let start = evaluator.point(&start, &cost);
        let mut memory = Memory::new(self.method.pairs);
        self.drive(evaluator, &bounds, start, |evaluator, point| {
            loop {
                let gradient = bounds.inward(point);
                let direction = memory.direction(&gradient, &bounds.held(point));
                // Without curvature, the first trial is a step of length 1 at most.
                let first = match memory.pairs.is_empty() {
                    true => (1.0 / norm(&direction)).min(1.0),
                    false => 1.0,
                };
                let promise = -0.5 * first * dot(&gradient, &direction);
                let line = Line {
                    start: point,
                    gradient: &gradient,
                    direction: &direction,
                    bounds: &bounds,
                };
                let mut evaluate = |at: &[f64]| evaluator.point(at, &cost);
                if let Some(to) = search::strong_wolfe::<T>(&line, first, &mut evaluate) {
                    memory.learn(point, &to);
                    return Ok(Advance { to, promise });
                }
                // What was remembered may mislead: begin again, once.
                if memory.pairs.is_empty() {
                    return Err(StopReason::NoProgress);
                }
                memory.forget();
            }
        })
    }
}

/// The curvature as far as the last steps have shown it.
struct Memory {
    pairs: VecDeque<Pair>,
    most: usize,
    /// The diagonal of the inverse Hessian. Empty: the identity.
    diagonal: Vec<f64>,
}

/// A step and the change of the gradient along it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// Their product, the curvature.
    product: f64,
}

impl Memory {
    fn new(most: usize) -> Self {
        Self { pairs: VecDeque::new(), most, diagonal: Vec::new() }
    }

    fn forget(&mut self) {
        self.pairs.clear();
        self.diagonal.clear();
    }

    /// Takes in a step, unless the gradient has fallen along it.
    fn learn(&mut self, from: &Point, to: &Point) {
        let step = difference(&to.at, &from.at);
        let mut change = difference(&to.gradient, &from.gradient);
        // At a border, a slope may be infinite.
        change.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
        let product = dot(&step, &change);
        if !(product > 0.0 && product.is_finite()) {
            return;
        }
        let pair = Pair { step, change, product };
        self.diagonal.resize(pair.step.len(), 1.0);
        pair.teach(&mut self.diagonal);
        self.pairs.push_back(pair);
        if self.pairs.len() > self.most {
            self.pairs.pop_front();
        }
    }

    /// `-H g` of the parameters that are free, by the two loops of N&W, algorithm 7.4: their part of the pairs is what is known
    /// of them.
    fn direction(&self, gradient: &[f64], held: &[usize]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let parts: Vec<Pair> = match held.is_empty() {
            true => Vec::new(),
            false => self.pairs.iter().filter_map(|pair| pair.without(held)).collect(),
        };
        let pairs: Vec<&Pair> = match held.is_empty() {
            true => self.pairs.iter().collect(),
            false => parts.iter().collect(),
        };
        let mut shares = Vec::with_capacity(pairs.len());
        for pair in pairs.iter().rev() {
            let share = dot(&pair.step, &q) / pair.product;
            add(&mut q, -share, &pair.change);
            shares.push(share);
        }
        q.iter_mut().zip(&self.diagonal).for_each(|(q, d)| *q *= d);
        for (pair, share) in pairs.iter().zip(shares.iter().rev()) {
            let back = dot(&pair.change, &q) / pair.product;
            add(&mut q, share - back, &pair.step);
        }
        q
    }
}

impl Pair {
    /// Brings a diagonal to the pair's curvature, then to the diagonal of what the BFGS formula makes of it (G&L, (4.9)).
    fn teach(&self, diagonal: &mut [f64]) {
        let weighted = |a: &[f64], weight: &dyn Fn(usize) -> f64| {
            a.iter().enumerate().map(|(i, a)| weight(i) * a * a).sum::<f64>()
        };
        let scale = self.product / weighted(&self.change, &|i| diagonal[i]);
        diagonal.iter_mut().for_each(|d| *d *= scale);
        let size = weighted(&self.step, &|i| 1.0 / diagonal[i]);
        for ((d, s), y) in diagonal.iter_mut().zip(&self.step).zip(&self.change) {
            let curvature = 1.0 / *d;
            let next = curvature + y * y / self.product - (curvature * s).powi(2) / size;
            // Positive, were it not for rounding.
            if next > 0.0 && next.is_finite() {
                *d = 1.0 / next;
            }
        }
    }

    /// The pair of the other parameters, if its curvature is positive.
    fn without(&self, held: &[usize]) -> Option<Self> {
        let (mut step, mut change) = (self.step.clone(), self.change.clone());
        for &i in held {
            (step[i], change[i]) = (0.0, 0.0);
        }
        let product = dot(&step, &change);
        // A curvature that is next to nothing beside the whole is what the others have left over.
        (product > f64::EPSILON * self.product).then_some(Self { step, change, product })
    }
}
