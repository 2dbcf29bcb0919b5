//! Hashing of keys that are words, or become one: the standard library's hash is made for keys from
//! strangers, and takes longer than what is looked up.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps whose keys hash to a word.
pub(crate) type Words = BuildHasherDefault<WordHasher>;

/// Passes on keys that are a hash already, or a small number.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

/// An odd number whose bits look random: the golden ratio's.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for WordHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are single words");
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        // The table looks at the top bits too, which small numbers lack.
        self.0 = word.wrapping_mul(GOLDEN);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// One word of several.
#[inline]
pub(crate) fn mixed(words: impl IntoIterator<Item = u64>) -> u64 {
    let all = |all: u64, word: u64| (all.rotate_left(26) ^ word).wrapping_mul(GOLDEN);
    let all = words.into_iter().fold(0, all);
    // Numbers differ in their top bits, and a product passes nothing down.
    all ^ all >> 32
}
