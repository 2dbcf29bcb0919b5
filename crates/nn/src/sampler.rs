//! Samplers: which samples a step of stochastic gradient looks at (the paper's
//! section 4).
//!
//! A sampler deals in indices `0..N` and knows nothing of the data. The generator
//! is given at each draw, so that one generator can serve the whole run, as in the
//! paper's listing: with a [`MatlabRng`](crate::random::MatlabRng), drawing with
//! replacement gives the listing's `randi(10)`, less 1.
//!
//! | sampler | the paper |
//! | --- | --- |
//! | [`WithReplacement`] | (15): any sample at any time |
//! | [`WithoutReplacement`] | (16): each sample once an epoch, in random order |
//! | [`MiniBatches::with_replacement`] | (17): any m samples |
//! | [`MiniBatches::without_replacement`] | each sample once an epoch, m at a time |
//!
//! [`Weighted`] and [`Stratified`] know how much samples count and of which class they are.

mod classes;

use std::slice::Chunks;

use rand::Rng;

use crate::random::{index, shuffle};

pub(crate) use classes::members;
pub use classes::{Stratified, Weighted, balanced};

/// Draws a sample uniformly from all, every time: the paper's (15).
///
/// ```
/// use wengert_nn::random::MatlabRng;
/// use wengert_nn::sampler::WithReplacement;
///
/// // the paper's run: rng(5000), 23 weights, then an index for each step
/// let mut rng = MatlabRng::new(5000);
/// for _ in 0..23 {
///     rng.randn();
/// }
/// let sampler = WithReplacement::new(10);
/// let indices: [usize; 10] = std::array::from_fn(|_| sampler.draw(&mut rng) + 1);
/// assert_eq!(indices, [1, 2, 3, 2, 4, 4, 7, 7, 10, 5]);
/// ```
#[derive(Clone, Debug)]
pub struct WithReplacement {
    samples: usize,
}

impl WithReplacement {
    /// A sampler of indices below `samples`.
    ///
    /// # Panics
    /// If there are no samples.
    #[track_caller]
    pub fn new(samples: usize) -> Self {
        assert!(samples > 0, "there are no samples to draw from");
        Self { samples }
    }

    /// An index.
    pub fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> usize {
        index(self.samples, rng)
    }
}

/// Goes through all samples in random order, and then again in another: the
/// paper's (16). One passage is an epoch.
///
/// ```
/// use wengert_nn::random::seeded;
/// use wengert_nn::sampler::WithoutReplacement;
///
/// let mut rng = seeded(1);
/// let mut sampler = WithoutReplacement::new(5);
/// let mut epoch: Vec<usize> = (0..5).map(|_| sampler.draw(&mut rng)).collect();
/// epoch.sort();
/// assert_eq!(epoch, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Debug)]
pub struct WithoutReplacement {
    batches: MiniBatches,
}

impl WithoutReplacement {
    /// A sampler of indices below `samples`.
    ///
    /// # Panics
    /// If there are no samples.
    #[track_caller]
    pub fn new(samples: usize) -> Self {
        Self { batches: MiniBatches::without_replacement(samples, 1) }
    }

    /// An index. The first draw of an epoch shuffles.
    pub fn draw<R: Rng + ?Sized>(&mut self, rng: &mut R) -> usize {
        self.batches.draw(rng)[0]
    }

    /// All indices in a new random order; an epoch begun by [`draw`](Self::draw)
    /// is given up.
    pub fn epoch<R: Rng + ?Sized>(&mut self, rng: &mut R) -> &[usize] {
        self.batches.reshuffle(rng);
        self.batches.next = self.batches.indices.len();
        &self.batches.indices
    }
}

/// Draws several samples at a time: the paper's (17).
///
/// Without replacement, batches split a random order of all samples, N = K m. If
/// the batch size does not divide N, the last batch of an epoch is smaller, so
/// that each epoch still visits each sample once; a mean over the batch weighs
/// its samples a little more. The batch size may change between any two batches.
///
/// ```
/// use wengert_nn::random::seeded;
/// use wengert_nn::sampler::MiniBatches;
///
/// let mut rng = seeded(1);
/// let mut batches = MiniBatches::without_replacement(10, 4);
/// let sizes: Vec<usize> = batches.epoch(&mut rng).map(|batch| batch.len()).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct MiniBatches {
    samples: usize,
    batch_size: usize,
    replacement: bool,
    /// Without replacement all samples, in the epoch's order; with replacement
    /// the batch drawn last.
    indices: Vec<usize>,
    /// Without replacement, where in the order the next batch starts.
    next: usize,
}

impl MiniBatches {
    /// Batches of `batch_size` indices below `samples`, each drawn from all.
    ///
    /// # Panics
    /// If there are no samples, or the batch size is 0.
    #[track_caller]
    pub fn with_replacement(samples: usize, batch_size: usize) -> Self {
        Self::new(samples, batch_size, true, Vec::with_capacity(batch_size))
    }

    /// Batches of `batch_size` indices that split all indices below `samples`.
    ///
    /// # Panics
    /// If there are no samples, or the batch size is 0.
    #[track_caller]
    pub fn without_replacement(samples: usize, batch_size: usize) -> Self {
        Self::new(samples, batch_size, false, (0..samples).collect())
    }

    #[track_caller]
    fn new(samples: usize, batch_size: usize, replacement: bool, indices: Vec<usize>) -> Self {
        assert!(samples > 0, "there are no samples to draw from");
        assert!(batch_size > 0, "a batch has at least one sample");
        // No epoch is under way: the first draw shuffles.
        Self { samples, batch_size, replacement, indices, next: samples }
    }

    /// The size of batches to come.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Sets the size of batches to come.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn set_batch_size(&mut self, batch_size: usize) {
        assert!(batch_size > 0, "a batch has at least one sample");
        self.batch_size = batch_size;
    }

    /// A batch. Without replacement, the first draw of an epoch shuffles, and a
    /// batch never reaches into the next epoch.
    pub fn draw<R: Rng + ?Sized>(&mut self, rng: &mut R) -> &[usize] {
        if self.replacement {
            self.indices.clear();
            self.indices.extend((0..self.batch_size).map(|_| index(self.samples, rng)));
            return &self.indices;
        }
        if self.next == self.samples {
            self.reshuffle(rng);
        }
        let start = self.next;
        self.next = self.samples.min(start + self.batch_size);
        &self.indices[start..self.next]
    }

    /// The batches of a new epoch, as an iterator; an epoch begun by
    /// [`draw`](Self::draw) is given up. With replacement, an epoch is as many
    /// draws as would visit each sample once on average, the last batch again
    /// smaller if need be.
    pub fn epoch<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Chunks<'_, usize> {
        if self.replacement {
            self.indices.clear();
            self.indices.extend((0..self.samples).map(|_| index(self.samples, rng)));
        } else {
            self.reshuffle(rng);
            self.next = self.samples;
        }
        self.indices.chunks(self.batch_size)
    }

    fn reshuffle<R: Rng + ?Sized>(&mut self, rng: &mut R) {
        shuffle(&mut self.indices, rng);
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::seeded;

    fn sorted(mut indices: Vec<usize>) -> Vec<usize> {
        indices.sort_unstable();
        indices
    }

    #[test]
    fn drawing_with_replacement_reaches_all_samples_equally() {
        let mut rng = seeded(1);
        let sampler = WithReplacement::new(7);
        let mut counts = [0_usize; 7];
        for _ in 0..70_000 {
            counts[sampler.draw(&mut rng)] += 1;
        }
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 500), "{counts:?}");
    }

    #[test]
    fn orders_differ_between_epochs() {
        let mut rng = seeded(1);
        let mut sampler = WithoutReplacement::new(20);
        let first = sampler.epoch(&mut rng).to_vec();
        assert_ne!(first, sampler.epoch(&mut rng));
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut rng = seeded(1);
        let mut counts = [0_usize; 27];
        let mut sampler = WithoutReplacement::new(3);
        for _ in 0..60_000 {
            let code = sampler.epoch(&mut rng).iter().fold(0, |code, i| 3 * code + i);
            counts[code] += 1;
        }
        let drawn: Vec<usize> = counts.into_iter().filter(|&count| count > 0).collect();
        assert_eq!(drawn.len(), 6);
        assert!(drawn.iter().all(|count| count.abs_diff(10_000) < 500), "{drawn:?}");
    }

    #[test]
    fn a_changed_batch_size_takes_effect_at_the_next_batch() {
        let mut rng = seeded(1);
        let mut batches = MiniBatches::without_replacement(10, 2);
        let mut seen = batches.draw(&mut rng).to_vec();
        batches.set_batch_size(5);
        seen.extend_from_slice(batches.draw(&mut rng));
        assert_eq!(seen.len(), 7);
        seen.extend_from_slice(batches.draw(&mut rng));
        assert_eq!(sorted(seen), Vec::from_iter(0..10));
    }

    proptest! {
        #[test]
        fn an_epoch_visits_each_sample_once(
            samples in 1_usize..40, batch_size in 1_usize..50, seed: u32,
        ) {
            let mut rng = seeded(seed.into());
            let all: Vec<usize> = (0..samples).collect();

            let mut batches = MiniBatches::without_replacement(samples, batch_size);
            let epoch: Vec<usize> = batches.epoch(&mut rng).flatten().copied().collect();
            prop_assert_eq!(sorted(epoch), all.clone());

            for _ in 0..2 {
                let mut drawn = Vec::new();
                for _ in 0..samples.div_ceil(batch_size) {
                    drawn.extend_from_slice(batches.draw(&mut rng));
                }
                prop_assert_eq!(sorted(drawn), all.clone());
            }

            let mut single = WithoutReplacement::new(samples);
            let drawn = (0..samples).map(|_| single.draw(&mut rng)).collect();
            prop_assert_eq!(sorted(drawn), all);
        }

        #[test]
        fn batches_with_replacement_are_full_and_in_range(
            samples in 1_usize..40, batch_size in 1_usize..50, seed: u32,
        ) {
            let mut rng = seeded(seed.into());
            let mut batches = MiniBatches::with_replacement(samples, batch_size);
            let batch = batches.draw(&mut rng);
            prop_assert_eq!(batch.len(), batch_size);
            prop_assert!(batch.iter().all(|&i| i < samples));
        }
    }
}
