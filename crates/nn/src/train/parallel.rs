//! One step on several threads: the batch is cut into shards, each with a tape of its own,
//! and their gradients are added up.
//!
//! How the batch is cut and in which order gradients are added depends on the number of
//! shards alone. So the bits depend on the number of
//! shards, which is part of a run's settings like the batch size, and not on the number of
//! threads.
//!
//! How gradients are added up and reach the optimiser stands in `sum`.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Real, Tape, Tensor, Var, threads};

use super::Metrics;
use super::steps::{Failure, Part};
use super::sum::Sum;
use crate::data::Dataset;
use crate::optim::{Optimiser, Rule, StepError};
use crate::random::derived_seed;
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
pub struct DataParallel<T: Real> {
    shards: usize,
    pool: ThreadPool,
    /// Where gradients are added up.
    sum: Sum<T>,
    /// What the last step has measured, and what was not finite.
    metrics: Metrics,
    cause: Option<String>,
}

thread_local! {
    /// The tapes of the shards that a thread of a pool computes, one after another. They
    /// cannot leave their thread, and the pool with its threads belongs to one
    /// [`DataParallel`], so that they are of its type.
    static TAPES: RefCell<Box<dyn Any>> = RefCell::new(Box::new(()));
}

/// What a shard came to.
#[derive(Debug)]
struct Outcome<T: Real> {
    /// The share of the batch.
    weight: f64,
    loss: f64,
    /// For each parameter and buffer, in the order of the visit, its gradient or what is
    /// assigned to it, if anything.
    tensors: Vec<Option<Tensor<T>>>,
    metrics: Metrics,
    /// If the loss or a gradient is not finite, the first value that is not.
    cause: Option<String>,
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
        assert!(shards > 0 && threads > 0, "a step has at least one shard and one thread");
        let pool = ThreadPoolBuilder::new().num_threads(threads.min(shards)).build();
        let pool = pool.unwrap_or_else(|error| panic!("threads for shards: {error}"));
        Self { shards, pool, sum: Sum::new(), metrics: Metrics::default(), cause: None }
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Says that the steps from now on are those of training, with this seed: see
    /// [`Tape::train`]. The first shard draws what a single tape would.
    pub fn train(&self, seed: u64) {
        self.on_each_shard(|shard, tape: &mut Tape<T>| {
            tape.train(seed_of(seed, shard));
        });
    }

    /// Takes a step on a batch, and gives its loss. If that is not finite, the model stays as
    /// it is.
    ///
    /// # Errors
    /// If a part of the batch cannot be had, which is not so of tensors and lists.
    ///
    /// # Panics
    /// If the batch is empty, the loss panics, or the optimiser [refuses](Optimiser::step) the step.
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
        let stepped = self.add(net, optimiser, batch, Part::whole(None), loss).and_then(|loss| {
            if loss.is_finite() {
                self.take(net, optimiser)?;
            }
            Ok(loss)
        });
        match stepped {
            Ok(loss) => Ok(loss),
            Err(Failure::File(error)) => Err(error),
            Err(Failure::Step(error)) => panic!("{error}"),
        }
    }

    /// Adds the gradients of a batch, which is a share of a step, and gives its loss; adds none if
    /// that is not finite. Without a seed, the tapes' generators go on.
    pub(super) fn add<M, R, B>(
        &mut self,
        net: &M,
        optimiser: &Optimiser<T, R>,
        batch: &B,
        part: Part,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<f64, Failure>
    where
        M: Module<T> + Sync,
        R: Rule,
        B: Dataset<Batch = B>,
    {
        let (samples, shards) = (batch.len(), self.shards);
        assert!(samples > 0, "a step on no samples");
        let outcomes = self.on_each_shard(|shard, tape| {
            if let Some(seed) = part.seed {
                tape.train(seed_of(seed, shard));
            }
            let range = shard * samples / shards..(shard + 1) * samples / shards;
            (!range.is_empty()).then(|| run(tape, net, batch, range, &loss))
        });
        let outcomes = outcomes.into_iter().flatten().collect::<Result<Vec<_>, Failure>>()?;
        self.metrics = Metrics::default();
        outcomes.iter().for_each(|outcome| self.metrics.merge(&outcome.metrics));
        self.cause = outcomes.iter().find_map(|outcome| outcome.cause.clone());
        let loss: f64 = outcomes.iter().map(|outcome| outcome.weight * outcome.loss).sum();
        if !loss.is_finite() {
            return Ok(loss);
        }
        for Outcome { weight, tensors, .. } in &outcomes {
            self.sum.add(net, part.share * weight, tensors);
        }
        if self.cause.is_some()
            && let Some(gradients) = self.sum.record(net)
        {
            // Here gradients are constants; what made them stands on the tapes of the shards.
            optimiser.check(net, &gradients).map_err(|error| error.because(&self.cause))?;
        }
        Ok(loss)
    }

    /// Takes the step on what was added.
    pub(super) fn take<M: Module<T>, R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), StepError> {
        self.sum.step(net, optimiser).map_err(|error| error.because(&self.cause))
    }

    /// What the last step has measured.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// If the last step's loss or a gradient was not finite, the first value that was not: see
    /// [`Tape::first_non_finite`].
    pub fn first_non_finite(&self) -> Option<String> {
        self.cause.clone()
    }

    /// Calls a function with each shard's number and tape, and gives what it gives in the
    /// order of the shards. A shard is always on the same thread.
    fn on_each_shard<X: Send>(&self, f: impl Fn(usize, &mut Tape<T>) -> X + Sync) -> Vec<X> {
        let shards = self.shards;
        let results = self.pool.broadcast(|thread| {
            let own = (thread.index()..shards).step_by(thread.num_threads());
            TAPES.with_borrow_mut(|tapes| {
                if !tapes.is::<Vec<Tape<T>>>() {
                    *tapes = Box::new(own.clone().map(|_| Tape::<T>::new()).collect::<Vec<_>>());
                }
                let tapes: &mut Vec<Tape<T>> = tapes.downcast_mut().expect("as made above");
                own.zip(tapes).map(|(shard, tape)| (shard, f(shard, tape))).collect::<Vec<_>>()
            })
        });
        let mut results: Vec<(usize, X)> = results.into_iter().flatten().collect();
        results.sort_by_key(|&(shard, _)| shard);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

/// The seed of a shard's tape.
fn seed_of(seed: u64, shard: usize) -> u64 {
    if shard == 0 { seed } else { derived_seed(seed, shard as u64) }
}

/// Computes loss and gradients of a range of a batch.
fn run<T: Real, M: Module<T>, B: Dataset<Batch = B>>(
    tape: &mut Tape<T>,
    net: &M,
    batch: &B,
    range: Range<usize>,
    loss: &impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
) -> Result<Outcome<T>, Failure> {
    let weight = range.len() as f64 / batch.len() as f64;
    // Nothing is random about a part of what is there.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let part = batch.batch(&range.collect::<Vec<usize>>(), &mut rng)?;
    tape.reset();
    let mut metrics = Metrics::default();
    let value = loss(net, tape, &part, &mut metrics);
    let loss = value.item().as_f64();
    let gradients = value.backward();
    let is_finite = loss.is_finite() && gradients.are_finite();
    let cause = if is_finite { None } else { tape.first_non_finite() };
    let (mut tensors, mut is_related) = (Vec::new(), false);
    net.visit(&Path::root(), &mut |_, param| {
        tensors.push(if param.is_buffer() {
            tape.assigned(param.key()).map(|value| value.value())
        } else {
            let gradient = gradients.with_parameter(param.key(), |gradient| gradient.to_tensor());
            is_related |= gradient.is_some();
            gradient
        });
    });
    if !is_related {
        StepError::unrelated(net, &gradients)?;
    }
    Ok(Outcome { weight, loss, tensors, metrics, cause })
}
