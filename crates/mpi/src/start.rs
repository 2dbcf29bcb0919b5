//! How a process joins the others, and what can go wrong then.

use std::env;
use std::fmt;
use std::num::NonZero;
use std::panic;
use std::thread;

use mpi::Threading;
use mpi::environment::{initialize_with_threading, library_version};
use mpi::topology::{Communicator, SimpleCommunicator};
use wengert::threads;

use crate::Cluster;

/// What launchers tell the processes that they start: how many there are, and how many on this machine.
/// Open MPI, MPICH and what descends from it, Slurm.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];
const LOCAL_SIZES: [&str; 2] = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"];
/// The variable that says how many threads kernels use.
const THREADS: &str = "WENGERT_THREADS";

/// Why a process could not join the others.
///
/// `Debug` says what `Display` does: it is what a program prints whose `main` returns it.
#[non_exhaustive]
pub enum StartError {
    /// MPI was started before: a process starts it once.
    Started,
    /// The launcher is of another MPI library than the program, so every process takes itself for the
    /// only one.
    Launcher {
        /// How many processes the launcher has started.
        expected: usize,
        /// How many the library knows of.
        found: usize,
        /// The library that the program was built with.
        library: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => formatter.write_str(
                "expected to start MPI, but this process has done so before, and can do it once",
            ),
            Self::Launcher { expected, found, library } => write!(
                formatter,
                "expected {expected} processes, as the launcher says, but MPI knows of {found}: the \
                 launcher is of another library than the program, which was built with {library}; use \
                 the `mpirun` of that one, or build the program again"
            ),
        }
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for StartError {}

/// Joins the other processes that the launcher has started. Without a launcher, there are none, and all
/// that a program does with the [`Cluster`] is what it would do without one.
///
/// From here on, a panic of any thread ends all processes, with its message and the rank before it. Kernels
/// use as many threads as there are CPUs for each process of this machine, unless `WENGERT_THREADS` says
/// how many.
///
/// # Errors
/// If it was called before, or the launcher is of another MPI library than the program.
pub fn start() -> Result<Cluster, StartError> {
    // One thread calls MPI at a time, and others end the job.
    let (universe, _) =
        initialize_with_threading(Threading::Funneled).ok_or(StartError::Started)?;
    let world = universe.world();
    let (rank, size) = (world.rank() as usize, world.size() as usize);
    let expected = SIZES.iter().find_map(|name| number(name)).unwrap_or(size);
    if expected != size {
        let library = library_version().unwrap_or_default();
        let library = library.lines().next().unwrap_or_default().trim().to_owned();
        return Err(StartError::Launcher { expected, found: size, library });
    }
    if size > 1 {
        end_at_panics(rank);
    }
    if env::var_os(THREADS).is_none()
        && let Some(local) = LOCAL_SIZES.iter().find_map(|name| number(name))
    {
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        threads::set((cpus / local.max(1)).max(1));
    }
    Ok(Cluster::new(universe, rank, size))
}

/// A number that a launcher has left in the environment.
fn number(name: &str) -> Option<usize> {
    env::var(name).ok()?.parse().ok()
}

/// Ends all processes at a panic of this one. Without this, they would wait for it for ever: it would
/// unwind, and leave MPI when all have come that far.
fn end_at_panics(rank: usize) {
    panic::set_hook(Box::new(move |info| {
        eprintln!("rank {rank}: {info}");
        end(PANIC);
    }));
}

/// The exit code of a panic, as the standard library has it.
const PANIC: i32 = 101;

/// Ends all processes.
pub(crate) fn end(code: i32) -> ! {
    SimpleCommunicator::world().abort(code)
}
