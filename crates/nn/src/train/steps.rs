//! The ways in which a [`Trainer`](super::Trainer) takes its steps: on one tape, and on shards of a batch;
//! `compiled` has the third.
//!
//! A step of one batch is the plain loop. A step of several adds up their gradients first, each of which
//! counts by its share of the step's samples, so that it is the step of one large batch up to rounding.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wengert_core::{Real, Tape, Var};

use super::exchange::{Alone, Exchange, Group, Timed};
use super::sum::Sum;
use super::{DataParallel, Metrics};
use crate::data::{Cut, DataLoader, Dataset};
use crate::optim::{Optimiser, Rule, StepError};
use crate::{FileError, Module};

/// Why there was no step.
#[derive(Debug)]
pub(super) enum Failure {
    /// A part of the batch could not be read.
    File(FileError),
    /// The optimiser has refused it.
    Step(StepError),
    /// Another process has failed.
    Elsewhere {
        /// Which one.
        rank: usize,
        /// What it says.
        message: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(formatter),
            Self::Step(error) => error.fmt(formatter),
            Self::Elsewhere { rank, message } => write!(formatter, "rank {rank}: {message}"),
        }
    }
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

/// What a batch is of its step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its share of the step's samples.
    pub(super) share: f64,
    /// What it draws; nothing if generators go on from the batch before.
    pub(super) seed: Option<u64>,
    /// Whether it is the last one, so that its gradients complete the sums.
    pub(super) is_last: bool,
}

impl Part {
    /// A batch that is a step by itself.
    pub(super) fn whole(seed: Option<u64>) -> Self {
        Self { share: 1.0, seed, is_last: true }
    }
}

/// What steps need of batches, one after another.
pub(super) type Contents<X> = Box<dyn Iterator<Item = Result<X, FileError>>>;

/// A way to take steps.
pub(super) trait Steps<T: Real, M, R: Rule, B> {
    /// The processes that take them.
    type Group: Group;
    /// What a step needs of a batch.
    type Content;

    fn group(&self) -> &Self::Group;

    /// How many shards a batch is cut into.
    fn shards(&self) -> usize;

    /// What steps need of an epoch's batches, from one of them on.
    fn contents<D: Dataset<Batch = B>>(
        &self,
        loader: &DataLoader<D>,
        epoch: u64,
        first: usize,
    ) -> Contents<Self::Content>;

    /// The time spent in exchange with other processes.
    fn exchange_time(&self) -> Duration {
        Duration::ZERO
    }

    /// Adds the gradients of a batch to those of the step, and gives the loss; adds none if that is
    /// not finite.
    fn add(
        &mut self,
        net: &M,
        optimiser: &Optimiser<T, R>,
        content: Result<Self::Content, FileError>,
        part: Part,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure>;

    /// Takes the step on what was added.
    fn take(&mut self, net: &mut M, optimiser: &mut Optimiser<T, R>) -> Result<(), Failure>;

    /// Takes a step on one batch, and gives the loss before it; takes none if that is not finite.
    fn step(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        content: Result<Self::Content, FileError>,
        seed: u64,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        let loss = self.add(net, optimiser, content, Part::whole(Some(seed)), metrics)?;
        if loss.is_finite() {
            self.take(net, optimiser)?;
        }
        Ok(loss)
    }

    /// Gives model and optimiser what the steps have made of them, if they don't have it yet: before
    /// anybody looks at them.
    fn settle(&mut self, _net: &mut M, _optimiser: &mut Optimiser<T, R>) {}

    /// Forgets what is known of the model, which a hook may have changed.
    fn forget(&mut self) {}

    /// Why steps are taken in another way than was asked for, if they are.
    fn refusal(&self) -> Option<&str> {
        None
    }

    /// The first value of the last batch that is not finite.
    fn first_non_finite(&self) -> Option<String>;
}

/// Steps on one tape: the plain loop.
pub(super) struct OneTape<'f, T: Real, F> {
    tape: Tape<T>,
    sum: Sum<T>,
    loss: &'f F,
}

impl<'f, T: Real, F> OneTape<'f, T, F> {
    pub(super) fn new(loss: &'f F) -> Self {
        Self { tape: Tape::new(), sum: Sum::new(), loss }
    }
}

impl<T: Real, F> OneTape<'_, T, F> {
    /// An empty tape that trains, and draws from the seed if there is one.
    fn begin(&mut self, seed: Option<u64>) {
        if let Some(seed) = seed {
            self.tape.train(seed);
        }
        self.tape.reset();
    }
}

impl<T, M, R, B, F> Steps<T, M, R, B> for OneTape<'_, T, F>
where
    T: Real,
    R: Rule,
    M: Module<T>,
    B: Send + 'static,
    F: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
{
    type Group = Alone;
    type Content = B;

    fn group(&self) -> &Alone {
        &Alone
    }

    fn shards(&self) -> usize {
        1
    }

    fn contents<D: Dataset<Batch = B>>(
        &self,
        loader: &DataLoader<D>,
        epoch: u64,
        first: usize,
    ) -> Contents<B> {
        Box::new(loader.epoch_from(epoch, first))
    }

    fn add(
        &mut self,
        net: &M,
        optimiser: &Optimiser<T, R>,
        content: Result<Self::Content, FileError>,
        part: Part,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        self.begin(part.seed);
        let loss = (self.loss)(net, &self.tape, &content?, metrics);
        let value = loss.item().as_f64();
        if value.is_finite() {
            let gradients = loss.backward();
            optimiser.check(net, &gradients)?;
            self.sum.add_recorded(net, part.share, &gradients)?;
        }
        Ok(value)
    }

    fn take(&mut self, net: &mut M, optimiser: &mut Optimiser<T, R>) -> Result<(), Failure> {
        Ok(self.sum.step(net, optimiser)?)
    }

    fn step(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        content: Result<Self::Content, FileError>,
        seed: u64,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        self.begin(Some(seed));
        let loss = (self.loss)(net, &self.tape, &content?, metrics);
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
pub(super) struct Shards<'f, T: Real, E, F> {
    parallel: DataParallel<T, E>,
    loss: &'f F,
}

impl<'f, T: Real, E: Exchange<T>, F> Shards<'f, T, E, F> {
    #[track_caller]
    pub(super) fn new(exchange: E, shards: usize, bucket: usize, loss: &'f F) -> Self {
        Self { parallel: DataParallel::on(exchange, shards).bucket(bucket), loss }
    }
}

impl<T, M, R, B, E, F> Steps<T, M, R, B> for Shards<'_, T, E, F>
where
    T: Real,
    R: Rule,
    M: Module<T> + Sync,
    B: Send + 'static,
    E: Exchange<T>,
    F: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T> + Sync,
{
    type Group = Timed<E>;
    type Content = Cut<B>;

    fn group(&self) -> &Timed<E> {
        self.parallel.exchange()
    }

    fn shards(&self) -> usize {
        self.parallel.shards()
    }

    fn contents<D: Dataset<Batch = B>>(
        &self,
        loader: &DataLoader<D>,
        epoch: u64,
        first: usize,
    ) -> Contents<Cut<B>> {
        Box::new(loader.shards_from(epoch, first, self.parallel.shards(), self.parallel.own()))
    }

    fn exchange_time(&self) -> Duration {
        self.parallel.exchange_time()
    }

    fn add(
        &mut self,
        net: &M,
        optimiser: &Optimiser<T, R>,
        content: Result<Cut<B>, FileError>,
        part: Part,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        let first = self.parallel.own().start;
        let (samples, parts) = match content {
            Ok(Cut { samples, parts }) => (Ok(samples), parts),
            Err(error) => (Err(error), Vec::new()),
        };
        // Each shard takes its own.
        let parts: Vec<Mutex<Option<B>>> = parts.into_iter().map(Mutex::new).collect();
        let part_of = |shard: usize| {
            Ok(parts[shard - first].lock().unwrap_or_else(PoisonError::into_inner).take())
        };
        let loss = self.parallel.add(net, optimiser, part, samples, part_of, self.loss)?;
        metrics.merge(self.parallel.metrics());
        let rank = self.parallel.origin();
        if !loss.is_finite() && rank != self.parallel.exchange().rank() {
            // The process that has made it says so.
            return Err(Failure::Elsewhere { rank, message: format!("the loss is {loss}") });
        }
        Ok(loss)
    }

    fn take(&mut self, net: &mut M, optimiser: &mut Optimiser<T, R>) -> Result<(), Failure> {
        Ok(self.parallel.take(net, optimiser)?)
    }

    fn first_non_finite(&self) -> Option<String> {
        self.parallel.first_non_finite()
    }
}
