//! What can be wrong with a saved state.

use std::fmt;

use indexmap::{IndexMap, IndexSet};
use thiserror::Error;
use wengert_core::{Real, Shape, Tensor};

use crate::Param;

/// A state that does not fit a model, with everything that is wrong with it.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::{Module, Param};
///
/// let mut net = (Param::new([1.0, 2.0]), Param::new(0.0));
/// let state = [("0".into(), Tensor::zeros([3])), ("2".into(), Tensor::zeros([]))];
/// let error = net.load_state_dict(&state.into()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the state does not fit the model\n  \
///      missing: 1\n  unexpected: 2\n  0: shape [2] in the model, [3] in the state",
/// );
/// ```
///
/// `Debug` says what `Display` does: it is what a program prints whose `main` returns it.
#[derive(Clone, Default, PartialEq, Eq, Error)]
#[error("the state does not fit the model{}", Details(self))]
#[non_exhaustive]
pub struct StateError {
    /// Names of parameters of the model that the state does not have.
    pub missing: Vec<String>,
    /// Names in the state that the model does not have.
    pub unexpected: Vec<String>,
    /// Names that both have, with different shapes.
    pub mismatched: Vec<Mismatch>,
}

/// A parameter of one shape in the model and another in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The parameter's name.
    pub name: String,
    /// Its shape in the model.
    pub model: Shape,
    /// Its shape in the state.
    pub state: Shape,
}

impl fmt::Debug for StateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl StateError {
    /// Compares a model's parameters with a state.
    pub(crate) fn check<T: Real>(
        parameters: &[(String, &Param<T>)],
        state: &IndexMap<String, Tensor<T>>,
    ) -> Result<(), StateError> {
        let mut error = Self::default();
        for (name, param) in parameters {
            match state.get(name) {
                None => error.missing.push(name.clone()),
                Some(tensor) if tensor.shape() != param.shape() => {
                    error.mismatched.push(Mismatch {
                        name: name.clone(),
                        model: param.shape().clone(),
                        state: tensor.shape().clone(),
                    });
                }
                Some(_) => {}
            }
        }
        let known: IndexSet<&String> = parameters.iter().map(|(name, _)| name).collect();
        let unexpected = state.keys().filter(|name| !known.contains(name));
        error.unexpected = unexpected.cloned().collect();
        if error == Self::default() { Ok(()) } else { Err(error) }
    }
}

/// One line for each kind of fault.
struct Details<'a>(&'a StateError);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateError { missing, unexpected, mismatched } = self.0;
        for (what, names) in [("missing", missing), ("unexpected", unexpected)] {
            if !names.is_empty() {
                write!(f, "\n  {what}: {}", names.join(", "))?;
            }
        }
        for Mismatch { name, model, state } in mismatched {
            write!(f, "\n  {name}: shape {model} in the model, {state} in the state")?;
        }
        Ok(())
    }
}
