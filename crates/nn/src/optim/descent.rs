//! Steepest descent on the whole cost, with a rule for stopping.

use wengert_core::{Real, Tape, Var};

use super::{Sgd, gradient_norm};
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
#[derive(Clone, Debug, PartialEq)]
pub struct Descent {
    rate: f64,
    budget: usize,
    gradient_tolerance: f64,
    cost_tolerance: f64,
}

/// Why a descent has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The steps allowed are taken.
    Budget,
    /// The gradient's norm is within the tolerance.
    GradientTolerance,
    /// The last step changed the cost by no more than the tolerance.
    CostTolerance,
    /// The cost or its gradient is no longer a finite number: the rate is too
    /// large.
    NotFinite,
}

/// How a descent has ended. The parameters are those at which cost and gradient
/// were evaluated last.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Why it stopped.
    pub reason: StopReason,
    /// The number of steps taken.
    pub steps: usize,
    /// The cost.
    pub cost: f64,
    /// The Euclidean norm of the gradient.
    pub gradient_norm: f64,
    /// By how much the last step changed the cost, negative when it fell; `None`
    /// if no step was taken.
    pub cost_change: Option<f64>,
}

impl Descent {
    /// A descent of a learning rate, the paper's `eta`, of 1000 steps unless a
    /// [budget](Self::budget) says otherwise, without tolerances.
    pub fn new(rate: f64) -> Self {
        Self { rate, budget: 1000, gradient_tolerance: 0.0, cost_tolerance: 0.0 }
    }

    /// With a largest number of steps.
    #[must_use]
    pub fn budget(self, budget: usize) -> Self {
        Self { budget, ..self }
    }

    /// Stops where the gradient's Euclidean norm is at most this, 0 unless set.
    #[must_use]
    pub fn gradient_tolerance(self, gradient_tolerance: f64) -> Self {
        Self { gradient_tolerance, ..self }
    }

    /// Stops when a step changes the cost by at most this fraction of it, 0 unless
    /// set.
    #[must_use]
    pub fn cost_tolerance(self, cost_tolerance: f64) -> Self {
        Self { cost_tolerance, ..self }
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
        let mut tape = Tape::new();
        let mut sgd = Sgd::new(self.rate);
        let mut before = None;
        for steps in 0.. {
            tape.reset();
            let value = cost(net, &tape);
            let gradients = value.backward();
            let cost = value.item().as_f64();
            let gradient_norm = gradient_norm(net, &gradients);
            let cost_change = before.map(|before| cost - before);
            let settled = |change: f64| change.abs() <= self.cost_tolerance * cost.abs();
            let reason = if !cost.is_finite() || !gradient_norm.is_finite() {
                Some(StopReason::NotFinite)
            } else if gradient_norm <= self.gradient_tolerance {
                Some(StopReason::GradientTolerance)
            } else if cost_change.is_some_and(settled) {
                Some(StopReason::CostTolerance)
            } else if steps >= self.budget {
                Some(StopReason::Budget)
            } else {
                None
            };
            if let Some(reason) = reason {
                return Outcome { reason, steps, cost, gradient_norm, cost_change };
            }
            sgd.step(net, &gradients);
            before = Some(cost);
        }
        unreachable!("the budget ends the loop")
    }
}
