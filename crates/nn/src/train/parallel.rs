//! One step on several threads, or several processes: the batch is cut into shards, each with a tape
//! of its own, and their gradients are added up.
//!
//! How the batch is cut and in which order gradients are added depends on the number of
//! shards alone: the order is the tree in `exchange/tree.rs`. So the bits depend on the number of
//! shards, which is part of a run's settings like the batch size, and not on the number of
//! threads or processes.
//!
//! Each shard adds up what its batches of a step come to, and the shards are added with the last one:
//! bucket by bucket (`places.rs`). While threads compute the shards, the one that waits for them exchanges
//! the buckets that all shards of this process have completed. It is the thread that called, so an engine
//! is used by one thread only.
//!
//! What a batch has measured, and what has gone wrong, all processes know after that: so all of them take
//! the step, or none does. A process that has failed takes part in the exchange of all buckets before it
//! says so, since others may wait for it there.

use std::mem;
use std::ops::Range;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Real, Tape, Var, threads};

use super::Metrics;
use super::exchange::{Alone, Exchange, Group, Timed, Total};
use super::places::{BUCKET, Places};
use super::pool::Pool;
use super::shard::{Shard, Task, from_all};
use super::steps::{Failure, Part};
use super::sum::Sum;
use crate::data::{Dataset, part_of};
use crate::optim::{Optimiser, Rule, StepError};
use crate::random::shard_seed;
use crate::{FileError, Module};

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
    /// The bytes of a bucket.
    bucket: usize,
    places: Places,
    /// The shards of this process, and one for the sum if it has none.
    shards: Vec<Shard<T>>,
    /// What adds them up over all processes, and which parameters the sum has.
    total: Total<T>,
    known: Vec<bool>,
    /// Whether gradients are being added.
    is_under_way: bool,
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
            bucket: BUCKET,
            places: Places::default(),
            shards: (0..own.len().max(1)).map(|_| Shard::default()).collect(),
            total: Total::new(),
            is_under_way: false,
            known: Vec::new(),
            sum: Sum::new(),
            metrics: Metrics::default(),
            cause: None,
            origin: 0,
        }
    }

    /// With buckets of `bytes`: gradients of that many bytes, or of one parameter if that is larger, travel
    /// at a time, while the sweep goes on. It is 4 MiB unless told otherwise, and no bit depends on it. With
    /// `usize::MAX`, nothing travels before the sweep is over.
    ///
    /// A small bucket is complete earlier, and a large one costs less for each byte.
    #[must_use]
    pub fn bucket(self, bytes: usize) -> Self {
        Self { bucket: bytes, ..self }
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

    /// The time that steps have waited for an exchange with other processes, and for slower ones in it.
    /// What travels while a sweep goes on is waited for by nobody.
    pub fn exchange_time(&self) -> Duration {
        self.exchange.spent()
    }

    /// Says that the steps from now on are those of training, with this seed: see
    /// [`Tape::train`]. The first shard draws what a single tape would.
    pub fn train(&self, seed: u64) {
        let train = |shard, tape: &mut Tape<T>| tape.train(shard_seed(seed, shard));
        self.pool.on_each_shard(train, || {});
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
        self.begin(net);
        let buckets = self.places.buckets().len();
        // What there is one bucket of is complete when the sweep is over.
        let overlaps = part.is_last && self.exchange.size() > 1 && buckets > 1;
        let mut added = 0;
        let Self { exchange, pool, places, shards, total, .. } = self;
        let (places, shards): (&Places, &[Shard<T>]) = (places, shards);
        let (part_of_batch, loss) = (&part_of_batch, &loss);
        let mut sums = Sums { shards, total, count };
        let compute = |samples| {
            let (sender, completed) = channel();
            let sender = overlaps.then_some(sender);
            let compute = move |shard: usize, tape: &mut Tape<T>| {
                if let Some(seed) = part.seed {
                    tape.train(shard_seed(seed, shard));
                }
                let Some(batch) = part_of_batch(shard)? else { return Ok(None) };
                let weight = part_of(samples, shard, count).len() as f64 / samples as f64;
                let complete = |bucket| {
                    if let Some(sender) = &sender {
                        // Who does not listen any more has panicked.
                        let _ = sender.send(bucket);
                    }
                };
                let task = Task { net, places, weight, share: part.share, lenient };
                shards[shard - own.start].run(tape, task, &batch, loss, complete).map(Some)
            };
            let outcomes = pool.on_each_shard(
                move |shard, tape| (compute(shard, tape), Instant::now()),
                || added = sums.while_computed(exchange.untimed(), completed, buckets),
            );
            let end = outcomes.iter().map(|&(_, end)| end).max().filter(|_| overlaps);
            exchange.add(end.map_or(Duration::ZERO, |end| end.elapsed()));
            let outcomes = outcomes.into_iter().filter_map(|(outcome, _)| outcome.transpose());
            outcomes.collect::<Result<Vec<_>, Failure>>()
        };
        let outcomes = samples.map_err(Failure::from).and_then(compute);
        if part.is_last {
            (added..buckets).for_each(|bucket| sums.add(&*exchange, Some(pool), bucket));
        }
        self.is_under_way = false;
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

    /// Gives the shards room for the gradients of a model, which all processes must have.
    fn begin<M: Module<T>>(&mut self, net: &M) {
        // A panic may have left behind a part of a step.
        if mem::replace(&mut self.is_under_way, true) {
            self.clear();
        }
        if self.places.set(net, self.bucket) {
            self.places.expect_same(&self.exchange);
            self.shards.iter_mut().for_each(|shard| shard.resize(self.places.buckets()));
        }
    }

    /// Forgets what was added.
    fn clear(&mut self) {
        self.shards.iter().for_each(Shard::clear);
        self.known.clear();
    }

    /// Takes the step on what was added.
    pub(super) fn take<M: Module<T>, R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), StepError> {
        let Self { places, known, shards, sum, .. } = self;
        let sums: Vec<_> = (0..places.buckets().len()).map(|i| shards[0].bucket(i)).collect();
        sum.set(net, |key| {
            let (position, place) = places.find(key)?;
            let is_known = known.get(position) == Some(&true);
            is_known.then(|| &sums[place.bucket].numbers[place.range.clone()])
        });
        drop(sums);
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

/// What adds up shards, bucket by bucket.
struct Sums<'a, T> {
    shards: &'a [Shard<T>],
    total: &'a mut Total<T>,
    /// The shards of all processes.
    count: usize,
}

impl<T: Real> Sums<'_, T> {
    /// Adds up a bucket over all processes: the sum stands in the first shard then.
    fn add(&mut self, exchange: &impl Exchange<T>, pool: Option<&Pool<T>>, bucket: usize) {
        let mut shards: Vec<_> = self.shards.iter().map(|shard| shard.sums(bucket)).collect();
        let mut numbers: Vec<&mut [T]> =
            shards.iter_mut().map(|bucket| &mut bucket.numbers[..]).collect();
        self.total.of(exchange, pool, self.count, &mut numbers);
    }

    /// Adds up buckets in their order while shards are computed, each when all shards have completed
    /// it. Says how many.
    fn while_computed(
        &mut self,
        exchange: &impl Exchange<T>,
        completed: Receiver<usize>,
        buckets: usize,
    ) -> usize {
        let (mut missing, mut next) = (vec![self.shards.len(); buckets], 0);
        for bucket in completed {
            missing[bucket] -= 1;
            while missing.get(next) == Some(&0) {
                self.add(exchange, None, next);
                next += 1;
            }
        }
        next
    }
}
