//! The plan of a training step: what it does with each parameter, said once.
//!
//! Three drivers take steps. [`Optimiser::try_step`](super::Optimiser::try_step) reads gradients off a
//! recording and moves the model; the trainer's shards add their gradients up and hand the sum to the same
//! function; a [`TrainStep`](crate::TrainStep) records the step itself and compiles it. All read this
//! file for which parameters move ([`Part`]), along which gradients ([`slopes`]), in which order
//! ([`Plan`]), and by which hyperparameters ([`Optimiser::hyperparameters_of`](super::Optimiser::hyperparameters_of)).
//! What is done with one element is the [`Rule`].

use wengert_core::{Gradients, Plain, Real, Var};

use super::refusal::called;
use super::{Hyperparameters, Optimiser, Rule, StepError};
use crate::{Module, Param, Path};

/// What a step does with one parameter or buffer of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// A buffer takes what the recording has assigned to it, if anything.
    Takes,
    /// A parameter moves by the rule, if the loss depends on it.
    Moves(Multipliers),
    /// A frozen parameter stays.
    Stays,
}

/// The multipliers of a parameter's hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Multipliers {
    pub(crate) rate: f64,
    pub(crate) decay: f64,
}

impl Part {
    #[inline]
    pub(crate) fn of<T: Real>(param: &Param<T>) -> Self {
        if param.is_buffer() {
            Self::Takes
        } else if param.is_trainable() {
            Self::Moves(Multipliers { rate: param.rate(), decay: param.decay() })
        } else {
            Self::Stays
        }
    }
}

/// Calls a function with each parameter that a step moves, in the order of the visit.
fn for_each_moved<'n, T: Real, M: Module<T> + ?Sized>(
    net: &'n M,
    gradients: &Gradients<'_, T>,
    mut f: impl FnMut(&Path<'_>, &'n Param<T>, Multipliers),
) {
    net.visit(&Path::root(), &mut |path, param| {
        if let Part::Moves(multipliers) = Part::of(param)
            && has_gradient(param, gradients)
        {
            f(path, param, multipliers);
        }
    });
}

/// Whether the loss depends on a parameter.
pub(super) fn has_gradient<T: Real>(param: &Param<T>, gradients: &Gradients<'_, T>) -> bool {
    gradients.has_parameter(param.key())
}

/// The gradients of all parameters that a step moves, on their tape, in the order of the visit, before
/// any clipping.
pub(crate) fn slopes<'t, T: Real, M: Module<T> + ?Sized>(
    net: &M,
    gradients: &Gradients<'t, T>,
) -> Vec<Var<'t, T>> {
    let mut slopes = Vec::new();
    for_each_moved(net, gradients, |_, param, _| {
        let w = gradients.tape().parameter_variable(param.key());
        slopes.push(gradients.on_tape(w.expect("it has a gradient")));
    });
    slopes
}

/// The parameters that a step moves, in the order of the visit: a plan to keep, for steps that do not look
/// at the model again.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) moved: Vec<Moved>,
    /// The multipliers of the learning rate in use; each has hyperparameters of its own.
    pub(crate) rates: Vec<f64>,
}

/// A parameter that a step moves.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) key: u64,
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) decay: f64,
    /// Which of [`Plan::rates`] is its multiplier.
    pub(crate) group: usize,
}

impl Plan {
    /// The plan of a step on a loss with these gradients.
    ///
    /// # Errors
    /// If the model has trainable parameters, and the loss depends on none.
    pub(crate) fn of<T: Real, M: Module<T> + ?Sized>(
        net: &M,
        gradients: &Gradients<'_, T>,
    ) -> Result<Self, StepError> {
        let (mut moved, mut rates) = (Vec::new(), Vec::new());
        for_each_moved(net, gradients, |path, param, Multipliers { rate, decay }| {
            let group = rates.iter().position(|&known| known == rate).unwrap_or_else(|| {
                rates.push(rate);
                rates.len() - 1
            });
            moved.push(Moved { key: param.key(), name: called(path, param), decay, group });
        });
        if moved.is_empty() {
            StepError::unrelated(net, gradients)?;
        }
        Ok(Self { moved, rates })
    }
}

impl<T: Real, R: Rule> Optimiser<T, R> {
    /// The hyperparameters of a step, counted from 1, for parameters with this multiplier of the rate.
    #[inline]
    pub(crate) fn hyperparameters_of(&self, multiplier: f64, step: u64) -> Hyperparameters {
        self.rule().hyperparameters(self.rate() * multiplier, step)
    }

    /// Whether a gradient that is not finite may move a parameter, and what is remembered of it, to
    /// finite numbers: a rule that reads the sign alone does so, and so does any behind a gradient that is
    /// cut off at a size. Steps that look only at what has moved would miss it.
    pub(crate) fn hides_non_finite(&self) -> bool {
        let hyper = self.hyperparameters_of(1.0, self.steps() + 1);
        let hyper = hyper.map(|x| Plain(T::from_f64(x)));
        [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].into_iter().any(|g| {
            let g = self.clip().map_or(g, |clip| clip.of_element(g));
            let mut numbers = vec![Plain(T::zero()); self.rule().states()];
            let (w, g) = (Plain(T::one()), Plain(T::from_f64(g)));
            let moved = self.rule().apply(hyper, 1.0, w, g, &mut numbers);
            numbers.push(moved);
            numbers.iter().all(|x| x.0.is_finite())
        })
    }
}
