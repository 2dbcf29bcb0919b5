//! Text as numbers: characters and their indices in an alphabet.

use std::path::Path;

use wengert_core::random::Xoshiro256PlusPlus;

use super::Dataset;
use crate::FileError;
use crate::file::Source;

/// The byte-order mark, with which some editors begin a file.
pub(super) const MARK: char = '\u{feff}';

/// A file of text, without a byte-order mark. It may be compressed by gzip.
///
/// # Errors
/// If there is no such file, or it is no UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> Result<String, FileError> {
    let source = Source::open(path.as_ref())?;
    let path = source.path().to_owned();
    let text = String::from_utf8(source.into_bytes()).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let found = format!("the byte {:#04x}", error.as_bytes()[offset]);
        FileError::content(&path, offset, "text in UTF-8", found)
    })?;
    match text.strip_prefix(MARK) {
        Some(rest) => Ok(rest.to_owned()),
        None => Ok(text),
    }
}

/// The characters that occur in a text, in the order of Unicode, and their indices.
///
/// ```
/// use wengert_nn::data::Alphabet;
///
/// let alphabet = Alphabet::of("hello");
/// assert_eq!(alphabet.encode("hole"), Ok(vec![1, 3, 2, 0]));
/// assert_eq!(alphabet.decode(&[1, 0, 2, 2, 3]), "hello");
/// assert_eq!(alphabet.encode("help"), Err('p'));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alphabet(Vec<char>);

impl Alphabet {
    /// The alphabet of a text.
    pub fn of(text: &str) -> Self {
        let characters: std::collections::BTreeSet<char> = text.chars().collect();
        Self(characters.into_iter().collect())
    }

    /// The number of characters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no character.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The characters, each at its place.
    pub fn characters(&self) -> &[char] {
        &self.0
    }

    /// The indices of a text's characters.
    ///
    /// # Errors
    /// The first character that is not in the alphabet.
    pub fn encode(&self, text: &str) -> Result<Vec<usize>, char> {
        text.chars().map(|c| self.0.binary_search(&c).map_err(|_| c)).collect()
    }

    /// The text with characters at these indices.
    ///
    /// # Panics
    /// If there is no such place.
    #[track_caller]
    pub fn decode(&self, indices: &[usize]) -> String {
        indices.iter().map(|&index| self.0[index]).collect()
    }
}

/// Pieces of a long sequence, and what follows each of their elements: what a model
/// learns from that says what comes next.
///
/// The k-th sample is the `length` elements from `k stride` on, with the elements one
/// place later. A batch has both, row by row: two lists of `samples length` elements.
///
/// ```
/// use wengert_nn::data::{Dataset, DataLoader, Windows};
///
/// let windows = Windows::new(vec![5, 6, 7, 8, 9], 2, 2);
/// let (now, next) = DataLoader::new(windows, 2).epoch(0).next().unwrap()?;
/// assert_eq!((now, next), (vec![5, 6, 7, 8], vec![6, 7, 8, 9]));
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Windows {
    sequence: Vec<usize>,
    length: usize,
    stride: usize,
}

impl Windows {
    /// The pieces of a sequence, each `stride` elements after the one before it.
    ///
    /// # Panics
    /// If the length or the stride is 0.
    #[track_caller]
    pub fn new(sequence: Vec<usize>, length: usize, stride: usize) -> Self {
        assert!(length > 0 && stride > 0, "a window has a length and a stride of at least 1");
        Self { sequence, length, stride }
    }

    /// The number of elements of a piece.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Dataset for Windows {
    type Batch = (Vec<usize>, Vec<usize>);

    fn len(&self) -> usize {
        match self.sequence.len().checked_sub(self.length + 1) {
            Some(last) => last / self.stride + 1,
            None => 0,
        }
    }

    fn batch(
        &self,
        indices: &[usize],
        _: &mut Xoshiro256PlusPlus,
    ) -> Result<Self::Batch, FileError> {
        let from = |shift: usize| {
            let piece =
                |&index: &usize| &self.sequence[index * self.stride + shift..][..self.length];
            indices.iter().flat_map(piece).copied().collect()
        };
        Ok((from(0), from(1)))
    }
}
