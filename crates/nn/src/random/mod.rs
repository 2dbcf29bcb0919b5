//! Random numbers: where they come from and what is made of them.
//!
//! Whatever draws takes a generator of the `rand` crate. What is drawn from it,
//! uniform numbers, indices and orders, is made here and not by `rand`, for two
//! reasons: the numbers of a seeded run then do not change with `rand`'s version,
//! and they are made the way MATLAB makes them, so that samplers fed by a
//! [`MatlabRng`] reproduce the paper's run.

mod matlab;

pub use matlab::MatlabRng;

use rand::Rng;

/// A uniform number in [0, 1) with 53 random bits, from two 32-bit words: the
/// `genrand_res53` of Matsumoto and Nishimura, MATLAB's `rand`.
///
/// ```
/// use wengert_nn::random::{MatlabRng, uniform};
///
/// assert_eq!(uniform(&mut MatlabRng::new(1)), MatlabRng::new(1).rand());
/// ```
pub fn uniform<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    let (high, low) = (rng.next_u32() >> 5, rng.next_u32() >> 6);
    (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1_u64 << 53) as f64
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

/// A standard normal number, by the method of Box and Muller (1958).
///
/// It takes two uniform numbers and returns one normal one; the second that the
/// method offers is dropped, so that a draw leaves nothing behind.
///
/// ```
/// use wengert_nn::random::{MatlabRng, normal};
///
/// let mut rng = MatlabRng::new(1);
/// let mean = (0..10_000).map(|_| normal(&mut rng)).sum::<f64>() / 10_000.0;
/// assert!(mean.abs() < 0.05);
/// ```
pub fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    // 1 - uniform is in (0, 1], so the logarithm stays finite.
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(rng)).cos()
}
