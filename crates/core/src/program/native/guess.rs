//! Two functions of one formula: a fast one for what numbers mostly are, and one for nearly all.
//!
//! The sine of a small angle takes half of the operations of another, and most angles of most programs
//! are small. Which of the two has run changes no bit.

use std::sync::atomic::{AtomicU32, Ordering};

/// How often the guess may be wrong before nobody makes it any more.
const PATIENCE: u32 = 32;

/// A function, and one for fewer numbers that goes first.
pub(in crate::program) struct Guess<F> {
    narrow: Option<F>,
    wide: F,
    misses: AtomicU32,
}

impl<F> Guess<F> {
    pub(in crate::program) fn new(narrow: Option<F>, wide: F) -> Self {
        Self { narrow, wide, misses: AtomicU32::new(0) }
    }

    /// Calls one function after the other with `run`, until one says that it came to its end. Gives
    /// whether one did.
    #[inline]
    pub(in crate::program) fn run(&self, mut run: impl FnMut(&F) -> bool) -> bool {
        if let Some(narrow) = &self.narrow
            && self.misses.load(Ordering::Relaxed) < PATIENCE
        {
            if run(narrow) {
                return true;
            }
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        run(&self.wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_given_up() {
        let guess = Guess::new(Some("narrow"), "wide");
        let mut asked = Vec::new();
        for run in 0..100 {
            let ended = guess.run(|own| {
                asked.push(*own);
                *own == "wide" && run != 50
            });
            assert_eq!(ended, run != 50);
        }
        assert_eq!(asked.iter().filter(|own| **own == "narrow").count(), PATIENCE as usize);
        assert_eq!(asked.iter().filter(|own| **own == "wide").count(), 100);
    }
}
