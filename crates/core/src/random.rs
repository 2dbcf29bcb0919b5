//! Random numbers, and tensors of them.
//!
//! Whatever draws takes a generator of the `rand` crate from its caller, and what is
//! drawn is data: tensors, which a tape takes in as constants and a program as inputs.
//! No op draws. So a tape that follows its last recording computes with the new sample,
//! and a derivative with respect to the parameters of a distribution is that of a formula
//! in which the sample stands fixed (the reparameterisation of Kingma & Welling 2014).
//! For layers that draw there is [`Tape::sample`](crate::tape::Tape::sample), which takes a
//! sample in from a generator that the tape was given.
//!
//! ```
//! use wengert_core::random::{self, SeedableRng, Xoshiro256PlusPlus};
//! use wengert_core::{Tape, Tensor};
//!
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let tape = Tape::<f64>::new();
//! let (mean, deviation) = (tape.variable([0.5, -1.0]), tape.variable([1.0, 0.1]));
//! let noise = tape.constant(random::normals([1000, 2], &mut rng));
//! let cost = (mean + deviation * noise).square().mean_over(0).sum();
//! // The derivative of the expectation mean^2 + deviation^2, but for the sampling error.
//! let gradient = cost.backward().wrt(mean);
//! assert!((gradient.at(&[0]) - 2.0 * 0.5).abs() < 0.1);
//! // Dropout: each element is kept with a chance of 3 in 4, and then scaled up.
//! let kept = tape.constant(random::dropout_mask(0.25, [2], &mut rng));
//! assert_eq!((mean * kept).shape()[..], [2]);
//! // A category with the chances softmax(logits), by the largest of noisy ones.
//! let noise = tape.constant(random::gumbels([2], &mut rng));
//! assert!((mean + noise).argmax(0).item() < 2.0);
//! ```
//!
//! What is drawn from a generator is made here and not by `rand`, so that the numbers
//! of a seeded run do not change with its version. For the same reason, seed a
//! generator that has a name: `StdRng` may become another in any release.
//!
//! Where memory matters, [fill](Distribution::fill) a tensor that is there, which asks
//! for none once the tape that shares it has been reset.

pub use rand::rngs::Xoshiro256PlusPlus;
pub use rand::{Rng, SeedableRng};

use crate::scalar::{Real, dispatched};
use crate::tensor::{Shape, Tensor};

/// A uniform number in [0, 1) with 53 random bits, from two 32-bit words: the
/// `genrand_res53` of Matsumoto and Nishimura, MATLAB's `rand`.
///
/// ```
/// use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, uniform};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// assert!((0.0..1.0).contains(&uniform(&mut rng)));
/// ```
pub fn uniform<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    let (high, low) = (rng.next_u32() >> 5, rng.next_u32() >> 6);
    (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1_u64 << 53) as f64
}

/// A standard normal number, by the method of Box and Muller (1958).
///
/// It takes two uniform numbers and returns one normal one; the second that the
/// method offers is dropped, so that a draw leaves nothing behind. [`normals`] uses
/// both.
///
/// ```
/// use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, normal};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let mean = (0..10_000).map(|_| normal(&mut rng)).sum::<f64>() / 10_000.0;
/// assert!(mean.abs() < 0.05);
/// ```
pub fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    let (mut first, mut second) = ([uniform(rng)], [uniform(rng)]);
    box_muller(&mut first, &mut second);
    first[0]
}

/// Makes pairs of standard normal numbers of pairs of uniform ones.
fn box_muller<const N: usize>(first: &mut [f64; N], second: &mut [f64; N]) {
    dispatched(
        #[inline(always)]
        || {
            for (first, second) in first.iter_mut().zip(second) {
                // 1 - uniform is in (0, 1], so the logarithm stays finite.
                let radius = Real::sqrt(-2.0 * Real::ln(1.0 - *first));
                let angle = std::f64::consts::TAU * *second;
                *first = radius * Real::cos_near(angle);
                *second = radius * Real::sin_near(angle);
            }
        },
    );
}

/// A standard Gumbel number, `-ln(-ln(u))` of a uniform `u`: the largest of logits to
/// each of which such a number was added is a category with the chances of their
/// softmax.
pub fn gumbel<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    loop {
        let u = uniform(rng);
        if u > 0.0 {
            return dispatched(
                #[inline(always)]
                || -Real::ln(-Real::ln(u)),
            );
        }
    }
}

/// How the elements of a sample are distributed: independently of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Uniform in [0, 1).
    Uniform,
    /// Standard normal.
    Normal,
    /// Standard [Gumbel](gumbel).
    Gumbel,
    /// 1 with this chance, and else 0.
    Bernoulli(f64),
    /// 0 with this chance `p`, and else `1 / (1 - p)`, so that the expectation is 1: what
    /// elements are multiplied with in dropout (Srivastava et al. 2014).
    Dropout(f64),
}

impl Distribution {
    /// A tensor of such numbers.
    ///
    /// # Panics
    /// If a chance is not between 0 and 1, a dropout leaves nothing, or the shape is too large
    /// for memory.
    #[track_caller]
    pub fn tensor<T: Real, R: Rng + ?Sized>(
        self,
        shape: impl Into<Shape>,
        rng: &mut R,
    ) -> Tensor<T> {
        let mut tensor = Tensor::zeros(shape);
        self.fill(tensor.as_mut_slice(), rng);
        tensor
    }

    /// Replaces all elements by such numbers, without asking for memory.
    ///
    /// # Panics
    /// As [`tensor`](Self::tensor).
    #[track_caller]
    pub fn fill<T: Real, R: Rng + ?Sized>(self, elements: &mut [T], rng: &mut R) {
        match self {
            Self::Uniform => {
                // Rounded down, for the nearest number of a shorter type may be 1.
                let steps = 2.0 / T::epsilon().as_f64();
                elements.fill_with(|| T::from_f64((uniform(rng) * steps).floor() / steps));
            }
            Self::Normal => fill_normal(elements, rng),
            Self::Gumbel => elements.fill_with(|| T::from_f64(gumbel(rng))),
            Self::Bernoulli(p) => {
                assert!((0.0..=1.0).contains(&p), "{p} is no chance");
                elements.fill_with(|| if uniform(rng) < p { T::one() } else { T::zero() });
            }
            Self::Dropout(p) => {
                assert!((0.0..1.0).contains(&p), "a dropout of {p} leaves nothing");
                let kept = T::from_f64(1.0 / (1.0 - p));
                elements.fill_with(|| if uniform(rng) < p { T::zero() } else { kept });
            }
        }
    }
}

fn fill_normal<T: Real, R: Rng + ?Sized>(elements: &mut [T], rng: &mut R) {
    const PAIRS: usize = 64;
    let (mut first, mut second) = ([0.0; PAIRS], [0.0; PAIRS]);
    for chunk in elements.chunks_mut(2 * PAIRS) {
        let pairs = chunk.len().div_ceil(2);
        for (first, second) in first.iter_mut().zip(&mut second).take(pairs) {
            (*first, *second) = (uniform(rng), uniform(rng));
        }
        box_muller(&mut first, &mut second);
        for (i, x) in chunk.iter_mut().enumerate() {
            *x = T::from_f64(if i % 2 == 0 { first[i / 2] } else { second[i / 2] });
        }
    }
}

/// A tensor of uniform numbers in [0, 1), of which `f32` holds 24 bits.
///
/// # Panics
/// If the shape is too large for memory.
#[track_caller]
pub fn uniforms<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    Distribution::Uniform.tensor(shape, rng)
}

/// A tensor of standard normal numbers.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, normals};
///
/// let draw = || normals([2, 3], &mut Xoshiro256PlusPlus::seed_from_u64(7));
/// let noise: Tensor<f32> = draw();
/// assert_eq!(noise, draw());
/// ```
///
/// # Panics
/// If the shape is too large for memory.
#[track_caller]
pub fn normals<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    Distribution::Normal.tensor(shape, rng)
}

/// A tensor of standard [Gumbel](gumbel) numbers.
///
/// # Panics
/// If the shape is too large for memory.
#[track_caller]
pub fn gumbels<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    Distribution::Gumbel.tensor(shape, rng)
}

/// A mask that is 1 with a chance of `p`, and else 0.
///
/// # Panics
/// If `p` is no chance.
#[track_caller]
pub fn bernoulli<T: Real, R: Rng + ?Sized>(
    p: f64,
    shape: impl Into<Shape>,
    rng: &mut R,
) -> Tensor<T> {
    Distribution::Bernoulli(p).tensor(shape, rng)
}

/// What elements are multiplied with in [dropout](Distribution::Dropout): 0 with a
/// chance of `p`, and else `1 / (1 - p)`.
///
/// # Panics
/// If `p` is not at least 0 and less than 1.
#[track_caller]
pub fn dropout_mask<T: Real, R: Rng + ?Sized>(
    p: f64,
    shape: impl Into<Shape>,
    rng: &mut R,
) -> Tensor<T> {
    Distribution::Dropout(p).tensor(shape, rng)
}
