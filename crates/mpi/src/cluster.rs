//! The processes of a job, and what they exchange.

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use mpi::Count;
use mpi::collective::{CommunicatorCollectives, Root};
use mpi::datatype::{Equivalence, Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::request::{Request, Scope, scope};
use mpi::topology::{Communicator, SimpleCommunicator};
use wengert::nn::train::{Exchange, Group, TrainError};

use crate::start::end;
use crate::watch::Watch;

/// How long the watchdog waits unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(600);
/// How long a process that waits for an exchange looks again and again whether it is over, and how long it
/// sleeps between two looks then.
const MOMENT: Duration = Duration::from_micros(50);
const PAUSE: Duration = Duration::from_micros(20);
/// How long a process with an error of another one waits for that one to end the job.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes of a job: see [`start`](crate::start).
///
/// When it is dropped, the process waits for the others, and they all leave MPI.
#[derive(Debug)]
pub struct Cluster {
    rank: usize,
    size: usize,
    /// The most elements of one call.
    limit: usize,
    world: World,
    _universe: End,
    /// Until the others have come to the end, too.
    watch: Option<Watch>,
}

struct World(SimpleCommunicator);
struct End(#[expect(dead_code, reason = "it leaves MPI when it is dropped")] Universe);

impl std::fmt::Debug for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("World")
    }
}

impl std::fmt::Debug for End {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("End")
    }
}

impl Cluster {
    pub(crate) fn new(universe: Universe, rank: usize, size: usize) -> Self {
        let world = World(universe.world());
        // A process that is alone waits for nobody.
        let watch = (size > 1).then(|| Watch::start(rank, TIMEOUT));
        let limit = Count::MAX as usize;
        Self { rank, size, limit, world, _universe: End(universe), watch }
    }

    /// With another time after which the watchdog ends the job, if nothing was exchanged: ten minutes
    /// unless said otherwise. It must be longer than the longest time between two exchanges, which is a
    /// step, or what a program reads before the first one.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.watch.iter().for_each(|watch| watch.set(timeout));
        self
    }

    /// With at most `limit` elements in one call of the library, which takes 2^31 - 1: for tests of
    /// what is larger.
    ///
    /// # Panics
    /// If it is 0 or more than 2^31 - 1.
    #[doc(hidden)]
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        assert!(limit > 0 && limit <= Count::MAX as usize, "expected a limit of at least 1");
        Self { limit, ..self }
    }

    /// Ends the process, as `main` is to end it: with a message if there is an error, and then all
    /// processes with it. If an error was that of another process, that one says so.
    pub fn finish<E: Into<Box<dyn Error>>>(self, result: Result<(), E>) -> ExitCode {
        let Err(error) = result.map_err(Into::into) else { return ExitCode::SUCCESS };
        if self.size == 1 {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
        if let Some(TrainError::Elsewhere { .. }) = error.downcast_ref::<TrainError>() {
            thread::sleep(PATIENCE);
        }
        eprintln!("rank {}: {error}", self.rank);
        end(1)
    }

    fn during<X>(&self, call: &'static str, exchange: impl FnOnce() -> X) -> X {
        match &self.watch {
            Some(watch) => watch.during(call, exchange),
            None => exchange(),
        }
    }

    /// Sends a buffer of a rank to all others, in pieces.
    fn broadcast_from<T: Equivalence>(&self, rank: usize, buffer: &mut [T]) {
        let root = self.world.0.process_at_rank(rank as i32);
        buffer.chunks_mut(self.limit).for_each(|piece| root.broadcast_into(piece));
    }

    /// Collects parts of known lengths.
    fn gather_into<T: Equivalence + Copy>(&self, own: &[T], all: &mut [T], lengths: &[usize]) {
        assert!(own.len() == lengths[self.rank], "expected {} elements", lengths[self.rank]);
        if all.len() <= self.limit {
            let (counts, starts) = partition(lengths);
            let mut all = PartitionMut::new(all, counts, starts);
            let world = &self.world.0;
            return scope(|scope| {
                wait(world.immediate_all_gather_varcount_into(scope, own, &mut all));
            });
        }
        // More than a call takes: one rank after another.
        let mut rest = all;
        for (rank, &length) in lengths.iter().enumerate() {
            let (part, after) = rest.split_at_mut(length);
            if rank == self.rank {
                part.copy_from_slice(own);
            }
            self.broadcast_from(rank, part);
            rest = after;
        }
    }
}

/// Waits for an exchange without keeping a CPU busy: other threads of this process compute meanwhile, and
/// the library's own way to wait is to look again and again. So this looks again and again for a moment,
/// and then now and then.
fn wait<'a, D: ?Sized, S: Scope<'a>>(mut request: Request<'a, D, S>) {
    let begun = Instant::now();
    while let Err(unfinished) = request.test() {
        request = unfinished;
        if begun.elapsed() > MOMENT {
            thread::sleep(PAUSE);
        }
    }
}

/// Counts and starts as the library takes them.
fn partition(lengths: &[usize]) -> (Vec<Count>, Vec<Count>) {
    let counts = lengths.iter().map(|&length| length as Count).collect();
    let starts = lengths.iter().scan(0, |start, &length| {
        *start += length;
        Some((*start - length) as Count)
    });
    (counts, starts.collect())
}

impl Group for Cluster {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.during("gather", || {
            let mut lengths = vec![0_u64; self.size];
            self.world.0.all_gather_into(&(own.len() as u64), &mut lengths[..]);
            let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
            // Open MPI takes the address of an empty list of bytes, which is 1, for one that means something
            // else (`MPI_IN_PLACE`). So there is a byte more than is sent and received.
            let total = lengths.iter().sum();
            let (own, mut all) = ([own, &[0]].concat(), vec![0; total + 1]);
            self.gather_into(&own[..own.len() - 1], &mut all[..total], &lengths);
            let mut rest = &all[..total];
            let part = |length| {
                let (part, after) = rest.split_at(length);
                rest = after;
                part.to_vec()
            };
            lengths.into_iter().map(part).collect()
        })
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        self.during("broadcast", || {
            let mut length = [own.len() as u64];
            self.broadcast_from(0, &mut length);
            let mut bytes = own;
            bytes.resize(length[0] as usize, 0);
            self.broadcast_from(0, &mut bytes);
            bytes
        })
    }

    fn barrier(&self) {
        self.during("barrier", || self.world.0.barrier());
    }
}

impl<T: Equivalence + Copy> Exchange<T> for Cluster {
    /// # Panics
    /// If a process sends or receives 2^31 numbers or more at a time, which no sum of gradients does:
    /// it goes in buckets.
    fn all_to_all(&self, own: &[T], sent: &[usize], all: &mut [T], received: &[usize]) {
        let most = own.len().max(all.len());
        assert!(most <= Count::MAX as usize, "expected less than 2^31 numbers, got {most}");
        self.during("all-to-all", || {
            let ((counts, starts), (to_come, places)) = (partition(sent), partition(received));
            let own = Partition::new(own, counts, starts);
            let mut all = PartitionMut::new(all, to_come, places);
            scope(|scope| {
                let world = &self.world.0;
                wait(world.immediate_all_to_all_varcount_into(scope, &own, &mut all));
            });
        });
    }

    fn all_gather(&self, own: &[T], all: &mut [T], lengths: &[usize]) {
        self.during("all-gather", || self.gather_into(own, all, lengths));
    }
}
