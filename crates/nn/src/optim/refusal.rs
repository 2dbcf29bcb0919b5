//! Steps that an optimiser refuses, and why.
//!
//! A gradient that is NaN makes a model of NaNs, a step that is too long one of infinities, and a step
//! on a model that the loss knows nothing of changes nothing. All of it looks like training. So a step
//! asks whether all gradients are finite before the first parameter moves, and afterwards whether one
//! has moved and all are finite; the search for what to say begins only when something is wrong.

use std::fmt;

use thiserror::Error;
use wengert_core::{Gradients, Real};

use crate::{Module, Param, Path};

/// Why an [`Optimiser`](super::Optimiser) has refused a step, or what came of it. No parameter has
/// moved, but where one was [spoiled](Self::Spoiled).
///
/// `Debug` says what `Display` does: it is what a program prints whose `main` returns it.
#[derive(Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum StepError {
    /// A gradient has an element that is NaN or infinite.
    #[error(
        "the gradient of {parameter} is {value} at {index:?}; no parameter has moved{}\n  \
         `try_step` gives this as an error, and `allow_non_finite` takes the step",
        first(cause)
    )]
    NotFinite {
        /// The parameter: its name in the model, its shape and where it was made.
        parameter: String,
        /// Which element of its gradient is the first that is not finite.
        index: Vec<usize>,
        /// That element.
        value: f64,
        /// The first value of the recording that is not finite, and its source line.
        cause: Option<String>,
    },
    /// A parameter or buffer, or what is remembered of one, has become NaN or infinite. A model
    /// that was stepped has moved; a compiled step keeps what it made to itself.
    #[error("step {step} made {parameter} {value} at {index:?}: {advice}")]
    Spoiled {
        /// The optimiser's step, from 1.
        step: u64,
        /// The parameter: its name in the model, its shape and where it was made.
        parameter: String,
        /// Its first element that is not finite.
        index: Vec<usize>,
        /// That element.
        value: f64,
        /// What to do.
        advice: &'static str,
    },
    /// The loss of a compiled step is no finite number.
    #[error(
        "the loss of step {step} is {loss}: `Optimiser::step` on a tape names the value that is to \
         blame, and `allow_non_finite` goes on"
    )]
    Loss {
        /// The optimiser's step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// A gradient of a compiled step has an element that is NaN or infinite, though all that the step
    /// made of it is finite: it was clipped, or the rule reads its sign alone.
    #[error(
        "a gradient of step {step} is not finite: `Optimiser::step` on a tape names it, and \
         `allow_non_finite` goes on"
    )]
    Gradient {
        /// The optimiser's step, from 1.
        step: u64,
    },
    /// The model has parameters, and the loss depends on none of them.
    #[error(
        "no parameter of the model would move: {gradients} depend on none of its {count}, the first \
         of which is {parameter}; {advice}"
    )]
    Unrelated {
        /// The gradients.
        gradients: String,
        /// How many trainable parameters the model has.
        count: usize,
        /// The first of them.
        parameter: String,
        /// What to do.
        advice: &'static str,
    },
}

impl fmt::Debug for StepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn first(cause: &Option<String>) -> String {
    cause.as_ref().map_or_else(String::new, |cause| format!("\n  first of all: {cause}"))
}

impl StepError {
    /// Which gradient of a model is not finite, if there is one.
    #[cold]
    pub(crate) fn not_finite<T: Real, M: Module<T> + ?Sized>(
        net: &M,
        gradients: &Gradients<'_, T>,
    ) -> Result<(), Self> {
        let mut found = Ok(());
        net.visit(&Path::root(), &mut |path, param| {
            if !param.is_trainable() || found.is_err() {
                return;
            }
            gradients.with_parameter(param.key(), |gradient| {
                let Some((at, value)) = gradient.iter().enumerate().find(|(_, x)| !x.is_finite())
                else {
                    return;
                };
                found = Err(Self::NotFinite {
                    parameter: called(path, param),
                    index: index(gradient.shape(), at),
                    value: value.as_f64(),
                    cause: None,
                });
            });
        });
        if let Err(Self::NotFinite { cause, .. }) = &mut found {
            *cause = gradients.tape().first_non_finite();
        }
        found
    }

    /// That a step made the parameter or buffer at a position of the visit NaN or infinite.
    #[cold]
    pub(super) fn spoiled<T: Real, M: Module<T> + ?Sized>(
        net: &M,
        position: usize,
        step: u64,
    ) -> Self {
        let (parameter, index, value) =
            first_non_finite(net, position).expect("the step has seen it");
        let advice = "all gradients were finite, so the step was too long, or what is assigned to a \
                      buffer too large; a smaller rate or clipping keeps steps short";
        Self::Spoiled { step, parameter, index, value, advice }
    }

    /// With the first value of another recording that is not finite, if it is known.
    pub(crate) fn because(self, first: &Option<String>) -> Self {
        match self {
            Self::NotFinite { parameter, index, value, cause } => {
                Self::NotFinite { parameter, index, value, cause: first.clone().or(cause) }
            }
            other => other,
        }
    }

    /// That a loss depends on no parameter of a model. A model that has nothing to train is none of
    /// the optimiser's business.
    #[cold]
    pub(crate) fn unrelated<T: Real, M: Module<T> + ?Sized>(
        net: &M,
        gradients: &Gradients<'_, T>,
    ) -> Result<(), Self> {
        let (mut first, mut count, mut recorded) = (None, 0, false);
        net.visit(&Path::root(), &mut |path, param| {
            if param.is_trainable() {
                first.get_or_insert_with(|| called(path, param));
                count += 1;
                recorded |= gradients.tape().parameter_variable(param.key()).is_some();
            }
        });
        let Some(parameter) = first else { return Ok(()) };
        let advice = if recorded {
            "they are on the tape, but the loss does not use them"
        } else {
            "they are not on the tape: step the model whose `forward` recorded the loss, and no \
             clone of it, whose parameters are others"
        };
        Err(Self::Unrelated { gradients: format!("{gradients:?}"), count, parameter, advice })
    }
}

/// The first element that is not finite of a model's parameters and buffers from a position of the
/// visit on: whose it is, where it stands, and what it is.
pub(crate) fn first_non_finite<T: Real, M: Module<T> + ?Sized>(
    net: &M,
    from: usize,
) -> Option<(String, Vec<usize>, f64)> {
    let (mut position, mut found) = (0, None);
    net.visit(&Path::root(), &mut |path, param| {
        let elements = param.elements();
        if position >= from
            && found.is_none()
            && let Some(at) = elements.iter().position(|x| !x.is_finite())
        {
            found = Some((called(path, param), index(param.shape(), at), elements[at].as_f64()));
        }
        position += 1;
    });
    found
}

/// A parameter as messages call it: by its name in the model and by its own.
pub(crate) fn called<T: Real>(name: impl fmt::Display, param: &Param<T>) -> String {
    match name.to_string() {
        name if name.is_empty() => param.describe(),
        name => format!("`{name}`, {}", param.describe()),
    }
}

/// The place of an element, by its number in row-major order.
pub(crate) fn index(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (index, &extent) in index.iter_mut().zip(shape).rev() {
        *index = at % extent;
        at /= extent;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_places() {
        assert_eq!(index(&[2, 3, 4], 23), [1, 2, 3]);
        assert_eq!(index(&[2, 3, 4], 5), [0, 1, 1]);
        assert!(index(&[], 0).is_empty());
    }
}
