//! One step on several threads, or several processes: the batch is cut into shards, each with a tape
//! of its own, and their gradients are added up.
//!
//! How the batch is cut and in which order gradients are added depends on the number of
//! shards alone: the order is the tree in `exchange/tree.rs`. So the bits depend on the number of
//! shards, which is part of a run's settings like the batch size, and not on the number of
//! threads or processes.
//!
//! Each shard adds up what its batches of a step come to, and the shards are added when the step is
//! taken. What a batch has measured, and what has gone wrong, all processes know before that: so all
//! of them take the step, or none does.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Real, Tape, Var, threads};

use super::Metrics;
use super::exchange::{Alone, Exchange, Group, Timed, Total};
use super::pool::Pool;
use super::shard::{Shard, from_all};
use super::steps::{Failure, Part};
use super::sum::Sum;
use crate::data::{Dataset, part_of};
use crate::optim::{Optimiser, Rule, StepError};
use crate::random::shard_seed;
use crate::{FileError, Module, Path};

/// Takes steps on batches that are cut into shards.
///
/// A loss is the mean of a shard's samples, so a shard counts by its number of samples.
/// Batches are [datasets](Dataset) themselves, as tensors, lists and tuples of them are.
/// Buffers take the mean of what the shards assign.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::loss::mse;
/// use wengert_nn::random::seeded;
/// use wengert_nn::train::DataParallel;
/// use wengert_nn::{Adam, Layer, Linear};
///
/// let mut net = Linear::<f64>::new(1, 1, &mut seeded(1));
/// let mut adam = Adam::new(0.1);
/// let x = Tensor::from_fn([8, 1], |i| i as f64);
/// let batch = (x.clone(), x.map(|x| 3.0 * x - 1.0));
/// let mut parallel = DataParallel::new(4);
/// for _ in 0..500 {
///     parallel.step(&mut net, &mut adam, &batch, |net, tape, (x, y), _| {
///         mse(net.forward(tape.constant(x)), tape.constant(y))
///     })?;
/// }
/// assert!((net.weight.elements()[0] - 3.0).abs() < 1e-2);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
#[derive(Debug)]
pub struct DataParallel<T: Real, E = Alone> {
    exchange: Timed<E>,
    count: usize,
    pool: Pool<T>,
    /// The shards of this process.
    shards: Vec<Mutex<Shard<T>>>,
    /// Their sum over all processes, and which parameters it has.
    total: Total<T>,
    known: Vec<bool>,
    /// How it reaches the optimiser.
    sum: Sum<T>,
    /// What the last step has measured, and what was not finite.
    metrics: Metrics,
    cause: Option<String>,
    /// The process whose loss was the first one that was not.
    origin: usize,
}

impl<T: Real> DataParallel<T> {
    /// Steps of batches in `shards` shards, on as many threads as kernels use.
    ///
    /// # Panics
    /// If there are no shards.
    #[track_caller]
    pub fn new(shards: usize) -> Self {
        Self::with_threads(shards, threads::count())
    }

    /// As [`new`](Self::new), on `threads` threads. No bit depends on it.
    ///
    /// # Panics
    /// If there are no shards or no threads.
    #[track_caller]
    pub fn with_threads(shards: usize, threads: usize) -> Self {
        Self::made(Alone, shards, threads)
    }
}

impl<T: Real, E: Exchange<T>> DataParallel<T, E> {
    /// As [`new`](DataParallel::new), on several processes, each of which computes a run of the shards
    /// and takes the same step. No bit depends on their number.
    ///
    /// Every process begins with the same model and optimiser, and hands the same batch to each
    /// [`step`](Self::step). A [`Trainer`](super::Trainer) sees to both.
    ///
    /// # Panics
    /// If there are no shards.
    #[track_caller]
    pub fn on(exchange: E, shards: usize) -> Self {
        Self::made(exchange, shards, threads::count())
    }

    #[track_caller]
    fn made(exchange: E, count: usize, threads: usize) -> Self {
        assert!(count > 0 && threads > 0, "a step has at least one shard and one thread");
        let own = part_of(count, exchange.rank(), exchange.size());
        let pool = Pool::new(own.clone(), threads);
        Self {
            exchange: Timed::new(exchange),
            count,
            pool,
            shards: own.map(|_| Mutex::default()).collect(),
            total: Total::new(),
            known: Vec::new(),
            sum: Sum::new(),
            metrics: Metrics::default(),
            cause: None,
            origin: 0,
        }
    }

    /// The number of shards, of all processes.
    pub fn shards(&self) -> usize {
        self.count
    }

    /// The shards of this process.
    pub(super) fn own(&self) -> Range<usize> {
        part_of(self.count, self.exchange.rank(), self.exchange.size())
    }

    /// The process that had the first loss of the last step that was not finite.
    pub(super) fn origin(&self) -> usize {
        self.origin
    }

    pub(super) fn exchange(&self) -> &Timed<E> {
        &self.exchange
    }

    /// The time spent in exchange with other processes, waiting for slower ones included.
    pub fn exchange_time(&self) -> Duration {
        self.exchange.spent()
    }

    /// Says that the steps from now on are those of training, with this seed: see
    /// [`Tape::train`]. The first shard draws what a single tape would.
    pub fn train(&self, seed: u64) {
        self.pool.on_each_shard(|shard, tape: &mut Tape<T>| {
            tape.train(shard_seed(seed, shard));
        });
    }

    /// Takes a step on a batch, and gives its loss. If that is not finite, the model stays as
    /// it is.
    ///
    /// # Errors
    /// If a part of the batch cannot be had, which is not so of tensors and lists.
    ///
    /// # Panics
    /// If the batch is empty, the loss panics, the optimiser [refuses](Optimiser::step) the step, or
    /// another process has failed.
    #[track_caller]
    pub fn step<M, R, B>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        batch: &B,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<f64, FileError>
    where
        M: Module<T> + Sync,
        R: Rule,
        B: Dataset<Batch = B>,
    {
        let (samples, count) = (batch.len(), self.count);
        assert!(samples > 0, "a step on no samples");
        let part = |shard| {
            let own = part_of(samples, shard, count);
            // Nothing is random about a part of what is there.
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
            let indices = || own.clone().collect::<Vec<usize>>();
            if own.is_empty() { Ok(None) } else { batch.batch(&indices(), &mut rng).map(Some) }
        };
        let added = self.add(net, optimiser, Part::whole(None), Ok(samples), part, loss);
        let stepped = added.and_then(|loss| {
            if loss.is_finite() {
                self.take(net, optimiser)?;
            }
            Ok(loss)
        });
        match stepped {
            Ok(loss) => Ok(loss),
            Err(Failure::File(error)) => Err(error),
            Err(Failure::Step(error)) => panic!("{error}"),
            Err(Failure::Elsewhere { rank, message }) => panic!("rank {rank}: {message}"),
        }
    }

    /// Adds the gradients of a batch, which is a share of a step, and gives its loss; adds none if
    /// that is not finite. Without a seed, the tapes' generators go on.
    ///
    /// `samples` are those of the whole batch, if it could be had, and `part_of_batch` gives the shard
    /// of a number.
    pub(super) fn add<M, R, B>(
        &mut self,
        net: &M,
        optimiser: &Optimiser<T, R>,
        part: Part,
        samples: Result<usize, FileError>,
        part_of_batch: impl Fn(usize) -> Result<Option<B>, FileError> + Sync,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<f64, Failure>
    where
        M: Module<T> + Sync,
        R: Rule,
        B: Send,
    {
        let (own, count, lenient) = (self.own(), self.count, optimiser.is_lenient());
        let (first, shards) = (own.start, &self.shards);
        let compute = |samples| {
            let outcomes = self.pool.on_each_shard(|shard, tape| {
                if let Some(seed) = part.seed {
                    tape.train(shard_seed(seed, shard));
                }
                let Some(batch) = part_of_batch(shard)? else { return Ok(None) };
                let weight = part_of(samples, shard, count).len() as f64 / samples as f64;
                let mut shard = locked(&shards[shard - first]);
                shard.run(tape, net, &batch, (weight, part.share), lenient, &loss).map(Some)
            });
            outcomes.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>, Failure>>()
        };
        let outcomes = samples.map_err(Failure::from).and_then(compute);
        let outcomes = from_all(&self.exchange, outcomes, &mut self.known);
        let outcomes = outcomes.inspect_err(|_| self.clear())?;
        self.metrics = Metrics::default();
        outcomes.iter().for_each(|outcome| self.metrics.merge(&outcome.metrics));
        self.cause = outcomes.iter().find_map(|outcome| outcome.cause.clone());
        let loss: f64 = outcomes.iter().map(|outcome| outcome.weight * outcome.loss).sum();
        if !loss.is_finite() {
            self.clear();
            let first = outcomes.iter().find(|outcome| !outcome.loss.is_finite());
            self.origin = first.map_or(0, |outcome| outcome.rank);
        }
        Ok(loss)
    }

    /// Forgets what was added.
    fn clear(&mut self) {
        self.shards.iter().for_each(|shard| locked(shard).clear());
        self.known.clear();
    }

    /// Takes the step on what was added.
    pub(super) fn take<M: Module<T>, R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), StepError> {
        let mut length = 0;
        net.visit(&Path::root(), &mut |_, param| length += param.len());
        let mut shards: Vec<MutexGuard<'_, Shard<T>>> = self.shards.iter().map(locked).collect();
        let mut numbers: Vec<&mut [T]> =
            shards.iter_mut().map(|shard| shard.numbers(length)).collect();
        let (total, exchange, count) = (&mut self.total, &self.exchange, self.count);
        let total = total.of(exchange, &self.pool, count, length, &mut numbers);
        self.sum.set(net, total, &self.known);
        drop(shards);
        self.clear();
        self.sum.step(net, optimiser).map_err(|error| error.because(&self.cause))
    }

    /// What the last step has measured, on all processes.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// If the last step's loss or a gradient was not finite, the first value that was not: see
    /// [`Tape::first_non_finite`].
    pub fn first_non_finite(&self) -> Option<String> {
        self.cause.clone()
    }
}

/// A shard that no other thread has: a panic of one ends the step.
fn locked<T: Real>(shard: &Mutex<Shard<T>>) -> MutexGuard<'_, Shard<T>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
