//! One step on several threads: the batch is cut into shards, each with a tape of its own,
//! and their gradients are added up.
//!
//! How the batch is cut and in which order gradients are added depends on the number of
//! shards alone. So the bits depend on the number of
//! shards, which is part of a run's settings like the batch size, and not on the number of
//! threads.
//!
//! The sum reaches the optimiser as the gradient of a linear function, `sum(g w)`, on
//! a tape where it is recorded like any other: optimisers read gradients from a tape, and
//! so does everything that comes between the two.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Gradients, Real, Tape, Tensor, Var, threads};

use super::Metrics;
use super::steps::Failure;
use crate::data::Dataset;
use crate::optim::{Optimiser, Rule};
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
    sum: Tape<T>,
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
    /// Steps of batches in so many shards, on as many threads as kernels use.
    ///
    /// # Panics
    /// If there are no shards.
    #[track_caller]
    pub fn new(shards: usize) -> Self {
        Self::with_threads(shards, threads::count())
    }

    /// As [`new`](Self::new), on so many threads. No bit depends on it.
    ///
    /// # Panics
    /// If there are no shards or no threads.
    #[track_caller]
    pub fn with_threads(shards: usize, threads: usize) -> Self {
        assert!(shards > 0 && threads > 0, "a step has at least one shard and one thread");
        let pool = ThreadPoolBuilder::new().num_threads(threads.min(shards)).build();
        let pool = pool.unwrap_or_else(|error| panic!("threads for shards: {error}"));
        Self { shards, pool, sum: Tape::new(), metrics: Metrics::default(), cause: None }
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Says that the steps from now on are those of training, with this seed: see
    /// [`Tape::train`]. The first shard draws what a single tape would.
    pub fn train(&self, seed: u64) {
        self.on_each_shard(|shard, tape: &mut Tape<T>| {
            tape.train(if shard == 0 { seed } else { derived_seed(seed, shard as u64) });
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
        match self.try_step(net, optimiser, batch, loss) {
            Ok(loss) => Ok(loss),
            Err(Failure::File(error)) => Err(error),
            Err(Failure::Step(error)) => panic!("{error}"),
        }
    }

    /// As [`step`](Self::step), with a step that is refused as an error.
    #[track_caller]
    pub(super) fn try_step<M, R, B>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        batch: &B,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<f64, Failure>
    where
        M: Module<T> + Sync,
        R: Rule,
        B: Dataset<Batch = B>,
    {
        let (samples, shards) = (batch.len(), self.shards);
        assert!(samples > 0, "a step on no samples");
        let shared: &M = net;
        let outcomes = self.on_each_shard(|shard, tape| {
            let range = shard * samples / shards..(shard + 1) * samples / shards;
            (!range.is_empty()).then(|| run(tape, shared, batch, range, &loss))
        });
        let outcomes = outcomes.into_iter().flatten().collect::<Result<Vec<_>, FileError>>()?;
        self.metrics = Metrics::default();
        outcomes.iter().for_each(|outcome| self.metrics.merge(&outcome.metrics));
        self.cause = outcomes.iter().find_map(|outcome| outcome.cause.clone());
        let loss: f64 = outcomes.iter().map(|outcome| outcome.weight * outcome.loss).sum();
        self.sum.reset();
        if loss.is_finite()
            && let Some(gradients) = record_sum(&self.sum, net, &outcomes)
        {
            // Here gradients are constants; what made them stands on the tapes of the shards.
            optimiser.try_step(net, &gradients).map_err(|error| error.because(&self.cause))?;
        }
        Ok(loss)
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

/// Computes loss and gradients of a range of a batch.
fn run<T: Real, M: Module<T>, B: Dataset<Batch = B>>(
    tape: &mut Tape<T>,
    net: &M,
    batch: &B,
    range: Range<usize>,
    loss: &impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
) -> Result<Outcome<T>, FileError> {
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
    let mut tensors = Vec::new();
    net.visit(&Path::root(), &mut |_, param| {
        tensors.push(if param.is_buffer() {
            tape.assigned(param.key()).map(|value| value.value())
        } else {
            gradients.with_parameter(param.key(), |gradient| gradient.to_tensor())
        });
    });
    Ok(Outcome { weight, loss, tensors, metrics, cause })
}

/// Records a function whose gradients are the weighted sums of the shards', and assigns
/// the weighted means to buffers.
fn record_sum<'t, T: Real, M: Module<T>>(
    tape: &'t Tape<T>,
    net: &M,
    outcomes: &[Outcome<T>],
) -> Option<Gradients<'t, T>> {
    let (mut position, mut total) = (0, None::<Var<'t, T>>);
    net.visit(&Path::root(), &mut |_, param| {
        let parts = outcomes.iter().filter_map(|outcome| {
            Some((T::from_f64(outcome.weight), outcome.tensors[position].as_ref()?))
        });
        let sum = parts.fold(None::<Tensor<T>>, |sum, (weight, part)| {
            Some(match sum {
                None => part.map(|x| weight * x),
                Some(sum) => sum.zip_map(part, |sum, x| sum + weight * x),
            })
        });
        position += 1;
        let Some(sum) = sum else { return };
        let sum = tape.constant(&sum);
        if param.is_buffer() {
            param.on(tape);
            param.assign(sum);
        } else {
            let term = (param.on(tape) * sum).sum();
            total = Some(total.map_or(term, |total| total + term));
        }
    });
    total.map(Var::backward)
}
