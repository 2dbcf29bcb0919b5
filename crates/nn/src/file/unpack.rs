//! Unpacking, with a limit: a few bytes may stand for gigabytes, and memory is not a file's
//! to claim.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::FileError;

/// Bytes that a file may unpack to unless the program says otherwise.
const LIMIT: u64 = 1 << 30;

static LIMITED: AtomicU64 = AtomicU64::new(LIMIT);

/// Sets how many bytes a file may unpack to, for all readers of the process: those that gzip
/// or an archive has packed, and images. It is 1 GiB unless set. What memory there is belongs
/// to the machine, so that no call has a limit of its own.
///
/// ```
/// wengert_nn::file::limit_unpacked(8 << 30);
/// assert_eq!(wengert_nn::file::unpacked_limit(), 8 << 30);
/// ```
pub fn limit_unpacked(bytes: u64) {
    LIMITED.store(bytes, Ordering::Relaxed);
}

/// How many bytes a file may unpack to.
pub fn unpacked_limit() -> u64 {
    LIMITED.load(Ordering::Relaxed)
}

/// An error if a file of `packed` bytes unpacks to more than the limit. `unpacked` is what it
/// claims, or how far unpacking has come.
pub(crate) fn within_limit(
    path: &Path,
    packed: usize,
    unpacked: impl TryInto<u64>,
) -> Result<(), FileError> {
    let (unpacked, limit) = (unpacked.try_into().unwrap_or(u64::MAX), unpacked_limit());
    if unpacked <= limit {
        return Ok(());
    }
    let expected = format!("{packed} bytes that unpack to at most {limit}");
    let found =
        format!("{unpacked} or more: if you trust the file, raise the limit by `limit_unpacked`");
    Err(FileError::content(path, 0, expected, found))
}

/// Whether gzip has packed a file, or what follows in it.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

#[cfg(feature = "deflate")]
pub(crate) use with_deflate::{deflated, gzip};
#[cfg(not(feature = "deflate"))]
pub(crate) use without_deflate::{deflated, gzip};

#[cfg(feature = "deflate")]
mod with_deflate {
    use std::io::{self, Read};
    use std::path::Path;

    use flate2::bufread::GzDecoder;
    use flate2::read::DeflateDecoder;

    use super::{FileError, is_gzip, unpacked_limit, within_limit};

    /// What gzip has packed: one member after the other, as `cat a.gz b.gz` and bgzip leave them,
    /// with nothing but zeros behind them.
    pub(crate) fn gzip(path: &Path, packed: &[u8]) -> Result<Vec<u8>, FileError> {
        let (mut bytes, mut rest) = (Vec::new(), packed);
        while !rest.is_empty() {
            if !is_gzip(rest) {
                if rest.iter().all(|&byte| byte == 0) {
                    break;
                }
                let offset = packed.len() - rest.len();
                let expected = "the end of the packed file or more that gzip has packed";
                let found = format!("{} bytes of something else", rest.len());
                return Err(FileError::content(path, offset, expected, found));
            }
            let mut decoder = GzDecoder::new(rest);
            let room = room(bytes.len());
            (&mut decoder).take(room).read_to_end(&mut bytes).map_err(|error| {
                let found = match error.kind() {
                    io::ErrorKind::UnexpectedEof => "the end of the file".to_owned(),
                    _ => error.to_string(),
                };
                FileError::content(path, bytes.len(), "more of what gzip has packed", found)
            })?;
            within_limit(path, packed.len(), bytes.len())?;
            rest = decoder.into_inner();
        }
        Ok(bytes)
    }

    /// What is packed in deflated form, `size` bytes if the file is right. A byte more tells that
    /// there are more.
    pub(crate) fn deflated(packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let room = room(0).min((size as u64).saturating_add(1));
        DeflateDecoder::new(packed).take(room).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What may still be read when `done` bytes are there, and one byte more, which tells that it
    /// was too much.
    fn room(done: usize) -> u64 {
        unpacked_limit().saturating_sub(done as u64).saturating_add(1)
    }
}

#[cfg(not(feature = "deflate"))]
mod without_deflate {
    use std::io;
    use std::path::Path;

    use super::FileError;

    const MISSING: &str = "a packed one, which takes the feature `deflate` of wengert-nn to read";

    pub(crate) fn gzip(path: &Path, _packed: &[u8]) -> Result<Vec<u8>, FileError> {
        Err(FileError::content(path, 0, "a file that is not packed", MISSING))
    }

    pub(crate) fn deflated(_packed: &[u8], _size: usize) -> io::Result<Vec<u8>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, MISSING))
    }
}
