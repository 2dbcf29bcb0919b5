//! Files from outside: read as a whole, taken apart with the place kept, and replaced
//! at one stroke.
//!
//! Whoever reads a file that is cut short or of another kind wants to know which one,
//! where, what should have stood there, and what does. So every reader goes through
//! `Source`, which knows all four, and nobody indexes into bytes.

mod kind;
mod lock;
mod replace;
mod unpack;

use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub(crate) use lock::Lock;
pub(crate) use replace::replace;
pub(crate) use unpack::{deflated, within_limit};
pub use unpack::{limit_unpacked, unpacked_limit};

/// Why a file could not be read or written.
///
/// `Debug` says what `Display` does: it is what a program prints whose `main` returns it.
#[derive(Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused: there is no such file, or no room.
    #[error("{}: {source}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("{}: at byte {offset}: expected {expected}, found {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from the beginning; of a compressed file, in what it holds.
        offset: u64,
        /// What should stand there.
        expected: String,
        /// What does.
        found: String,
    },
}

impl fmt::Debug for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FileError {
    pub(crate) fn system(path: &Path, source: io::Error) -> Self {
        Self::System { path: path.to_owned(), source }
    }

    pub(crate) fn content(
        path: &Path,
        offset: usize,
        expected: impl Display,
        found: impl Display,
    ) -> Self {
        Self::Content {
            path: path.to_owned(),
            offset: offset as u64,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

/// The bytes of a file, and how far they have been read.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    offset: usize,
}

impl Source {
    /// Reads a file. Its first bytes tell whether gzip has packed it, and then it is unpacked.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let bytes = fs::read(path).map_err(|error| FileError::system(path, error))?;
        let bytes = if unpack::is_gzip(&bytes) { unpack::gzip(path, &bytes)? } else { bytes };
        Ok(Self { path: path.to_owned(), bytes, offset: 0 })
    }

    /// Bytes that are in no file, with a name for messages.
    pub(crate) fn of(name: &str, bytes: Vec<u8>) -> Self {
        Self { path: name.into(), bytes, offset: 0 }
    }

    /// A file that was in this one, called by both names.
    pub(crate) fn within(&self, name: &str, bytes: Vec<u8>) -> Self {
        Self { path: self.path.join(name), bytes, offset: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.offset..]
    }

    /// The next `count` bytes, which are `what`.
    pub(crate) fn take(&mut self, count: usize, what: impl Display) -> Result<&[u8], FileError> {
        let left = self.bytes.len() - self.offset;
        if left < count {
            let found = format!("the end of the file after {left}");
            return Err(self.error(format!("{count} bytes of {what}"), found));
        }
        self.offset += count;
        Ok(&self.bytes[self.offset - count..self.offset])
    }

    /// The next `N` bytes, which are `what`.
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: impl Display,
    ) -> Result<[u8; N], FileError> {
        Ok(self.take(N, what)?.try_into().expect("as many as asked for"))
    }

    /// The `count` bytes from a place on, which are `what`; how far the file is read
    /// stays.
    pub(crate) fn at(
        &self,
        offset: usize,
        count: usize,
        what: impl Display,
    ) -> Result<&[u8], FileError> {
        let end = offset.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            let found = format!("the end of the file at byte {}", self.bytes.len());
            return Err(self.error_at(offset, format!("{count} bytes of {what}"), found));
        };
        Ok(&self.bytes[offset..end])
    }

    /// That nothing is left.
    pub(crate) fn end(&self) -> Result<(), FileError> {
        match self.rest().len() {
            0 => Ok(()),
            left => Err(self.error("the end of the file", format!("{left} more bytes"))),
        }
    }

    /// That something is wrong here.
    pub(crate) fn error(&self, expected: impl Display, found: impl Display) -> FileError {
        self.error_at(self.offset, expected, found)
    }

    /// That something is wrong there.
    pub(crate) fn error_at(
        &self,
        offset: usize,
        expected: impl Display,
        found: impl Display,
    ) -> FileError {
        FileError::content(&self.path, offset, expected, found)
    }

    /// That the file is of another kind. Says of which, where its first bytes tell.
    pub(crate) fn foreign(&self, expected: impl Display, found: impl Display) -> FileError {
        match self.foreign_kind() {
            Some(kind) => self.error_at(0, expected, format_args!("{found}: it is {kind}")),
            None => self.error_at(0, expected, found),
        }
    }

    /// What the file is, if it is of a kind that no reader takes, or only the one of that kind.
    pub(crate) fn foreign_kind(&self) -> Option<&'static str> {
        kind::of(&self.bytes)
    }
}
