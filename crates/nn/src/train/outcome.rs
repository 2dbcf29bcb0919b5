//! How a run ends: what it came to, or why it could not go on.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use wengert_core::Real;

use super::{History, Metrics};
use crate::data::{DataLoader, Dataset};
use crate::optim::{StepError, first_non_finite};
use crate::{FileError, Module, StateError};

/// How a run has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What its epochs came to, those before an interruption included.
    pub history: History,
    /// Why it stopped.
    pub reason: StopReason,
    /// The epoch whose parameters the model has, from 0: the best one if that was asked
    /// for, else the last.
    pub epoch: Option<usize>,
    /// The metrics of that epoch's validation, if this run has made it.
    pub validation: Option<Metrics>,
    /// Why [compiled](super::Trainer::fit_compiled) steps were recorded, if they were.
    pub recorded: Option<String>,
    /// How long this run took, from its first step on.
    pub time: Duration,
    /// How much of it steps have waited for an exchange with other processes, and for slower ones in it.
    pub exchange_time: Duration,
}

/// Why a run has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// All epochs are done.
    Epochs,
    /// There was no better epoch for as long as the [patience](super::Best::patience) is.
    Patience,
    /// The hook said so.
    Hook,
    /// [Ctrl-C](super::Trainer::interruptible): the run has ended after a step.
    Interrupted,
}

/// Why a run could not go on.
///
/// `Debug` says what `Display` does: it is what a program prints whose `main` returns it.
#[derive(Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Data or a checkpoint could not be read, or a checkpoint not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A checkpoint is of another model or optimiser.
    #[error(transparent)]
    State(#[from] StateError),
    /// The checkpoint from which a run is to go on is of another model or optimiser.
    #[error("{}: {error}", path.display())]
    Resume {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        error: StateError,
    },
    /// A checkpoint is of a run with other options.
    #[error("{}: a run with other options: expected {option}: {expected}, found {found}", path.display())]
    Option {
        /// The checkpoint.
        path: PathBuf,
        /// The first option that differs.
        option: String,
        /// What this run has.
        expected: String,
        /// What the run of the checkpoint had.
        found: String,
    },
    /// A loader has no batch: its dataset is empty, or smaller than the one batch that
    /// [`drop_last`](crate::data::DataLoader::drop_last) keeps.
    #[error("the loader of {phase} has no batch: {samples} samples in batches of {batch_size}")]
    NoBatch {
        /// `training` or `validation`.
        phase: &'static str,
        /// The samples that it has.
        samples: usize,
        /// The samples of a batch.
        batch_size: usize,
    },
    /// The optimiser has refused a step, or the step made a parameter infinite. The message counts
    /// from 1.
    #[error("epoch {}, batch {}: {error}", .epoch + 1, .batch + 1)]
    Step {
        /// The epoch, from 0.
        epoch: usize,
        /// The batch, from 0.
        batch: usize,
        /// Why.
        error: StepError,
    },
    /// A parameter is infinite or NaN at the end of an epoch, and no step of the optimiser's made it
    /// so: a hook did, or the optimiser [allows](crate::optim::Optimiser::allow_non_finite) it. No
    /// checkpoint was written. The message counts from 1.
    #[error(
        "epoch {}: {parameter} has an element that is {value}; no checkpoint was written",
        .epoch + 1
    )]
    Parameter {
        /// The epoch, from 0.
        epoch: usize,
        /// The parameter: its name in the model, its shape and where it was made.
        parameter: String,
        /// The element.
        value: f64,
    },
    /// The loss is no finite number. The message counts from 1, as progress bars and histories do.
    #[error("epoch {}, batch {}: the loss is {loss}{}", .epoch + 1, .batch + 1, first(.cause))]
    NotFinite {
        /// The epoch, from 0.
        epoch: usize,
        /// The batch, from 0.
        batch: usize,
        /// The loss.
        loss: f64,
        /// The first value on the tape that is not finite.
        cause: Option<String>,
    },
    /// Another [process](super::Group) has failed, and has an error of its own.
    #[error("rank {rank}: {message}")]
    Elsewhere {
        /// Which one.
        rank: usize,
        /// What it says.
        message: String,
    },
    /// This [process](super::Group) is another run than that of rank 0: it was started with other
    /// options, or something has changed its parameters.
    #[error("rank {rank} is not as rank 0: {what}")]
    Differs {
        /// This process.
        rank: usize,
        /// In what.
        what: String,
    },
}

impl fmt::Debug for TrainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn first(cause: &Option<String>) -> String {
    cause.as_ref().map_or_else(String::new, |cause| format!("; first of all: {cause}"))
}

/// That no parameter or buffer is infinite or NaN, before a checkpoint takes them.
pub(super) fn finite<T: Real, M: Module<T> + ?Sized>(
    net: &M,
    epoch: usize,
) -> Result<(), TrainError> {
    match first_non_finite(net, 0) {
        None => Ok(()),
        Some((parameter, _, value)) => Err(TrainError::Parameter { epoch, parameter, value }),
    }
}

/// That there is something to train or to validate on.
pub(super) fn not_empty<D: Dataset>(
    phase: &'static str,
    loader: &DataLoader<D>,
) -> Result<(), TrainError> {
    let (samples, batch_size) = (loader.dataset().len(), loader.batch_size());
    if loader.is_empty() { Err(TrainError::NoBatch { phase, samples, batch_size }) } else { Ok(()) }
}
