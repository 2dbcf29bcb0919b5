//! The step of stochastic gradient as a formula.
//!
//! Written over any [`Number`], it is read twice: by floats, element by element,
//! in [`Sgd::step`](super::Sgd::step), and by variables, which record it, in a
//! compiled [`TrainStep`](crate::TrainStep). Both give the same bits.

use wengert_core::{Number, Plain};

/// What a step depends on besides gradient and state, for one parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<A> {
    /// The learning rate times the parameter's multiplier.
    pub(crate) rate: A,
    /// The weight decay times the parameter's multiplier, unless 0.
    pub(crate) decay: Option<A>,
    pub(crate) momentum: A,
    pub(crate) nesterov: bool,
}

impl<A: Number> Rule<A> {
    #[inline(always)]
    fn decayed(&self, w: A, g: A) -> A {
        match self.decay {
            Some(decay) => g + decay * w,
            None => g,
        }
    }

    /// `w` after a step without momentum.
    #[inline(always)]
    pub(crate) fn plain(&self, w: A, g: A) -> A {
        w - self.rate * self.decayed(w, g)
    }

    /// `w` and the velocity `v` after a step with momentum.
    #[inline(always)]
    pub(crate) fn with_momentum(&self, w: A, g: A, v: A) -> [A; 2] {
        let g = self.decayed(w, g);
        let v = self.momentum * v + g;
        let direction = if self.nesterov { g + self.momentum * v } else { v };
        [w - self.rate * direction, v]
    }
}

impl<T> Rule<T> {
    /// The rule for floats.
    pub(crate) fn plain_numbers(self) -> Rule<Plain<T>> {
        Rule {
            rate: Plain(self.rate),
            decay: self.decay.map(Plain),
            momentum: Plain(self.momentum),
            nesterov: self.nesterov,
        }
    }
}
