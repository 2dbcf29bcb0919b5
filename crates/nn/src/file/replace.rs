//! Replacing a file at one stroke: whoever is killed on the way leaves the earlier one as it
//! was.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::FileError;

/// Writes a file whole or not at all: to a temporary file beside it, which then takes its name.
///
/// A symbolic link goes on to point where it did, to the new content. The permissions of an
/// earlier file stay. What is no regular file (a device, a pipe) can't be replaced and is
/// written to.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    written(path, bytes).map_err(|error| FileError::system(path, error))
}

fn written(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = target(path)?;
    let earlier = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => {
            return File::options().write(true).open(&path)?.write_all(bytes);
        }
        Ok(metadata) => Some(metadata.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let (mut file, partial) = Partial::beside(&path)?;
    if let Some(permissions) = earlier {
        file.set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    // Before the name changes: a crash of the machine would leave an empty file.
    file.sync_all()?;
    fs::rename(&partial.0, &path)?;
    synced(folder)
}

/// Where a chain of symbolic links ends, whether or not there is a file.
fn target(path: &Path) -> io::Result<PathBuf> {
    /// Links after which a system gives up.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    Err(io::Error::other("a circle of symbolic links"))
}

/// Writes down that a name has changed, where a system can.
fn synced(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A temporary file, which is gone at the end unless it took another name.
struct Partial(PathBuf);

impl Partial {
    /// One that no other process and no other thread writes. A process that was killed may have
    /// left one, and in a container the next process has the same number.
    fn beside(path: &Path) -> io::Result<(File, Self)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}-{number}.partial", process::id()));
            let name = path.with_file_name(name);
            match File::create_new(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok((file?, Self(name))),
            }
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the file took its name, there is none.
        let _ = fs::remove_file(&self.0);
    }
}
