//! Draws from a seed.

use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, uniform};

/// A generator of small decisions.
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// The dice of one program of a run.
    pub fn of(seed: u64, program: u64) -> Self {
        // Seeds far apart, so that runs of neighbouring seeds share no program.
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(program);
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number from 0 to 1, exclusive.
    pub fn unit(&mut self) -> f64 {
        uniform(&mut self.0)
    }

    /// A whole number below another, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.unit() * end as f64) as usize).min(end - 1)
    }

    /// Whether something happens that does with some probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of some things.
    pub fn pick<'a, X>(&mut self, of: &'a [X]) -> &'a X {
        &of[self.below(of.len())]
    }
}
