//! One error for all that a training program may run into.

use std::fmt;

use thiserror::Error;
use wengert_core::CompileError;

use crate::optim::StepError;
use crate::train::TrainError;
use crate::{FileError, StateError};

/// What can go wrong with files, states, steps and runs: the error that the `main` of a training
/// program returns. Every error of this crate, and that of [`compile`](wengert_core::compile),
/// becomes one by `?`.
///
/// ```
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Error, Linear, Module, weights};
///
/// fn copied(path: &std::path::Path) -> Result<Linear<f32>, Error> {
///     let rng = &mut seeded(1);
///     let trained = Linear::<f32>::new(2, 3, rng);
///     weights::save(path, &trained.state_dict())?;
///     let mut fresh = Linear::new(2, 3, rng);
///     fresh.load_state_dict(&weights::load(path)?)?;
///     Ok(fresh)
/// }
///
/// let path = std::env::temp_dir().join("wengert_error.safetensors");
/// assert!(copied(&path).is_ok());
/// # std::fs::remove_file(path).unwrap();
/// ```
///
/// `Debug` says what `Display` does: it is what a program prints whose `main` returns it.
#[derive(Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A saved state does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// An optimiser has refused a step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A recording cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A run could not go on.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
