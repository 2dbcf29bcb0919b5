//! The two ways in which a [`Trainer`](super::Trainer) takes its steps: on one tape, and on
//! shards of a batch.

use wengert_core::{Real, Tape, Var};

use super::{DataParallel, Metrics};
use crate::data::Dataset;
use crate::optim::{Optimiser, Rule, StepError};
use crate::{FileError, Module};

/// Why there was no step.
pub(super) enum Failure {
    /// A part of the batch could not be read.
    File(FileError),
    /// The optimiser has refused it.
    Step(StepError),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

/// A way to take steps.
pub(super) trait Steps<T: Real, M, B> {
    /// How many shards a batch is cut into.
    fn shards(&self) -> usize;

    /// Begins an epoch.
    fn begin(&mut self, seed: u64);

    /// Takes a step, and gives the loss before it; takes none if that is not finite.
    fn step<R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        batch: &B,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure>;

    /// The first value of the last step that is not finite.
    fn first_non_finite(&self) -> Option<String>;
}

/// Steps on one tape: the plain loop.
pub(super) struct OneTape<'f, T: Real, F> {
    tape: Tape<T>,
    loss: &'f F,
}

impl<'f, T: Real, F> OneTape<'f, T, F> {
    pub(super) fn new(loss: &'f F) -> Self {
        Self { tape: Tape::new(), loss }
    }
}

impl<T, M, B, F> Steps<T, M, B> for OneTape<'_, T, F>
where
    T: Real,
    M: Module<T>,
    F: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
{
    fn shards(&self) -> usize {
        1
    }

    fn begin(&mut self, seed: u64) {
        self.tape.train(seed);
    }

    fn step<R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        batch: &B,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        self.tape.reset();
        let loss = (self.loss)(net, &self.tape, batch, metrics);
        let value = loss.item().as_f64();
        if value.is_finite() {
            optimiser.try_step(net, &loss.backward())?;
        }
        Ok(value)
    }

    fn first_non_finite(&self) -> Option<String> {
        self.tape.first_non_finite()
    }
}

/// Steps on shards.
pub(super) struct Shards<'f, T: Real, F> {
    parallel: DataParallel<T>,
    loss: &'f F,
}

impl<'f, T: Real, F> Shards<'f, T, F> {
    #[track_caller]
    pub(super) fn new(shards: usize, loss: &'f F) -> Self {
        Self { parallel: DataParallel::new(shards), loss }
    }
}

impl<T, M, B, F> Steps<T, M, B> for Shards<'_, T, F>
where
    T: Real,
    M: Module<T> + Sync,
    B: Dataset<Batch = B>,
    F: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T> + Sync,
{
    fn shards(&self) -> usize {
        self.parallel.shards()
    }

    fn begin(&mut self, seed: u64) {
        self.parallel.train(seed);
    }

    fn step<R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        batch: &B,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        let loss = self.parallel.try_step(net, optimiser, batch, self.loss)?;
        metrics.merge(self.parallel.metrics());
        Ok(loss)
    }

    fn first_non_finite(&self) -> Option<String> {
        self.parallel.first_non_finite()
    }
}
