//! Files that one run at a time may write.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::FileError;

/// Holds a file for one process until it is dropped. The lock stands on a file beside it of the
/// same name and `.lock`, since the file itself is replaced; that file stays, and is empty. The
/// system gives the lock back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// By hand: a process that another thread is starting holds a copy of the file for a moment,
    /// and with it the lock.
    fn drop(&mut self) {
        // What can't be given back ends with the process.
        let _ = self.0.unlock();
    }
}

impl Lock {
    /// Takes the lock, or says that another process has it.
    pub(crate) fn of(path: &Path) -> Result<Self, FileError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let name = PathBuf::from(name);
        let system = |error: io::Error| FileError::system(&name, error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(system)?;
        }
        let file = File::options().create(true).append(true).open(&name).map_err(system)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(system(io::Error::other("another run writes this checkpoint")))
            }
            // Some file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Self(file))
            }
            Err(TryLockError::Error(error)) => Err(system(error)),
        }
    }
}
