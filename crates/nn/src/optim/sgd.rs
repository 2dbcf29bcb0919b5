//! Stochastic gradient, with momentum.
//!
//! The authors of the paper call it that, and not "stochastic gradient descent",
//! because a single step need not go down (section 4). Momentum and decay follow
//! MatConvNet's `cnn_train.m`, with which the paper trains its large network.

use wengert_core::{Number, Real};

use super::number::{not_negative, share};
use super::{Optimiser, Rule};

/// Stochastic gradient: `w <- w - rate * g`, the paper's (15)-(17), and its
/// variants with momentum, Nesterov's momentum, and weight decay.
///
/// With the gradient `g`, momentum `m`, decay `d`, and the parameter's multipliers
/// `r` of the rate and `c` of the decay, a step is
///
/// ```text
/// g <- g + d c w
/// v <- m v + g
/// w <- w - rate r v              plain
/// w <- w - rate r (g + m v)      Nesterov
/// ```
///
/// starting from `v = 0`. The rate multiplies the velocity where it is used, so a
/// changed rate acts at once. PyTorch does the same; MatConvNet keeps `-v`, which
/// gives the same steps. The older convention has the rate [in the
/// velocity](Self::rate_in_velocity), where a changed rate acts on gradients to come:
///
/// ```text
/// v <- m v + rate r g
/// w <- w - v                         plain
/// w <- w - (rate r g + m v)          Nesterov
/// ```
///
/// With a constant rate both give the same steps.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Param, Sgd};
///
/// let mut weight = Param::new(1.0);
/// let mut sgd = Sgd::new(0.1).momentum(0.9).weight_decay(1e-4);
/// let mut tape = Tape::new();
/// for _ in 0..200 {
///     tape.reset();
///     let cost = (weight.on(&tape) - 3.0).square();
///     sgd.step(&mut weight, &cost.backward());
/// }
/// assert!((weight.value().item() - 3.0_f64).abs() < 1e-3);
/// ```
pub type Sgd<T> = Optimiser<T, Momentum>;

/// The rule of [`Sgd`].
#[derive(Clone, Debug, Default)]
pub struct Momentum {
    momentum: f64,
    nesterov: bool,
    rate_in_velocity: bool,
    weight_decay: f64,
}

impl<T: Real> Sgd<T> {
    /// Plain steps of a learning rate, the paper's `eta`.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        Self::with_rule(Momentum::default(), rate)
    }

    /// With momentum: the share of the velocity that a step keeps, 0.9 in the
    /// paper's section 7.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule_mut().momentum = share("momentum", momentum);
        self
    }

    /// With Nesterov's momentum, which looks one step ahead, or the plain one.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.rule_mut().nesterov = nesterov;
        self
    }

    /// With the rate in the velocity, as Polyak and Sutskever et al. (2013) write momentum,
    /// or at its use.
    #[must_use]
    pub fn rate_in_velocity(mut self, rate_in_velocity: bool) -> Self {
        self.rule_mut().rate_in_velocity = rate_in_velocity;
        self
    }

    /// With weight decay: this multiple of the parameter is added to its gradient.
    /// The penalty `lambda/N sum ||W||^2` of the paper's (33) is a decay of
    /// `2 lambda/N`, with a decay multiplier of 0 for biases.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.rule_mut().weight_decay = not_negative("the weight decay", weight_decay);
        self
    }
}

impl Rule for Momentum {
    const STATES: &'static [&'static str] = &["velocity"];

    fn states(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], decay: f64, w: A, g: A, states: &mut [A]) -> A {
        let decay = self.weight_decay * decay;
        let g = if decay == 0.0 { g } else { g + w.constant(decay) * w };
        let rate = hyper[0];
        let [v] = states else { return w - rate * g };
        let momentum = w.constant(self.momentum);
        if self.rate_in_velocity {
            let step = rate * g;
            *v = momentum * *v + step;
            return w - if self.nesterov { step + momentum * *v } else { *v };
        }
        *v = momentum * *v + g;
        w - rate * if self.nesterov { g + momentum * *v } else { *v }
    }
}
