//! Batches, prepared on other threads ahead of time.
//!
//! Threads make them in turn (`ahead`), and they arrive in order whoever is faster. What is
//! random about an epoch follows from the loader's seed and the epoch's number, and what
//! is random about a batch from its number besides. So the bits do not depend on the
//! number of threads, and an epoch can be had again without those before it. Orders and batches
//! have streams of their own, so that a run may give one seed to its loader and to its
//! [`Trainer`](crate::train::Trainer): what the two draw has nothing in common.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};

use super::Dataset;
use super::ahead::Ahead;
use crate::FileError;
use crate::random::{derived_seed, shard_seed, shuffle};
use crate::sampler::{Stratified, Weighted};

/// The parts of a loader's seed from which orders are drawn, and what is random about batches:
/// large, where nobody counts epochs.
const ORDERS: u64 = u64::from_be_bytes(*b"orders..");
const BATCHES: u64 = u64::from_be_bytes(*b"batches.");

/// Makes epochs of batches of a dataset.
///
/// In order and with the last batch as small as it comes, on one thread, unless said
/// otherwise.
///
/// ```
/// use wengert_nn::data::DataLoader;
///
/// let loader = DataLoader::new(vec![10, 11, 12, 13, 14], 2).shuffled(1).threads(2);
/// let epoch = |number| -> Vec<i32> { loader.epoch(number).flat_map(Result::unwrap).collect() };
/// assert_eq!(epoch(3), epoch(3)); // an epoch is the same whenever it is asked for
/// assert_ne!(epoch(3), epoch(4));
/// assert_eq!((loader.len(), loader.batch_len(2)), (3, 1));
/// ```
#[derive(Debug)]
pub struct DataLoader<D> {
    dataset: Arc<D>,
    batch_size: usize,
    order: Order,
    drop_last: bool,
    threads: usize,
}

/// In which order an epoch goes through the samples.
#[derive(Debug)]
enum Order {
    Given,
    Shuffled { seed: u64 },
    Weighted { seed: u64, weighted: Weighted },
    Stratified { seed: u64, stratified: Stratified },
}

impl Order {
    /// What decides on it, in words.
    fn describe(&self) -> String {
        match self {
            Self::Given => "none".to_owned(),
            Self::Shuffled { seed } => seed.to_string(),
            Self::Weighted { seed, weighted } => format!("{seed}, {weighted}"),
            Self::Stratified { seed, stratified } => format!("{seed}, {stratified}"),
        }
    }

    fn seed(&self) -> Option<u64> {
        match *self {
            Self::Given => None,
            Self::Shuffled { seed }
            | Self::Weighted { seed, .. }
            | Self::Stratified { seed, .. } => Some(seed),
        }
    }
}

impl<D: Dataset> DataLoader<D> {
    /// A loader of batches of `batch_size` samples.
    ///
    /// # Panics
    /// If the batch size is 0.
    #[track_caller]
    pub fn new(dataset: D, batch_size: usize) -> Self {
        assert!(batch_size > 0, "a batch has at least one sample");
        let dataset = Arc::new(dataset);
        Self { dataset, batch_size, order: Order::Given, drop_last: false, threads: 1 }
    }

    /// In an order that is drawn for each epoch, from this seed.
    #[must_use]
    pub fn shuffled(self, seed: u64) -> Self {
        Self { order: Order::Shuffled { seed }, ..self }
    }

    /// With samples that are drawn with replacement, each as often as its weight says: an epoch has
    /// as many draws as there are samples. See [`Weighted`](crate::sampler::Weighted).
    ///
    /// ```
    /// use wengert_nn::data::DataLoader;
    /// use wengert_nn::sampler::balanced;
    ///
    /// // Of the rare class as many as of the other.
    /// let labels = vec![0, 0, 0, 0, 0, 0, 0, 1];
    /// let weights = balanced(&labels);
    /// let loader = DataLoader::new(labels, 8).weighted(&weights, 1);
    /// ```
    ///
    /// # Panics
    /// If there is not one weight for each sample, and as
    /// [`Weighted::new`](crate::sampler::Weighted::new).
    #[must_use]
    #[track_caller]
    pub fn weighted(self, weights: &[f64], seed: u64) -> Self {
        let (samples, given) = (self.dataset.len(), weights.len());
        assert!(given == samples, "expected a weight for each of {samples} samples, got {given}");
        Self { order: Order::Weighted { seed, weighted: Weighted::new(weights) }, ..self }
    }

    /// With each class spread evenly over an epoch, in an order that is drawn for each epoch: see
    /// [`Stratified`](crate::sampler::Stratified). Where a class's share of a batch is a whole number of
    /// samples, each batch has it.
    ///
    /// ```
    /// use wengert_nn::data::DataLoader;
    ///
    /// let labels: Vec<usize> = (0..12).map(|i| usize::from(i >= 9)).collect();
    /// let loader = DataLoader::new(labels.clone(), 4).stratified(&labels, 1);
    /// for batch in loader.epoch(0) {
    ///     assert_eq!(batch?.iter().sum::<usize>(), 1); // a quarter of four
    /// }
    /// # Ok::<(), wengert_nn::FileError>(())
    /// ```
    ///
    /// # Panics
    /// If there is not one label for each sample.
    #[must_use]
    #[track_caller]
    pub fn stratified(self, labels: &[usize], seed: u64) -> Self {
        let (samples, given) = (self.dataset.len(), labels.len());
        assert!(given == samples, "expected a label for each of {samples} samples, got {given}");
        Self { order: Order::Stratified { seed, stratified: Stratified::new(labels) }, ..self }
    }

    /// Without a last batch that is smaller than the others.
    #[must_use]
    pub fn drop_last(self) -> Self {
        Self { drop_last: true, ..self }
    }

    /// With `threads` threads that prepare batches; with 0, the thread that asks for a batch
    /// makes it.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// The number of samples in each batch but the last.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The dataset.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }

    /// What decides on the bits of its epochs, besides the samples themselves.
    pub(crate) fn options(&self) -> [(&'static str, String); 4] {
        let order = self.order.describe();
        [
            ("samples", self.dataset.len().to_string()),
            ("batch_size", self.batch_size.to_string()),
            ("order", order),
            ("drop_last", self.drop_last.to_string()),
        ]
    }

    /// The number of batches of an epoch.
    pub fn len(&self) -> usize {
        let (samples, size) = (self.dataset.len(), self.batch_size);
        if self.drop_last { samples / size } else { samples.div_ceil(size) }
    }

    /// Whether an epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of samples in a batch of an epoch.
    pub fn batch_len(&self, batch: usize) -> usize {
        self.batch_size.min(self.dataset.len().saturating_sub(batch * self.batch_size))
    }

    /// The indices of the samples of an epoch, in its order.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let seed = self.order.seed().unwrap_or(0);
        let seed = derived_seed(derived_seed(seed, ORDERS), epoch);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let samples = self.dataset.len();
        let mut order = match &self.order {
            Order::Given => (0..samples).collect(),
            Order::Shuffled { .. } => {
                let mut order: Vec<usize> = (0..samples).collect();
                shuffle(&mut order, rng);
                order
            }
            Order::Weighted { weighted, .. } => (0..samples).map(|_| weighted.draw(rng)).collect(),
            Order::Stratified { stratified, .. } => stratified.epoch(rng),
        };
        if self.drop_last {
            order.truncate(self.len() * self.batch_size);
        }
        order
    }

    /// The batches of an epoch.
    pub fn epoch(&self, epoch: u64) -> Batches<D> {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from one of them on; those before are not made.
    ///
    /// ```
    /// use wengert_nn::data::DataLoader;
    ///
    /// let loader = DataLoader::new((0..10).collect::<Vec<i32>>(), 3).shuffled(1).threads(2);
    /// let all: Vec<Vec<i32>> = loader.epoch(5).map(Result::unwrap).collect();
    /// let rest: Vec<Vec<i32>> = loader.epoch_from(5, 2).map(Result::unwrap).collect();
    /// assert_eq!(rest, all[2..]);
    /// ```
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Batches<D> {
        let plan = self.plan(epoch);
        Batches(Ahead::new(first, plan.len(), self.threads, move |number| plan.batch(number)))
    }

    /// The batches of an epoch from one of them on, each cut into shards, of which those of a run are
    /// made. What is random about a shard follows from its number besides; the first one draws what the
    /// whole batch would.
    pub(crate) fn shards_from(
        &self,
        epoch: u64,
        first: usize,
        shards: usize,
        run: Range<usize>,
    ) -> Ahead<Cut<D::Batch>> {
        let plan = self.plan(epoch);
        Ahead::new(first, plan.len(), self.threads, move |number| {
            let parts = run.clone().map(|shard| plan.shard(number, shard, shards));
            let parts = parts.collect::<Result<_, FileError>>()?;
            Ok(Cut { samples: plan.samples(number).len(), parts })
        })
    }

    fn plan(&self, epoch: u64) -> Plan<D> {
        Plan {
            dataset: Arc::clone(&self.dataset),
            order: self.order(epoch),
            batch_size: self.batch_size,
            seed: derived_seed(derived_seed(self.order.seed().unwrap_or(0), BATCHES), epoch),
        }
    }
}

/// A batch that is cut into shards.
pub(crate) struct Cut<B> {
    /// The samples of the whole batch.
    pub(crate) samples: usize,
    /// The shards of a run; none where there are fewer samples than shards.
    pub(crate) parts: Vec<Option<B>>,
}

/// A part of `count` things that are cut into `parts` as even as can be.
pub(crate) fn part_of(count: usize, part: usize, parts: usize) -> Range<usize> {
    part * count / parts..(part + 1) * count / parts
}

/// An epoch: all that a batch depends on but its number.
struct Plan<D> {
    dataset: Arc<D>,
    order: Vec<usize>,
    batch_size: usize,
    seed: u64,
}

impl<D: Dataset> Plan<D> {
    fn len(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// The indices of a batch's samples.
    fn samples(&self, number: usize) -> &[usize] {
        let start = number * self.batch_size;
        &self.order[start..self.order.len().min(start + self.batch_size)]
    }

    fn batch(&self, number: usize) -> Result<D::Batch, FileError> {
        let seed = derived_seed(self.seed, number as u64);
        self.dataset.batch(self.samples(number), &mut Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A shard of a batch, if it has any samples.
    fn shard(
        &self,
        number: usize,
        shard: usize,
        shards: usize,
    ) -> Result<Option<D::Batch>, FileError> {
        let samples = self.samples(number);
        let own = &samples[part_of(samples.len(), shard, shards)];
        let seed = shard_seed(derived_seed(self.seed, number as u64), shard);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        if own.is_empty() { Ok(None) } else { self.dataset.batch(own, rng).map(Some) }
    }
}

/// The batches of an epoch, one after another: see [`DataLoader::epoch`].
///
/// After an error, the batches that follow can still be had; a panic on another thread ends
/// the epoch.
pub struct Batches<D: Dataset>(Ahead<D::Batch>);

impl<D: Dataset> fmt::Debug for Batches<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

impl<D: Dataset> Iterator for Batches<D> {
    type Item = Result<D::Batch, FileError>;

    /// # Panics
    /// If the dataset has panicked, with its panic.
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<D: Dataset> ExactSizeIterator for Batches<D> {}
