//! Random numbers: where they come from and what is made of them.
//!
//! Whatever draws takes a generator of the `rand` crate. What is drawn from it,
//! uniform numbers ([of the core](wengert_core::random)), indices and orders, is made
//! here and not by `rand`, for two reasons: the numbers of a seeded run then do not change with `rand`'s version,
//! and they are made the way MATLAB makes them, so that samplers fed by a
//! [`MatlabRng`] reproduce the paper's run.

mod matlab;

pub use matlab::MatlabRng;
pub use wengert_core::random::{normal, uniform};

use rand::Rng;
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};

/// A generator with a seed: what models and data are drawn from, unless a run of the paper is to be
/// repeated, which [`MatlabRng`] is for. The same seed gives the same numbers in every version of
/// this crate.
///
/// ```
/// use wengert_nn::Linear;
/// use wengert_nn::random::seeded;
///
/// let rng = &mut seeded(1);
/// let (hidden, out) = (Linear::<f32>::new(4, 16, rng), Linear::<f32>::new(16, 3, rng));
/// ```
pub fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// A uniform index in `0..count`, as `floor(count * uniform)`: MATLAB's
/// `randi(count)`, counted from 0. For a `count` that is no power of 2 some
/// indices are likelier than others, by less than `count` in 2^53.
///
/// ```
/// use wengert_nn::random::{MatlabRng, index};
///
/// assert_eq!(index(10, &mut MatlabRng::new(5000)) + 1, MatlabRng::new(5000).randi(10));
/// ```
///
/// # Panics
/// If `count` is 0.
#[track_caller]
pub fn index<R: Rng + ?Sized>(count: usize, rng: &mut R) -> usize {
    assert!(count > 0, "there is no index below 0 to draw");
    (count as f64 * uniform(rng)) as usize
}

/// Puts a list in random order, every order equally likely: the shuffle of Fisher
/// and Yates, from the last place to the first.
///
/// ```
/// use wengert_nn::random::{MatlabRng, shuffle};
///
/// let mut order = [0, 1, 2, 3];
/// shuffle(&mut order, &mut MatlabRng::new(1));
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3]);
/// ```
pub fn shuffle<X, R: Rng + ?Sized>(list: &mut [X], rng: &mut R) {
    for last in (1..list.len()).rev() {
        list.swap(last, index(last + 1, rng));
    }
}

/// A seed for one of the parts that something seeded consists of, such as an epoch of
/// a run: the `part`-th number of the generator SplitMix64 (Steele, Lea & Flood 2014) at
/// `seed`, so that neighbouring seeds and parts have nothing in common.
///
/// What is drawn for a part then does not depend on how much was drawn before it, and a
/// run that goes on from an epoch draws as one that came from the beginning. Whatever counts
/// epochs by itself takes a part of the seed of its own first, as the
/// [`DataLoader`](crate::data::DataLoader) does; else equal seeds would make it draw the numbers of
/// the [`Trainer`](crate::train::Trainer), which counts them from the seed as it is.
///
/// ```
/// use wengert_nn::random::derived_seed;
///
/// let (run, epoch) = (7, 3);
/// assert_ne!(derived_seed(run, epoch), derived_seed(run, epoch + 1));
/// ```
pub fn derived_seed(seed: u64, part: u64) -> u64 {
    let state = seed.wrapping_add(part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The seed of a shard of something seeded. The first one has that of the whole.
pub(crate) fn shard_seed(seed: u64, shard: usize) -> u64 {
    if shard == 0 { seed } else { derived_seed(seed, shard as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_are_those_of_matlab() {
        let (mut a, mut b) = (MatlabRng::new(1), MatlabRng::new(1));
        assert!((0..100).all(|_| uniform(&mut a) == b.rand()));
    }

    /// The first numbers of the published generator, from the state 1234567.
    #[test]
    fn derived_seeds_are_those_of_splitmix() {
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        assert!((0..).zip(expected).all(|(part, seed)| derived_seed(1_234_567, part) == seed));
    }
}
