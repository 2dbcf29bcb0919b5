//! Adam and its kin: steps scaled by running means of the gradient and of its square.
//!
//! The three rules share the means and differ in what is done with them.

use wengert_core::{Number, Real};

use super::number::{not_negative, share};
use super::rule::moved;
use super::{Hyperparameters, Optimiser, Rule};

/// Adam (Kingma & Ba, 2015). At step `t`, with the gradient `g`,
///
/// ```text
/// m <- b1 m + (1 - b1) g
/// v <- b2 v + (1 - b2) g^2
/// w <- w - rate m' / (sqrt(v') + epsilon),   m' = m / (1 - b1^t),  v' = v / (1 - b2^t)
/// ```
///
/// from `m = v = 0`, with `b1 = 0.9`, `b2 = 0.999`, `epsilon = 1e-8` unless set
/// otherwise: the defaults of the paper and of PyTorch.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Adam, Param};
///
/// let mut weight = Param::new(1.0);
/// let mut adam = Adam::new(0.1);
/// let mut tape = Tape::new();
/// for _ in 0..400 {
///     tape.reset();
///     let cost = (weight.on(&tape) - 3.0).square();
///     adam.step(&mut weight, &cost.backward());
/// }
/// assert!((weight.value().item() - 3.0_f64).abs() < 1e-2);
/// ```
pub type Adam<T> = Optimiser<T, Moments>;

/// The rule of [`Adam`].
#[derive(Clone, Debug)]
pub struct Moments {
    betas: [f64; 2],
    epsilon: f64,
}

impl<T: Real> Adam<T> {
    /// Steps of a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        Self::with_rule(Moments::STANDARD, rate)
    }

    /// With other shares of the means that a step keeps.
    ///
    /// # Panics
    /// If one is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        self.rule_mut().betas = [share("the first beta", first), share("the second beta", second)];
        self
    }

    /// With another summand of the denominator.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule_mut().epsilon = not_negative("epsilon", epsilon);
        self
    }
}

impl Rule for Moments {
    const STATES: &'static [&'static str] = &["mean", "square"];

    fn hyperparameters(&self, rate: f64, step: u64) -> Hyperparameters {
        let [first, second] = self.betas.map(|beta| unbiased(beta, step));
        [rate / first, 1.0 / second.sqrt(), 0.0, 0.0]
    }

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, states: &mut [A]) -> A {
        let [rate, scale, ..] = hyper;
        let [m, v] = self.means(g, states);
        w - rate * m / (v.sqrt() * scale + w.constant(self.epsilon))
    }
}

impl Moments {
    const STANDARD: Self = Self { betas: [0.9, 0.999], epsilon: 1e-8 };

    /// The next means of the gradient and of its square.
    #[inline(always)]
    fn means<A: Number>(&self, g: A, states: &mut [A]) -> [A; 2] {
        let [m, v] = states else { panic!("two states, as above") };
        let [b1, b2] = self.betas;
        *m = moved(*m, b1, g);
        *v = moved(*v, b2, g * g);
        [*m, *v]
    }
}

/// The sum of the weights in a running mean after some steps, by which it is divided to
/// undo its start at 0.
fn unbiased(beta: f64, steps: u64) -> f64 {
    1.0 - beta.powi(i32::try_from(steps).unwrap_or(i32::MAX))
}

/// AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", 2019): the
/// parameter shrinks by itself, and decay does not go through the means:
///
/// ```text
/// w <- (1 - rate decay) w, and then as Adam
/// ```
///
/// with a decay of 0.01 unless set otherwise, times the parameter's multiplier. The rate
/// multiplies the decay as well, as in PyTorch; in the paper it is the schedule alone.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Param;
/// use wengert_nn::optim::AdamW;
///
/// // A parameter of which the cost's gradient is 0 decays, and Adam's step is 0.
/// let mut weight = Param::new(1.0);
/// let tape = Tape::new();
/// let cost = weight.on(&tape) * 0.0;
/// AdamW::new(0.5).weight_decay(0.1).step(&mut weight, &cost.backward());
/// assert_eq!(weight.value().item(), 0.95);
/// ```
pub type AdamW<T> = Optimiser<T, DecoupledMoments>;

/// The rule of [`AdamW`].
#[derive(Clone, Debug)]
pub struct DecoupledMoments {
    moments: Moments,
    weight_decay: f64,
}

impl<T: Real> AdamW<T> {
    /// Steps of a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        Self::with_rule(DecoupledMoments { moments: Moments::STANDARD, weight_decay: 0.01 }, rate)
    }

    /// With other shares of the means that a step keeps.
    ///
    /// # Panics
    /// If one is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        self.rule_mut().moments.betas =
            [share("the first beta", first), share("the second beta", second)];
        self
    }

    /// With another summand of the denominator.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule_mut().moments.epsilon = not_negative("epsilon", epsilon);
        self
    }

    /// With another decay: the share of a parameter that a step of rate 1 takes away.
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

impl Rule for DecoupledMoments {
    const STATES: &'static [&'static str] = Moments::STATES;

    fn hyperparameters(&self, rate: f64, step: u64) -> Hyperparameters {
        let [mean, square, ..] = self.moments.hyperparameters(rate, step);
        [mean, square, rate, 0.0]
    }

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], decay: f64, w: A, g: A, states: &mut [A]) -> A {
        let w = w - hyper[2] * w.constant(self.weight_decay * decay) * w;
        self.moments.apply(hyper, decay, w, g, states)
    }
}

/// NAdam (Dozat, "Incorporating Nesterov momentum into Adam", 2016): Adam whose mean looks one step
/// ahead, with a momentum that grows,
///
/// ```text
/// u_t = b1 (1 - 0.96^(t psi) / 2),   U_t = u_1 u_2 .. u_t
/// m' = u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)
/// ```
///
/// and the rest as in [`Adam`]; `psi = 0.004` unless set otherwise. As in PyTorch, the mean `m`
/// itself keeps `b1`, and `u` is in the step alone.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Param;
/// use wengert_nn::optim::NAdam;
///
/// let mut weight = Param::new(1.0);
/// let (mut nadam, mut tape) = (NAdam::new(0.1), Tape::new());
/// for _ in 0..400 {
///     tape.reset();
///     let cost = (weight.on(&tape) - 3.0).square();
///     nadam.step(&mut weight, &cost.backward());
/// }
/// assert!((weight.value().item() - 3.0_f64).abs() < 1e-2);
/// ```
pub type NAdam<T> = Optimiser<T, NesterovMoments>;

/// The rule of [`NAdam`].
#[derive(Clone, Debug)]
pub struct NesterovMoments {
    moments: Moments,
    momentum_decay: f64,
}

impl<T: Real> NAdam<T> {
    /// Steps of a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        let rule = NesterovMoments { moments: Moments::STANDARD, momentum_decay: 0.004 };
        Self::with_rule(rule, rate)
    }

    /// With other shares of the means that a step keeps.
    ///
    /// # Panics
    /// If one is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        self.rule_mut().moments.betas =
            [share("the first beta", first), share("the second beta", second)];
        self
    }

    /// With another summand of the denominator.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule_mut().moments.epsilon = not_negative("epsilon", epsilon);
        self
    }

    /// With another `psi`: how fast the momentum grows from half of `b1` to all of it.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn momentum_decay(mut self, psi: f64) -> Self {
        self.rule_mut().momentum_decay = not_negative("the decay of the momentum", psi);
        self
    }
}

impl NesterovMoments {
    /// The momentum `u` of a step.
    fn momentum(&self, step: u64) -> f64 {
        let [beta, _] = self.moments.betas;
        beta * (1.0 - 0.5 * 0.96_f64.powf(step as f64 * self.momentum_decay))
    }

    /// The product `U` of the momenta up to a step. A function of the step alone, so that nothing
    /// else need be saved; a product that 1 does not feel is not followed any further, which is
    /// after some fifty steps.
    fn product(&self, step: u64) -> f64 {
        let mut product = 1.0;
        for earlier in 1..=step {
            product *= self.momentum(earlier);
            if product < f64::EPSILON / 4.0 {
                break;
            }
        }
        product
    }
}

impl Rule for NesterovMoments {
    const STATES: &'static [&'static str] = Moments::STATES;

    fn hyperparameters(&self, rate: f64, step: u64) -> Hyperparameters {
        let [_, scale, ..] = self.moments.hyperparameters(rate, step);
        let [now, next] = [step, step + 1].map(|step| self.momentum(step));
        let product = self.product(step);
        [rate * next / (1.0 - product * next), rate * (1.0 - now) / (1.0 - product), scale, 0.0]
    }

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, states: &mut [A]) -> A {
        let [ahead, now, scale, _] = hyper;
        let [m, v] = self.moments.means(g, states);
        w - (ahead * m + now * g) / (v.sqrt() * scale + w.constant(self.moments.epsilon))
    }
}
