//! Steepest descent on the whole cost.

use wengert_core::{Real, Tape, Var};

use super::bounds::Bounds;
use super::evaluator::Evaluator;
use super::{Advance, Outcome, Solver, plus};
use crate::Module;

/// Steepest descent: `p <- p - rate * grad Cost(p)`, the paper's (12), until a
/// criterion is met or the budget of steps is spent.
///
/// ```
/// use wengert_nn::Param;
/// use wengert_nn::optim::{Descent, StopReason};
///
/// let mut net = Param::new([1.0, -2.0]);
/// let descent = Descent::new(0.1).budget(1000).gradient_tolerance(1e-8);
/// let outcome = descent.run(&mut net, |net, tape| net.on(tape).square().sum());
/// assert_eq!(outcome.reason, StopReason::GradientTolerance);
/// assert!(outcome.cost < 1e-16);
/// ```
pub type Descent = Solver<Steepest>;

/// The method of [`Descent`].
#[derive(Clone, Debug, PartialEq)]
pub struct Steepest {
    rate: f64,
}

impl Descent {
    /// A descent of a learning rate, the paper's `eta`.
    pub fn new(rate: f64) -> Self {
        Self::with_method(Steepest { rate })
    }

    /// Descends from the model's present parameters. `cost` records the whole cost
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
        self.drive(evaluator, &Bounds::default(), start, |evaluator, point| {
            let next = plus(&point.at, -self.method.rate, &point.gradient);
            // A rate that is given is no model of the cost, and promises nothing.
            Ok(Advance { to: evaluator.point(&next, &cost), promise: 0.0 })
        })
    }
}
