//! Batches, prepared on other threads ahead of time.
//!
//! With `n` threads, the k-th batch of an epoch is made by thread `k mod n` and taken
//! from that thread's own channel, so that they arrive in order whoever is faster. What is
//! random about an epoch follows from the loader's seed and the epoch's number, and what
//! is random about a batch from its number besides. So the bits do not depend on the
//! number of threads, and an epoch can be had again without those before it. Orders and batches
//! have streams of their own, so that a run may give one seed to its loader and to its
//! [`Trainer`](crate::train::Trainer): what the two draw has nothing in common.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};

use super::Dataset;
use crate::FileError;
use crate::random::{derived_seed, shuffle};

/// Batches that each thread may have ready.
const AHEAD: usize = 2;
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
    seed: Option<u64>,
    drop_last: bool,
    threads: usize,
}

impl<D: Dataset> DataLoader<D> {
    /// A loader of batches of so many samples.
    ///
    /// # Panics
    /// If the batch size is 0.
    #[track_caller]
    pub fn new(dataset: D, batch_size: usize) -> Self {
        assert!(batch_size > 0, "a batch has at least one sample");
        let dataset = Arc::new(dataset);
        Self { dataset, batch_size, seed: None, drop_last: false, threads: 1 }
    }

    /// In an order that is drawn anew for each epoch, from this seed.
    #[must_use]
    pub fn shuffled(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Without a last batch that is smaller than the others.
    #[must_use]
    pub fn drop_last(self) -> Self {
        Self { drop_last: true, ..self }
    }

    /// With so many threads that prepare batches; with 0, the thread that asks for a batch
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
        let seed = self.seed.map_or_else(|| "none".to_owned(), |seed| seed.to_string());
        [
            ("samples", self.dataset.len().to_string()),
            ("batch_size", self.batch_size.to_string()),
            ("shuffled", seed),
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
        let mut order: Vec<usize> = (0..self.dataset.len()).collect();
        if let Some(seed) = self.seed {
            let seed = derived_seed(derived_seed(seed, ORDERS), epoch);
            shuffle(&mut order, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
        }
        if self.drop_last {
            order.truncate(self.len() * self.batch_size);
        }
        order
    }

    /// The batches of an epoch.
    pub fn epoch(&self, epoch: u64) -> Batches<D> {
        let plan = Arc::new(Plan {
            dataset: Arc::clone(&self.dataset),
            order: self.order(epoch),
            batch_size: self.batch_size,
            seed: derived_seed(derived_seed(self.seed.unwrap_or(0), BATCHES), epoch),
        });
        let threads = self.threads.min(plan.len());
        let workers = (0..threads).map(|first| Worker::start(&plan, first, threads)).collect();
        Batches { plan, workers, next: 0 }
    }
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

    fn batch(&self, number: usize) -> Result<D::Batch, FileError> {
        let start = number * self.batch_size;
        let end = self.order.len().min(start + self.batch_size);
        let seed = derived_seed(self.seed, number as u64);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.dataset.batch(&self.order[start..end], &mut rng)
    }
}

/// A thread that makes every n-th batch.
struct Worker<B> {
    batches: Receiver<Result<B, FileError>>,
    thread: JoinHandle<()>,
}

impl<B: Send + 'static> Worker<B> {
    fn start<D: Dataset<Batch = B>>(plan: &Arc<Plan<D>>, first: usize, step: usize) -> Self {
        let plan = Arc::clone(plan);
        let (sender, batches) = sync_channel(AHEAD);
        let thread = thread::spawn(move || {
            for number in (first..plan.len()).step_by(step) {
                if sender.send(plan.batch(number)).is_err() {
                    // Nobody wants the rest of the epoch.
                    return;
                }
            }
        });
        Self { batches, thread }
    }
}

/// The batches of an epoch, one after another: see [`DataLoader::epoch`].
///
/// After an error, the batches that follow can still be had; a panic on another thread ends
/// the epoch.
pub struct Batches<D: Dataset> {
    plan: Arc<Plan<D>>,
    workers: Vec<Worker<D::Batch>>,
    next: usize,
}

impl<D: Dataset> Iterator for Batches<D> {
    type Item = Result<D::Batch, FileError>;

    /// # Panics
    /// If the dataset has panicked, with its panic.
    fn next(&mut self) -> Option<Self::Item> {
        let number = self.next;
        if number == self.plan.len() {
            return None;
        }
        self.next += 1;
        if self.workers.is_empty() {
            return Some(self.plan.batch(number));
        }
        let index = number % self.workers.len();
        if let Ok(batch) = self.workers[index].batches.recv() {
            return Some(batch);
        }
        // The others are not at their places any more, and are not asked again.
        self.next = self.plan.len();
        let worker = self.workers.swap_remove(index);
        match worker.thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that is done has sent all of its batches"),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.len() - self.next;
        (left, Some(left))
    }
}

impl<D: Dataset> ExactSizeIterator for Batches<D> {}

impl<D: Dataset> Drop for Batches<D> {
    /// Waits for the threads, so that none of them outlives the epoch.
    fn drop(&mut self) {
        for Worker { batches, thread } in self.workers.drain(..) {
            drop(batches);
            // Its panic, if any, is of a batch that nobody has asked for.
            let _ = thread.join();
        }
    }
}
