//! Samplers that know how much samples count, or of which class they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use crc32fast::Hasher;
use rand::Rng;

use crate::random::{shuffle, uniform};

/// Draws samples with replacement, each with a probability in proportion to its weight.
///
/// ```
/// use wengert_nn::random::seeded;
/// use wengert_nn::sampler::Weighted;
///
/// let (sampler, mut rng) = (Weighted::new(&[1.0, 0.0, 3.0]), seeded(1));
/// let mut counts = [0; 3];
/// (0..4000).for_each(|_| counts[sampler.draw(&mut rng)] += 1);
/// assert!(counts[1] == 0 && (2900..3100).contains(&counts[2]));
/// ```
#[derive(Clone, Debug)]
pub struct Weighted {
    /// The sums of the weights up to each sample.
    sums: Vec<f64>,
}

impl Weighted {
    /// A sampler of indices below the number of weights.
    ///
    /// # Panics
    /// If a weight is negative or not finite, or all are 0.
    #[track_caller]
    pub fn new(weights: &[f64]) -> Self {
        let (mut sums, mut sum) = (Vec::with_capacity(weights.len()), 0.0);
        for (i, &weight) in weights.iter().enumerate() {
            assert!(
                weight.is_finite() && weight >= 0.0,
                "expected finite weights of at least 0, got {weight} for sample {i}"
            );
            sum += weight;
            sums.push(sum);
        }
        assert!(sum > 0.0 && sum.is_finite(), "weights have a sum above 0, not {sum}");
        Self { sums }
    }

    /// An index.
    pub fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> usize {
        let all = self.sums[self.sums.len() - 1];
        // In [0, 1), but the product may be rounded up to the sum of all.
        let point = uniform(rng) * all;
        let found = self.sums.partition_point(|&sum| sum <= point);
        // The last sample with a weight: of those behind it, the sums are the same.
        let last = || self.sums.partition_point(|&sum| sum < all);
        if found < self.sums.len() { found } else { last() }
    }
}

impl fmt::Display for Weighted {
    /// What decides on the draws, in short: a checksum of the weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sum = Hasher::new();
        self.sums.iter().for_each(|x| sum.update(&x.to_le_bytes()));
        write!(f, "weighted {:08x}", sum.finalize())
    }
}

/// The weights by which [`Weighted`] draws every class equally often: one over the number of its
/// samples.
///
/// ```
/// assert_eq!(wengert_nn::sampler::balanced(&[0, 1, 0, 0]), [1.0 / 3.0, 1.0, 1.0 / 3.0, 1.0 / 3.0]);
/// ```
pub fn balanced(labels: &[usize]) -> Vec<f64> {
    let classes = members(labels);
    let mut weights = vec![0.0; labels.len()];
    for class in &classes {
        class.iter().for_each(|&i| weights[i] = 1.0 / class.len() as f64);
    }
    weights
}

/// Goes through all samples with each class spread evenly: among the first `k` of an epoch are `k n / N`
/// samples of a class that has `n` of `N`, to less than one sample.
///
/// So every batch has a class's share exactly if that is a whole number of samples. Which sample of a
/// class comes at its turn is drawn for each epoch; the turns are the same. They solve the problem of
/// just-in-time sequences (Steiner & Yeomans, 1993): the `r`-th sample of a class, from 0, has its turn
/// between `r N / n` and `(r + 1) N / n`, and of the classes whose time has come, the one that must come
/// first does.
///
/// ```
/// use wengert_nn::random::seeded;
/// use wengert_nn::sampler::Stratified;
///
/// let labels = [0, 0, 0, 0, 1, 1];
/// let epoch = Stratified::new(&labels).epoch(&mut seeded(1));
/// let ones: Vec<usize> = epoch.chunks(3).map(|batch| batch.iter().map(|&i| labels[i]).sum()).collect();
/// assert_eq!(ones, [1, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Stratified {
    /// The samples of each class.
    classes: Vec<Vec<usize>>,
    /// The class of each turn.
    turns: Vec<u32>,
}

impl Stratified {
    /// A sampler of indices below the number of labels.
    pub fn new(labels: &[usize]) -> Self {
        let classes = members(labels);
        let turns = turns(&classes.iter().map(Vec::len).collect::<Vec<_>>());
        Self { classes, turns }
    }

    /// The indices of an epoch.
    pub fn epoch<R: Rng + ?Sized>(&self, rng: &mut R) -> Vec<usize> {
        let mut classes = self.classes.clone();
        classes.iter_mut().for_each(|class| shuffle(class, rng));
        let turn = |&class: &u32| classes[class as usize].pop().expect("a turn for each sample");
        self.turns.iter().map(turn).collect()
    }
}

impl fmt::Display for Stratified {
    /// What decides on the draws, in short: a checksum of the classes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sum = Hasher::new();
        for class in &self.classes {
            class.iter().for_each(|&i| sum.update(&(i as u64).to_le_bytes()));
            sum.update(&u64::MAX.to_le_bytes());
        }
        write!(f, "stratified {:08x}", sum.finalize())
    }
}

/// The samples of each class, without classes that have none.
pub(crate) fn members(labels: &[usize]) -> Vec<Vec<usize>> {
    let mut sorted: Vec<usize> = (0..labels.len()).collect();
    sorted.sort_by_key(|&i| labels[i]);
    sorted.chunk_by(|&a, &b| labels[a] == labels[b]).map(<[usize]>::to_vec).collect()
}

/// Which class has each turn, of classes of these sizes.
fn turns(sizes: &[usize]) -> Vec<u32> {
    let all: usize = sizes.iter().sum();
    // When the sample number `r` of a class may come at first, and must at last.
    let first = |class: u32, r: usize| r * all / sizes[class as usize];
    let last = |class: u32, r: usize| ((r + 1) * all).div_ceil(sizes[class as usize]) - 1;
    let mut waiting: BinaryHeap<_> =
        (0..sizes.len() as u32).map(|class| Reverse((0, class, 0))).collect();
    let mut ready = BinaryHeap::new();
    let mut turns = Vec::with_capacity(all);
    for turn in 0..all {
        while let Some(&Reverse((start, class, r))) = waiting.peek()
            && start <= turn
        {
            waiting.pop();
            ready.push(Reverse((last(class, r), class, r)));
        }
        let Reverse((_, class, r)) = ready.pop().expect("shares add up to the whole");
        turns.push(class);
        if r + 1 < sizes[class as usize] {
            waiting.push(Reverse((first(class, r + 1), class, r + 1)));
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::random::seeded;

    proptest! {
        /// Each class has its share of the first turns, to less than one: in whole numbers,
        /// `|N c - k n| < N`.
        #[test]
        fn classes_are_spread(sizes in vec(1_usize..40, 1..12)) {
            let (turns, all) = (turns(&sizes), sizes.iter().sum::<usize>());
            let mut counts = vec![0; sizes.len()];
            for (k, &class) in (1..).zip(&turns) {
                counts[class as usize] += 1;
                for (count, size) in counts.iter().zip(&sizes) {
                    prop_assert!((all * count).abs_diff(k * size) < all, "{sizes:?} {turns:?}");
                }
            }
            prop_assert_eq!(counts, sizes);
        }

        #[test]
        fn an_epoch_visits_each_sample_once(labels in vec(0_usize..5, 0..60), seed: u32) {
            let mut epoch = Stratified::new(&labels).epoch(&mut seeded(seed.into()));
            epoch.sort_unstable();
            prop_assert!(epoch.into_iter().eq(0..labels.len()));
        }
    }

    #[test]
    fn whole_shares_are_exact() {
        // 12, 24 and 60 of 96 in batches of 8 are 1, 2 and 5.
        let labels: Vec<usize> = [(7, 12), (2, 24), (3, 60)]
            .into_iter()
            .flat_map(|(label, count)| std::iter::repeat_n(label, count))
            .collect();
        let (sampler, rng) = (Stratified::new(&labels), &mut seeded(1));
        let (one, other) = (sampler.epoch(rng), sampler.epoch(rng));
        assert_ne!(one, other);
        assert_eq!(one, sampler.epoch(&mut seeded(1)));
        for batch in one.chunks(8).chain(other.chunks(8)) {
            let count = |label| batch.iter().filter(|&&i| labels[i] == label).count();
            assert_eq!([count(7), count(2), count(3)], [1, 2, 5]);
        }
    }

    /// Counts of n draws have the mean `n p` and the variance `n p (1 - p)`; each is within five of
    /// its deviations.
    #[test]
    fn weights_are_probabilities() {
        let weights = [0.0, 1.0, 2.0, 0.0, 5.0, 1e-9, 2.0, 0.0];
        let (sampler, rng, draws) = (Weighted::new(&weights), &mut seeded(1), 100_000);
        let mut counts = [0.0; 8];
        (0..draws).for_each(|_| counts[sampler.draw(rng)] += 1.0);
        let all: f64 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(weights) {
            let p = weight / all;
            let deviation = (f64::from(draws) * p * (1.0 - p)).sqrt();
            assert!((count - f64::from(draws) * p).abs() <= 5.0 * deviation, "{count} {p}");
        }
    }

    /// Samples at either end that weigh nothing are never drawn, at the ends of the generator either.
    #[test]
    fn what_weighs_nothing_is_not_drawn() {
        let sampler = Weighted::new(&[0.0, 3.0, 0.0]);
        let rng = &mut seeded(7);
        assert!((0..1000).all(|_| sampler.draw(rng) == 1));
    }

    #[test]
    fn weights_make_classes_equal() {
        let labels: Vec<usize> = (0..1000).map(|i| usize::from(i % 50 == 0)).collect();
        let (sampler, rng) = (Weighted::new(&balanced(&labels)), &mut seeded(3));
        let rare = (0..10_000).filter(|_| labels[sampler.draw(rng)] == 1).count();
        assert!(rare.abs_diff(5000) < 250, "{rare}");
    }

    #[test]
    #[should_panic(expected = "expected finite weights of at least 0, got -1 for sample 1")]
    fn a_negative_weight_is_refused() {
        Weighted::new(&[1.0, -1.0]);
    }

    #[test]
    #[should_panic(expected = "weights have a sum above 0, not 0")]
    fn no_weight_at_all_is_refused() {
        Weighted::new(&[0.0, 0.0]);
    }
}
