//! Rules that scale each element's step by the size of its earlier gradients, and one that
//! keeps nothing of the size but the sign.
//!
//! `g` is the gradient, and whatever is remembered starts at 0. None of these has a decay of
//! its own but [`Lion`]: where a penalty is wanted, it belongs to the cost.

use wengert_core::{Number, Real};

use super::number::{not_negative, share};
use super::rule::moved;
use super::{Optimiser, Rule};

/// AdaGrad (Duchi, Hazan & Singer, 2011): steps divided by the root of the sum of all
/// squares,
///
/// ```text
/// s <- s + g^2
/// w <- w - rate g / (sqrt(s) + epsilon)
/// ```
///
/// with `epsilon = 1e-10` unless set otherwise.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Param;
/// use wengert_nn::optim::AdaGrad;
///
/// // The first step is as long as the rate, whatever the gradient.
/// let mut weight = Param::new([1.0, -200.0]);
/// let tape = Tape::new();
/// let cost = weight.on(&tape).square().sum();
/// AdaGrad::new(0.5).step(&mut weight, &cost.backward());
/// assert!((weight.elements()[0] - 0.5_f64).abs() < 1e-9);
/// assert!((weight.elements()[1] + 199.5_f64).abs() < 1e-9);
/// ```
pub type AdaGrad<T> = Optimiser<T, SquareSum>;

/// The rule of [`AdaGrad`].
#[derive(Clone, Debug)]
pub struct SquareSum {
    epsilon: f64,
}

impl<T: Real> AdaGrad<T> {
    /// Steps of a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        Self::with_rule(SquareSum { epsilon: 1e-10 }, rate)
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

impl Rule for SquareSum {
    const STATES: &'static [&'static str] = &["sum"];

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, states: &mut [A]) -> A {
        let [s] = states else { panic!("one state, as above") };
        *s = *s + g * g;
        w - hyper[0] * g / (s.sqrt() + w.constant(self.epsilon))
    }
}

/// AdaDelta (Zeiler, 2012): steps in the parameter's own units, since the mean of earlier
/// steps stands above the mean of gradients,
///
/// ```text
/// v <- r v + (1 - r) g^2
/// d  = sqrt(u + epsilon) / sqrt(v + epsilon) g
/// u <- r u + (1 - r) d^2
/// w <- w - rate d
/// ```
///
/// with `r = 0.9`, `epsilon = 1e-6` unless set otherwise; the paper's rate is 1.
pub type AdaDelta<T> = Optimiser<T, StepMeans>;

/// The rule of [`AdaDelta`].
#[derive(Clone, Debug)]
pub struct StepMeans {
    keep: f64,
    epsilon: f64,
}

impl<T: Real> AdaDelta<T> {
    /// Steps of a learning rate, 1 in the paper.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        Self::with_rule(StepMeans { keep: 0.9, epsilon: 1e-6 }, rate)
    }

    /// With another share `r` of the means that a step keeps.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn keep(mut self, keep: f64) -> Self {
        self.rule_mut().keep = share("the share that a mean keeps", keep);
        self
    }

    /// With another summand below the roots, which sets the size of the first steps.
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

impl Rule for StepMeans {
    const STATES: &'static [&'static str] = &["square", "step"];

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, states: &mut [A]) -> A {
        let [v, u] = states else { panic!("two states, as above") };
        let epsilon = w.constant(self.epsilon);
        *v = moved(*v, self.keep, g * g);
        let step = (*u + epsilon).sqrt() / (*v + epsilon).sqrt() * g;
        *u = moved(*u, self.keep, step * step);
        w - hyper[0] * step
    }
}

/// RMSProp (Tieleman & Hinton's lecture 6.5, 2012): steps divided by the root of the mean of
/// squares,
///
/// ```text
/// v <- r v + (1 - r) g^2
/// m <- r m + (1 - r) g                            if centred
/// s  = g / (sqrt(v - m^2) + epsilon)              m = 0 if not centred
/// b <- momentum b + s
/// w <- w - rate b
/// ```
///
/// with `r = 0.99`, `epsilon = 1e-8`, no momentum and not centred unless set otherwise:
/// PyTorch's form and defaults. The centred form (Graves, 2013) divides by a standard
/// deviation; where rounding makes the variance negative, it is taken as 0.
pub type RmsProp<T> = Optimiser<T, SquareMean>;

/// The rule of [`RmsProp`].
#[derive(Clone, Debug)]
pub struct SquareMean {
    keep: f64,
    epsilon: f64,
    momentum: f64,
    centred: bool,
}

impl<T: Real> RmsProp<T> {
    /// Steps of a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        let rule = SquareMean { keep: 0.99, epsilon: 1e-8, momentum: 0.0, centred: false };
        Self::with_rule(rule, rate)
    }

    /// With another share `r` of the means that a step keeps.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn keep(mut self, keep: f64) -> Self {
        self.rule_mut().keep = share("the share that a mean keeps", keep);
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

    /// With momentum: the share of the velocity that a step keeps.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule_mut().momentum = share("momentum", momentum);
        self
    }

    /// With the variance of gradients in place of the mean of their squares, or not.
    #[must_use]
    pub fn centred(mut self, centred: bool) -> Self {
        self.rule_mut().centred = centred;
        self
    }
}

impl Rule for SquareMean {
    const STATES: &'static [&'static str] = &["square", "velocity", "mean"];

    fn states(&self) -> usize {
        match (self.centred, self.momentum != 0.0) {
            (true, _) => 3,
            (false, true) => 2,
            (false, false) => 1,
        }
    }

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], _: f64, w: A, g: A, states: &mut [A]) -> A {
        let (square, rest) = states.split_first_mut().expect("a state, as above");
        *square = moved(*square, self.keep, g * g);
        let mut variance = *square;
        if let [_, mean] = rest {
            *mean = moved(*mean, self.keep, g);
            let zero = w.constant(0.0);
            let difference = variance - *mean * *mean;
            variance = difference.greater(zero).select(difference, zero);
        }
        let mut step = g / (variance.sqrt() + w.constant(self.epsilon));
        if let [velocity, ..] = rest {
            *velocity = w.constant(self.momentum) * *velocity + step;
            step = *velocity;
        }
        w - hyper[0] * step
    }
}

/// Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023): the sign of a
/// mean,
///
/// ```text
/// w <- w - rate (sign(b1 m + (1 - b1) g) + decay w)
/// m <- b2 m + (1 - b2) g
/// ```
///
/// with `b1 = 0.9`, `b2 = 0.99` and no decay unless set otherwise; the decay is multiplied
/// by the parameter's multiplier. Every element moves by the rate, so rates are to be smaller
/// than Adam's by three to ten times.
pub type Lion<T> = Optimiser<T, SignOfMean>;

/// The rule of [`Lion`].
#[derive(Clone, Debug)]
pub struct SignOfMean {
    betas: [f64; 2],
    weight_decay: f64,
}

impl<T: Real> Lion<T> {
    /// Steps of a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        Self::with_rule(SignOfMean { betas: [0.9, 0.99], weight_decay: 0.0 }, rate)
    }

    /// With other shares of the mean: in the sign, and in what is remembered.
    ///
    /// # Panics
    /// If one is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn betas(mut self, sign: f64, mean: f64) -> Self {
        self.rule_mut().betas =
            [share("the beta of the sign", sign), share("the beta of the mean", mean)];
        self
    }

    /// With decay: the share of a parameter that a step of rate 1 takes away.
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

impl Rule for SignOfMean {
    const STATES: &'static [&'static str] = &["mean"];

    #[inline(always)]
    fn apply<A: Number>(&self, hyper: [A; 4], decay: f64, w: A, g: A, states: &mut [A]) -> A {
        let [m] = states else { panic!("one state, as above") };
        let zero = w.constant(0.0);
        let [b1, b2] = self.betas;
        let mean = moved(*m, b1, g);
        *m = moved(*m, b2, g);
        let sign = mean.greater(zero) - mean.less(zero);
        let decay = self.weight_decay * decay;
        w - hyper[0] * if decay == 0.0 { sign } else { sign + w.constant(decay) * w }
    }
}
