//! Adam: steps scaled by running means of the gradient and of its square.

use wengert_core::{Number, Real};

use super::{Optimiser, Rule, Settings};

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
    pub fn new(rate: f64) -> Self {
        Self::with_rule(Moments { betas: [0.9, 0.999], epsilon: 1e-8 }, rate)
    }

    /// With other shares of the means that a step keeps.
    #[must_use]
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        self.rule_mut().betas = [first, second];
        self
    }

    /// With another summand of the denominator.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule_mut().epsilon = epsilon;
        self
    }
}

impl Rule for Moments {
    const STATES: &'static [&'static str] = &["mean", "square"];

    fn settings(&self, rate: f64, step: u64) -> Settings {
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let [first, second] = self.betas.map(|beta| 1.0 - beta.powi(step));
        [rate / first, 1.0 / second.sqrt(), 0.0, 0.0]
    }

    #[inline(always)]
    fn apply<A: Number>(&self, settings: [A; 4], _: f64, w: A, g: A, states: &mut [A]) -> A {
        let [rate, scale, ..] = settings;
        let [m, v] = states else { panic!("two states, as above") };
        let [b1, b2] = self.betas.map(|beta| w.constant(beta));
        let one = w.constant(1.0);
        *m = b1 * *m + (one - b1) * g;
        *v = b2 * *v + (one - b2) * g * g;
        w - rate * *m / (v.sqrt() * scale + w.constant(self.epsilon))
    }
}
